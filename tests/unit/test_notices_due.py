"""What is due and in what batches, whatever arrives, fails, and however the clock is set."""

import itertools
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from core.outbox import Batch, Queued
from notifications.outbox import (
    FIRST_AFTER,
    GATHER,
    LONGEST_PAUSE,
    PATIENCE,
    ROWS,
    due,
    due_at,
    next_at,
    postponed,
)

NOW = 1_800_000_000.0


class Simulation:
    """An outbox in memory, driven by the decisions under test."""

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

    def round(self, fails: bool = False) -> None:
        """One round of the worker: claim, and post or fail."""
        plan = due(
            sorted(self.rows.values(), key=lambda row: row.number),
            self.batches.values(),
            self.last_post,
            self.now,
            most=50,
            new_id=lambda: f"batch-{next(self.ids)}",
        )
        for claim in plan.claims:
            self.batches[claim.batch.batch_id] = claim.batch
            for key in claim.keys:
                assert not self.rows[key].batch_id
                self.rows[key] = replace(self.rows[key], batch_id=claim.batch.batch_id)
        for batch in [*plan.again, *(claim.batch for claim in plan.claims)]:
            if fails:
                later = postponed(batch, self.now, "silent")
                assert later is not None
                self.batches[batch.batch_id] = later
            else:
                self.post(batch)

    def post(self, batch: Batch) -> None:
        """Deliver and settle."""
        keys = [row.key for row in self.rows.values() if row.batch_id == batch.batch_id]
        self.posts.append((self.now, batch.channel_id, batch.record_id, keys))
        self.last[batch.channel_id, batch.record_id] = self.now
        del self.batches[batch.batch_id]
        for key in keys:
            del self.rows[key]

    def last_post(self, channel: str, record: str) -> float:
        """As threads tell it."""
        return self.last.get((channel, record), 0.0)

    def finish(self) -> None:
        """Let time pass until nothing waits."""
        for _ in range(1000):
            at = next_at(self.rows.values(), self.batches.values(), self.last_post, self.now)
            if at is None:
                return
            assert at <= self.now + LONGEST_PAUSE
            self.now = max(self.now, at)
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
    """A run of the worker's rounds between arrivals, and to its end."""
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
def test_nothing_is_lost_or_told_twice_however_the_clock_is_set(steps: list[tuple[object, ...]]) -> None:
    """Every event is in exactly one post, within a bounded time, also when the clock is set back at any moment."""
    simulation = run(steps, back=True)
    told = [key for _, _, _, keys in simulation.posts for key in keys]
    assert sorted(told) == sorted(simulation.stored)
    assert not simulation.rows
    assert not simulation.batches


@settings(max_examples=120, deadline=None)
@given(STEPS)
def test_a_record_keeps_its_order_in_a_channel(steps: list[tuple[object, ...]]) -> None:
    """Of one record in one channel, events are told in the order in which they came, through failures too."""
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
    """And never before two seconds after its first event; a batch that had to wait posts as soon as it can."""
    simulation = run(steps, back=False)
    seen: dict[tuple[str, str], float] = {}
    for at, channel, record, keys in simulation.posts:
        assert len(keys) <= ROWS
        last = seen.get((channel, record))
        assert last is None or at >= last + GATHER
        seen[channel, record] = at


def test_the_first_event_waits_two_seconds_and_later_ones_gather() -> None:
    """The times of design §9, for one record."""
    first = Queued(key="k", event_id="e", channel_id="c", table="t", record_id="r", stored_at=NOW)
    assert due_at([first], 0.0, NOW) == NOW + FIRST_AFTER
    assert due_at([first], NOW - 5, NOW) == NOW - 5 + GATHER
    assert due_at([first], NOW - 100, NOW) == NOW + FIRST_AFTER


def test_what_is_saved_at_once_for_two_channels_is_two_posts() -> None:
    """Channels have batches of their own, and a batch of theirs that fails holds no other channel up."""
    simulation = Simulation()
    simulation.arrive("A", "x")
    simulation.arrive("B", "x")
    simulation.arrive("A", "x")
    simulation.now += FIRST_AFTER
    simulation.round()
    assert sorted((channel, len(keys)) for _, channel, _, keys in simulation.posts) == [("A", 2), ("B", 1)]


def test_a_failed_batch_is_tried_again_as_it_was() -> None:
    """What arrives meanwhile goes into the next batch."""
    simulation = Simulation()
    simulation.arrive("A", "x")
    simulation.now += FIRST_AFTER
    simulation.round(fails=True)
    simulation.arrive("A", "x")
    simulation.finish()
    assert [keys for _, _, _, keys in simulation.posts] == [["event-0"], ["event-1"]]


def test_pauses_double_from_a_second_to_a_quarter_of_an_hour_for_a_day() -> None:
    """1, 2, 4 … 900 seconds; longer where the other side asks for it; given up after 24 hours."""
    batch: Batch | None = Batch(batch_id="b", channel_id="c", table="t", record_id="r", claimed_at=NOW)
    now = NOW
    pauses: list[float] = []
    while batch is not None and len(pauses) < 1000:
        batch = postponed(batch, now, "silent")
        if batch is not None:
            pauses.append(batch.retry_at - now)
            now = batch.retry_at
    assert pauses[:11] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900]
    assert set(pauses[10:]) == {LONGEST_PAUSE}
    assert NOW + PATIENCE < now <= NOW + PATIENCE + LONGEST_PAUSE
    asked = postponed(Batch(batch_id="b", channel_id="c", table="t", record_id="r", claimed_at=NOW), NOW, "429", 30.0)
    assert asked is not None
    assert asked.retry_at == NOW + 30
