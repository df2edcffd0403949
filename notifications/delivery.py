"""
Batches become posts: who may read what is settled first, then the bot posts and remembers what it posted.
"""

import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property

import structlog
from cachetools import TTLCache

from core.errors import (
    ChannelClosed,
    MattermostError,
    MattermostSilent,
    MayNotPost,
    RootGone,
    StorageFailed,
)
from core.notice_ports import Bot, Threads
from core.notices import Match, Report
from core.outbox import THREAD_LIFE, Batch, Card, Content, Posted, Queued, Thread
from core.ports import Clock
from core.record_ports import PostedCards
from core.records import Record
from core.storage_ports import Accounts, ChannelGrants
from core.subscriptions import Grant, Option, Status
from mattermost.notice_cards import bare_text, notice_text
from notifications.grants import Granted, judge
from notifications.old_dialect import hinted
from notifications.owners import Owners
from notifications.reading import Later, Readings, Refused, ServiceNowFor, Silences, Unconnected
from notifications.schema import unpacked
from notifications.sharing import shared
from notifications.work import Row, View, Work, in_channel, mod_count_of, wished

log = structlog.get_logger(__name__)

_SHOWN = 3600.0  # seconds

Draw = Callable[[Record, str], Card]  # a record and its channel: how it looks there
Link = Callable[[str, str, str], str]  # table, sys_id, number: a Markdown link


_NOTHING = Report(event_id="", occurred_at=0.0, component="", server_url="", record=None)


