"""The form behind the app bar's icon: what can be done, as buttons. Pure."""

from collections.abc import Sequence

from core.fields import Form, Option, SelectField

PATH = "menu/open"


def menu_form(actions: Sequence[Option], account: str, state: str) -> Form:
    """
    Build the menu.

    Args:
        actions: Label and path of what the person may do; at least one.
        account: Markdown that says who is connected to what.
        state: Signed state: where the person was.
    """
    buttons = SelectField(name="action", label="What to do", options=actions, buttons=True)
    return Form(path=PATH, title="ServiceNow", header=account, fields=[buttons], state=state)
