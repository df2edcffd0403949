"""
Records, their journal and changes as handlers use them: parts of the port `core.ports.ServiceNow`.

All methods may raise `core.upstream_errors.ServiceNowError` classes, `NotConnected` and `Suspended`.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from core.fields import Option
from core.records import Choice, Record

MOST_FOUND = 20


@dataclass(frozen=True)
class JournalEntry:
    """
    One comment or work note.

    Args:
        element: ``comments`` or ``work_notes``.
        author: As ServiceNow names the person: full name, or user name.
        at: In the reader's time zone; ``2026-11-24 13:05`` where the instance's format is understood.
    """

    element: str
    author: str
    at: str
    text: str


@dataclass(frozen=True)
class Entries:
    """
    Some entries, newest first.

    Args:
        older: Whether there are more behind these.
        work_notes: Whether the account sees work notes at all.
    """

    entries: Sequence[JournalEntry]
    older: bool
    work_notes: bool


class Records(Protocol):
    """Rows of the shared tables."""

    def search(self, words: str, tables: Sequence[str]) -> Sequence[Record]:
        """
        Records by number or by words, at most 20: exact number first, active before inactive, newest first.

        ``tables`` are exact classes. Several cost a request for all tasks and one for articles; where
        the words begin like a number of one of them, that one is asked first, and alone if it has any.
        Words look in the text index, and only where it finds nothing inside texts. Tables that the account may
        not read are left out, unless all are. What is found is remembered for `found`.
        """
        ...

    def found(self, table: str, sys_id: str) -> Record | None:
        """What a search of the same person found in the last minutes; never asks."""
        ...

    def with_number(self, number: str, tables: Sequence[str]) -> Sequence[Record]:
        """Records with exactly this number, as a card needs them; one request where its prefix is known."""
        ...

    def read(self, table: str, sys_id: str, columns: Sequence[str]) -> Record:
        """One record, raw and as displayed; one request. Its ``table`` is its class. Raises NotFound."""
        ...

    def update(self, table: str, sys_id: str, columns: Mapping[str, str], wanted: Sequence[str]) -> Record:
        """
        Write raw values and answer *wanted*; one request.

        A 2xx is no proof that a value stuck (API reference §1.5): compare what comes back.
        """
        ...

    def find(self, table: str, query: str) -> Sequence[Option]:
        """Rows of any table by what stands for them (name, number or title), at most 20."""
        ...


class Journal(Protocol):
    """Comments and work notes of a record."""

    def latest(self, table: str, sys_id: str, *, skip: int = 0, most: int = 10) -> Entries:
        """The newest entries after the first *skip*; one request."""
        ...

    def count(
        self, table: str, sys_id: str, element: str, matches: Callable[[str], bool], since: float, text: str = ""
    ) -> int:
        """
        How many entries the person has written at or after *since* (Unix seconds) whose text *matches*.

        By author and time as far as ServiceNow tells them; the newest 500 of these. Where the entries
        of a journal can't be told apart, 1 if the whole of it holds *text*.
        """
        ...

    def add(self, table: str, sys_id: str, element: str, text: str, wanted: Sequence[str], since: float) -> Record:
        """
        Add an entry; one request. Answers *wanted*.

        Args:
            since: Not after now (Unix seconds): behind any number of others' entries, ours is one of the person's
                from then on.

        Raises:
            NotKept: ServiceNow said yes, and the entry is not there: the account may not write it.
        """
        ...


class Changes(Protocol):
    """The Change Management API (API reference §6)."""

    def next_states(self, sys_id: str) -> Sequence[Choice]:
        """The current state and those that may follow it now, in the account's language."""
        ...

    def create(self, kind: str, columns: Mapping[str, str], template: str = "") -> Record:
        """
        A ``normal`` or ``emergency`` change, or a ``standard`` one from *template*; raw values, UTC.

        A `may_have_been_saved` error leaves open whether it was saved.
        """
        ...

    def overlapping(self, item: str, start: str, end: str) -> Sequence[Record]:
        """
        Changes that are open and planned for the configuration item *item* in the same time, soonest first.

        ``start`` and ``end`` are raw UTC; a few are enough, so five at most, with what a card shows.
        """
        ...

    def check_conflicts(self, sys_id: str) -> str:
        """
        Let ServiceNow check a change for conflicts and say what it found, in the account's language.

        "" where it has no result within the call's time. Three requests.
        """
        ...

    def find_templates(self, query: str) -> Sequence[Option]:
        """Approved templates of standard changes by name, at most 20."""
        ...


@dataclass(frozen=True)
class AttachedFile:
    """A file that a record has. ``digest`` is the SHA-256 of its content in hex, "" where ServiceNow has none."""

    name: str
    size: int
    digest: str

    def same_as(self, name: str, content: bytes) -> bool:
        """Whether it has this name and content; only the size counts where there is no digest."""
        if (self.name, self.size) != (name, len(content)):
            return False
        return not self.digest or self.digest == hashlib.sha256(content).hexdigest()


class Attachments(Protocol):
    """Files of a record."""

    def of(self, table: str, sys_id: str) -> Sequence[AttachedFile]:
        """The files that the account may see; one request."""
        ...

    def add(self, table: str, sys_id: str, name: str, media_type: str, content: bytes) -> None:
        """
        Attach *content* as a file; one request, never repeated.

        Raises:
            AccessDenied: The account may not write the record, or the instance refuses such files.
        """
        ...


class PostedCards(Protocol):
    """Which posts show a record's card, for thirty days; the newest few of a record in a channel."""

    def of(self, channel_id: str, record_id: str) -> Sequence[str]:
        """Ids of posts, newest first; from memory."""
        ...

    def add(self, channel_id: str, record_id: str, post_id: str) -> None:
        """On disk when the call returns. Raises StorageFailed."""
        ...
