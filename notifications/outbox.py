"""
What is due, and in what batches. Pure: rows, batches and times in, decisions out.

The first event of a record in a channel waits `FIRST_AFTER` seconds, so that what is saved together is
told together; later ones gather, so that a record posts at most once in `GATHER` seconds. Of a record
in a channel one batch is under way at a time, so its events stay in their order.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from core.outbox import Batch, Claim, Queued

FIRST_AFTER = 2.0  # seconds
GATHER = 20.0  # seconds
ROWS = 50  # of one batch; what comes on top of them goes into the next
FIRST_PAUSE = 1.0  # seconds after the first failure; doubles
LONGEST_PAUSE = 900.0
PATIENCE = 86_400.0  # seconds after which a batch is given up
LEAST_TRIES = 20  # before that: a service that was down, or a clock that jumped, has not tried for a day

Place = tuple[str, str]  # channel id, record id
LastPost = Callable[[str, str], float]  # when a record was last posted in a channel; 0.0 for never


@dataclass(frozen=True)
class Due:
    """What to do now: batches to try again and rows to claim, each in the order of their arrival."""

    again: Sequence[Batch]
    claims: Sequence[Claim]


def due(
    rows: Iterable[Queued],
    batches: Iterable[Batch],
    last_post: LastPost,
    now: float,
    *,
    most: int,
    new_id: Callable[[], str],
) -> Due:
    """
    Args:
        rows: Everything that waits, by number, claimed and held rows included.
        now: Unix seconds; it may have been set back since things were stored.
        most: Batches at a time, old and new.
        new_id: Makes the id of a batch.
    """
    held = list(batches)
    again = [batch for batch in held if not _ahead(batch.retry_at, now, LONGEST_PAUSE)]
    again.sort(key=lambda batch: (batch.retry_at, batch.claimed_at))
    again = again[:most]
    ready: list[tuple[float, int, Place]] = []
    places = _free(rows, held)
    for (channel_id, record_id), waiting in places.items():
        at = due_at(waiting, last_post(channel_id, record_id), now)
        if at <= now:
            ready.append((at, waiting[0].number, (channel_id, record_id)))
    ready.sort()
    claims = []
    for _, _, place in ready[: most - len(again)]:
        chosen = places[place][:ROWS]
        batch = Batch(
            batch_id=new_id(),
            channel_id=place[0],
            table=chosen[0].table,
            record_id=place[1],
            claimed_at=now,
        )
        claims.append(Claim(batch, tuple(row.key for row in chosen)))
    return Due(again, claims)


def next_at(rows: Iterable[Queued], batches: Iterable[Batch], last_post: LastPost, now: float) -> float | None:
    """When `due` will have something, Unix seconds; None while nothing waits."""
    held = list(batches)
    times = [batch.retry_at if _ahead(batch.retry_at, now, LONGEST_PAUSE) else now for batch in held]
    times += [
        due_at(waiting, last_post(channel_id, record_id), now)
        for (channel_id, record_id), waiting in _free(rows, held).items()
    ]
    return min(times, default=None)


def due_at(waiting: Sequence[Queued], last_post: float, now: float) -> float:
    """When the unclaimed rows of one record in one channel are to be posted. Not after *now* means now."""
    first = min(row.stored_at for row in waiting) + FIRST_AFTER
    gathered = last_post + GATHER
    # A time further ahead than anything waits was written before the clock was set back: it is over.
    return max(at if _ahead(at, now, GATHER) else min(at, now) for at in (first, gathered))


def postponed(batch: Batch, now: float, reason: str, at_least: float = 0.0) -> Batch | None:
    """
    *batch* after one more failure, or None where it is given up.

    Args:
        at_least: Seconds that the other side asked for.
    """
    if now - batch.claimed_at > PATIENCE and batch.attempts >= LEAST_TRIES:
        return None
    pause = min(LONGEST_PAUSE, max(FIRST_PAUSE * 2.0 ** min(batch.attempts, 30), at_least))
    return replace(batch, attempts=batch.attempts + 1, retry_at=now + pause, reason=reason)


def _ahead(at: float, now: float, most: float) -> bool:
    """Whether *at* is still to come; nothing is ever set further ahead than *most* seconds."""
    return now < at <= now + most


def _free(rows: Iterable[Queued], held: Sequence[Batch]) -> Mapping[Place, list[Queued]]:
    """Unclaimed rows that nobody has to be asked about, by channel and record, where no batch is under way."""
    busy = {(batch.channel_id, batch.record_id) for batch in held}
    free: dict[Place, list[Queued]] = {}
    for row in rows:
        place = (row.channel_id, row.record_id)
        if not row.batch_id and not row.held_for and place not in busy:
            free.setdefault(place, []).append(row)
    return free