class Delivery:
    """
    Args:
        draw: Draws a record for a channel.
        link: A Markdown link to a record.
        tables: Classes whose records may be posted.
        work_notes: `WORK_NOTES_IN_CHANNELS`.
    """

    def __init__(
        self,
        *,
        grants: ChannelGrants,
        accounts: Accounts,
        threads: Threads,
        cards: PostedCards,
        bot: Bot,
        owners: Owners,
        servicenow_for: ServiceNowFor,
        draw: Draw,
        link: Link,
        tables: Collection[str],
        work_notes: bool,
        clock: Clock,
    ) -> None:
        self._grants = grants
        self._accounts = accounts
        self._threads = threads
        self._cards = cards
        self._bot = bot
        self._owners = owners
        self._servicenow_for = servicenow_for
        self._draw = draw
        self._link = link
        self._tables = tables
        self._work_notes = work_notes
        self._clock = clock
        self._silences = Silences(clock)
        self._lock = threading.Lock()
        # What was posted of an event, for those subscriptions to it whose owners are still being asked.
        self._shown: TTLCache[tuple[str, str], list[Grant]] = TTLCache(maxsize=2000, ttl=_SHOWN, timer=clock)

    def prepare(self, contents: Sequence[tuple[Batch, Sequence[tuple[Queued, Content | None]]]]) -> list[Work]:
        """
        Open batches, hold them against the grants of this moment, and read their records as their owners.

        What is left without rows has nothing to post.
        """
        works = [Work(batch) for batch, _ in contents]
        readings = Readings(self._servicenow_for, self._silences, self._tables)
        silence: MattermostSilent | None = None
        for work, (_, rows) in zip(works, contents, strict=True):
            with _alone(work):
                self._open(work, rows)
            if silence is not None:
                work.wait_for(silence)
                continue
            with _alone(work):
                silence = self._check_owners(work)
        waiting = [work for work in works if not work.later]
        readings.fetch((owner_id, row.report) for work in waiting for row in work.rows for owner_id in row.readers())
        for work in waiting:
            with _alone(work):
                for row in work.rows:
                    self._read(work, row, readings)
                work.rows = [row for row in work.rows if row.views or row.bare]
        return works

    def post(self, work: Work) -> Thread | None:
        """
        Post a prepared batch; what its record has in the channel now. None where nothing was to be said.

        Raises:
            MattermostSilent: Try again.
            MattermostRefused: Mattermost will never take this post.
        """
        if not work.rows:
            return None
        try:
            return self._posted(work)
        except ChannelClosed as error:
            self._owners.channel_closed(work.batch.channel_id, error.tell)
            return None

    def found(self, batch: Batch) -> Thread | None:
        """
        What an earlier try left behind, looked up in the channel. None where it posted nothing.

        Raises:
            MattermostSilent: Try again.
            ChannelClosed: The bot can't look there.
        """
        posted = self._bot.find(batch.channel_id, batch.batch_id, batch.claimed_at)
        return None if posted is None else self._thread(batch, posted, 0)

    # --- who may have it

    def _open(self, work: Work, rows: Sequence[tuple[Queued, Content | None]]) -> None:
        for _, content in rows:
            if content is None:
                work.later = "what is stored can't be opened: was a key taken out of APP_SECRET?"
                continue
            report, sys_ids = self._meant(content)
            if shared(report, self._tables) is None:
                continue  # it was when the report came in
            channel_id = work.batch.channel_id
            grants = [grant for sys_id in sys_ids if (grant := self._live(sys_id, channel_id)) is not None]
            row = Row(report, grants, "hint" in content)
            with self._lock:
                shown = self._shown.get((report.event_id, channel_id))
            row.grants = [grant for grant in grants if shown is None or row.adds(grant, shown)]
            if row.grants:
                _merge(work, row)
        # ServiceNow works on several saves at once, and may report the later one first.
        work.rows.sort(key=lambda row: row.report.record.sys_mod_count if row.report.record is not None else 0)

    def _meant(self, content: Content) -> tuple[Report, list[str]]:
        """What a row reports, and the subscriptions that may have it."""
        if "hint" in content:
            sys_id = content["hint"]["sys_id"]
            report = hinted(self._grants.get(sys_id), content["hint"])
            return (_NOTHING, []) if report is None else (report, [sys_id])
        report = unpacked(content["report"])
        claimed = set(content.get("claimed", ()))
        released = [one.sys_id for one in report.matches if one.sys_id in claimed and self._covered(one, report)]
        return report, [*content.get("granted", ()), *released]

    def _covered(self, match: Match, report: Report) -> bool:
        """Whether a row that its owner was asked about has been granted."""
        grant = self._grants.get(match.sys_id)
        owner = self._accounts.get(grant.owner_id) if grant is not None else None
        return isinstance(judge(match, grant, owner, report.events, bool(report.test)), Granted)

    def _live(self, sys_id: str, channel_id: str) -> Grant | None:
        grant = self._grants.get(sys_id)
        usable = grant is not None and grant.status == Status.ACTIVE and grant.channel_id == channel_id
        return grant if usable else None

    def _check_owners(self, work: Work) -> MattermostSilent | None:
        """Leave out what owners may not post any more; returns a silence that concerns all others as well."""
        for grant in {grant.sys_id: grant for row in work.rows for grant in row.grants}.values():
            try:
                self._bot.may_post(grant.owner_id, grant.channel_id)
            except ChannelClosed as error:
                self._owners.channel_closed(grant.channel_id, error.tell)
                work.rows = []
                return None
            except MayNotPost as error:
                self._owners.broken([grant], error.tell)
                self._without(work, grant)
            except MattermostError as error:
                work.wait_for(error)
                return error if isinstance(error, MattermostSilent) and error.concerns_all else None
        return None

    @staticmethod
    def _without(work: Work, grant: Grant) -> None:
        for row in work.rows:
            row.grants = [one for one in row.grants if one.sys_id != grant.sys_id]

    def _read(self, work: Work, row: Row, readings: Readings) -> None:
        """Find owners who may see the record, as many as are needed; subscriptions of those who may not are broken."""
        for grant in row.grants:
            own = next((view for view in row.views if view.grants[0].owner_id == grant.owner_id), None)
            if own is not None:
                own.grants.append(grant)
                continue
            if row.views and not row.adds(grant, row.shown_for()):
                continue
            answer = readings.answer(grant, row.report)
            if isinstance(answer, Record):
                if row.hint and not self._newer(work, answer):
                    return
                seen = [
                    readings.in_words(grant.owner_id, answer.table, change, answer)
                    for change in row.report.changes
                    if change.field in answer.cells
                ]
                row.views.append(View([grant], answer, seen))
            elif isinstance(answer, Later):
                work.later, work.at_least = answer.reason, max(work.at_least, answer.at_least)
            elif isinstance(answer, Refused) and answer.reason:
                self._owners.broken([grant], answer.reason)
            elif isinstance(answer, Unconnected):
                self._owners.not_connected(grant)
                row.bare = row.bare or self._may_be_named(work, row, grant)

    def _may_be_named(self, work: Work, row: Row, grant: Grant) -> bool:
        """
        Whether the channel may learn that the record changed although nobody can read it now.

        That a record exists and matched a filter says something about it, and ServiceNow evaluates filters
        as the system. So the channel has to know the record already, or the owner must have been able to
        read it when subscribing to it alone. A hint of v2.1 proves no change at all.
        """
        if row.hint:
            return False
        thread = self._threads.get(*work.place)
        known = thread is not None and self._clock() - thread.root_at < THREAD_LIFE
        return known or bool(self._cards.of(*work.place)) or _may_be_first(grant, work.batch)

    def _newer(self, work: Work, record: Record) -> bool:
        thread = self._threads.get(*work.place)
        return thread is None or mod_count_of(record) > thread.mod_count

    # --- the post

    def _posted(self, work: Work) -> Thread | None:
        batch = work.batch
        record = next((row.record for row in reversed(work.rows) if row.record is not None), None)
        thread = self._threads.get(*work.place)
        now = self._clock()
        root_id = thread.root_id if thread is not None and now - thread.root_at < THREAD_LIFE else ""
        reply = bool(root_id) and not in_channel(work.rows)
        card = _Drawn(self._draw, record, batch.channel_id)
        message = self._message(work, record)
        posted: Posted | None = None
        if reply:
            try:
                post_id = self._bot.post(batch.channel_id, message, card=None, root_id=root_id, batch_id=batch.batch_id)
                posted = Posted(post_id, root_id)
            except RootGone:
                root_id = ""
                if record is None and not any(_may_be_first(grant, batch) for row in work.rows for grant in row.grants):
                    return None  # the card by which the channel knew the record was deleted
        if posted is None:
            post_id = self._bot.post(batch.channel_id, message, card=card.card, root_id="", batch_id=batch.batch_id)
            posted = Posted(post_id)
        with self._lock:
            for row in work.rows:
                if not row.hint:
                    self._shown[row.report.event_id, batch.channel_id] = row.shown_for()
        if not root_id:
            thread = None
        shown = thread.mod_count if thread is not None else mod_count_of(record)
        if thread is not None and mod_count_of(record) > shown and self._renewed(thread.root_id, card):
            shown = mod_count_of(record)
        # Cards that people shared in the channel show the newest state, too; one that can't is left as it is.
        for post_id in self._cards.of(batch.channel_id, batch.record_id):
            self._renewed(post_id, card)
        return self._thread(batch, posted, shown, anew=thread is None)

    def _renewed(self, post_id: str, drawn: "_Drawn") -> bool:
        """Show the newest state on a card; where that fails, the next notice does it."""
        card = drawn.card
        if card is None:
            return False
        try:
            self._bot.show(post_id, card)
        except MattermostError as error:
            log.info("card not renewed", reason=str(error))
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

    def _message(self, work: Work, record: Record | None) -> str:
        last = work.rows[-1].report.record
        assert last is not None
        link = self._link(last.table, last.sys_id, last.number)
        if record is None:
            return bare_text(link, connect=True)
        return notice_text(
            [row.save(self._work_notes) for row in work.rows],
            mention=self._assignee(work, record),
            test=any(row.report.test for row in work.rows),
        )

    def _assignee(self, work: Work, record: Record) -> str:
        """User name of the linked assignee where a subscription wants that; not of who did it."""
        assigned = record.value("assigned_to")
        if (
            not assigned
            or not wished(Option.MENTION_ASSIGNEE, work.rows)
            or all(row.report.actor.sys_id == assigned for row in work.rows)
        ):
            return ""
        person = next((one.person_id for one in self._accounts.all() if one.identity.sys_id == assigned), "")
        return self._bot.username(person) if person else ""


