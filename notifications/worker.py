"""
The worker: one thread that claims what is due, lets it be delivered, and settles it.

Every step is on disk before the next: stored, claimed, posted, settled. A process that dies anywhere
goes on from there; of a batch that may have been posted, the post is looked for first.
"""

import secrets
from collections import Counter
from collections.abc import Callable, Sequence

import structlog

from core.errors import AppError, ChannelClosed, StorageFailed
from core.notice_ports import Outbox, Threads
from core.outbox import Batch, Found, Thread
from core.ports import Clock
from core.upstream_errors import MattermostRefused, MattermostSilent
from notifications.delivery import Delivery
from notifications.health import Health
from notifications.loop import LONGEST_WAIT, Loop
from notifications.owners import Owners
from notifications.posting import Posting
from notifications.schedule import after_failure, due
from notifications.work import Work

log = structlog.get_logger(__name__)

_REASONS = 3  # told in the log after a round; an outage has one or two
BATCHES = 100  # in one round: as many records as one read of ServiceNow takes
_LETTERS = "ybndrfg8ejkmcpqxot1uwisza345h769"  # Mattermost's own alphabet of ids


class Worker:
    """
    What its thread does in a round. Start ``loop`` in the process that serves.

    Args:
        muted: Whether nothing may be posted now.
    """

    def __init__(
        self,
        *,
        outbox: Outbox,
        threads: Threads,
        delivery: Delivery,
        posting: Posting,
        owners: Owners,
        health: Health,
        muted: Callable[[], bool],
        clock: Clock,
    ) -> None:
        self._outbox = outbox
        self._threads = threads
        self._delivery = delivery
        self._posting = posting
        self._owners = owners
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
            self._deliver(plan.retries, claimed)
        self._tell()
        if plan.retries or plan.claims:
            return 0.0
        return LONGEST_WAIT if plan.next_at is None else max(plan.next_at - self._clock(), 0.01)

    def _deliver(self, again: Sequence[Batch], claimed: Sequence[Batch]) -> None:
        outcome = _Outcome()
        if self._muted():
            # Nothing is read as anybody either. What waits is posted if the app is enabled again in time.
            for batch in [*again, *claimed]:
                self._again(batch, "turned off by an administrator", 0.0, outcome)
            self._outbox.postpone(outcome.postponed)
            self._count(outcome, {})
            return
        silent: MattermostSilent | None = None
        left: list[Batch] = []
        found: dict[str, Found] = {}
        for batch in again:
            if silent is not None:
                self._again(batch, silent.log_message, silent.retry_after or 0.0, outcome)
                continue
            try:
                if not self._settled_before(batch, outcome, found):
                    left.append(batch)
            except MattermostSilent as error:
                self._again(batch, error.log_message, error.retry_after or 0.0, outcome)
                silent = error if error.concerns_all else None
        batches = [*left, *claimed]
        contents = self._outbox.contents([batch.batch_id for batch in batches])
        works = self._delivery.prepare([(batch, contents[batch.batch_id]) for batch in batches], found)
        for work in works:
            if work.later:
                self._again(work.batch, work.later, work.at_least, outcome)
            elif silent is not None:
                self._again(work.batch, silent.log_message, silent.retry_after or 0.0, outcome)
            else:
                silent = self._post(work, outcome)
        if outcome.threads:
            self._threads.put(outcome.threads)
        if outcome.settled:
            self._outbox.settle(outcome.settled)
        if outcome.postponed:
            self._outbox.postpone(outcome.postponed)
            for reason, count in Counter(batch.reason for batch in outcome.postponed).most_common(_REASONS):
                log.warning("notices postponed", batches=count, reason=reason)
        self._count(outcome, {batch.batch_id: len(contents.get(batch.batch_id, ())) for batch in batches})

    def _settled_before(self, batch: Batch, outcome: "_Outcome", found: dict[str, Found]) -> bool:
        """
        Whether an earlier try has posted *batch*, or it can't be found out now. Raises MattermostSilent.

        Args:
            found: Gets what was posted of a batch of several posts that is to go on.
        """
        try:
            earlier = self._posting.found(batch)
        except ChannelClosed:
            return False  # posting finds out the same, and says so
        except MattermostSilent:
            raise
        except AppError as error:
            self._again(batch, error.log_message, error.retry_after or 0.0, outcome)
            return True
        if earlier is None:
            return False
        if not earlier.complete:
            found[batch.batch_id] = earlier
            return False
        outcome.posted(batch, self._posting.thread_of(batch, earlier.posted))
        return True

    def _post(self, work: Work, outcome: "_Outcome") -> MattermostSilent | None:
        """Post one batch; returns Mattermost's silence where that concerns all others as well."""
        try:
            thread = self._delivery.post(work)
        except MattermostSilent as error:
            self._again(work.batch, error.log_message, error.retry_after or 0.0, outcome)
            return error if error.concerns_all else None
        except MattermostRefused as error:
            log.error("Mattermost takes this notice never", batch=work.batch.batch_id, reason=error.log_message)
            outcome.given_up.append(work.batch.batch_id)
        except StorageFailed:
            raise
        except Exception as error:
            log.error("notice can't be posted", batch=work.batch.batch_id, exc_info=error)
            self._again(work.batch, f"could not be posted: {type(error).__name__}", 0.0, outcome)
        else:
            outcome.posted(work.batch, thread)
        return None

    def _again(self, batch: Batch, reason: str, at_least: float, outcome: "_Outcome") -> None:
        later = after_failure(batch, self._clock(), reason, at_least)
        if later is None:
            log.error("notice given up", batch=batch.batch_id, attempts=batch.attempts, reason=reason)
            outcome.given_up.append(batch.batch_id)
        else:
            outcome.postponed.append(later)

    def _count(self, outcome: "_Outcome", rows: dict[str, int]) -> None:
        if outcome.given_up:
            self._outbox.settle(outcome.given_up)
            self._health.given_up(sum(rows.get(batch_id, 1) for batch_id in outcome.given_up))
        if outcome.said:
            self._health.delivered(sum(rows.get(batch_id, 1) for batch_id in outcome.said))

    def _tell(self) -> None:
        try:
            self._owners.tell_all()
        except AppError as error:
            log.warning("owners could not be told", reason=error.log_message)


class _Outcome:
    """What one round did, written at its end."""

    def __init__(self) -> None:
        self.threads: list[Thread] = []
        self.settled: list[str] = []
        self.said: list[str] = []
        self.postponed: list[Batch] = []
        self.given_up: list[str] = []

    def posted(self, batch: Batch, thread: Thread | None) -> None:
        """*batch* is done; *thread* is what its record has now, None where nothing was said."""
        self.settled.append(batch.batch_id)
        if thread is not None:
            self.threads.append(thread)
            self.said.append(batch.batch_id)


def _new_id() -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(26))
