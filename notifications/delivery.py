"""Prepares notices: checks each batch against current grants and permissions, and reads records as their owners."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog
from cachetools import TTLCache

from core.errors import ChannelClosed, MayNotPost, StorageFailed
from core.notices import Match, Report
from core.outbox import THREAD_LIFE, Batch, Content, Found, Queued, Thread
from core.records import Record
from core.storage_ports import Accounts, ChannelGrants, PostedCards, Threads
from core.subscriptions import Grant, Status
from core.times import Clock
from core.upstream_errors import MattermostError, MattermostSilent
from notifications.authorization import Granted, authorize, shared
from notifications.broken_subscriptions import BrokenSubscriptions
from notifications.legacy_webhook import report_of_legacy
from notifications.notice import Notice, NoticeRow, OwnerView, mod_count_of
from notifications.publisher import PostedLookup, Publisher, may_be_named
from notifications.record_reader import Cooldowns, NotReadable, RecordReader, RetryLater, ServiceNowFor, Unconnected
from notifications.schema import unpacked

if TYPE_CHECKING:
    from mattermost.bot import MattermostBot

log = structlog.get_logger(__name__)

_SHOWN = 3600.0  # seconds

_NOTHING = Report(event_id="", occurred_at=0.0, component="", server_url="", record=None)


class Delivery:
    """
    Args:
        tables: Classes whose records can be posted.
    """

    def __init__(
        self,
        *,
        grants: ChannelGrants,
        accounts: Accounts,
        threads: Threads,
        cards: PostedCards,
        bot: MattermostBot,
        broken_subscriptions: BrokenSubscriptions,
        publisher: Publisher,
        posted_lookup: PostedLookup,
        servicenow_for: ServiceNowFor,
        tables: Collection[str],
        clock: Clock,
    ) -> None:
        self._grants = grants
        self._accounts = accounts
        self._threads = threads
        self._cards = cards
        self._bot = bot
        self._broken_subscriptions = broken_subscriptions
        self._publisher = publisher
        self._posted_lookup = posted_lookup
        self._servicenow_for = servicenow_for
        self._tables = tables
        self._clock = clock
        self._cooldowns = Cooldowns(clock)
        self._lock = threading.Lock()
        # Which subscriptions an event was posted for. Others may be released later, after a check of permissions.
        self._shown: TTLCache[tuple[str, str], list[Grant]] = TTLCache(maxsize=2000, ttl=_SHOWN, timer=clock)

    def prepare(
        self, contents: Sequence[tuple[Batch, Sequence[tuple[Queued, Content | None]]]], found: Mapping[str, Found]
    ) -> list[Notice]:
        """
        Decrypt batches, check them against current grants, and read their records as their owners.

        A notice without rows has nothing to post.

        Args:
            found: What earlier attempts posted, by batch ID.
        """
        notices = [Notice(batch) for batch, _ in contents]
        for notice in notices:
            if (earlier := found.get(notice.batch.batch_id)) is not None:
                notice.resume(earlier)
        reader = RecordReader(self._servicenow_for, self._cooldowns, self._tables)
        silence: MattermostSilent | None = None
        for notice, (_, rows) in zip(notices, contents, strict=True):
            with _isolated(notice):
                self._open(notice, rows)
            if silence is not None:
                notice.postpone(silence)
                continue
            with _isolated(notice):
                silence = self._check_owners(notice)
        waiting = [notice for notice in notices if not notice.retry_reason]
        reader.fetch((owner_id, row.report) for notice in waiting for row in notice.rows for owner_id in row.readers())
        for notice in waiting:
            with _isolated(notice):
                for row in notice.rows:
                    self._read(notice, row, reader)
                notice.rows = [row for row in notice.rows if row.views or row.bare]
        return notices

    def post(self, notice: Notice) -> Thread | None:
        """
        Post a notice and return the record's thread in the channel. None if there was nothing to post.

        Raises:
            MattermostSilent: Try again.
            MattermostRefused: Mattermost rejected the post permanently.
        """
        if not notice.rows:
            return None
        try:
            thread = self._publisher.post(notice)
        except ChannelClosed as error:
            self._broken_subscriptions.mark_channel(notice.batch.channel_id, error.user_message)
            return None
        with self._lock:
            self._shown.update(((row.event_id, notice.batch.channel_id), row.shown_for()) for row in notice.rows)
        return thread

    # --- permissions

    def _open(self, notice: Notice, rows: Sequence[tuple[Queued, Content | None]]) -> None:
        for queued, content in rows:
            self._find_posted(notice, queued)
            if content is None:
                notice.retry_reason = "what is stored can't be opened: was a key taken out of APP_SECRET?"
                continue
            report, sys_ids = self._report_in(content)
            if shared(report, self._tables) is None:
                continue  # it was shared when the report was received
            channel_id = notice.batch.channel_id
            grants = [grant for sys_id in sys_ids if (grant := self._active_grant(sys_id, channel_id)) is not None]
            row = NoticeRow(report, grants, queued.event_id, "hint" in content)
            with self._lock:
                shown = self._shown.get((queued.event_id, channel_id))
            row.grants = [grant for grant in grants if shown is None or row.adds(grant, shown)]
            if row.grants:
                notice.add(row)
        # ServiceNow handles several saves at once, and may report the later one first.
        notice.rows.sort(key=lambda row: row.report.record.sys_mod_count if row.report.record is not None else 0)

    def _find_posted(self, notice: Notice, queued: Queued) -> None:
        """Find what another process posted of a row that waits again because a backup was restored."""
        try:
            found = self._posted_lookup.found(queued)
        except MattermostError as error:
            notice.postpone(error)
            return
        told = {mark for mark in found if mark.partition(".")[0] == queued.event_id}
        notice.posted_events |= told
        notice.posted = notice.posted or next((found[mark] for mark in told), None)

    def _report_in(self, content: Content) -> tuple[Report, list[str]]:
        """The report in a row, and the subscriptions it is for."""
        if "hint" in content:
            sys_id = content["hint"]["sys_id"]
            report = report_of_legacy(self._grants.get(sys_id), content["hint"])
            return (_NOTHING, []) if report is None else (report, [sys_id])
        report = unpacked(content["report"])
        claimed = set(content.get("claimed", ()))
        released = [one.sys_id for one in report.matches if one.sys_id in claimed and self._is_granted(one, report)]
        return report, [*content.get("granted", ()), *released]

    def _is_granted(self, match: Match, report: Report) -> bool:
        """Whether a subscription that was held for its owner has been granted."""
        grant = self._grants.get(match.sys_id)
        owner = self._accounts.get(grant.owner_id) if grant is not None else None
        return isinstance(authorize(match, grant, owner, report.events, bool(report.test)), Granted)

    def _active_grant(self, sys_id: str, channel_id: str) -> Grant | None:
        grant = self._grants.get(sys_id)
        usable = grant is not None and grant.status == Status.ACTIVE and grant.channel_id == channel_id
        return grant if usable else None

    def _check_owners(self, notice: Notice) -> MattermostSilent | None:
        """Remove what owners can no longer post. Returns the error if Mattermost doesn't answer at all."""
        for grant in {grant.sys_id: grant for row in notice.rows for grant in row.grants}.values():
            try:
                self._bot.may_post(grant.owner_id, grant.channel_id)
            except ChannelClosed as error:
                self._broken_subscriptions.mark_channel(grant.channel_id, error.user_message)
                notice.rows = []
                return None
            except MayNotPost as error:
                self._broken_subscriptions.mark([grant], error.user_message)
                notice.remove(grant)
            except MattermostError as error:
                notice.postpone(error)
                return error if isinstance(error, MattermostSilent) and error.concerns_all else None
        return None

    def _read(self, notice: Notice, row: NoticeRow, reader: RecordReader) -> None:
        """Read the record as its owners, as many as needed. Mark subscriptions broken whose owner can't see it."""
        for grant in row.grants:
            own = next((view for view in row.views if view.grants[0].owner_id == grant.owner_id), None)
            if own is not None:
                own.grants.append(grant)
                continue
            if row.views and not row.adds(grant, row.shown_for()):
                continue
            answer = reader.answer(grant, row.report)
            if isinstance(answer, Record):
                if row.hint and not self._newer(notice, answer):
                    return
                seen = [
                    reader.localized(grant.owner_id, answer.table, change, answer)
                    for change in row.report.changes
                    if change.field in answer.cells
                ]
                row.views.append(OwnerView([grant], answer, seen))
            elif isinstance(answer, RetryLater):
                notice.retry_reason, notice.retry_after = answer.reason, max(notice.retry_after, answer.retry_after)
            elif isinstance(answer, NotReadable) and answer.reason:
                self._broken_subscriptions.mark([grant], answer.reason)
            elif isinstance(answer, Unconnected):
                self._broken_subscriptions.ask_to_connect(grant)
                row.bare = row.bare or self._can_be_named(notice, row, grant)

    def _can_be_named(self, notice: Notice, row: NoticeRow, grant: Grant) -> bool:
        """
        Whether the channel can learn that the record changed although no owner can read it now.

        That a record exists and matched a filter says something about it, and ServiceNow evaluates filters as the
        system. So the channel must know the record already, or the owner must have been able to read it when
        subscribing to this one record. A hint of v2.1 proves no change at all.
        """
        if row.hint:
            return False
        thread = self._threads.get(*notice.place)
        known = thread is not None and self._clock() - thread.root_at < THREAD_LIFE
        return known or bool(self._cards.of(*notice.place)) or may_be_named(grant, notice.batch)

    def _newer(self, notice: Notice, record: Record) -> bool:
        thread = self._threads.get(*notice.place)
        return thread is None or mod_count_of(record) > thread.mod_count


@contextmanager
def _isolated(notice: Notice) -> Iterator[None]:
    """Keep an error in one batch from affecting others. The batch is retried, and given up in the end."""
    try:
        yield
    except StorageFailed:
        raise  # affects all batches
    except Exception as error:
        log.error("notice can't be prepared", batch=notice.batch.batch_id, exc_info=error)
        notice.retry_reason, notice.rows = f"could not be prepared: {type(error).__name__}", []
