"""
Forms and their fields, the same for an Apps modal and for an interactive dialog.

A form whose own words break a limit of either host fails when it is built, with the limit named: better at a
developer's desk than as a field that a client silently drops. Limits: Apps protocol reference §6,
native integrations reference §2.3 and §2.4 (lengths there count bytes). What people wrote is not limited here:
a dialog's default may have 150 bytes, or 3,000 in a text area, but Mattermost only logs a warning about a longer
one and shows it whole (recorded), so cutting it would lose text for nothing.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

_WORD = re.compile(r"[a-z][a-z0-9_]*")
_MARKED = re.compile(r"(.+) · ([0-9a-f]{6})", re.DOTALL)

TITLE_BYTES = 24  # dialog title
LABEL_BYTES = 24  # dialog display_name
NAME_BYTES = 300  # dialog element name
HELP_BYTES = 150  # dialog help_text
TEXT_DEFAULT_BYTES = 150  # dialog placeholder of a one-line text, the least of all elements


class FormLimit(ValueError):
    """A form breaks a limit of a host. The text names the form, the field and the limit."""


def _limit(text: str, most: int, what: str) -> None:
    if len(text.encode()) > most:
        raise FormLimit(f"{what} has {len(text.encode())} bytes; a dialog takes {most}")


@dataclass(frozen=True)
class Option:
    """
    One choice: what people read, and what is stored. Both are unique within a field.

    Args:
        word: What stands for it in a command line, where people see the value: a user name, a record's number. Its
            label where this is "".
    """

    label: str
    value: str
    word: str = field(default="", compare=False)


def marked(label: str, row_id: str) -> str:
    """The label of one of several rows that are called alike."""
    return f"{label} · {row_id[-6:]}"


def unmarked(label: str) -> tuple[str, str]:
    """What `marked` put together: what the row is called, and how its id ends, "" for a label without a mark."""
    found = _MARKED.fullmatch(label)
    return (found[1], found[2]) if found else (label, "")


def distinct_options(found: Iterable[Option]) -> list[Option]:
    """
    The options, with unique labels, because clients drop the second of two equal ones.

    Every row of the same name gets the end of its sys_id, so that the bare name doesn't stand for any of them.
    """
    options = [option for option in found if option.label.strip() and option.value]  # not all can be read
    count = Counter(option.label for option in options)
    labeled = [
        replace(option, label=marked(option.label, option.value)) if count[option.label] > 1 else option
        for option in options
    ]
    return list({option.label: option for option in labeled}.values())


@dataclass(frozen=True, kw_only=True)
class Field:
    """
    What all fields share.

    Args:
        name: ServiceNow's column name, or one of our own words (design §7). Also the command's flag.
        label: What people read above the field; at most 24 bytes.
        description: Help below the field; at most 150 bytes, Markdown in a modal, plain in a dialog.
        hint: Placeholder.
        required: The modal asks for it. Commands require nothing (design §7).
        refresh: A change asks for the form anew.
        position: Which word of a command's line fills it, from 1; -1 takes the rest of the line, texts alone.
    """

    name: str
    label: str
    description: str = ""
    hint: str = ""
    required: bool = False
    refresh: bool = False
    readonly: bool = False
    position: int = 0

    def __post_init__(self) -> None:
        if not _WORD.fullmatch(self.name):
            raise FormLimit(f"field name {self.name!r} must be one lower-case word")
        if not self.label.strip():
            raise FormLimit(f"field {self.name} has no label")
        if self.position < 0 and not isinstance(self, TextField | TextAreaField):
            raise FormLimit(f"field {self.name}: only a text takes the rest of a line")
        _limit(self.name, NAME_BYTES, f"name of field {self.name}")
        _limit(self.label, LABEL_BYTES, f"label of field {self.name}")
        _limit(self.description, HELP_BYTES, f"description of field {self.name}")
        _limit(self.hint, TEXT_DEFAULT_BYTES, f"hint of field {self.name}")


@dataclass(frozen=True, kw_only=True)
class TextField(Field):
    """
    One line. ``subtype``: text, number, email, tel, url or password.

    ``max_length`` counts characters; both hosts fall back to 150 where it is missing, so it is demanded.
    """

    max_length: int
    value: str = ""
    subtype: str = "text"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.subtype not in {"text", "number", "email", "tel", "url", "password"}:
            raise FormLimit(f"field {self.name}: no subtype {self.subtype!r}")
        if self.max_length < 1:
            raise FormLimit(f"field {self.name}: max_length must be at least 1")


@dataclass(frozen=True, kw_only=True)
class TextAreaField(Field):
    """Several lines; ``max_length`` in characters, without it both hosts cut at 3,000."""

    max_length: int
    value: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_length < 1:
            raise FormLimit(f"field {self.name}: max_length must be at least 1")


@dataclass(frozen=True, kw_only=True)
class SelectField(Field):
    """One of few. ``value`` is an option's value or ""; ``buttons`` draws the options as submit buttons."""

    options: Sequence[Option]
    value: str = ""
    buttons: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.options:
            raise FormLimit(f"select {self.name} has no options; both hosts drop it")
        _unique(self.name, self.options)
        if self.value and self.value not in {option.value for option in self.options}:
            raise FormLimit(f"select {self.name}: its value is none of its options")


