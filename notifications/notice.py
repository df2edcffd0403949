"""
A notice: a claimed batch with the records as its subscriptions' owners see them. Decides what can be shown. Pure.

Several people can have subscriptions in one channel. A part of a notice is shown if one of them asked for it and can
see it. So a row may have to be read as several owners, but never as more than needed.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from core.errors import AppError
from core.notices import Change, Report
from core.outbox import Batch, Found, Posted
from core.records import Record
from core.subscriptions import Event, Grant, PostOption, tokens
from mattermost.notice_cards import Save

_KINDS = {Event.COMMENTED: "comments", Event.WORK_NOTES: "work_notes"}


@dataclass
class OwnerView:
    """A record as one owner sees it, and this owner's subscriptions."""

    grants: list[Grant]
    record: Record
    changes: Sequence[Change] = ()  # those that the owner can see, in the owner's language


@dataclass
class NoticeRow:
    """
    Args:
        event_id: From the outbox; the report of a hint has none.
        hint: A report of update set v2.1. It is posted only if the record is newer than the last post.
        views: Empty if no owner can see anything.
        bare: An owner isn't connected. The post only says that the record changed.
    """

    report: Report
    grants: list[Grant]
    event_id: str
    hint: bool = False
    views: list[OwnerView] = field(default_factory=list)
    bare: bool = False

    @property
    def record(self) -> Record | None:
        """As the first owner sees it."""
        return self.views[0].record if self.views else None

    def shown_for(self) -> list[Grant]:
        """The subscriptions that the post is for."""
        return [grant for view in self.views for grant in view.grants] or self.grants

    def readers(self) -> Iterator[str]:
        """IDs of the owners to read the record as, assuming that each of them can see it."""
        asked: list[Grant] = []
        owners: dict[str, None] = {}
        for grant in self.grants:
            if grant.owner_id in owners or not asked or self.adds(grant, asked):
                owners.setdefault(grant.owner_id)
                asked.append(grant)
        yield from owners

    def adds(self, grant: Grant, others: Collection[Grant]) -> bool:
        """Whether *grant* asks for a part of this event that *others* don't."""
        return bool(self._parts(grant) - set().union(*map(self._parts, others)))

    def _parts(self, grant: Grant) -> set[str]:
        written = {one.kind for one in self.report.comments}
        return {
            *set(self.report.events) & set(tokens(grant.events)),
            *(f"text:{kind}" for kind in shown_journals(grant) & written),
        }

    def save(self, work_notes: bool) -> Save:
        """
        What can be shown: columns that an owner can see, and texts that this owner's subscription shows.

        Args:
            work_notes: Whether the text of work notes can be shown at all.
        """
        if not self.views:
            return Save((), mark=self.event_id)
        wanted = {token for view in self.views for grant in view.grants for token in tokens(grant.events)}
        changes: dict[str, Change] = {}
        texts: set[str] = set()
        for view in self.views:
            for change in view.changes:
                changes.setdefault(change.field, change)
            texts |= {kind for grant in view.grants for kind in shown_journals(grant) if kind in view.record.cells}
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
class Notice:
    """
    Args:
        retry_reason: Why it is retried later; "" if it can be posted now.
        retry_after: Seconds that the server asked us to wait.
        posted: A post of an earlier attempt or process.
        post_count: How many posts an earlier attempt made.
        posted_events: The events in those posts, as in `core.outbox.Mark`.
    """

    batch: Batch
    rows: list[NoticeRow] = field(default_factory=list)
    retry_reason: str = ""
    retry_after: float = 0.0
    posted: Posted | None = None
    post_count: int = 0
    posted_events: set[str] = field(default_factory=set)

    @property
    def place(self) -> tuple[str, str]:
        return self.batch.channel_id, self.batch.record_id

    def add(self, row: NoticeRow) -> None:
        """Add a row. An event in several rows, because its owners were checked separately, is posted once."""
        same = next((one for one in self.rows if one.event_id == row.event_id), None)
        if same is None:
            self.rows.append(row)
        else:
            same.grants += [grant for grant in row.grants if grant not in same.grants]

    def remove(self, grant: Grant) -> None:
        """Don't post for this subscription."""
        for row in self.rows:
            row.grants = [one for one in row.grants if one.sys_id != grant.sys_id]

    def resume(self, earlier: Found) -> None:
        """Continue after the posts of an earlier attempt."""
        self.posted, self.post_count, self.posted_events = earlier.posted, earlier.posts, set(earlier.events)

    def postpone(self, error: AppError) -> None:
        """Retry later, and not before the server allows it."""
        self.retry_reason = error.log_message
        self.retry_after = max(self.retry_after, error.retry_after or 0.0)


def in_channel(rows: Sequence[NoticeRow]) -> bool:
    """Whether these are posted in the channel itself, not as a reply."""
    return has_option(PostOption.IN_CHANNEL, rows) or any(_urgent(row.report) for row in rows)


def has_option(option: PostOption, rows: Iterable[NoticeRow]) -> bool:
    """Whether a subscription that the post is for has *option*."""
    return any(option in tokens(grant.options) for row in rows for grant in row.shown_for())


def shown_journals(grant: Grant) -> set[str]:
    """The journals whose text the subscription shows."""
    if PostOption.HIDE_COMMENT in tokens(grant.options):
        return set()
    return {_KINDS[Event(token)] for token in tokens(grant.events) if token in _KINDS}


def mod_count_of(record: Record | None) -> int:
    value = record.value("sys_mod_count") if record is not None else ""
    return int(value) if value.isdecimal() else 0


def _urgent(report: Report) -> bool:
    """Whether the priority was raised or the record was reopened."""
    if Event.REOPENED in report.events:
        return True
    for change in report.changes:
        old, new = change.old_value or change.old[:1], change.new_value or change.new[:1]
        if change.field == "priority" and old.isdecimal() and new.isdecimal() and int(new) < int(old):
            return True
    return False
