"""A round of the worker: what is claimed, posted, acknowledged, retried, and given up, and when the next one comes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
import structlog

from core.errors import AppError, ChannelClosed, StorageFailed
from core.outbox import Batch, Content, Found, Posted, Queued, Thread
from core.storage_ports import Stores
from core.upstream_errors import MattermostRefused, MattermostSilent
from notifications.health import Health
from notifications.notice import Notice
from notifications.worker import BATCHES, Worker
from tests.unit.noticing import CHANNEL, NOW, ManualClock, open_stores

pytestmark = pytest.mark.usefixtures("every_log_line")

DAY = 86_400.0
DOWN = MattermostSilent("down")
BUSY = MattermostSilent("busy", 503)


@dataclass
class Around:
    """Delivery, publisher and owners of broken subscriptions: by record, what each of them answers or raises."""

    posts: dict[str, Exception | None] = field(default_factory=dict)
    earlier: dict[str, Found | Exception] = field(default_factory=dict)
    later: dict[str, tuple[str, float]] = field(default_factory=dict)
    tried: list[str] = field(default_factory=list)
    looked: list[str] = field(default_factory=list)
    prepared: list[tuple[str, int, bool]] = field(default_factory=list)  # record, rows, whether it continues
    notified: int = 0
    silent: Exception | None = None

    def prepare(
        self, contents: Sequence[tuple[Batch, Sequence[tuple[Queued, Content | None]]]], found: Mapping[str, Found]
    ) -> list[Notice]:
        """Delivery's."""
        self.prepared += [(batch.record_id, len(rows), batch.batch_id in found) for batch, rows in contents]
        notices = [Notice(batch) for batch, _ in contents]
        for notice in notices:
            notice.retry_reason, notice.retry_after = self.later.get(notice.batch.record_id, ("", 0.0))
        return notices

    def post(self, notice: Notice) -> Thread | None:
        """Delivery's. None is for a record with nothing to post."""
        record_id = notice.batch.record_id
        self.tried.append(record_id)
        outcome = self.posts.get(record_id, ...)
        if isinstance(outcome, Exception):
            raise outcome
        return None if outcome is None else self.thread_of(notice.batch, Posted("p" * 26))

    def found(self, batch: Batch) -> Found | None:
        """The publisher's."""
        self.looked.append(batch.record_id)
        outcome = self.earlier.get(batch.record_id)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def thread_of(self, batch: Batch, posted: Posted) -> Thread:
        """The publisher's."""
        return Thread(
            channel_id=batch.channel_id,
            table=batch.table,
            record_id=batch.record_id,
            root_id=posted.post_id,
            root_at=NOW,
            last_at=NOW,
        )

    def notify_owners(self) -> None:
        """Of broken subscriptions."""
        self.notified += 1
        if self.silent is not None:
            raise self.silent


