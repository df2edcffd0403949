"""The form behind the app bar's icon. Its buttons open the others."""

from collections.abc import Callable
from dataclasses import replace

from core.calls import Call, Kind, Reply, ShowForm
from core.errors import InvalidInput
from core.fields import Option
from core.menus import Requirement
from forms.account.menu import PATH, menu_form
from forms.subscriptions.edit import ADD
from forms.subscriptions.list import LIST
from handlers.account import connection as account
from handlers.account import help
from handlers.context import Context
from handlers.form_state import FormState
from handlers.records import change, incident, share, view
from handlers.registry import calls
from handlers.subscriptions import edit as subscriptions_edit
from handlers.subscriptions import list as subscriptions_list
from mattermost.cards import person_line

_ACTIONS: dict[str, tuple[str, str, Kind, Callable[[Call, Context], Reply]]] = {
    "incident": ("Create incident", "incident/create", Kind.FORM, incident.open_form),
    "change": ("Create change request", "change/create", Kind.FORM, change.open_form),
    "share": ("Search and share", "record/share", Kind.FORM, share.open_form),
    "view": ("View a record", "record/view", Kind.FORM, view.open_form),
    "subscribe": ("Add subscription", ADD, Kind.FORM, subscriptions_edit.open_add),
    "subscriptions": ("Subscriptions", LIST, Kind.FORM, subscriptions_list.open_list),
    "me": ("My account", "account/me", Kind.SUBMIT, account.me),
    "help": ("Help", "help/show", Kind.SUBMIT, help.show_help),
}


@calls.form(PATH, needs=Requirement.CONNECTED)
def open_menu(call: Call, context: Context) -> Reply:
    """Show the actions as buttons."""
    connected = context.account
    assert connected is not None  # the requirement was checked
    actions = [Option(label, word) for word, (label, *_) in _ACTIONS.items()]
    state = FormState.of(call).signed(context, PATH)
    return ShowForm(menu_form(actions, f"Connected as {person_line(connected.identity)}.", state))


@calls.submit(PATH, needs=Requirement.CONNECTED)
def choose(call: Call, context: Context) -> Reply:
    """Open the form of the pressed button in the same modal."""
    chosen = _ACTIONS.get(call.values.text("action"))
    if chosen is None:
        raise InvalidInput({}, "Press one of the buttons.")
    _, path, kind, handler = chosen
    return handler(replace(call, path=path, kind=kind), context)
