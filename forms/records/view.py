"""A record shown to one person: its card's fields as the form's header, its actions as submit buttons."""

from collections.abc import Sequence

from core.fields import Form, Option, SelectField
from core.menus import Action
from forms.records.record_lookup import record_flags, titled

PATH = "record/view"
PICK_TITLE = "View a record"
ACTION = "action"
VIEW_FLAGS = record_flags(PATH, PICK_TITLE)


def view_form(number: str, label: str, summary: str, actions: Sequence[Action], state: str) -> Form:
    """
    Args:
        number, label: The record's number and its table's label, for the title.
        summary: Markdown of the card.
        actions: The actions for the record's state; at least one.
    """
    options = [Option(action.label, action.word) for action in actions]
    buttons = SelectField(name=ACTION, label="What to do", options=options, buttons=True)
    return Form(path=PATH, title=titled(label, number)[:24], header=summary, fields=[buttons], state=state)
