"""What administrators see about notices, which reports were rejected, and what an earlier process posted."""

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
import structlog

from core.errors import ChannelClosed
from core.notices import DeliveryHealth
from core.outbox import Batch, Claim, Posted, Queued
from core.storage_ports import Stores
from core.upstream_errors import MattermostSilent
from notifications.health import Health, ReceivedTests, Rejections
from notifications.publisher import PostedLookup
from tests.unit.noticing import CHANNEL, NOW, RECORD, ManualClock, open_stores


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    """Empty."""
    opened_ = open_stores(tmp_path, ManualClock())
    yield opened_
    opened_.close()


def queued(event_id: str, stored_at: float, channel_id: str = CHANNEL) -> Queued:
    """A row."""
    return Queued(
        key=f"{event_id}/{channel_id}",
        event_id=event_id,
        channel_id=channel_id,
        table="incident",
        record_id=RECORD,
        stored_at=stored_at,
    )


def batch(batch_id: str, claimed_at: float, reason: str) -> Batch:
    """A batch that failed, or not yet."""
    return Batch(
        batch_id=batch_id,
        channel_id=CHANNEL,
        table="incident",
        record_id=RECORD,
        claimed_at=claimed_at,
        reason=reason,
    )


def test_the_status_is_empty_at_first(stores: Stores) -> None:
    """No counts, no times."""
    assert Health(stores.outbox, ManualClock()).health() == DeliveryHealth()


def test_everything_that_happened_is_counted(stores: Stores) -> None:
    """Of the failed batches, the oldest one's reason is shown."""
    moment = ManualClock()
    health = Health(stores.outbox, moment)
    for number, at in enumerate((NOW + 5, NOW + 3, NOW + 4)):
        assert stores.outbox.add(f"e{number}", [(queued(f"e{number}", at), {})])
    health.asking("ServiceNow is down")
    health.given_up(2)
    health.given_up(1)
    health.delivered(3)
    moment.now += 9
    health.delivered(4)
    health.rejections.refused("stale")
    health.rejections.proved(301.0)
    told: dict[str, Any] = {
        "waiting": 3,
        "oldest_at": NOW + 3,
        "delivered_at": NOW + 9,
        "refused_at": NOW + 9,
        "refused_reason": "stale",
        "clock_offset": 301.0,
        "refused": {"stale": 1},
        "delivered": 7,
        "given_up": 3,
    }
    assert health.health() == DeliveryHealth(**told, trouble="ServiceNow is down")
    batches = [batch("b0", NOW + 1, ""), batch("b1", NOW + 3, "later"), batch("b2", NOW + 2, "first")]
    keys = [one.key for one in stores.outbox.waiting()]
    assert len(stores.outbox.claim([Claim(one, (key,)) for one, key in zip(batches, keys, strict=True)])) == 3
    assert health.health() == DeliveryHealth(**told, trouble="first")
    stores.outbox.ack(["b1", "b2"])
    health.asking("")
    assert health.health().trouble == ""


@pytest.mark.usefixtures("every_log_line")
def test_rejections_are_counted_and_their_log_lines_limited() -> None:
    """Anyone can send invalid reports: at most one line per second, and every one is counted."""
    moment = ManualClock()
    refusals = Rejections(moment)
    assert (refusals.counts(), refusals.at, refusals.reason, refusals.clock_offset) == ({}, 0.0, "", 0.0)
    with structlog.testing.capture_logs() as logs:
        refusals.refused("bad_mac", "why")
        moment.now += 5
        refusals.refused("stale")
        refusals.refused("bad_mac")
    assert (refusals.counts(), refusals.at, refusals.reason) == ({"bad_mac": 2, "stale": 1}, NOW + 5, "bad_mac")
    assert [(line["reason"], line["detail"]) for line in logs] == [("bad_mac", "why")]


def test_a_test_report_wakes_the_waiting_administrator() -> None:
    """Even if it came first; another one wakes nobody."""
    arrivals = ReceivedTests()
    assert arrivals.arrived("n1", 0) is False
    arrivals.note("n0")
    assert arrivals.arrived("n1", 0) is False
    found: list[bool] = []
    waiting = threading.Thread(target=lambda: found.append(arrivals.arrived("n1", 60)))
    waiting.start()
    arrivals.note("n1")
    waiting.join(30)
    assert (found, arrivals.arrived("n1", 0), arrivals.arrived("n0", 0)) == ([True], True, True)


@dataclass
class Bot:
    """What channels contain."""

    fails: Exception | None = None
    asked: list[tuple[str, float]] = field(default_factory=list)

    def told(self, channel_id: str, since: float) -> Mapping[str, Posted]:
        self.asked.append((channel_id, since))
        if self.fails is not None:
            raise self.fails
        return {f"in {channel_id}": Posted("p1")}


def test_each_channel_is_searched_once_for_earlier_posts() -> None:
    """From the oldest row on; not for rows that arrived since."""
    bot = Bot()
    left = [queued("e1", NOW + 5), queued("e2", NOW + 3), queued("e3", NOW + 4, "d" * 26)]
    earlier = PostedLookup(left, cast("Any", bot))
    assert earlier.found(queued("e4", NOW)) == {}
    assert bot.asked == []
    for one in (*left, *left):
        assert earlier.found(one) == {f"in {one.channel_id}": Posted("p1")}
    assert bot.asked == [(CHANNEL, NOW + 3), ("d" * 26, NOW + 4)]


def test_an_archived_channel_has_none_and_an_unavailable_mattermost_is_asked_again() -> None:
    """The publisher notices that it is archived."""
    bot = Bot(ChannelClosed("archived"))
    one = queued("e1", NOW)
    earlier = PostedLookup([one], cast("Any", bot))
    assert earlier.found(one) == {}
    bot.fails = MattermostSilent("down")
    with pytest.raises(MattermostSilent):
        earlier.found(one)
    bot.fails = None
    assert earlier.found(one) == {f"in {CHANNEL}": Posted("p1")}
