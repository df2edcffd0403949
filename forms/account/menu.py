"""The form behind the app bar's icon, with a button for each action."""

from collections.abc import Sequence

from core.fields import Form, Option, SelectField

PATH = "menu/open"


def menu_form(actions: Sequence[Option], account: str, state: str) -> Form:
    """*account* is Markdown that says who is connected."""
    buttons = SelectField(name="action", label="What to do", options=actions, buttons=True)
    return Form(path=PATH, title="ServiceNow", header=account, fields=[buttons], state=state)
