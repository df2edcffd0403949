"""What becomes of a report that comes in: which rows wait, which subscriptions are parked, what is counted."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from core.errors import InvalidInput
from core.notices import Match, Report
from core.outbox import Content, Queued
from core.storage_ports import Stores
from core.subscriptions import Status
from notifications.health import ReceivedTests, Rejections
from notifications.schema import packed
from notifications.webhook import Intake, ReportRefused, Signatures
from tests.unit.noticing import (
    ACCOUNT,
    APP_URL,
    CHANNEL,
    GRANT,
    INSTANCE,
    MATCH,
    NOW,
    OWNER,
    RECORD,
    REPORT,
    SUBSCRIPTION,
    Keys,
    ManualClock,
    open_stores,
    signed,
)

Json = dict[str, Any]
OTHER = "d" * 26


@dataclass
class Door:
    """Intake on a storage of its own; ``calls`` is how often somebody was to look at what is stored."""

    stores: Stores
    moment: ManualClock
    calls: list[None] = field(default_factory=list)
    received_tests: ReceivedTests = field(default_factory=ReceivedTests)

    def __post_init__(self) -> None:
        self.rejections = Rejections(self.moment)
        self.intake = self.over(self.stores.outbox)

    def over(self, outbox: Any) -> Intake:
        """Intake into an outbox."""
        return Intake(
            Signatures(Keys(), self.moment),
            self.rejections,
            self.received_tests,
            outbox=outbox,
            parked=self.stores.parked,
            grants=self.stores.grants,
            accounts=self.stores.accounts,
            app_url=APP_URL,
            instance=lambda: INSTANCE,
            tables=("incident", "kb_knowledge"),
            clock=self.moment,
            stored=lambda: self.calls.append(None),
        )

    def send(self, body: Any, ahead: int = 0, signature: str | None = None) -> bool:
        """A request, signed where no *signature* is given; *body* as bytes or as JSON."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = signed(raw, str(int(self.moment.now) + ahead))
        if signature is not None:
            headers["X-ServiceNow-Signature"] = signature
        return self.intake.receive(headers, raw)

    def rows(self) -> list[tuple[Queued, Content | None]]:
        """What waits, without the order of its arrival."""
        waiting = self.stores.outbox.waiting()
        contents = self.stores.outbox.opened([row.key for row in waiting])
        return [(replace(row, number=0), contents[row.key]) for row in waiting]


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    """The owner is connected, and has one grant."""
    moment = ManualClock()
    stores = open_stores(tmp_path, moment)
    stores.accounts.put(ACCOUNT)
    stores.grants.put(GRANT)
    yield Door(stores, moment)
    stores.close()


def body(**more: Any) -> Json:
    """`REPORT` as the component writes it."""
    content = asdict(replace(REPORT, matches=()))
    del content["matches"]
    subscription = asdict(MATCH)
    subscription["record_type"] = subscription.pop("table")
    written = {
        **content,
        "occurred_at": datetime.fromtimestamp(NOW, UTC).isoformat(),
        "subscriptions": [subscription],
    }
    return written | more


def row(channel_id: str, held_for: str = "") -> Queued:
    """A row of `REPORT`."""
    key = f"e1/{channel_id}" + (f"/{held_for}" if held_for else "")
    return Queued(
        key=key,
        event_id="e1",
        channel_id=channel_id,
        table="incident",
        record_id=RECORD,
        stored_at=NOW,
        held_for=held_for,
    )


def about(*matches: Match) -> Report:
    """`REPORT`, for these subscriptions."""
    return replace(REPORT, matches=matches)


def test_a_report_waits_in_one_row_per_channel_and_owner_to_be_asked(door: Door) -> None:
    """
    Each row tells what concerns its own subscriptions and no others: not those of another channel, and not those of
    this channel that an owner has to be asked about.
    """
    second = replace(MATCH, sys_id="6" * 32, channel_id=OTHER)
    door.stores.grants.put(replace(GRANT, sys_id=second.sys_id, channel_id=OTHER))
    claimed = replace(MATCH, sys_id="7" * 32)  # made in ServiceNow by its owner
    third = replace(MATCH, sys_id="8" * 32)
    door.stores.grants.put(replace(GRANT, sys_id=third.sys_id))
    report = about(MATCH, second, claimed, third)
    assert door.intake.accept(report) is True
    assert door.rows() == [
        (
            row(CHANNEL),
            {"report": json_of(about(MATCH, third)), "granted": [SUBSCRIPTION, third.sys_id]},
        ),
        (row(OTHER), {"report": json_of(about(second)), "granted": [second.sys_id]}),
        (row(CHANNEL, OWNER), {"report": json_of(about(claimed)), "claimed": [claimed.sys_id]}),
    ]
    assert len(door.calls) == 1
    assert door.stores.parked.all() == []


