"""What happens to an incoming report: which rows wait, which subscriptions are parked, what is counted."""

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
class Setup:
    """Intake on its own storage; ``calls`` counts how often the worker was woken."""

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
        """A request, signed if no *signature* is given; *body* as bytes or as JSON."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = signed(raw, str(int(self.moment.now) + ahead))
        if signature is not None:
            headers["X-ServiceNow-Signature"] = signature
        return self.intake.receive(headers, raw)

    def rows(self) -> list[tuple[Queued, Content | None]]:
        """The waiting rows, without their order of arrival."""
        waiting = self.stores.outbox.waiting()
        contents = self.stores.outbox.opened([row.key for row in waiting])
        return [(replace(row, number=0), contents[row.key]) for row in waiting]


@pytest.fixture
def setup(tmp_path: Path) -> Iterator[Setup]:
    """The owner is connected and has one grant."""
    moment = ManualClock()
    stores = open_stores(tmp_path, moment)
    stores.accounts.put(ACCOUNT)
    stores.grants.put(GRANT)
    yield Setup(stores, moment)
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


def report_for(*matches: Match) -> Report:
    """`REPORT` for these subscriptions."""
    return replace(REPORT, matches=matches)


def test_a_report_waits_in_one_row_per_channel_and_owner(setup: Setup) -> None:
    """
    Each row contains only what concerns its own subscriptions: not those of another channel, and not those of this
    channel that an owner must verify.
    """
    second = replace(MATCH, sys_id="6" * 32, channel_id=OTHER)
    setup.stores.grants.put(replace(GRANT, sys_id=second.sys_id, channel_id=OTHER))
    claimed = replace(MATCH, sys_id="7" * 32)  # its owner created it in ServiceNow
    third = replace(MATCH, sys_id="8" * 32)
    setup.stores.grants.put(replace(GRANT, sys_id=third.sys_id))
    report = report_for(MATCH, second, claimed, third)
    assert setup.intake.accept(report) is True
    assert setup.rows() == [
        (
            row(CHANNEL),
            {"report": json_of(report_for(MATCH, third)), "granted": [SUBSCRIPTION, third.sys_id]},
        ),
        (row(OTHER), {"report": json_of(report_for(second)), "granted": [second.sys_id]}),
        (row(CHANNEL, OWNER), {"report": json_of(report_for(claimed)), "claimed": [claimed.sys_id]}),
    ]
    assert len(setup.calls) == 1
    assert setup.stores.parked.all() == []


def test_a_channels_row_reveals_nothing_about_another_channel(setup: Setup) -> None:
    """Not even if a report names the same subscription for both."""
    moved = replace(MATCH, channel_id=OTHER)
    assert setup.intake.accept(report_for(MATCH, moved)) is True
    assert setup.rows() == [
        (row(CHANNEL), {"report": json_of(report_for(MATCH)), "granted": [SUBSCRIPTION]}),
        (row(OTHER, OWNER), {"report": json_of(report_for(moved)), "claimed": [SUBSCRIPTION]}),
    ]


def json_of(report: Report) -> Json:
    """What is stored of it."""
    return dict(json.loads(json.dumps(packed(report))))


def test_a_signed_report_is_accepted_once_and_its_clock_is_known(setup: Setup) -> None:
    """A slash at the end of our address makes no difference."""
    assert setup.send(body(server_url=f"{APP_URL}/"), ahead=3) is True
    assert [queued for queued, _ in setup.rows()] == [row(CHANNEL)]
    assert setup.rejections.clock_offset == 3.0
    assert setup.send(body()) is False
    assert (len(setup.rows()), len(setup.calls), setup.rejections.counts()) == (1, 1, {})


def test_of_two_equal_events_only_the_stored_one_wakes_the_worker(setup: Setup) -> None:
    """Both were unknown at first; the disk decides."""

    class Racing:
        """An outbox whose answer comes too late."""

        def known(self, event_id: str) -> bool:
            """Not at the time of the question."""
            return False

        def add(self, event_id: str, rows: Sequence[tuple[Queued, Content]]) -> bool:
            """The other was first."""
            return setup.stores.outbox.add(event_id, rows)

    intake = setup.over(Racing())
    assert intake.accept(REPORT) is True
    assert intake.accept(REPORT) is False
    assert len(setup.calls) == 1


def test_a_report_without_recipients_is_remembered_and_wakes_nobody(setup: Setup) -> None:
    """A class that isn't shared, and a paused subscription; neither is parked."""
    assert REPORT.record is not None
    secret = replace(REPORT, record=replace(REPORT.record, table="sn_hr_core_case"))
    assert setup.intake.accept(secret) is True
    assert setup.intake.accept(REPORT) is False
    setup.stores.grants.put(replace(GRANT, status=Status.PAUSED.value))
    assert setup.intake.accept(replace(REPORT, event_id="e2")) is True
    assert (setup.rows(), setup.calls, setup.stores.parked.all()) == ([], [], [])


