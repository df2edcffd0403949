"""The form behind the app bar's icon. Its buttons open other forms."""

from dataclasses import replace

from core.calls import Call, Reply, ShowForm
from core.errors import InvalidInput
from core.fields import Option
from core.menus import Requirement
from forms.account.menu import PATH, menu_form
from handlers.commands import MENU_ACTIONS
from handlers.context import Context
from handlers.form_state import FormState
from handlers.registry import calls
from mattermost.cards import person_line


@calls.form(PATH, needs=Requirement.CONNECTED)
def open_menu(call: Call, context: Context) -> Reply:
    """Show the actions as buttons."""
    account = context.account
    assert account is not None  # the requirement was checked
    actions = [Option(action.label, action.word) for action in MENU_ACTIONS]
    state = FormState.of(call).signed(context, PATH)
    return ShowForm(menu_form(actions, f"Connected as {person_line(account.identity)}.", state))


@calls.submit(PATH, needs=Requirement.CONNECTED)
def choose(call: Call, context: Context) -> Reply:
    """Open the form of the pressed button in the same modal."""
    for action in MENU_ACTIONS:
        if action.word == call.values.text("action"):
            return calls.answer(replace(call, path=action.path, kind=action.kind), context)
    raise InvalidInput({}, "Press one of the buttons.")
