"""Turns a batch into posts: the first has the record's card or replies to it, and the others follow in its thread."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import structlog

from core.notice_ports import Bot, Threads
from core.outbox import THREAD_LIFE, Batch, Card, Found, Mark, Posted, Thread
from core.ports import Clock
from core.record_ports import PostedCards
from core.records import Record
from core.storage_ports import Accounts
from core.subscriptions import Grant, PostOption
from core.upstream_errors import MattermostError, RootGone
from mattermost.notice_cards import Part, bare_text, notice_parts
from notifications.work import Work, in_channel, mod_count_of, wished

log = structlog.get_logger(__name__)

Draw = Callable[[Record, str], Card]  # a record and its channel: how it looks there
Link = Callable[[str, str, str], str]  # table, sys_id, number: a Markdown link


class Posting:
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
        bot: Bot,
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

    def post(self, work: Work) -> Thread | None:
        """
        Post a batch and return the record's thread in the channel. None if nothing can be posted.

        Raises:
            ChannelClosed: Nothing can be posted there.
            MattermostSilent: Try again.
            MattermostRefused: Mattermost rejected the post permanently.
        """
        batch = work.batch
        record = next((row.record for row in reversed(work.rows) if row.record is not None), None)
        parts = self._parts(work, record)
        if not parts:
            return self.thread_of(batch, work.posted) if work.posted is not None else None
        thread = self._threads.get(*work.place)
        now = self._clock()
        root_id = thread.root_id if thread is not None and now - thread.root_at < THREAD_LIFE else ""
        card = _Drawn(self._draw, record, batch.channel_id)
        posted, begun = work.posted, work.posts
        if posted is None:
            posted = self._first(work, parts[0], root_id, card, more=len(parts) > 1)
            if posted is None:
                return None
            parts = parts[1:]
            begun += 1
        for number, part in enumerate(parts):
            mark = Mark(batch.batch_id, part.events, begun + number, more=number + 1 < len(parts))
            self._continued(batch, part.text, posted, mark)
        if not root_id or (posted.root_id != root_id and not in_channel(work.rows)):
            thread = None
        shown = thread.mod_count if thread is not None else mod_count_of(record)
        if thread is not None and mod_count_of(record) > shown and self._renewed(thread.root_id, card):
            shown = mod_count_of(record)
        # Also update cards that people shared in the channel. Skip those that can't be updated.
        for post_id in self._cards.of(batch.channel_id, batch.record_id):
            self._renewed(post_id, card)
        return self._thread(batch, posted, shown, anew=thread is None)

    def _first(self, work: Work, part: Part, root_id: str, card: "_Drawn", *, more: bool) -> Posted | None:
        """Post the first part, as a reply or with the card. None if nothing can be posted."""
        batch, mark = work.batch, Mark(work.batch.batch_id, part.events, more=more)
        if root_id and not in_channel(work.rows):
            try:
                post_id = self._bot.post(batch.channel_id, part.text, card=None, root_id=root_id, mark=mark)
                return Posted(post_id, root_id)
            except RootGone:
                if card.record is None and not any(
                    may_be_first(grant, batch) for row in work.rows for grant in row.grants
                ):
                    return None  # the channel knew the record only by its card, and that was deleted
        return Posted(self._bot.post(batch.channel_id, part.text, card=card.card, root_id="", mark=mark))

    def _continued(self, batch: Batch, text: str, after: Posted, mark: Mark) -> None:
        """Post the next part in the thread of *after*, or in the channel if that thread was deleted."""
        try:
            self._bot.post(batch.channel_id, text, card=None, root_id=after.root_id or after.post_id, mark=mark)
        except RootGone:
            self._bot.post(batch.channel_id, text, card=None, root_id="", mark=mark)

    def _renewed(self, post_id: str, drawn: "_Drawn") -> bool:
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

    def _thread(self, batch: Batch, posted: Posted, mod_count: int, anew: bool = False) -> Thread:
        now = self._clock()
        known = self._threads.get(batch.channel_id, batch.record_id)
        if known is not None and not anew and now - known.root_at < THREAD_LIFE:
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

    def _parts(self, work: Work, record: Record | None) -> list[Part]:
        if record is None:
            last = work.rows[-1].report.record
            assert last is not None
            link = self._link(last.table, last.sys_id, last.number)
            events = tuple(row.event_id for row in work.rows if row.event_id not in work.told)
            return [Part(bare_text(link, connect=True), events)] if events else []
        return notice_parts(
            [row.save(self._work_notes) for row in work.rows],
            mention=self._assignee(work, record),
            test=any(row.report.test for row in work.rows),
            told=work.told,
        )

    def _assignee(self, work: Work, record: Record) -> str:
        """The assignee's user name if a subscription mentions assignees and the change isn't their own."""
        assigned = record.value("assigned_to")
        if (
            not assigned
            or not wished(PostOption.MENTION_ASSIGNEE, work.rows)
            or all(row.report.actor.sys_id == assigned for row in work.rows)
        ):
            return ""
        person = self._accounts.person_of(assigned)
        return self._bot.username(person) if person else ""


def may_be_first(grant: Grant, batch: Batch) -> bool:
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