def test_a_connection_test_is_recorded_and_stores_nothing(setup: Setup) -> None:
    """Every time; a test of a subscription is recorded and posted, and other reports record nothing."""
    way = body(record=None, subscriptions=[], test="nonce-1")
    assert setup.send(way) is True
    assert setup.send(way) is True
    assert setup.rows() == []
    assert setup.received_tests.arrived("nonce-1", 0) is True
    assert setup.send(body(test="nonce-2", events=[])) is True
    assert setup.received_tests.arrived("nonce-2", 0) is True
    assert [queued for queued, _ in setup.rows()] == [row(CHANNEL)]
    setup.intake.accept(replace(REPORT, event_id="e2"))
    assert setup.received_tests.arrived("", 0) is False


def test_an_account_of_another_instance_owns_nothing(setup: Setup) -> None:
    """Its user name belongs to someone else there."""
    setup.stores.accounts.put(replace(ACCOUNT, instance="https://old.service-now.com", version=2))
    claimed = replace(MATCH, sys_id="7" * 32)
    setup.intake.accept(report_for(claimed))
    [parked] = setup.stores.parked.all()
    assert parked.reason == "The row was made in ServiceNow, and its owner has no connected account here."
    assert setup.rows() == []


def test_a_grants_owner_created_it_here_whoever_the_row_names(setup: Setup) -> None:
    """Someone who wrote another ID into their row isn't asked about it."""
    setup.stores.accounts.put(replace(ACCOUNT, person_id="m" * 26, identity=replace(ACCOUNT.identity, user_name="eve")))
    changed = replace(MATCH, user_id="m" * 26, channel_id=OTHER, created_by="eve", updated_by="eve")
    setup.intake.accept(report_for(changed))
    assert setup.rows() == []
    assert [one.reason for one in setup.stores.parked.all()] == [
        "The row was changed in ServiceNow by somebody else than its owner."
    ]


def test_a_parked_subscription_is_stored_once_an_hour(setup: Setup) -> None:
    """With everything administrators need; the time of the last message is kept."""
    foreign = replace(MATCH, sys_id="7" * 32, updated_by="mallory")
    seen: list[float] = []

    def again(after: float, match: Match = foreign) -> None:
        setup.moment.now = NOW + after
        setup.intake.accept(replace(REPORT, event_id=f"e{after}", matches=[match]))
        [parked] = setup.stores.parked.all()
        seen.append(parked.seen_at - NOW)

    again(0)
    [first] = setup.stores.parked.all()
    assert asdict(first) == {
        "sys_id": foreign.sys_id,
        "channel_id": CHANNEL,
        "created_by": "abel",
        "updated_by": "mallory",
        "reason": "The row was made in ServiceNow by somebody else than its owner.",
        "seen_at": NOW,
        "told_at": 0.0,
    }
    setup.stores.parked.put([replace(first, told_at=NOW + 5, created_by="as written")])
    again(0.0)
    [kept] = setup.stores.parked.all()
    assert kept.created_by == "as written"
    again(3599.5)
    again(3600)
    again(3601, replace(foreign, user_id="n" * 26))  # another reason
    again(100)  # the clock was set back
    assert seen == [0, 0, 0, 3600, 3601, 100]
    [last] = setup.stores.parked.all()
    assert last.told_at == NOW + 5


def test_an_unverified_request_is_counted_by_its_missing_proof(setup: Setup) -> None:
    """Only one with a valid signature shows the clock difference."""
    with pytest.raises(ReportRefused):
        setup.send(body(), signature="v1=x")
    assert (setup.rejections.counts(), setup.rejections.clock_offset) == ({"bad_mac": 1}, 0.0)
    setup.moment.now += 9
    with pytest.raises(ReportRefused):
        setup.send(body(), ahead=301)
    assert setup.rejections.counts() == {"bad_mac": 1, "stale": 1}
    assert (setup.rejections.at, setup.rejections.reason, setup.rejections.clock_offset) == (NOW + 9, "stale", 301.0)
    assert setup.rows() == []


@pytest.mark.parametrize("raw", [b"", b"[]", b"{", b"\xff\xfe", b'"text"', b"[" * 100_000, b"NaN"])
def test_a_body_that_isnt_an_object_is_malformed(setup: Setup, raw: bytes) -> None:
    """Whatever it is instead."""
    with pytest.raises(InvalidInput) as caught:
        setup.send(raw)
    assert list(caught.value.fields) == [""]
    assert setup.rejections.counts() == {"malformed": 1}


def test_a_malformed_report_and_one_for_another_server_are_counted_separately(setup: Setup) -> None:
    """Nothing is stored of either."""
    with pytest.raises(InvalidInput) as caught:
        setup.send(body(event_id=None))
    assert list(caught.value.fields) == ["event_id"]
    for another in ("https://another.example", f"{APP_URL}~"):
        with pytest.raises(InvalidInput) as caught:
            setup.send(body(server_url=another))
        assert list(caught.value.fields) == ["server_url"]
    assert setup.rejections.counts() == {"malformed": 1, "wrong_server": 2}
    assert setup.rows() == []
    assert not setup.stores.outbox.known("e1")


def test_a_lone_surrogate_becomes_a_question_mark(setup: Setup) -> None:
    """It is legal JSON, and nothing behind us could encode it."""
    record = body()["record"] | {"short_description": "\ud800 \u00fc"}
    assert setup.send(body(record=record)) is True
    [(_, content)] = setup.rows()
    assert content is not None
    assert content["report"]["record"]["short_description"] == "? \u00fc"
