"""What is due and in which batches, whatever arrives or fails, and however the clock is set."""

import itertools
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from core.outbox import Batch, Queued
from notifications.schedule import (
    BATCH_ROWS,
    COLLECT_SECONDS,
    FIRST_RETRY,
    GIVE_UP_SECONDS,
    LONGEST_RETRY,
    MIN_ATTEMPTS,
    Due,
    after_failure,
    due,
)

NOW = 1_800_000_000.0


class Simulation:
    """An outbox in memory, driven by the decisions that are tested."""

    def __init__(self) -> None:
        self.now = NOW
        self.rows: dict[str, Queued] = {}
        self.batches: dict[str, Batch] = {}
        self.last: dict[tuple[str, str], float] = {}
        self.posts: list[tuple[float, str, str, list[str]]] = []
        self.ids = itertools.count()
        self.stored: list[str] = []

    def arrive(self, channel: str, record: str) -> None:
        """One more event."""
        number = len(self.stored)
        key = f"event-{number}"
        self.stored.append(key)
        self.rows[key] = Queued(
            key=key,
            event_id=key,
            channel_id=channel,
            table="incident",
            record_id=record,
            number=number,
            stored_at=self.now,
        )

    def plan(self) -> Due:
        """What is due now."""
        rows = sorted(self.rows.values(), key=lambda row: row.number)
        batches = self.batches.values()
        return due(rows, batches, self.last_post, self.now, limit=50, new_id=lambda: f"batch-{next(self.ids)}")

    def round(self, fails: bool = False) -> None:
        """One round of the worker: claim, then post or fail."""
        plan = self.plan()
        for claim in plan.claims:
            self.batches[claim.batch.batch_id] = claim.batch
            for key in claim.keys:
                assert not self.rows[key].batch_id
                self.rows[key] = replace(self.rows[key], batch_id=claim.batch.batch_id)
        for batch in [*plan.retries, *(claim.batch for claim in plan.claims)]:
            if fails:
                later = after_failure(batch, self.now, "silent")
                assert later is not None
                self.batches[batch.batch_id] = later
            else:
                self.post(batch)

    def post(self, batch: Batch) -> None:
        """Deliver and acknowledge."""
        keys = [row.key for row in self.rows.values() if row.batch_id == batch.batch_id]
        self.posts.append((self.now, batch.channel_id, batch.record_id, keys))
        self.last[batch.channel_id, batch.record_id] = self.now
        del self.batches[batch.batch_id]
        for key in keys:
            del self.rows[key]

    def last_post(self, channel: str, record: str) -> float:
        """The time of the last post, as threads store it."""
        return self.last.get((channel, record), 0.0)

    def finish(self) -> None:
        """Let time pass until nothing waits."""
        for _ in range(1000):
            plan = self.plan()
            if not plan.retries and not plan.claims:
                if plan.next_at is None:
                    return
                assert self.now < plan.next_at <= self.now + LONGEST_RETRY
                self.now = plan.next_at
            self.round()
        raise AssertionError("never done")


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("arrive"), st.sampled_from("AB"), st.sampled_from("xyz")),
        st.tuples(st.just("pass"), st.floats(0.1, 40)),
        st.tuples(st.just("round"), st.booleans()),
        st.tuples(st.just("back"), st.floats(0.1, 100_000)),
    ),
    max_size=60,
)


def run(steps: list[tuple[object, ...]], back: bool) -> Simulation:
    """Run the worker's rounds between arrivals, until the end."""
    simulation = Simulation()
    for step in steps:
        match step:
            case ("arrive", str(channel), str(record)):
                simulation.arrive(channel, record)
            case ("pass", float(seconds)):
                simulation.now += seconds
            case ("round", bool(fails)):
                simulation.round(fails)
            case ("back", float(seconds)) if back:
                simulation.now -= seconds
    simulation.finish()
    return simulation


@settings(max_examples=120, deadline=None)
@given(STEPS)
def test_nothing_is_lost_or_posted_twice_however_the_clock_is_set(steps: list[tuple[object, ...]]) -> None:
    """Every event is in exactly one post, within a bounded time, even if the clock is set back at any moment."""
    simulation = run(steps, back=True)
    told = [key for _, _, _, keys in simulation.posts for key in keys]
    assert sorted(told) == sorted(simulation.stored)
    assert not simulation.rows
    assert not simulation.batches


