"""Turns a notice into posts: the first has the record's card or replies to it, and the others follow in its thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import structlog

from core.errors import ChannelClosed
from core.outbox import THREAD_LIFE, Batch, Card, Found, Mark, Posted, Queued, Thread
from core.records import Record
from core.storage_ports import Accounts, PostedCards, Threads
from core.subscriptions import Grant, PostOption
from core.times import Clock
from core.upstream_errors import MattermostError, RootPostDeleted
from mattermost.notice_cards import Part, bare_text, notice_parts
from notifications.notice import Notice, has_option, in_channel, mod_count_of

if TYPE_CHECKING:
    from mattermost.bot import MattermostBot

log = structlog.get_logger(__name__)

Draw = Callable[[Record, str], Card]  # a record and its channel: how it looks there
Link = Callable[[str, str, str], str]  # table, sys_id, number: a Markdown link


class PostedLookup:
    """
    Looks up whether waiting rows were already posted.

    A row without a batch hasn't been posted, except after a backup was restored: it may have been posted after the
    backup was made. Each post stores the IDs of its events, so one search of the channel finds them.

    Args:
        rows: The rows that were waiting when the process started.
    """

    def __init__(self, rows: Iterable[Queued], bot: MattermostBot) -> None:
        self._bot = bot
        self._keys: set[str] = set()
        self._since: dict[str, float] = {}
        self._found: dict[str, Mapping[str, Posted]] = {}
        for row in rows:
            self._keys.add(row.key)
            self._since[row.channel_id] = min(row.stored_at, self._since.get(row.channel_id, row.stored_at))

    def found(self, row: Queued) -> Mapping[str, Posted]:
        """
        The posts in the row's channel by event ID. Empty for rows that arrived after the process started.

        Raises:
            MattermostSilent: Try again.
        """
        if row.key not in self._keys:
            return {}
        if row.channel_id not in self._found:
            try:
                self._found[row.channel_id] = self._bot.told(row.channel_id, self._since[row.channel_id])
            except ChannelClosed:
                return {}  # posting fails with the same error, and reports it
        return self._found[row.channel_id]


class Publisher:
    """
    Args:
        draw: Draws a record for a channel.
        link: A Markdown link to a record.
        work_notes: `WORK_NOTES_IN_CHANNELS`.
    """

    def __init__(
        self,
        *,
        accounts: Accounts,
        threads: Threads,
        cards: PostedCards,
        bot: MattermostBot,
        draw: Draw,
        link: Link,
        work_notes: bool,
        clock: Clock,
    ) -> None:
        self._accounts = accounts
        self._threads = threads
        self._cards = cards
        self._bot = bot
        self._draw = draw
        self._link = link
        self._work_notes = work_notes
        self._clock = clock

    def found(self, batch: Batch) -> Found | None:
        """
        Look up in the channel what an earlier attempt posted. None if it posted nothing.

        Raises:
            MattermostSilent: Try again.
            ChannelClosed: The bot can't look there.
        """
        return self._bot.find(batch.channel_id, batch.batch_id, batch.claimed_at)

    def thread_of(self, batch: Batch, posted: Posted) -> Thread:
        """The record's thread in its channel, given the post of an earlier attempt."""
        return self._thread(batch, posted, 0)

    def post(self, notice: Notice) -> Thread | None:
        """
        Post a batch and return the record's thread in the channel. None if nothing can be posted.

        Raises:
            ChannelClosed: Nothing can be posted there.
            MattermostSilent: Try again.
            MattermostRefused: Mattermost rejected the post permanently.
        """
        batch = notice.batch
        record = next((row.record for row in reversed(notice.rows) if row.record is not None), None)
        parts = self._parts(notice, record)
        if not parts:
            return self.thread_of(batch, notice.posted) if notice.posted is not None else None
        thread = self._threads.get(*notice.place)
        now = self._clock()
        root_id = thread.root_id if thread is not None and now - thread.root_at < THREAD_LIFE else ""
        card = _Drawn(self._draw, record, batch.channel_id)
        posted, begun = notice.posted, notice.post_count
        if posted is None:
            posted = self._first(notice, parts[0], root_id, card, more=len(parts) > 1)
            if posted is None:
                return None
            parts = parts[1:]
            begun += 1
        for number, part in enumerate(parts):
            mark = Mark(batch.batch_id, part.events, begun + number, more=number + 1 < len(parts))
            self._continued(batch, part.text, posted, mark)
        if not root_id or (posted.root_id != root_id and not in_channel(notice.rows)):
            thread = None
        shown = thread.mod_count if thread is not None else mod_count_of(record)
        if thread is not None and mod_count_of(record) > shown and self._renewed(thread.root_id, card):
            shown = mod_count_of(record)
        # Also update cards that people shared in the channel. Skip those that can't be updated.
        for post_id in self._cards.of(batch.channel_id, batch.record_id):
            self._renewed(post_id, card)
        return self._thread(batch, posted, shown, new=thread is None)

    def _first(self, notice: Notice, part: Part, root_id: str, card: _Drawn, *, more: bool) -> Posted | None:
        """Post the first part, as a reply or with the card. None if nothing can be posted."""
        batch, mark = notice.batch, Mark(notice.batch.batch_id, part.events, more=more)
        if root_id and not in_channel(notice.rows):
            try:
                post_id = self._bot.post(batch.channel_id, part.text, card=None, root_id=root_id, mark=mark)
                return Posted(post_id, root_id)
            except RootPostDeleted:
                if card.record is None and not any(
                    may_be_named(grant, batch) for row in notice.rows for grant in row.grants
                ):
                    return None  # the channel knew the record only by its card, and that was deleted
        return Posted(self._bot.post(batch.channel_id, part.text, card=card.card, root_id="", mark=mark))

    def _continued(self, batch: Batch, text: str, after: Posted, mark: Mark) -> None:
        """Post the next part in the thread of *after*, or in the channel if that thread was deleted."""
        try:
            self._bot.post(batch.channel_id, text, card=None, root_id=after.root_id or after.post_id, mark=mark)
        except RootPostDeleted:
            self._bot.post(batch.channel_id, text, card=None, root_id="", mark=mark)

    def _renewed(self, post_id: str, drawn: _Drawn) -> bool:
        """Update a card. If that fails, the next notification updates it."""
        card = drawn.card
        if card is None:
            return False
        try:
            self._bot.show(post_id, card)
        except MattermostError as error:
            log.info("card not renewed", reason=error.log_message)
            return False
        return True

    def _thread(self, batch: Batch, posted: Posted, mod_count: int, new: bool = False) -> Thread:
        now = self._clock()
        known = self._threads.get(batch.channel_id, batch.record_id)
        if known is not None and not new and now - known.root_at < THREAD_LIFE:
            return replace(known, last_at=now, mod_count=max(known.mod_count, mod_count))
        return Thread(
            channel_id=batch.channel_id,
            table=batch.table,
            record_id=batch.record_id,
            root_id=posted.root_id or posted.post_id,
            root_at=now,
            last_at=now,
            mod_count=mod_count,
        )

    def _parts(self, notice: Notice, record: Record | None) -> list[Part]:
        if record is None:
            last = notice.rows[-1].report.record
            assert last is not None
            link = self._link(last.table, last.sys_id, last.number)
            events = tuple(row.event_id for row in notice.rows if row.event_id not in notice.posted_events)
            return [Part(bare_text(link, connect=True), events)] if events else []
        return notice_parts(
            [row.save(self._work_notes) for row in notice.rows],
            mention=self._assignee(notice, record),
            test=any(row.report.test for row in notice.rows),
            told=notice.posted_events,
        )

    def _assignee(self, notice: Notice, record: Record) -> str:
        """The assignee's user name if a subscription mentions assignees and the change isn't their own."""
        assigned = record.value("assigned_to")
        if (
            not assigned
            or not has_option(PostOption.MENTION_ASSIGNEE, notice.rows)
            or all(row.report.actor.sys_id == assigned for row in notice.rows)
        ):
            return ""
        person = self._accounts.person_of(assigned)
        return self._bot.username(person) if person else ""


def may_be_named(grant: Grant, batch: Batch) -> bool:
    """Whether a channel can learn of a record that its subscription's owner can't read now."""
    return grant.record_read and grant.record_id == batch.record_id


@dataclass(frozen=True)
class _Drawn:
    """A record's card, created on first use because most replies need none."""

    draw: Draw
    record: Record | None
    channel_id: str

    @cached_property
    def card(self) -> Card | None:
        """None if there is no record."""
        return None if self.record is None else self.draw(self.record, self.channel_id)
