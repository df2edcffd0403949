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
    """The kind of request: the last word of a path (`/incident/create/submit`)."""

    FORM = "form"  # open: answers with a form, or with a text if no form is needed
    LOOKUP = "lookup"  # type-ahead of one field
    REFRESH = "refresh"  # a field that others depend on has changed
    SUBMIT = "submit"  # perform the action


@dataclass(frozen=True, kw_only=True)
class Person:
    """The verified Mattermost user who sends the request."""

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
    """The message whose menu was opened. ``root_id`` is "" outside a thread."""

    id: str
    channel_id: str = ""
    user_id: str = ""
    root_id: str = ""
    type: str = ""
    message: str = ""


Value = str | bool | Option | tuple[Option, ...]


class Values(Mapping[str, Value]):
    """
    Entered values by field name. Untouched fields are absent, no matter what the host sends for them.

    For an absent field, each accessor returns the empty value of its type.
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
        """The choice. Typed text becomes a choice with itself as label and value."""
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
        """All choices of a multi-select field. A single choice is a list of one."""
        entered = self._entered.get(name)
        if isinstance(entered, tuple):
            return entered
        option = self.option(name)
        return (option,) if option else ()

    def flag(self, name: str) -> bool:
        """The value of a switch. The text ``true`` counts as on."""
        entered = self._entered.get(name)
        return entered is True or entered == "true"


@dataclass(frozen=True, kw_only=True)
class Call:
    """
    One verified request of a person.

    ``path`` is the capability and its action (`incident/create`), without leading or trailing slash.
    ``state`` is the verified state of the form, or empty.
    ``selected_field`` and ``query`` belong to lookups and refreshes. ``unsearched`` is True if the client sends one
    lookup without a query and searches in the result (dialogs of the mobile app).
    ``steps`` is False if an open form can't be updated: it has to contain everything at once, and lookups are text
    (dialogs of servers before 11.1).
    ``stays`` is False if a form closes after its action, as a dialog does, which has one button.
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
    """Base class of all answers. Errors aren't replies; they are raised (`core.errors`)."""


@dataclass(frozen=True)
class Text(Reply):
    """
    Markdown that only the person sees. ``refresh_menus`` makes the client load its menus again.

    ``announced`` means that the thread already says it. A dialog, whose answer has no text, then closes without a
    message of its own.
    """

    text: str
    refresh_menus: bool = False
    announced: bool = False


@dataclass(frozen=True)
class ShowForm(Reply):
    """Open a form, or replace the open one."""

    form: Form


@dataclass(frozen=True)
class Options(Reply):
    """Answer to a lookup, best match first. Labels are unique."""

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
    """Whether *text* has the form of a Mattermost id (of a user, channel, team, post, or file)."""
    return _MATTERMOST_ID.fullmatch(text) is not None


@dataclass(frozen=True)
class File:
    """
    A file of a message.

    Args:
        size: In bytes.
        media_type: Such as ``image/png``. Mattermost's guess, not necessarily the content's type.
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
        username: The author's, without ``@``; "" if Mattermost doesn't say.
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