def _merge(work: Work, row: Row) -> None:
    """Add *row*; an event that comes in several rows, for its owners were asked apart, is told once."""
    same = next((one for one in work.rows if row.report.event_id and one.report.event_id == row.report.event_id), None)
    if same is None:
        work.rows.append(row)
    else:
        same.grants += [grant for grant in row.grants if grant not in same.grants]


def _may_be_first(grant: Grant, batch: Batch) -> bool:
    """Whether a record may be named in a channel that doesn't know it, while its subscriber can't read it."""
    return grant.record_read and grant.record_id == batch.record_id


@dataclass(frozen=True)
class _Drawn:
    """A record's card, drawn when it is first asked for: most replies need none."""

    draw: Draw
    record: Record | None
    channel_id: str

    @cached_property
    def card(self) -> Card | None:
        """None where there is no record to draw."""
        return None if self.record is None else self.draw(self.record, self.channel_id)


@contextmanager
def _alone(work: Work) -> Iterator[None]:
    """What is wrong with one batch holds up no other: it is tried again, and given up in the end."""
    try:
        yield
    except StorageFailed:
        raise  # that is everybody's
    except Exception as error:
        log.error("notice can't be prepared", batch=work.batch.batch_id, exc_info=error)
        work.later, work.rows = f"could not be prepared: {type(error).__name__}", []
