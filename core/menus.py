"""
What people can do: commands, menu entries, and the actions on a record's card, without any host's wire format.

The same actions become a card's buttons, the buttons of the view form, and the check of a button that was pressed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from core.calls import Kind
from core.fields import Form


class Requirement(StrEnum):
    """What an entry requires. Declared once per handler: it hides the entry and protects the handler."""

    NOTHING = "nothing"
    CONFIGURED = "configured"
    LINKED = "linked"  # has an account, suspended or not
    CONNECTED = "connected"
    NOT_CONNECTED = "not connected"  # only hides the entry; a stale menu can still connect
    ADMINISTRATOR = "administrator"


@dataclass(frozen=True)
class UserStatus:
    """A person's status, from the settings, one read of local storage, and the call itself."""

    configured: bool
    linked: bool
    connected: bool
    administrator: bool

    def meets(self, requirement: Requirement) -> bool:
        """Whether to offer an entry with *requirement*."""
        met = {
            Requirement.NOTHING: True,
            Requirement.CONFIGURED: self.configured,
            Requirement.LINKED: self.configured and self.linked,
            Requirement.CONNECTED: self.configured and self.connected,
            Requirement.NOT_CONNECTED: self.configured and not self.connected,
            Requirement.ADMINISTRATOR: self.administrator,
        }
        return met[requirement]


@dataclass(frozen=True)
class Command:
    """
    A command as typed after ``/servicenow``.

    ``form`` has the arguments. ``path`` and ``kind`` are the handler. ``administrators``: only they can use it.
    """

    words: tuple[str, ...]
    path: str
    kind: Kind
    description: str
    hint: str = ""
    form: Form | None = None
    administrators: bool = False


@dataclass(frozen=True)
class Entry:
    """An entry of the channel header / app bar or of the post menu. ``word`` is unique in its place."""

    word: str
    label: str
    path: str
    kind: Kind


@dataclass(frozen=True)
class Menus:
    """Everything one person is offered."""

    commands: Sequence[Command] = ()
    channel_header: Sequence[Entry] = ()
    post_menu: Sequence[Entry] = ()


@dataclass(frozen=True)
class Action:
    """
    Args:
        word: Only letters, because it is a button's id (native integrations reference §3.1).
        path, kind: The handler. It opens a form, or a submit acts immediately.
    """

    word: str
    label: str
    path: str
    kind: Kind


COMMENT = Action("comment", "Comment", "record/comment", Kind.FORM)
STATE = Action("state", "State", "record/state", Kind.FORM)
ASSIGN_TO_ME = Action("mine", "Assign to me", "record/mine", Kind.SUBMIT)
NOTE = Action("note", "Work note", "record/note", Kind.FORM)
ASSIGN = Action("assign", "Assign", "record/assign", Kind.FORM)
RESOLVE = Action("resolve", "Resolve", "record/resolve", Kind.FORM)
PRIORITY = Action("priority", "Priority", "record/priority", Kind.FORM)
WATCH = Action("watch", "Watch", "record/watch", Kind.SUBMIT)
SUBSCRIBE = Action("subscribe", "Subscribe this channel", "subscriptions/add", Kind.FORM)
REFRESH = Action("refresh", "Refresh", "record/refresh", Kind.SUBMIT)
CLOSE = Action("close", "Close", "record/close", Kind.FORM)
REOPEN = Action("reopen", "Reopen", "record/reopen", Kind.FORM)

ALL = (
    COMMENT, STATE, ASSIGN_TO_ME, NOTE, ASSIGN, RESOLVE, PRIORITY, WATCH, SUBSCRIBE, REFRESH, CLOSE, REOPEN,
)  # fmt: skip
BY_WORD = {action.word: action for action in ALL}

MOST_BUTTONS = 4  # beside one select, so that a phone shows them (spec §15.6)


@dataclass(frozen=True)
class CardKey:
    """Which record in which channel a card is about."""

    table: str
    sys_id: str
    number: str
    channel_id: str


@dataclass(frozen=True)
class Offer:
    """A card's buttons, at most `MOST_BUTTONS`, and the entries of its select “More…”."""

    buttons: tuple[Action, ...]
    more: tuple[Action, ...]

    def only(self, wanted: Callable[[Action], bool]) -> "Offer":
        """Only the actions for which *wanted* returns true."""
        return Offer(tuple(filter(wanted, self.buttons)), tuple(filter(wanted, self.more)))


NOTHING = Offer((), ())