@dataclass
class Desk:
    """A worker on a storage of its own, whose rounds a test runs itself."""

    stores: Stores
    moment: ManualClock
    around: Around = field(default_factory=Around)
    muted: bool = False
    count: int = 0

    def __post_init__(self) -> None:
        self.health = Health(self.stores.outbox, self.moment)
        around = cast("Any", self.around)
        self.worker = Worker(
            outbox=self.stores.outbox,
            threads=self.stores.threads,
            delivery=around,
            publisher=around,
            broken_subscriptions=around,
            health=self.health,
            muted=lambda: self.muted,
            clock=self.moment,
        )

    def arrive(self, *records: str) -> None:
        """A row of each record, all of one event."""
        self.count += 1
        event = f"e{self.count}"
        rows = [
            Queued(
                key=f"{event}/{number}",
                event_id=event,
                channel_id=CHANNEL,
                table="incident",
                record_id=record_id,
                stored_at=self.moment.now,
            )
            for number, record_id in enumerate(records)
        ]
        assert self.stores.outbox.add(event, [(row, {}) for row in rows])

    def round(self) -> float:
        """One round; the seconds until the next one."""
        return self.worker._round()

    def failing(self) -> dict[str, tuple[int, float, str]]:
        """Batches to be retried: attempts, seconds until the next one, and the reason, by record."""
        batches = self.stores.outbox.batches()
        return {one.record_id: (one.attempts, one.retry_at - self.moment.now, one.reason) for one in batches}

    def waiting(self) -> list[str]:
        """Records of the rows that wait."""
        return [row.record_id for row in self.stores.outbox.waiting()]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Nothing waits."""
    moment = ManualClock()
    stores = open_stores(tmp_path, moment)
    yield Desk(stores, moment)
    stores.close()


def failed_once(desk: Desk, *records: str) -> None:
    """A batch of each record whose first attempt failed, and which is due again."""
    desk.arrive(*records)
    desk.around.posts |= dict.fromkeys(records, BUSY)
    desk.round()
    for record_id in records:
        del desk.around.posts[record_id]
    desk.around.tried.clear()
    desk.around.looked.clear()
    desk.around.prepared.clear()
    desk.moment.now += 1


def test_what_is_due_is_posted_and_acknowledged(desk: Desk) -> None:
    """The thread is stored and the rows are gone; the status counts rows, not batches."""
    desk.arrive("x", "y")
    assert desk.round() == 0.0
    assert desk.around.tried == ["x", "y"]
    assert desk.waiting() == []
    assert desk.stores.outbox.batches() == []
    assert desk.stores.threads.get(CHANNEL, "x") == desk.around.thread_of(
        Batch(batch_id="b", channel_id=CHANNEL, table="incident", record_id="x", claimed_at=NOW), Posted("p" * 26)
    )
    desk.arrive("x", "x", "x")
    desk.moment.now += 20
    assert desk.round() == 0.0
    assert desk.around.prepared[-1] == ("x", 3, False)
    assert (desk.health.health().delivered, desk.health.health().delivered_at) == (5, desk.moment.now)
    assert desk.stores.outbox.known("e2")


def test_the_next_round_comes_when_something_is_due(desk: Desk) -> None:
    """At once after a round with work, in thirty seconds if nothing waits, and never in no time at all."""
    assert desk.round() == 30.0
    desk.arrive("x")
    assert desk.round() == 0.0
    desk.arrive("x")
    assert desk.round() == 20.0
    desk.moment.now += 15
    assert desk.round() == 5.0
    desk.moment.now += 4.999
    assert desk.round() == 0.01


def test_batches_have_ids_of_mattermosts_form(desk: Desk) -> None:
    """26 characters of its alphabet, another one for each."""
    records = [f"r{number}" for number in range(20)]
    desk.around.later |= dict.fromkeys(records, ("not now", 0.0))
    desk.arrive(*records)
    desk.round()
    ids = [batch.batch_id for batch in desk.stores.outbox.batches()]
    assert len(set(ids)) == 20
    assert {len(one) for one in ids} == {26}
    assert set("".join(ids)) <= set("ybndrfg8ejkmcpqxot1uwisza345h769")


def test_a_round_takes_a_hundred_batches(desk: Desk) -> None:
    """As many as one request to ServiceNow reads; the others come in the next round."""
    desk.arrive(*(f"r{number}" for number in range(BATCHES + 1)))
    assert desk.round() == 0.0
    assert (len(desk.around.tried), len(desk.waiting())) == (100, 1)


def test_nothing_to_post_is_acknowledged_and_not_counted(desk: Desk) -> None:
    """Its thread is left as it was."""
    desk.around.posts["x"] = None
    desk.arrive("x")
    desk.round()
    assert (desk.waiting(), desk.stores.threads.get(CHANNEL, "x"), desk.health.health().delivered) == ([], None, 0)


def test_a_notice_that_is_not_ready_waits_as_long_as_was_asked(desk: Desk) -> None:
    """A second, or longer if the server said so; others are posted meanwhile."""
    desk.around.later |= {"x": ("ServiceNow is silent", 30.0), "y": ("not now", 0.0)}
    desk.arrive("x", "y", "z")
    with structlog.testing.capture_logs() as logs:
        desk.round()
    assert desk.around.tried == ["z"]
    assert desk.failing() == {"x": (1, 30.0, "ServiceNow is silent"), "y": (1, 1.0, "not now")}
    assert desk.health.health().given_up == 0
    lines = [(line["log_level"], line["batches"], line["reason"]) for line in logs]
    assert lines == [("warning", 1, "ServiceNow is silent"), ("warning", 1, "not now")]
    assert {line["event"] for line in logs} == {"notices postponed"}


def test_an_outage_is_three_lines_in_the_log(desk: Desk) -> None:
    """The most frequent reasons first."""
    records = {f"r{number}": (f"reason {number // 2}", 0.0) for number in range(9)}
    desk.around.later |= records
    desk.arrive(*records)
    with structlog.testing.capture_logs() as logs:
        desk.round()
    assert [(line["batches"], line["reason"]) for line in logs] == [(2, f"reason {number}") for number in range(3)]


@pytest.mark.parametrize(
    ("error", "tried", "reasons"),
    [
        (DOWN, ["x"], {"x": (1, 1.0, "down"), "y": (1, 1.0, "down")}),
        (
            MattermostSilent("slow down", 429, 60.0),
            ["x"],
            {"x": (1, 60.0, "slow down"), "y": (1, 60.0, "slow down")},
        ),
        (BUSY, ["x", "y"], {"x": (1, 1.0, "busy")}),
        (ValueError("x"), ["x", "y"], {"x": (1, 1.0, "could not be posted: ValueError")}),
    ],
)
def test_a_post_that_fails_is_retried(
    desk: Desk, error: Exception, tried: list[str], reasons: dict[str, tuple[int, float, str]]
) -> None:
    """If Mattermost doesn't answer at all, the others aren't tried either."""
    desk.around.posts["x"] = error
    desk.arrive("x", "y")
    assert desk.round() == 0.0
    assert desk.around.tried == tried
    assert desk.failing() == reasons
    assert desk.round() == min(seconds for _, seconds, _ in reasons.values())


def test_a_post_that_is_rejected_permanently_is_given_up(desk: Desk) -> None:
    """It is counted and logged, and others are posted."""
    desk.around.posts["x"] = MattermostRefused("no such thing", 400)
    desk.arrive("x", "x", "y")
    with structlog.testing.capture_logs() as logs:
        desk.round()
    assert (desk.waiting(), desk.around.tried) == ([], ["x", "y"])
    assert (desk.health.health().given_up, desk.health.health().delivered) == (2, 1)
    [line] = [line for line in logs if line["event"] == "Mattermost rejected the post permanently"]
    assert (line["log_level"], line["reason"], len(line["batch"])) == ("error", "no such thing", 26)


def test_a_storage_that_fails_ends_the_round(desk: Desk) -> None:
    """Nothing is acknowledged that may have to be posted again."""
    desk.around.posts["x"] = StorageFailed("full")
    desk.arrive("x", "y")
    with pytest.raises(StorageFailed):
        desk.round()
    assert desk.around.tried == ["x"]
    assert desk.waiting() == ["x", "y"]


def test_a_batch_is_given_up_after_a_day_of_attempts(desk: Desk) -> None:
    """Its rows are dropped and counted, and the reason is logged."""
    desk.around.posts["x"] = BUSY
    desk.arrive("x")
    with structlog.testing.capture_logs() as logs:
        while desk.waiting():
            wait = desk.round()
            desk.moment.now += wait
    assert DAY < desk.moment.now - NOW < DAY + 2000
    assert desk.health.health().given_up == 1
    [line] = [line for line in logs if line["event"] == "notice given up"]
    assert (line["log_level"], line["reason"], len(line["batch"])) == ("error", "busy", 26)
    assert line["attempts"] >= 20


def test_a_retry_is_looked_up_first(desk: Desk) -> None:
    """What an earlier attempt posted is acknowledged with its thread; what it didn't is posted."""
    failed_once(desk, "done", "begun", "new")
    posted = Posted("q" * 26, "t" * 26)
    desk.around.earlier |= {
        "done": Found(posted, frozenset({"e1"}), 1, True),
        "begun": Found(posted, frozenset({"e2"}), 1, False),
    }
    desk.arrive("fresh")
    assert desk.round() == 0.0
    assert desk.around.looked == ["done", "begun", "new"]
    assert desk.around.prepared == [("begun", 1, True), ("new", 1, False), ("fresh", 1, False)]
    assert desk.around.tried == ["begun", "new", "fresh"]
    assert desk.waiting() == []
    assert (thread := desk.stores.threads.get(CHANNEL, "done")) is not None
    assert thread.root_id == "q" * 26
    assert desk.health.health().delivered == 4


