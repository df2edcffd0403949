"""
One thread that claims what is due, has it delivered, and acknowledges it.

Each step is on disk before the next: stored, claimed, posted, acknowledged. If the process dies, the next one resumes.
A batch that may have been posted is looked up in its channel first.
"""

import secrets
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import structlog

from core.errors import AppError, ChannelClosed, StorageFailed
from core.outbox import Batch, Found, Thread
from core.storage_ports import Outbox, Threads
from core.times import Clock
from core.upstream_errors import MattermostRefused, MattermostSilent
from notifications.broken_subscriptions import BrokenSubscriptions
from notifications.delivery import Delivery
from notifications.health import Health
from notifications.loop import LONGEST_WAIT, Loop
from notifications.notice import Notice
from notifications.publisher import Publisher
from notifications.schedule import after_failure, due

log = structlog.get_logger(__name__)

BATCHES = 100  # per round: as many records as one request to ServiceNow reads
_LOGGED_REASONS = 3  # per round; an outage has one or two
_SHORTEST_WAIT = 0.01
_ID_LETTERS = "ybndrfg8ejkmcpqxot1uwisza345h769"  # Mattermost's alphabet for IDs
_TURNED_OFF = "turned off by an administrator"


class Worker:
    """
    Delivers notices. Start ``loop`` in the process that serves.

    Args:
        muted: Whether nothing can be posted now because the app is turned off.
    """

    def __init__(
        self,
        *,
        outbox: Outbox,
        threads: Threads,
        delivery: Delivery,
        publisher: Publisher,
        broken_subscriptions: BrokenSubscriptions,
        health: Health,
        muted: Callable[[], bool],
        clock: Clock,
    ) -> None:
        self._outbox = outbox
        self._threads = threads
        self._delivery = delivery
        self._publisher = publisher
        self._broken_subscriptions = broken_subscriptions
        self._health = health
        self._muted = muted
        self._clock = clock
        self.loop = Loop("notices", self._round)

    def _last_post(self, channel_id: str, record_id: str) -> float:
        thread = self._threads.get(channel_id, record_id)
        return thread.last_at if thread is not None else 0.0

    def _round(self) -> float:
        """Deliver what is due. Returns the seconds until the next round."""
        outbox = self._outbox
        plan = due(outbox.waiting(), outbox.batches(), self._last_post, self._clock(), limit=BATCHES, new_id=_new_id)
        claimed = outbox.claim(plan.claims) if plan.claims else ()
        if plan.retries or claimed:
            results = _Results()
            if self._muted():
                # Don't read as anyone either. These batches are posted if the app is enabled again in time.
                for batch in [*plan.retries, *claimed]:
                    self._retry_later(batch, _TURNED_OFF, 0.0, results)
            else:
                self._deliver(plan.retries, claimed, results)
            self._store(results)
        self._notify_owners()
        if plan.retries or plan.claims:
            return 0.0
        return LONGEST_WAIT if plan.next_at is None else max(plan.next_at - self._clock(), _SHORTEST_WAIT)

    def _deliver(self, retries: Sequence[Batch], claimed: Sequence[Batch], results: "_Results") -> None:
        silence: MattermostSilent | None = None  # Mattermost doesn't answer at all, so don't try the others
        unposted: list[Batch] = []
        found: dict[str, Found] = {}
        for batch in retries:
            if silence is not None:
                self._retry_after(batch, silence, results)
                continue
            try:
                if not self._was_posted(batch, found, results):
                    unposted.append(batch)
            except ChannelClosed:
                unposted.append(batch)  # posting fails with the same error, and reports it
            except AppError as error:
                self._retry_after(batch, error, results)
                silence = _silence_of(error)
        batches = [*unposted, *claimed]
        contents = self._outbox.contents([batch.batch_id for batch in batches])
        results.rows = {batch_id: len(rows) for batch_id, rows in contents.items()}
        for notice in self._delivery.prepare([(batch, contents[batch.batch_id]) for batch in batches], found):
            if notice.retry_reason:
                self._retry_later(notice.batch, notice.retry_reason, notice.retry_after, results)
            elif silence is not None:
                self._retry_after(notice.batch, silence, results)
            else:
                silence = self._post(notice, results)

    def _was_posted(self, batch: Batch, found: dict[str, Found], results: "_Results") -> bool:
        """
        Whether an earlier attempt posted all of *batch*.

        Args:
            found: Receives what was posted of a batch that continues in more posts.
        """
        earlier = self._publisher.found(batch)
        if earlier is None:
            return False
        if not earlier.complete:
            found[batch.batch_id] = earlier
            return False
        results.posted(batch, self._publisher.thread_of(batch, earlier.posted))
        return True

    def _post(self, notice: Notice, results: "_Results") -> MattermostSilent | None:
        """Post one notice. Returns the error if Mattermost doesn't answer at all."""
        batch = notice.batch
        try:
            results.posted(batch, self._delivery.post(notice))
        except MattermostSilent as error:
            self._retry_after(batch, error, results)
            return _silence_of(error)
        except MattermostRefused as error:
            log.error("Mattermost rejected the post permanently", batch=batch.batch_id, reason=error.log_message)
            results.given_up.append(batch.batch_id)
        except StorageFailed:
            raise  # affects all batches
        except Exception as error:
            log.error("notice can't be posted", batch=batch.batch_id, exc_info=error)
            self._retry_later(batch, f"could not be posted: {type(error).__name__}", 0.0, results)
        return None

    def _retry_after(self, batch: Batch, error: AppError, results: "_Results") -> None:
        self._retry_later(batch, error.log_message, error.retry_after or 0.0, results)

    def _retry_later(self, batch: Batch, reason: str, seconds: float, results: "_Results") -> None:
        later = after_failure(batch, self._clock(), reason, seconds)
        if later is None:
            log.error("notice given up", batch=batch.batch_id, attempts=batch.attempts, reason=reason)
            results.given_up.append(batch.batch_id)
        else:
            results.retries.append(later)

    def _store(self, results: "_Results") -> None:
        if results.threads:
            self._threads.put(results.threads)
        if results.acknowledged:
            self._outbox.ack(results.acknowledged)
        if results.retries:
            self._outbox.retry_later(results.retries)
            for reason, count in Counter(batch.reason for batch in results.retries).most_common(_LOGGED_REASONS):
                log.warning("notices postponed", batches=count, reason=reason)
        if results.given_up:
            self._outbox.ack(results.given_up)
            self._health.given_up(results.count(results.given_up))
        if results.delivered:
            self._health.delivered(results.count(results.delivered))

    def _notify_owners(self) -> None:
        try:
            self._broken_subscriptions.notify_owners()
        except AppError as error:
            log.warning("owners could not be notified", reason=error.log_message)


@dataclass
class _Results:
    """What one round did. It is stored when the round ends. All lists but two hold batch IDs."""

    threads: list[Thread] = field(default_factory=list)
    retries: list[Batch] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)
    delivered: list[str] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)  # number of rows by batch ID, where they were read

    def posted(self, batch: Batch, thread: Thread | None) -> None:
        """Acknowledge *batch*. *thread* is None if there was nothing to post."""
        self.acknowledged.append(batch.batch_id)
        if thread is not None:
            self.threads.append(thread)
            self.delivered.append(batch.batch_id)

    def count(self, batch_ids: Sequence[str]) -> int:
        """The number of rows in these batches."""
        return sum(self.rows.get(batch_id, 1) for batch_id in batch_ids)


def _silence_of(error: AppError) -> MattermostSilent | None:
    """The error if it concerns all other posts as well."""
    return error if isinstance(error, MattermostSilent) and error.concerns_all else None


def _new_id() -> str:
    return "".join(secrets.choice(_ID_LETTERS) for _ in range(26))