@settings(max_examples=120, deadline=None)
@given(STEPS)
def test_a_record_keeps_its_order_in_a_channel(steps: list[tuple[object, ...]]) -> None:
    """Events of one record in one channel are posted in order of arrival, even after failures."""
    simulation = run(steps, back=True)
    order = {key: number for number, key in enumerate(simulation.stored)}
    for place in {(channel, record) for _, channel, record, _ in simulation.posts}:
        told = [
            order[key] for _, channel, record, keys in simulation.posts if (channel, record) == place for key in keys
        ]
        assert told == sorted(told)


@settings(max_examples=120, deadline=None)
@given(STEPS)
def test_a_record_posts_at_most_once_in_twenty_seconds(steps: list[tuple[object, ...]]) -> None:
    """The first event posts in the next round, and a batch that had to wait posts as soon as it can."""
    simulation = run(steps, back=False)
    seen: dict[tuple[str, str], float] = {}
    for at, channel, record, keys in simulation.posts:
        assert len(keys) <= BATCH_ROWS
        last = seen.get((channel, record))
        assert last is None or at >= last + COLLECT_SECONDS
        seen[channel, record] = at


def test_the_first_event_is_due_at_once_and_later_ones_are_collected() -> None:
    """An event of a record that was posted less than 20 seconds ago is due when those 20 seconds are over."""
    row = waiting("k", stored_at=NOW)

    def plan(last_post: float) -> Due:
        return due([row], [], lambda *_: last_post, NOW, limit=50, new_id=lambda: "b")

    for last_post in (0.0, NOW - 100, NOW - 20, NOW + 1):
        assert [claim.keys for claim in plan(last_post).claims] == [("k",)]
        assert plan(last_post).next_at is None
    for last_post in (NOW - 19, NOW - 5, NOW):
        assert plan(last_post) == Due([], [], last_post + 20)


def test_changes_for_two_channels_at_once_are_two_posts() -> None:
    """Each channel has its own batches, and a failing one delays no other channel."""
    simulation = Simulation()
    simulation.arrive("A", "x")
    simulation.arrive("B", "x")
    simulation.arrive("A", "x")
    simulation.round()
    assert sorted((channel, len(keys)) for _, channel, _, keys in simulation.posts) == [("A", 2), ("B", 1)]


def test_a_failed_batch_is_retried_unchanged() -> None:
    """What arrives in the meantime goes into the next batch."""
    simulation = Simulation()
    simulation.arrive("A", "x")
    simulation.round(fails=True)
    simulation.arrive("A", "x")
    simulation.finish()
    assert [keys for _, _, _, keys in simulation.posts] == [["event-0"], ["event-1"]]


def test_pauses_double_from_a_second_to_fifteen_minutes_for_a_day() -> None:
    """1, 2, 4 … 900 seconds; longer if the server asks for it; given up after 24 hours."""
    batch: Batch | None = Batch(batch_id="b", channel_id="c", table="t", record_id="r", claimed_at=NOW)
    now = NOW
    pauses: list[float] = []
    while batch is not None and len(pauses) < 1000:
        batch = after_failure(batch, now, "silent")
        if batch is not None:
            pauses.append(batch.retry_at - now)
            now = batch.retry_at
    assert pauses[:11] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900]
    assert set(pauses[10:]) == {LONGEST_RETRY}
    assert NOW + GIVE_UP_SECONDS < now <= NOW + GIVE_UP_SECONDS + LONGEST_RETRY
    asked = after_failure(
        Batch(batch_id="b", channel_id="c", table="t", record_id="r", claimed_at=NOW), NOW, "429", 30.0
    )
    assert asked is not None
    assert asked.retry_at == NOW + 30


def waiting(key: str, record: str = "x", number: int = 0, stored_at: float = NOW - 100, **more: str) -> Queued:
    """A row that has waited long enough."""
    return Queued(
        key=key,
        event_id=key,
        channel_id="A",
        table="incident",
        record_id=record,
        number=number,
        stored_at=stored_at,
        **more,
    )