@dataclass(frozen=True, kw_only=True)
class MultiSelectField(Field):
    """Several of few; ``value`` holds options' values."""

    options: Sequence[Option]
    value: Sequence[str] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.options:
            raise FormLimit(f"select {self.name} has no options; both hosts drop it")
        _unique(self.name, self.options)


@dataclass(frozen=True, kw_only=True)
class LookupField(Field):
    """One of many, found by typing. ``value`` is the chosen option."""

    value: Option | None = None


@dataclass(frozen=True, kw_only=True)
class UserField(Field):
    """A Mattermost user; the option's value is the user id."""

    value: Option | None = None


@dataclass(frozen=True, kw_only=True)
class ChannelField(Field):
    """A Mattermost channel; the option's value is the channel id."""

    value: Option | None = None


@dataclass(frozen=True, kw_only=True)
class SwitchField(Field):
    """Yes or no. Never required: both hosts would demand a yes."""

    value: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.required:
            raise FormLimit(f"switch {self.name} is required: both hosts would demand a yes")


@dataclass(frozen=True, kw_only=True)
class MarkdownField(Field):
    """Text between the fields; not a value."""

    text: str

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.text.strip():
            raise FormLimit(f"markdown {self.name} has no text")


@dataclass(frozen=True, kw_only=True)
class DateField(Field):
    """A day, or with ``time`` a moment. ISO text in the person’s zone where a host has no picker."""

    value: str = ""
    time: bool = False


AnyField = (
    TextField
    | TextAreaField
    | SelectField
    | MultiSelectField
    | LookupField
    | UserField
    | ChannelField
    | SwitchField
    | MarkdownField
    | DateField
)


@dataclass(frozen=True, kw_only=True)
class Form:
    """
    A form.

    Args:
        path: Capability and action, such as ``incident/create``; its submit is ``/incident/create/submit``.
        title: At most 24 bytes (a dialog's limit).
        header: Markdown above the fields.
        state: Signed text that comes back with every call of this form; "" for none.
    """

    path: str
    title: str
    fields: Sequence[AnyField]
    header: str = ""
    submit_label: str = "Submit"
    state: str = ""

    def __post_init__(self) -> None:
        if not self.title.strip():
            raise FormLimit(f"form {self.path} has no title")
        _limit(self.title, TITLE_BYTES, f"title of form {self.path}")
        names = [field.name for field in self.fields]
        if len(set(names)) != len(names):
            raise FormLimit(f"form {self.path} uses a field name twice")
        labels = [field.label for field in self.fields]
        if len(set(labels)) != len(labels):
            raise FormLimit(f"form {self.path} uses a label twice")
        if sum(isinstance(field, SelectField) and field.buttons for field in self.fields) > 1:
            raise FormLimit(f"form {self.path} has two sets of submit buttons")


def _unique(name: str, options: Sequence[Option]) -> None:
    for what in ("label", "value"):
        seen: set[str] = set()
        for option in options:
            text = getattr(option, what)
            if not text.strip():
                raise FormLimit(f"select {name} has an option without {what}")
            if text in seen:
                raise FormLimit(f"select {name}: {what} {text!r} is used twice; both hosts drop the second")
            seen.add(text)
