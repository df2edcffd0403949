"""A batch on its way: its rows, who may have them, and what of them may be shown. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from core.notices import Change, Report
from core.outbox import Batch
from core.records import Record
from core.subscriptions import Event, Grant, Option, tokens
from mattermost.notice_cards import Save
from notifications.reading import Unconnected


@dataclass
class Row:
    """One event for one channel, and the subscriptions that may have it."""

    report: Report
    grants: list[Grant]
    hint: bool = False  # a report of update set v2.1: only what is newer than the last post is news
    read: Record | Unconnected | None = None  # what its reader may see; None where nobody may see anything
    reader: Grant | None = None
    changes: Sequence[Change] = ()  # those that the reader may see, in the reader's language


@dataclass
class Work:
    """A batch on its way."""

    batch: Batch
    rows: list[Row] = field(default_factory=list)
    later: str = ""  # why it is tried again, "" for now
    at_least: float = 0.0  # seconds that the other side asked for

    @property
    def place(self) -> tuple[str, str]:
        return self.batch.channel_id, self.batch.record_id


def save_of(row: Row, work_notes: bool) -> Save:
    """
    What of a save may be shown: columns that the reader may read, texts that the subscription shows.

    Args:
        work_notes: `WORK_NOTES_IN_CHANNELS`.
    """
    report, grants = row.report, of_reader(row)
    if not isinstance(row.read, Record):
        return Save(())
    wanted = {token for grant in grants for token in tokens(grant.events)}
    readable = row.read.cells
    hide = all(Option.HIDE_COMMENT in tokens(grant.options) for grant in grants)
    kinds = set()
    if Event.COMMENTED in wanted and not hide:
        kinds.add("comments")
    if Event.WORK_NOTES in wanted and not hide and work_notes:
        kinds.add("work_notes")
    return Save(
        [event for event in report.events if event in wanted],
        row.changes,
        [one for one in report.comments if one.kind in kinds and one.kind in readable],
        report.actor,
    )


def in_channel(rows: Sequence[Row]) -> bool:
    """Whether these are told in the channel itself, not as a reply."""
    return wished(Option.IN_CHANNEL, rows) or any(_urgent(row.report) for row in rows)


def wished(option: Option, rows: Iterable[Row]) -> bool:
    """Whether a subscription of a row's reader asks for *option*."""
    return any(option in tokens(grant.options) for row in rows for grant in of_reader(row))


def of_reader(row: Row) -> list[Grant]:
    """The row's subscriptions of the person with whose rights it was read."""
    return [grant for grant in row.grants if row.reader is not None and grant.owner_id == row.reader.owner_id]


def mod_count_of(record: Record | None) -> int:
    value = record.value("sys_mod_count") if record is not None else ""
    return int(value) if value.isdecimal() else 0


def _urgent(report: Report) -> bool:
    """Priority raised, or reopened: told in the channel itself."""
    if Event.REOPENED in report.events:
        return True
    for change in report.changes:
        old, new = change.old[:1], change.new[:1]
        if change.field == "priority" and old.isdecimal() and new.isdecimal() and int(new) < int(old):
            return True
    return False
