"""A record for whoever asks alone: its card's fields as the header, its actions as submit buttons. Pure."""

from collections.abc import Sequence

from core.calls import Values
from core.fields import AnyField, Form, Option, SelectField
from core.menus import Action
from forms.records.record_lookup import pick_form, record_field, titled

PATH = "record/view"
ACTION = "action"


def view_form(number: str, label: str, summary: str, actions: Sequence[Action], state: str) -> Form:
    """
    Build the view.

    Args:
        number: The record's; with *label*, its table's, the title.
        summary: Markdown of the card.
        actions: What fits the record; at least one.
    """
    options = [Option(action.label, action.word) for action in actions]
    buttons = SelectField(name=ACTION, label="What to do", options=options, buttons=True)
    return Form(path=PATH, title=titled(label, number)[:24], header=summary, fields=[buttons], state=state)


def view_pick_form(values: Values, header: str = "") -> Form:
    """Ask which record to view."""
    return pick_form(PATH, "View a record", values, header=header)


def view_flags() -> Form:
    """What can be typed behind ``/servicenow view``."""
    fields: list[AnyField] = [record_field(Values(), position=1, required=False)]
    return Form(path=PATH, title="View a record", fields=fields)
