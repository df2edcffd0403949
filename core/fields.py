"""
Forms and their fields, the same for an Apps modal and for an interactive dialog.

A form whose own texts exceed a limit of either host raises an error when it is built, because clients silently drop
such a field. Limits: Apps protocol reference §6, native integrations reference §2.3 and §2.4 (lengths in bytes). Text
that people wrote isn't limited here. A dialog's default is limited to 150 bytes, or 3,000 in a text area, but
Mattermost only logs a warning about a longer one and shows all of it (recorded).
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
    """A form exceeds a host's limit. The text names the form, the field, and the limit."""


def _limit(text: str, most: int, what: str) -> None:
    if len(text.encode()) > most:
        raise FormLimit(f"{what} has {len(text.encode())} bytes; a dialog takes {most}")


@dataclass(frozen=True)
class Option:
    """
    One choice: the label that people read, and the value. Both are unique within a field.

    Args:
        word: What people type for it in a command, where they see the value: a user name, a record's number. "" means
            the label.
    """

    label: str
    value: str
    word: str = field(default="", compare=False)


def marked(label: str, row_id: str) -> str:
    """The label of one of several rows with the same name."""
    return f"{label} · {row_id[-6:]}"


def unmarked(label: str) -> tuple[str, str]:
    """Split a label made by `marked` into the row's name and the end of its id, "" if it has no mark."""
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
    Base class of all fields.

    Args:
        name: ServiceNow's column name, or one of our own names (design §7). Also the command's flag.
        label: The text above the field; at most 24 bytes.
        description: Help below the field; at most 150 bytes, Markdown in a modal, plain in a dialog.
        hint: Placeholder.
        required: Whether the modal requires it. Commands require nothing (design §7).
        refresh: Whether a change of this field refreshes the form.
        position: Which word of a command's line fills it, from 1; -1 for the rest of the line (text fields only).
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

    ``max_length`` counts characters. It is required because both hosts default to 150.
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
    """Several lines. ``max_length`` counts characters; both hosts default to 3,000."""

    max_length: int
    value: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_length < 1:
            raise FormLimit(f"field {self.name}: max_length must be at least 1")


@dataclass(frozen=True, kw_only=True)
class SelectField(Field):
    """One of a few options. ``value`` is an option's value or "". ``buttons`` shows the options as submit buttons."""

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
    """Several of a few options; ``value`` contains their values."""

    options: Sequence[Option]
    value: Sequence[str] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.options:
            raise FormLimit(f"select {self.name} has no options; both hosts drop it")
        _unique(self.name, self.options)


@dataclass(frozen=True, kw_only=True)
class LookupField(Field):
    """One of many options, found by typing. ``value`` is the chosen option."""

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
    """Yes or no. Never required, because both hosts would require a yes."""

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
    """A date, or a date and time. ISO text in the person's time zone if a host has no picker."""

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
