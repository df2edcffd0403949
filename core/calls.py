"""
Requests (`Call`) and answers (`Reply`), without any host's wire format, and the parts of Mattermost in them.

The web layer verifies the sender. Then a host (`mattermost/apps_framework.py` or `mattermost/plain.py`) reads the
payload into a `Call` and writes the `Reply`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from core.fields import Form, Option
from core.records import Identity


class Kind(StrEnum):
    """What the client wants from a path; the last word of the path (`/incident/create/submit`)."""

    FORM = "form"  # open: answers with a form, or a text where no form is needed
    LOOKUP = "lookup"  # type-ahead of one field
    REFRESH = "refresh"  # a field changed on which others depend
    SUBMIT = "submit"  # do it


@dataclass(frozen=True, kw_only=True)
class Person:
    """The verified Mattermost user who asks."""

    id: str
    username: str = ""
    administrator: bool = False
    guest: bool = False


@dataclass(frozen=True, kw_only=True)
class Channel:
    """Where the person is. ``type`` is Mattermost's: O public, P private, D direct, G group."""

    id: str
    type: str = ""
    team_id: str = ""
    name: str = ""
    display_name: str = ""
    archived: bool = False


@dataclass(frozen=True, kw_only=True)
class Post:
    """The message on which a menu was opened. ``root_id`` is "" outside a thread."""

    id: str
    channel_id: str = ""
    user_id: str = ""
    root_id: str = ""
    type: str = ""
    message: str = ""


Value = str | bool | Option | tuple[Option, ...]


class Values(Mapping[str, Value]):
    """
    What was entered, by field name. Untouched fields are absent, whatever the host sends for them.

    Every accessor answers the empty value of its kind for an absent field.
    """

    def __init__(self, entered: Mapping[str, Value] | None = None) -> None:
        self._entered = dict(entered or {})

    def __getitem__(self, name: str) -> Value:
        return self._entered[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entered)

    def __len__(self) -> int:
        return len(self._entered)

    def text(self, name: str) -> str:
        """The text as typed, or the value (not the label) of a choice."""
        match self._entered.get(name):
            case str(text):
                return text
            case Option(value=value):
                return value
            case bool(flag):
                return "true" if flag else "false"
            case (Option(value=value), *_):
                return value
            case _:
                return ""

    def option(self, name: str) -> Option | None:
        """The choice; a typed text stands for itself, as a command's look-up values do."""
        match self._entered.get(name):
            case Option() as option:
                return option
            case str(text) if text.strip():
                return Option(text, text)
            case (Option() as first, *_):
                return first
            case _:
                return None

    def options(self, name: str) -> tuple[Option, ...]:
        """All choices of a field that takes several; one choice counts as a list of one."""
        entered = self._entered.get(name)
        if isinstance(entered, tuple):
            return entered
        option = self.option(name)
        return (option,) if option else ()

    def flag(self, name: str) -> bool:
        """A switch; the texts ``true`` and ``false`` are understood too."""
        entered = self._entered.get(name)
        return entered is True or entered == "true"


@dataclass(frozen=True, kw_only=True)
class Call:
    """
    One verified request of a person.

    ``path`` is the capability and its action (`incident/create`), without slash at either end.
    ``state`` is what we put into the form, already verified; empty where there was none.
    ``selected_field`` and ``query`` belong to look-ups and refreshes. ``unsearched`` is True where the client
    asks once, without a query, and searches in what it gets (dialogs of the mobile app).
    ``steps`` is False where an open form can't be shown again: it has to hold everything at once, and
    look-ups are text (dialogs of servers before 11.1).
    ``stays`` is False where a form closes once what it is for is done, as a dialog does, which has one button.
    """

    kind: Kind
    path: str
    person: Person
    values: Values = field(default_factory=Values)
    state: Mapping[str, Any] = field(default_factory=dict)
    channel: Channel | None = None
    team_name: str = ""
    post: Post | None = None
    selected_field: str = ""
    query: str = ""
    unsearched: bool = False
    steps: bool = True
    stays: bool = True


class Reply:
    """Base of every answer. Errors are not replies: they are raised (`core.errors`)."""


@dataclass(frozen=True)
class Text(Reply):
    """
    Markdown that only the asker sees. ``refresh_menus`` makes the client ask for its menus again.

    ``announced`` says that the thread tells it already: a dialog, whose answer has no text, then ends
    without a message of its own.
    """

    text: str
    refresh_menus: bool = False
    announced: bool = False


@dataclass(frozen=True)
class ShowForm(Reply):
    """Open a form, replace the open one, or show it again."""

    form: Form


@dataclass(frozen=True)
class Options(Reply):
    """Answer of a look-up, best first. Labels are unique."""

    options: tuple[Option, ...] = ()


@dataclass(frozen=True)
class Navigate(Reply):
    """Send the browser to an absolute address."""

    address: str


@dataclass(frozen=True)
class Link(Reply):
    """An address as data, for the host's own use (where an OAuth flow goes next)."""

    address: str


_MATTERMOST_ID = re.compile(r"[a-z0-9]{26}")


def is_mattermost_id(text: str) -> bool:
    """Whether *text* can be an id of Mattermost: of a user, channel, team, post or file."""
    return _MATTERMOST_ID.fullmatch(text) is not None


@dataclass(frozen=True)
class File:
    """
    A file of a message.

    Args:
        size: Bytes.
        media_type: Such as ``image/png``; what Mattermost found, not what is in it.
    """

    id: str
    name: str
    size: int
    media_type: str


@dataclass(frozen=True, kw_only=True)
class Message:
    """
    One message.

    Args:
        username: Of the author, without ``@``; "" where Mattermost does not tell.
        created_at: Unix seconds.
        text: Markdown as typed.
    """

    id: str
    username: str
    created_at: float
    text: str
    files: Sequence[File] = ()


def person_option(person: Identity) -> Option:
    """*person* as look-ups show people: ``Name (user_name)``."""
    name = person.name or person.user_name or "You"
    return Option(f"{name} ({person.user_name})" if person.user_name else name, person.sys_id, person.user_name)