@pytest.mark.parametrize(
    ("error", "looked", "tried", "failing"),
    [
        (ChannelClosed("archived"), ["x", "y"], ["x", "y", "z"], {}),
        (BUSY, ["x", "y"], ["y", "z"], {"x": (2, 2.0, "busy")}),
        (MattermostRefused("odd", 400), ["x", "y"], ["y", "z"], {"x": (2, 2.0, "odd")}),
        (DOWN, ["x"], [], {"x": (2, 2.0, "down"), "y": (2, 2.0, "down"), "z": (1, 1.0, "down")}),
    ],
)
def test_a_lookup_that_fails_posts_nothing_twice(
    desk: Desk, error: AppError, looked: list[str], tried: list[str], failing: dict[str, tuple[int, float, str]]
) -> None:
    """The batch is retried later; a closed channel is left to the post, which reports it."""
    failed_once(desk, "x", "y")
    desk.around.earlier["x"] = error
    desk.arrive("z")
    desk.round()
    assert (desk.around.looked, desk.around.tried) == (looked, tried)
    assert desk.failing() == failing


def test_while_the_app_is_off_nothing_is_read_or_posted(desk: Desk) -> None:
    """Old and new batches wait with that reason, and are posted when it is enabled again in time."""
    failed_once(desk, "x")
    desk.muted = True
    desk.arrive("y")
    assert desk.round() == 0.0
    assert (desk.around.looked, desk.around.prepared) == ([], [])
    off = "turned off by an administrator"
    assert desk.failing() == {"x": (2, 2.0, off), "y": (1, 1.0, off)}
    desk.muted = False
    desk.moment.now += 2
    assert desk.round() == 0.0
    assert desk.waiting() == []


def test_what_waits_for_longer_than_a_day_while_the_app_is_off_is_given_up(desk: Desk) -> None:
    """Each batch counts."""
    desk.muted = True
    desk.arrive("x")
    while desk.waiting():
        desk.moment.now += desk.round()
    assert desk.health.health().given_up == 1


def test_owners_are_notified_in_each_round(desk: Desk) -> None:
    """Also if there was nothing to do; if that fails, the round is as good as any."""
    desk.round()
    desk.arrive("x")
    desk.round()
    assert desk.around.notified == 2
    desk.around.silent = DOWN
    with structlog.testing.capture_logs() as logs:
        assert desk.round() == 30.0
    [line] = logs
    assert (line["event"], line["log_level"], line["reason"]) == ("owners could not be notified", "warning", "down")