def failed(batch_id: str, retry_at: float, claimed_at: float = NOW - 50, attempts: int = 1) -> Batch:
    """A batch to be retried."""
    return Batch(
        batch_id=batch_id,
        channel_id="A",
        table="incident",
        record_id=batch_id,
        claimed_at=claimed_at,
        attempts=attempts,
        retry_at=retry_at,
    )


def decided(rows: list[Queued], batches: list[Batch], most: int = 50) -> tuple[list[str], list[tuple[str, ...]]]:
    """Batches to be retried, and the rows of each new one."""
    ids = itertools.count()
    plan = due(rows, batches, lambda *_: 0.0, NOW, limit=most, new_id=lambda: f"new-{next(ids)}")
    return [one.batch_id for one in plan.retries], [one.keys for one in plan.claims]


def test_times_and_limits_are_the_designs() -> None:
    """Twenty seconds; fifty rows; a second to fifteen minutes, for a day and at least twenty tries."""
    assert (COLLECT_SECONDS, BATCH_ROWS) == (20, 50)
    assert (FIRST_RETRY, LONGEST_RETRY, GIVE_UP_SECONDS, MIN_ATTEMPTS) == (1, 900, 86_400, 20)


def test_only_batches_whose_pause_is_over_are_retried() -> None:
    """
    Those that wait longest come first, then the older ones; a time that no pause reaches belongs to another clock.
    """
    batches = [
        failed("later", NOW + 1),
        failed("now", NOW),
        failed("newer", NOW - 5, NOW - 20),
        failed("older", NOW - 5, NOW - 30),
        failed("other clock", NOW + 901),
        failed("longest pause", NOW + 900),
    ]
    assert decided([], batches) == (["older", "newer", "now", "other clock"], [])


def test_a_round_takes_at_most_its_limit_and_old_batches_first() -> None:
    """Rows in order of arrival, whatever the clock said, and batches by how long they have waited."""
    rows = [waiting("b", "y", 1, NOW - 20), waiting("a", "x", 2, NOW - 30), waiting("c", "z", 3, NOW - 10)]
    batches = [failed("one", NOW - 1), failed("two", NOW - 2), failed("three", NOW - 3)]
    assert decided(rows, [], 2) == ([], [("b",), ("a",)])
    assert decided(rows, batches, 4) == (["three", "two", "one"], [("b",)])
    assert decided(rows, batches, 2) == (["three", "two"], [])


def test_a_round_at_its_limit_is_followed_by_another_at_once_if_something_is_left() -> None:
    """Retries count as well as rows. Otherwise, what is left would wait for the next event."""
    rows = [waiting("a", "x", 1), waiting("b", "y", 2)]

    def next_at(limit: int, *batches: Batch) -> float | None:
        return due(rows, batches, lambda *_: 0.0, NOW, limit=limit, new_id=lambda: "new").next_at

    retry = failed("retry", NOW - 1)
    assert (next_at(2), next_at(1)) == (None, NOW)
    assert (next_at(3, retry), next_at(2, retry)) == (None, NOW)


def test_a_row_that_is_held_claimed_or_behind_a_batch_isnt_claimed() -> None:
    """Nothing is posted that an owner wasn't asked about."""
    rows = [waiting("held", held_for="owner"), waiting("claimed", "y", batch_id="b"), waiting("behind", "busy")]
    assert decided(rows, [failed("busy", NOW + 5)]) == ([], [])
    assert decided([*rows, waiting("free")], [failed("busy", NOW + 5)]) == ([], [("free",)])


def test_a_batch_is_given_up_after_a_day_and_twenty_tries() -> None:
    """Not before both; its reason is kept until then."""
    for claimed_at, attempts in ((NOW - GIVE_UP_SECONDS, 100), (NOW - GIVE_UP_SECONDS - 1, 19)):
        kept = after_failure(failed("b", 0.0, claimed_at, attempts), NOW, "why")
        assert kept is not None
        assert (kept.reason, kept.attempts, kept.claimed_at) == ("why", attempts + 1, claimed_at)
    assert after_failure(failed("b", 0.0, NOW - GIVE_UP_SECONDS - 1, 20), NOW, "why") is None