def test_a_row_of_a_channel_tells_nothing_of_another_channel(door: Door) -> None:
    """Not even where a report names the same subscription for both."""
    moved = replace(MATCH, channel_id=OTHER)
    assert door.intake.accept(about(MATCH, moved)) is True
    assert door.rows() == [
        (row(CHANNEL), {"report": json_of(about(MATCH)), "granted": [SUBSCRIPTION]}),
        (row(OTHER, OWNER), {"report": json_of(about(moved)), "claimed": [SUBSCRIPTION]}),
    ]


def json_of(report: Report) -> Json:
    """What is stored of it."""
    return dict(json.loads(json.dumps(packed(report))))


def test_a_signed_report_is_taken_and_its_clock_is_known(door: Door) -> None:
    """Once; a slash at the end of our address makes no difference."""
    assert door.send(body(server_url=f"{APP_URL}/"), ahead=3) is True
    assert [queued for queued, _ in door.rows()] == [row(CHANNEL)]
    assert door.rejections.clock_offset == 3.0
    assert door.send(body()) is False
    assert (len(door.rows()), len(door.calls), door.rejections.counts()) == (1, 1, {})


def test_of_the_same_event_at_once_only_the_one_that_was_stored_wakes_somebody(door: Door) -> None:
    """Both found it unknown; the disk decides."""

    class Racing:
        """An outbox whose answer came too late."""

        def known(self, event_id: str) -> bool:
            """Not when it was asked."""
            return False

        def add(self, event_id: str, rows: Sequence[tuple[Queued, Content]]) -> bool:
            """The other was first."""
            return door.stores.outbox.add(event_id, rows)

    intake = door.over(Racing())
    assert intake.accept(REPORT) is True
    assert intake.accept(REPORT) is False
    assert len(door.calls) == 1


def test_a_report_that_nobody_may_have_is_known_and_wakes_nobody(door: Door) -> None:
    """A class that is not shared, and a paused subscription; neither is parked."""
    assert REPORT.record is not None
    secret = replace(REPORT, record=replace(REPORT.record, table="sn_hr_core_case"))
    assert door.intake.accept(secret) is True
    assert door.intake.accept(REPORT) is False
    door.stores.grants.put(replace(GRANT, status=Status.PAUSED.value))
    assert door.intake.accept(replace(REPORT, event_id="e2")) is True
    assert (door.rows(), door.calls, door.stores.parked.all()) == ([], [], [])


def test_a_test_of_the_way_is_noted_and_stores_nothing(door: Door) -> None:
    """Every time; a test of a subscription is noted and posted, and other reports note nothing."""
    way = body(record=None, subscriptions=[], test="nonce-1")
    assert door.send(way) is True
    assert door.send(way) is True
    assert door.rows() == []
    assert door.received_tests.arrived("nonce-1", 0) is True
    assert door.send(body(test="nonce-2", events=[])) is True
    assert door.received_tests.arrived("nonce-2", 0) is True
    assert [queued for queued, _ in door.rows()] == [row(CHANNEL)]
    door.intake.accept(replace(REPORT, event_id="e2"))
    assert door.received_tests.arrived("", 0) is False


def test_an_account_of_another_instance_owns_nothing(door: Door) -> None:
    """Its user name is somebody else's there."""
    door.stores.accounts.put(replace(ACCOUNT, instance="https://old.service-now.com", version=2))
    claimed = replace(MATCH, sys_id="7" * 32)
    door.intake.accept(about(claimed))
    [parked] = door.stores.parked.all()
    assert parked.reason == "The row was made in ServiceNow, and its owner has no connected account here."
    assert door.rows() == []


