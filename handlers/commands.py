"""
The table of commands and menu entries, from which bindings, autocomplete, help, and the app bar's menu are built.

An entry is offered if the person meets the requirement of its handler, which only the handler declares.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from core.calls import Kind
from core.fields import Form, TextField
from core.menus import Command, Entry, Menus, Requirement, UserStatus
from core.records import Column
from forms.records.assign import ASSIGN_FLAGS
from forms.records.change import change_flags
from forms.records.comments import COMMENT, NOTE, comments_flags
from forms.records.incident import incident_flags
from forms.records.open_record import OPEN_FLAGS
from forms.records.share import SHARE_FLAGS
from forms.records.state import RESOLVE, STATE, state_flags
from forms.records.view import VIEW_FLAGS
from forms.subscriptions.edit import ADD, EDIT
from forms.subscriptions.list import DELETE, LIST, LIST_FLAGS, PAUSE, RESUME, SEND_TEST, id_flags
from handlers.registry import calls


@dataclass(frozen=True)
class _Row:
    """A command. ``flags`` contains what people can type after it, or builds that from the columns of incident."""

    words: str
    path: str
    description: str
    hint: str = ""
    flags: Form | Callable[[Mapping[str, Column]], Form] | None = None


_HELP_FLAGS = Form(
    path="help/show",
    title="Help",
    fields=[TextField(name="command", label="Command", position=-1, max_length=100, hint="[command]")],
)

# In the order of the autocomplete list and of the help.
_COMMANDS = (
    _Row("incident create", "incident/create", "Create an incident", "[--short_description “…”]", incident_flags),
    _Row("change create", "change/create", "Create a change request", "[--short_description “…”]", change_flags()),
    _Row("share", "record/share", "Find a record and share its card", "[number or words]", SHARE_FLAGS),
    _Row("view", "record/view", "Show a record to you alone", "[number]", VIEW_FLAGS),
    _Row("open", "record/open", "Get the link to a record in ServiceNow", "[number or words]", OPEN_FLAGS),
    _Row("comment", "record/comment", "Read and add comments of a record", "[number] [text]", comments_flags(COMMENT)),
    _Row("note", "record/note", "Read and add work notes of a record", "[number] [text]", comments_flags(NOTE)),
    _Row("state", "record/state", "Change the state of a record", "[number] [state]", state_flags(STATE)),
    _Row("assign", "record/assign", "Give a record to somebody", "[number] [me | @user]", ASSIGN_FLAGS),
    _Row("resolve", "record/resolve", "Resolve a record", "[number]", state_flags(RESOLVE)),
    _Row("subscriptions list", LIST, "Show subscriptions", "[me | anyone] [this_channel | all_channels]", LIST_FLAGS),
    _Row("subscriptions add", ADD, "Subscribe a channel to a record or a table"),
    _Row("subscriptions edit", EDIT, "Change a subscription", "[id]", id_flags(EDIT)),
    _Row("subscriptions delete", DELETE, "Delete a subscription", "[id]", id_flags(DELETE)),
    _Row("subscriptions pause", PAUSE, "Pause a subscription", "[id]", id_flags(PAUSE)),
    _Row("subscriptions resume", RESUME, "Resume a subscription, a broken one too", "[id]", id_flags(RESUME)),
    _Row("subscriptions test", SEND_TEST, "Send a test of a subscription", "[id]", id_flags(SEND_TEST)),
    _Row("unsubscribe", DELETE, "Delete a subscription", "[id]", id_flags(DELETE)),
    _Row("connect", "account/connect", "Connect your ServiceNow account"),
    _Row("me", "account/me", "Show the account that you are connected with"),
    _Row("disconnect", "account/disconnect", "Disconnect your ServiceNow account"),
    _Row("configure", "configure/settings", "Choose the ServiceNow instance and its OAuth client"),
    _Row("setup", "setup/steps", "Set up the ServiceNow side, step by step"),
    _Row("status", "status/show", "Show how the service does: queues, keys, broken subscriptions"),
    _Row("help", "help/show", "Show what you can do here", "[command]", _HELP_FLAGS),
)

_HEADER = (
    Entry("connect", "Connect to ServiceNow", "account/connect", Kind.FORM),
    Entry("open", "ServiceNow", "menu/open", Kind.FORM),
)
_POST_MENU = (
    Entry("incident", "Create ServiceNow incident", "incident/create", Kind.FORM),
    Entry("message", "Add to ServiceNow record", "message/add", Kind.FORM),
)

# The buttons of the form behind the app bar's icon.
MENU_ACTIONS = (
    Entry("incident", "Create incident", "incident/create", Kind.FORM),
    Entry("change", "Create change request", "change/create", Kind.FORM),
    Entry("share", "Search and share", "record/share", Kind.FORM),
    Entry("view", "View a record", "record/view", Kind.FORM),
    Entry("subscribe", "Add subscription", ADD, Kind.FORM),
    Entry("subscriptions", "Subscriptions", LIST, Kind.FORM),
    Entry("me", "My account", "account/me", Kind.SUBMIT),
    Entry("help", "Help", "help/show", Kind.SUBMIT),
)


def menus_of(user_status: UserStatus, columns: Mapping[str, Column]) -> Menus:
    """
    The commands and menu entries for a person with *user_status*.

    Args:
        columns: Columns of incident, for the choices of its flags.
    """
    return Menus(
        commands=[
            Command(
                words=tuple(row.words.split()),
                path=row.path,
                kind=Kind.SUBMIT,
                description=row.description,
                hint=row.hint,
                form=row.flags(columns) if callable(row.flags) else row.flags,
                administrators=calls.route(row.path, Kind.SUBMIT).needs is Requirement.ADMINISTRATOR,
            )
            for row in _COMMANDS
            if _offered(user_status, row.path, Kind.SUBMIT)
        ],
        channel_header=[entry for entry in _HEADER if _offered(user_status, entry.path, entry.kind)],
        post_menu=[entry for entry in _POST_MENU if _offered(user_status, entry.path, entry.kind)],
    )


def help_lines(user_status: UserStatus) -> list[str]:
    """One Markdown bullet per command that the person can use now."""
    return [
        f"- `/servicenow {row.words}{' ' + row.hint if row.hint else ''}`: {row.description}"
        for row in _COMMANDS
        if _offered(user_status, row.path, Kind.SUBMIT)
    ]


def command_words() -> list[str]:
    return [row.words for row in _COMMANDS]


def _offered(user_status: UserStatus, path: str, kind: Kind) -> bool:
    return user_status.meets(calls.route(path, kind).needs)
