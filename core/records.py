"""ServiceNow's data as the rest of the app sees it: records, their journal and files, columns, people."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Cell:
    """One column of a record: the stored value (dates in UTC, references as sys_ids) and what the account sees."""

    value: str = ""
    display_value: str = ""


@dataclass(frozen=True)
class Record:
    """One row. ``cells`` contains the requested columns that the account can read; others read as empty."""

    table: str
    sys_id: str
    cells: Mapping[str, Cell] = field(default_factory=dict)

    def value(self, column: str) -> str:
        """As stored: raw UTC dates, sys_ids, choice values."""
        return self.cells.get(column, Cell()).value

    def display(self, column: str) -> str:
        """In the account's language and time zone."""
        return self.cells.get(column, Cell()).display_value

    @property
    def number(self) -> str:
        return self.value("number")


@dataclass(frozen=True)
class Choice:
    """One choice of a column; ``dependent_value`` is the value of the column it depends on, or ""."""

    label: str
    value: str
    dependent_value: str = ""


@dataclass(frozen=True)
class Column:
    """A column as ``ui/meta`` describes it. ``type`` is ServiceNow's: string, choice, reference …."""

    name: str
    label: str
    type: str = "string"
    mandatory: bool = False
    max_length: int = 0
    reference: str = ""
    choices: Sequence[Choice] = ()
    read_only: bool = False


@dataclass(frozen=True)
class Identity:
    """The ServiceNow user of a token. All "" if the user can't read their own record."""

    sys_id: str = ""
    user_name: str = ""
    name: str = ""
    email: str = ""
    time_zone: str = ""
    language: str = ""

    @property
    def known(self) -> bool:
        return bool(self.sys_id)


@dataclass(frozen=True)
class JournalEntry:
    """
    One comment or work note.

    Args:
        element: ``comments`` or ``work_notes``.
        author: As ServiceNow displays the person: full name or user name.
        at: In the reader's time zone; ``2026-11-24 13:05`` if the instance's format is known.
    """

    element: str
    author: str
    at: str
    text: str


@dataclass(frozen=True)
class Entries:
    """
    Some entries of a journal, newest first.

    Args:
        older: Whether there are older entries.
        work_notes: Whether the account can read work notes.
    """

    entries: Sequence[JournalEntry]
    older: bool
    work_notes: bool


@dataclass(frozen=True)
class AttachedFile:
    """A file of a record. ``digest`` is the SHA-256 of its content in hex, or "" if ServiceNow doesn't have it."""

    name: str
    size: int
    digest: str

    def same_as(self, name: str, content: bytes) -> bool:
        """Whether it has this name and content. Without a digest, only the size is compared."""
        if (self.name, self.size) != (name, len(content)):
            return False
        return not self.digest or self.digest == hashlib.sha256(content).hexdigest()
