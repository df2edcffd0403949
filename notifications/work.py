"""
A batch on its way: its rows, who may have them, with whose eyes they were read, and what may be shown. Pure.

Several people may have subscribed one channel. Each part of a notice is shown where one of them asked for
it and may see it, so a row can need more than one reader, and no more than it needs.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from core.errors import AppError
from core.notices import Change, Report
from core.outbox import Batch, Posted
from core.records import Record
from core.subscriptions import Event, Grant, PostOption, tokens
from mattermost.notice_cards import Save

_KINDS = {Event.COMMENTED: "comments", Event.WORK_NOTES: "work_notes"}


@dataclass
class View:
    """A record as one owner sees it, and this owner's subscriptions."""

    grants: list[Grant]
    record: Record
    changes: Sequence[Change] = ()  # those that the owner may see, in the owner's language


@dataclass
class Row:
    """
    Args:
        event_id: Of the row in the outbox; a hint's report has none.
        hint: A report of update set v2.1: only what is newer than the last post is news.
        views: Empty where nobody may see anything.
        bare: An owner is not connected; the channel may learn that the record changed, and no more.
    """

    report: Report
    grants: list[Grant]
    event_id: str
    hint: bool = False
    views: list[View] = field(default_factory=list)
    bare: bool = False

    @property
    def record(self) -> Record | None:
        """As its first reader sees it."""
        return self.views[0].record if self.views else None

    def shown_for(self) -> list[Grant]:
        """The subscriptions that the post is for."""
        return [grant for view in self.views for grant in view.grants] or self.grants

    def readers(self) -> Iterator[str]:
        """Owners whose reading is needed as long as each of them may see the record, in order."""
        asked: list[Grant] = []
        owners: dict[str, None] = {}
        for grant in self.grants:
            if grant.owner_id in owners or not asked or self.adds(grant, asked):
                owners.setdefault(grant.owner_id)
                asked.append(grant)
        yield from owners

    def adds(self, grant: Grant, others: Collection[Grant]) -> bool:
        """Whether *grant* asks for a part of this event that *others* do not."""
        return bool(self._parts(grant) - set().union(*map(self._parts, others)))

    def _parts(self, grant: Grant) -> set[str]:
        written = {one.kind for one in self.report.comments}
        return {
            *set(self.report.events) & set(tokens(grant.events)),
            *(f"text:{kind}" for kind in kinds(grant) & written),
        }

    def save(self, work_notes: bool) -> Save:
        """
        What may be shown of it: columns that a reader may see, texts that a reader's subscription shows.

        Args:
            work_notes: Whether their text may be shown at all.
        """
        if not self.views:
            return Save((), mark=self.event_id)
        wanted = {token for view in self.views for grant in view.grants for token in tokens(grant.events)}
        changes: dict[str, Change] = {}
        texts: set[str] = set()
        for view in self.views:
            for change in view.changes:
                changes.setdefault(change.field, change)
            texts |= {kind for grant in view.grants for kind in kinds(grant) if kind in view.record.cells}
        if not work_notes:
            texts.discard("work_notes")
        return Save(
            [event for event in self.report.events if event in wanted],
            [changes[one.field] for one in self.report.changes if one.field in changes],
            [one for one in self.report.comments if one.kind in texts],
            self.report.actor,
            self.event_id,
        )


@dataclass
class Work:
    """
    A batch on its way.

    Args:
        posted: A post that an earlier try or process left of it.
        posts: How many an earlier try left.
        told: What such posts tell, as in `core.outbox.Mark`.
    """

    batch: Batch
    rows: list[Row] = field(default_factory=list)
    later: str = ""  # why it is tried again, "" for now
    at_least: float = 0.0  # seconds that the other side asked for
    posted: Posted | None = None
    posts: int = 0
    told: set[str] = field(default_factory=set)

    @property
    def place(self) -> tuple[str, str]:
        return self.batch.channel_id, self.batch.record_id

    def wait_for(self, error: AppError) -> None:
        """Try again later, and not before the other side said."""
        self.later = error.log_message
        self.at_least = max(self.at_least, error.retry_after or 0.0)


def in_channel(rows: Sequence[Row]) -> bool:
    """Whether these are told in the channel itself, not as a reply."""
    return wished(PostOption.IN_CHANNEL, rows) or any(_urgent(row.report) for row in rows)


def wished(option: PostOption, rows: Iterable[Row]) -> bool:
    """Whether a subscription of a row's reader asks for *option*."""
    return any(option in tokens(grant.options) for row in rows for grant in row.shown_for())


def kinds(grant: Grant) -> set[str]:
    """The journals whose text a subscription shows."""
    if PostOption.HIDE_COMMENT in tokens(grant.options):
        return set()
    return {_KINDS[Event(token)] for token in tokens(grant.events) if token in _KINDS}


def mod_count_of(record: Record | None) -> int:
    value = record.value("sys_mod_count") if record is not None else ""
    return int(value) if value.isdecimal() else 0


def _urgent(report: Report) -> bool:
    """Priority raised, or reopened: told in the channel itself."""
    if Event.REOPENED in report.events:
        return True
    for change in report.changes:
        old, new = change.old_value or change.old[:1], change.new_value or change.new[:1]
        if change.field == "priority" and old.isdecimal() and new.isdecimal() and int(new) < int(old):
            return True
    return False