def test_the_owner_of_a_grant_is_who_set_it_up_not_whom_the_row_names(door: Door) -> None:
    """Somebody who wrote another id into a row of theirs is not asked about it."""
    door.stores.accounts.put(replace(ACCOUNT, person_id="m" * 26, identity=replace(ACCOUNT.identity, user_name="eve")))
    changed = replace(MATCH, user_id="m" * 26, channel_id=OTHER, created_by="eve", updated_by="eve")
    door.intake.accept(about(changed))
    assert door.rows() == []
    assert [one.reason for one in door.stores.parked.all()] == [
        "The row was changed in ServiceNow by somebody else than its owner."
    ]


def test_a_parked_subscription_is_written_down_once_an_hour(door: Door) -> None:
    """With all that administrators need; when they were told of it stays."""
    foreign = replace(MATCH, sys_id="7" * 32, updated_by="mallory")
    seen: list[float] = []

    def again(after: float, match: Match = foreign) -> None:
        door.moment.now = NOW + after
        door.intake.accept(replace(REPORT, event_id=f"e{after}", matches=[match]))
        [parked] = door.stores.parked.all()
        seen.append(parked.seen_at - NOW)

    again(0)
    [first] = door.stores.parked.all()
    assert asdict(first) == {
        "sys_id": foreign.sys_id,
        "channel_id": CHANNEL,
        "created_by": "abel",
        "updated_by": "mallory",
        "reason": "The row was made in ServiceNow by somebody else than its owner.",
        "seen_at": NOW,
        "told_at": 0.0,
    }
    door.stores.parked.put([replace(first, told_at=NOW + 5, created_by="as written")])
    again(0.0)
    [kept] = door.stores.parked.all()
    assert kept.created_by == "as written"
    again(3599.5)
    again(3600)
    again(3601, replace(foreign, user_id="n" * 26))  # another reason
    again(100)  # the clock was set back
    assert seen == [0, 0, 0, 3600, 3601, 100]
    [last] = door.stores.parked.all()
    assert last.told_at == NOW + 5


def test_a_request_without_a_proof_is_counted_by_what_it_lacks(door: Door) -> None:
    """Only one whose signature holds says anything about a clock."""
    with pytest.raises(ReportRefused):
        door.send(body(), signature="v1=x")
    assert (door.rejections.counts(), door.rejections.clock_offset) == ({"bad_mac": 1}, 0.0)
    door.moment.now += 9
    with pytest.raises(ReportRefused):
        door.send(body(), ahead=301)
    assert door.rejections.counts() == {"bad_mac": 1, "stale": 1}
    assert (door.rejections.at, door.rejections.reason, door.rejections.clock_offset) == (NOW + 9, "stale", 301.0)
    assert door.rows() == []


@pytest.mark.parametrize("raw", [b"", b"[]", b"{", b"\xff\xfe", b'"text"', b"[" * 100_000, b"NaN"])
def test_what_is_no_object_is_malformed(door: Door, raw: bytes) -> None:
    """Whatever it is instead."""
    with pytest.raises(InvalidInput) as caught:
        door.send(raw)
    assert list(caught.value.fields) == [""]
    assert door.rejections.counts() == {"malformed": 1}


def test_a_report_of_another_shape_is_malformed_and_one_for_another_server_is_not_ours(door: Door) -> None:
    """Counted apart; nothing is stored of either."""
    with pytest.raises(InvalidInput) as caught:
        door.send(body(event_id=None))
    assert list(caught.value.fields) == ["event_id"]
    for another in ("https://another.example", f"{APP_URL}~"):
        with pytest.raises(InvalidInput) as caught:
            door.send(body(server_url=another))
        assert list(caught.value.fields) == ["server_url"]
    assert door.rejections.counts() == {"malformed": 1, "wrong_server": 2}
    assert door.rows() == []
    assert not door.stores.outbox.known("e1")


def test_half_a_character_becomes_a_question_mark(door: Door) -> None:
    """It is legal JSON, and nothing behind us could encode it."""
    record = body()["record"] | {"short_description": "\ud800 \u00fc"}
    assert door.send(body(record=record)) is True
    [(_, content)] = door.rows()
    assert content is not None
    assert content["report"]["record"]["short_description"] == "? \u00fc"
