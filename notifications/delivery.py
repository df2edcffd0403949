"""Who may have a batch, and with whose eyes it is read; what that leaves is posted (`notifications.posting`)."""

import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

import structlog
from cachetools import TTLCache

from core.errors import ChannelClosed, MayNotPost, StorageFailed
from core.notice_ports import Bot, Threads
from core.notices import Match, Report
from core.outbox import THREAD_LIFE, Batch, Content, Found, Queued, Thread
from core.ports import Clock
from core.record_ports import PostedCards
from core.records import Record
from core.storage_ports import Accounts, ChannelGrants
from core.subscriptions import Grant, Status
from core.upstream_errors import MattermostError, MattermostSilent
from notifications.grants import Granted, judge
from notifications.old_dialect import hinted
from notifications.owners import Owners
from notifications.posted_lookup import PostedLookup
from notifications.posting import Posting, may_be_first
from notifications.reading import Later, NotReadable, Readings, ServiceNowFor, Silences, Unconnected
from notifications.schema import unpacked
from notifications.sharing import shared
from notifications.work import Row, View, Work, mod_count_of

log = structlog.get_logger(__name__)

_SHOWN = 3600.0  # seconds

_NOTHING = Report(event_id="", occurred_at=0.0, component="", server_url="", record=None)


class Delivery:
    """
    Args:
        tables: Classes whose records may be posted.
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
        posting: Posting,
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
        self._owners = owners
        self._posting = posting
        self._posted_lookup = posted_lookup
        self._servicenow_for = servicenow_for
        self._tables = tables
        self._clock = clock
        self._silences = Silences(clock)
        self._lock = threading.Lock()
        # What was posted of an event, for those subscriptions to it whose owners are still being asked.
        self._shown: TTLCache[tuple[str, str], list[Grant]] = TTLCache(maxsize=2000, ttl=_SHOWN, timer=clock)

    def prepare(
        self, contents: Sequence[tuple[Batch, Sequence[tuple[Queued, Content | None]]]], found: Mapping[str, Found]
    ) -> list[Work]:
        """
        Open batches, hold them against the grants of this moment, and read their records as their owners.

        What is left without rows has nothing to post.

        Args:
            found: What earlier tries posted of them, by batch id.
        """
        works = [Work(batch) for batch, _ in contents]
        for work in works:
            if (earlier := found.get(work.batch.batch_id)) is not None:
                work.posted, work.posts, work.told = earlier.posted, earlier.posts, set(earlier.events)
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
            thread = self._posting.post(work)
        except ChannelClosed as error:
            self._owners.channel_closed(work.batch.channel_id, error.user_message)
            return None
        with self._lock:
            self._shown.update(((row.event_id, work.batch.channel_id), row.shown_for()) for row in work.rows)
        return thread

    # --- who may have it

    def _open(self, work: Work, rows: Sequence[tuple[Queued, Content | None]]) -> None:
        for queued, content in rows:
            self._look_back(work, queued)
            if content is None:
                work.later = "what is stored can't be opened: was a key taken out of APP_SECRET?"
                continue
            report, sys_ids = self._meant(content)
            if shared(report, self._tables) is None:
                continue  # it was when the report came in
            channel_id = work.batch.channel_id
            grants = [grant for sys_id in sys_ids if (grant := self._live(sys_id, channel_id)) is not None]
            row = Row(report, grants, queued.event_id, "hint" in content)
            with self._lock:
                shown = self._shown.get((queued.event_id, channel_id))
            row.grants = [grant for grant in grants if shown is None or row.adds(grant, shown)]
            if row.grants:
                _merge(work, row)
        # ServiceNow works on several saves at once, and may report the later one first.
        work.rows.sort(key=lambda row: row.report.record.sys_mod_count if row.report.record is not None else 0)

    def _look_back(self, work: Work, queued: Queued) -> None:
        """Note what another process posted of a row that waits here once more: a backup was restored."""
        try:
            found = self._posted_lookup.found(queued)
        except MattermostError as error:
            work.wait_for(error)
            return
        told = {mark for mark in found if mark.partition(".")[0] == queued.event_id}
        work.told |= told
        work.posted = work.posted or next((found[mark] for mark in told), None)

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
                self._owners.channel_closed(grant.channel_id, error.user_message)
                work.rows = []
                return None
            except MayNotPost as error:
                self._owners.broken([grant], error.user_message)
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
            elif isinstance(answer, NotReadable) and answer.reason:
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
        return known or bool(self._cards.of(*work.place)) or may_be_first(grant, work.batch)

    def _newer(self, work: Work, record: Record) -> bool:
        thread = self._threads.get(*work.place)
        return thread is None or mod_count_of(record) > thread.mod_count


def _merge(work: Work, row: Row) -> None:
    """Add *row*; an event that comes in several rows, for its owners were asked apart, is told once."""
    same = next((one for one in work.rows if one.event_id == row.event_id), None)
    if same is None:
        work.rows.append(row)
    else:
        same.grants += [grant for grant in row.grants if grant not in same.grants]


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
