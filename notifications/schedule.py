"""
Decides what is due and in what batches. Pure: rows, batches, and times in, decisions out.

The first event of a record in a channel is posted at once. Later events are collected, so a record posts at most
once in `COLLECT_SECONDS`. A record has at most one batch in progress per channel, which keeps its events in order.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from core.outbox import Batch, Claim, Queued

COLLECT_SECONDS = 20.0
BATCH_ROWS = 50  # the rest goes into the next batch
FIRST_RETRY = 1.0  # seconds after the first failure; doubles
LONGEST_RETRY = 900.0
GIVE_UP_SECONDS = 86_400.0
MIN_ATTEMPTS = 20  # before giving up: a service that was down, or a clock that jumped, has not retried for a day

Place = tuple[str, str]  # channel ID, record ID
LastPost = Callable[[str, str], float]  # when a record was last posted in a channel; 0.0 for never


@dataclass(frozen=True)
class Due:
    """
    Args:
        retries: Batches to try again, those that waited longest first.
        claims: Rows to claim, in order of arrival.
        next_at: When something else will be due, in Unix seconds. None if nothing waits.
    """

    retries: Sequence[Batch]
    claims: Sequence[Claim]
    next_at: float | None


def due(
    rows: Iterable[Queued],
    batches: Iterable[Batch],
    last_post: LastPost,
    now: float,
    *,
    limit: int,
    new_id: Callable[[], str],
) -> Due:
    """
    Args:
        rows: All rows by number, including claimed and held ones.
        now: Unix seconds. The clock may have been set back since things were stored.
        limit: Number of batches, old and new.
        new_id: Creates the ID of a batch.
    """
    in_progress = list(batches)
    retries, times = [], []
    for batch in in_progress:
        if _is_ahead(batch.retry_at, now, LONGEST_RETRY):
            times.append(batch.retry_at)
        else:
            retries.append(batch)
    retries.sort(key=lambda batch: (batch.retry_at, batch.claimed_at))
    ready = []
    for place, waiting in _unclaimed(rows, in_progress).items():
        collected_at = last_post(*place) + COLLECT_SECONDS
        if _is_ahead(collected_at, now, COLLECT_SECONDS):
            times.append(collected_at)
        else:
            ready.append((place, waiting))
    if len(retries) + len(ready) > limit:
        times.append(now)
    retries = retries[:limit]
    claims = [_claim(place, waiting, now, new_id()) for place, waiting in ready[: limit - len(retries)]]
    return Due(retries, claims, min(times, default=None))


def after_failure(batch: Batch, now: float, reason: str, at_least: float = 0.0) -> Batch | None:
    """
    The batch with the time of its next attempt, or None if it is given up.

    Args:
        at_least: Seconds that the server asked us to wait.
    """
    if now - batch.claimed_at > GIVE_UP_SECONDS and batch.attempts >= MIN_ATTEMPTS:
        return None
    wait = min(LONGEST_RETRY, max(FIRST_RETRY * 2.0 ** min(batch.attempts, 30), at_least))
    return replace(batch, attempts=batch.attempts + 1, retry_at=now + wait, reason=reason)


def _claim(place: Place, waiting: Sequence[Queued], now: float, batch_id: str) -> Claim:
    channel_id, record_id = place
    chosen = waiting[:BATCH_ROWS]
    batch = Batch(batch_id=batch_id, channel_id=channel_id, table=chosen[0].table, record_id=record_id, claimed_at=now)
    return Claim(batch, tuple(row.key for row in chosen))


def _is_ahead(at: float, now: float, longest: float) -> bool:
    """Whether *at* is in the future. A time beyond *longest* is from before the clock was set back: it has passed."""
    return now < at <= now + longest


def _unclaimed(rows: Iterable[Queued], in_progress: Sequence[Batch]) -> Mapping[Place, list[Queued]]:
    """Rows that can be claimed, by channel and record, in order of arrival."""
    busy = {(batch.channel_id, batch.record_id) for batch in in_progress}
    unclaimed: dict[Place, list[Queued]] = {}
    for row in rows:
        place = (row.channel_id, row.record_id)
        if not row.batch_id and not row.held_for and place not in busy:
            unclaimed.setdefault(place, []).append(row)
    return unclaimed
