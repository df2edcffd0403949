"""Rows that wait for their owners: who is asked when, and what is released, dropped or given up."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest
import structlog

from core.errors import MayNotPost, StorageFailed
from core.notices import Match
from core.outbox import Content, Queued
from core.storage_ports import Stores
from core.subscriptions import TABLE, Status
from core.upstream_errors import MattermostSilent, Unreachable
from notifications.adoption import Adoption
from notifications.adoption_worker import AdoptionWorker
from notifications.health import Health
from notifications.schema import packed
from tests.unit.asked import Asked, row
from tests.unit.noticing import (
    ACCOUNT,
    CHANNEL,
    GRANT,
    MATCH,
    NOW,
    OWNER,
    RECORD,
    REPORT,
    SUBSCRIPTION,
    ManualClock,
    open_stores,
)

pytestmark = pytest.mark.usefixtures("every_log_line")

CLOSED, SILENT = "d" * 26, "s" * 26
DAY = 86_400.0


@dataclass
class Setup:
    """The adopter on its own storage; ``released`` counts how often the poster was woken."""

    stores: Stores
    moment: ManualClock
    asked: Asked = field(default_factory=Asked)
    released: list[None] = field(default_factory=list)
    grants: Any = None
    count: int = 0
    muted: bool = False

    def __post_init__(self) -> None:
        self.grants = self.grants or self.stores.grants
        self.health = Health(self.stores.outbox, self.moment)
        self.adopter = AdoptionWorker(
            outbox=self.stores.outbox,
            adoption=Adoption(
                accounts=self.stores.accounts,
                grants=self.grants,
                parked=self.stores.parked,
                bot=cast("Any", self.asked),
                servicenow_for=self.asked.servicenow_for,
                tables=("incident",),
                clock=self.moment,
            ),
            health=self.health,
            muted=lambda: self.muted,
            clock=self.moment,
            released=lambda: self.released.append(None),
        )
        self.asked.bot |= {CLOSED: MayNotPost("left"), SILENT: MattermostSilent("no answer from Mattermost")}

    def hold(self, content: Content, owner_id: str = OWNER, age: float = 0.0) -> str:
        """A row that arrived *age* seconds ago; returns its key."""
        self.count += 1
        queued = Queued(
            key=f"e{self.count}/{CHANNEL}/{owner_id}",
            event_id=f"e{self.count}",
            channel_id=CHANNEL,
            table="incident",
            record_id=RECORD,
            stored_at=self.moment.now - age,
            held_for=owner_id,
        )
        assert self.stores.outbox.add(queued.event_id, [(queued, content)])
        return queued.key

    def report(self, *matches: Match, claimed: int = 100, **more: Any) -> str:
        """A row whose first *claimed* matches are unverified."""
        content = {
            "report": packed(replace(REPORT, matches=matches)),
            "claimed": [one.sys_id for one in matches[:claimed]],
        }
        return self.hold(content, **more)

    def settle(self, quiet: bool = True) -> None:
        """Run what is due; it ends at once, without an error of ours."""
        began = time.monotonic()
        with structlog.testing.capture_logs() as logs:
            self.adopter.loop.settle(20)
        assert time.monotonic() - began < 15
        wrong = [line for line in logs if line["event"] == "round failed"]
        assert bool(wrong) is not quiet, wrong

    def held(self) -> list[str]:
        """Keys of rows that still wait for an owner."""
        return [one.key for one in self.stores.outbox.waiting() if one.held_for]

    def releasable(self) -> list[str]:
        """Keys of rows that can be posted."""
        return [one.key for one in self.stores.outbox.waiting() if not one.held_for]

    def subscriptions(self) -> list[list[str]]:
        """What was read from the subscriptions table, by request."""
        return [sys_ids for _, table, sys_ids in self.asked.reads if table == TABLE]


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    """The owner is connected; nothing is granted."""
    opened_ = open_stores(tmp_path, ManualClock())
    opened_.accounts.put(ACCOUNT)
    yield opened_
    opened_.close()


@pytest.fixture
def desk(stores: Stores) -> Iterator[Setup]:
    """ServiceNow has the row; the thread runs."""
    made = Setup(stores, ManualClock())
    made.asked.put(row())
    made.adopter.loop.start()
    yield made
    made.adopter.loop.close()


def numbered(number: int, channel_id: str = CHANNEL) -> Match:
    """A subscription of the owner, by number."""
    return replace(MATCH, sys_id=f"{number:032x}", channel_id=channel_id)


def rows_for(desk: Setup, *matches: Match) -> None:
    """ServiceNow's rows for them."""
    desk.asked.put(*(row(one.sys_id, channel_id=one.channel_id) for one in matches))


def test_a_row_is_released_if_any_of_its_subscriptions_is_granted(desk: Setup) -> None:
    """All of them are verified and decided finally; the poster is woken."""
    both = numbered(1, CLOSED), numbered(2), numbered(3, CLOSED)
    rows_for(desk, *both)
    key = desk.report(*both)
    desk.settle()
    assert (desk.held(), desk.releasable(), len(desk.released)) == ([], [key], 1)
    assert [one.sys_id for one in desk.stores.grants.all()] == [both[1].sys_id]
    assert {one.sys_id for one in desk.stores.parked.all()} == {both[0].sys_id, both[2].sys_id}
    assert desk.subscriptions() == [[one.sys_id for one in both]]


def test_a_row_without_a_grant_is_dropped_and_remembered(desk: Setup) -> None:
    """Nobody is woken, and the same event does nothing later. What was rejected isn't asked again for five minutes."""
    refused = numbered(1, CLOSED)
    rows_for(desk, refused)
    desk.report(refused)
    desk.settle()
    desk.moment.now += 200
    desk.report(refused)
    desk.settle()
    assert (desk.held(), desk.releasable(), desk.released) == ([], [], [])
    assert desk.stores.outbox.known("e1")
    assert len(desk.subscriptions()) == 1
    assert desk.health.health().given_up == 0


def test_only_unverified_subscriptions_are_asked_about(desk: Setup) -> None:
    """Not the report's other subscriptions, and not one that is paused by now; that one is dropped."""
    claimed, other, paused = numbered(1), numbered(2), numbered(3)
    rows_for(desk, claimed, other, paused)
    desk.stores.grants.put(replace(GRANT, sys_id=paused.sys_id, status=Status.PAUSED.value))
    desk.report(claimed, other, claimed=1)
    desk.settle()
    desk.moment.now += 1
    desk.report(paused)
    desk.settle()
    assert desk.subscriptions() == [[claimed.sys_id]]
    assert desk.stores.grants.get(other.sys_id) is None
    assert (desk.held(), len(desk.releasable())) == ([], 1)


def test_what_was_granted_in_the_meantime_is_released_without_asking(desk: Setup) -> None:
    """Even if it was rejected just before."""
    match = replace(MATCH, channel_id=CLOSED)
    desk.asked.put(row(channel_id=CLOSED))
    desk.report(match)
    desk.settle()
    desk.stores.grants.put(replace(GRANT, channel_id=CLOSED))
    desk.moment.now += 1
    key = desk.report(match)
    desk.settle()
    assert (desk.releasable(), len(desk.subscriptions())) == ([key], 1)


def test_a_row_that_no_key_opens_is_left_to_delivery(tmp_path: Path, desk: Setup) -> None:
    """Delivery reports it and gives it up in the end."""
    key = desk.report(MATCH)
    desk.settle()
    desk.adopter.loop.close()
    waiting = desk.stores.outbox.waiting()
    assert [one.key for one in waiting] == [key]

    class Unreadable:
        """An outbox whose key was removed."""

        def __getattr__(self, name: str) -> Any:
            return getattr(desk.stores.outbox, name)

        def opened(self, keys: Any) -> Mapping[str, Content | None]:
            """No key opens any row."""
            return dict.fromkeys(keys)

    again = Setup(replace(desk.stores, outbox=cast("Any", Unreadable())), desk.moment, count=5)
    key = again.report(numbered(2))  # not granted, so it would be verified if its row could be opened
    again.adopter.loop.start()
    again.settle()
    again.adopter.loop.close()
    assert (key in again.releasable(), again.asked.reads, len(again.released)) == (True, [], 1)
    assert again.health.health().trouble == ""


HINT = {
    "sys_id": SUBSCRIPTION,
    "record_id": RECORD,
    "record_type": "incident",
    "mm_channel_id": CHANNEL,
    "mm_user_id": OWNER,
}


@pytest.mark.parametrize("active", ["true", "1"])
def test_a_hint_is_released_if_its_row_is_active_and_the_owners(desk: Setup, active: str) -> None:
    """The row is read first, then granted like any other."""
    desk.asked.put(row(is_active=active))
    key = desk.hold({"hint": HINT})
    desk.settle()
    assert (desk.releasable(), desk.held(), len(desk.released)) == ([key], [], 1)
    assert desk.subscriptions() == [[SUBSCRIPTION]]
    made = desk.stores.grants.get(SUBSCRIPTION)
    assert made is not None
    assert made.events == "state,commented"
    desk.moment.now += 100
    again = desk.hold({"hint": HINT})
    desk.settle()
    assert desk.releasable() == [key, again]


LEADS_NOWHERE: dict[str, dict[str, str] | None] = {
    "gone": None,
    "inactive": row(is_active="false"),
    "unknown": row(is_active=""),
    "made by another": row(sys_created_by="mallory"),
    "with a filter": row(filter_query="active=true"),
}


@pytest.mark.parametrize("how", LEADS_NOWHERE)
def test_a_hint_without_an_eligible_row_is_dropped(desk: Setup, how: str) -> None:
    """A subscription with a filter is granted, because the component reports it; v2.1 doesn't know filters."""
    desk.asked.rows.clear()
    if (now := LEADS_NOWHERE[how]) is not None:
        desk.asked.put(now)
    desk.hold({"hint": HINT})
    desk.settle()
    assert (desk.releasable(), desk.held(), desk.released) == ([], [], [])
    assert (desk.stores.grants.get(SUBSCRIPTION) is not None) is (how == "with a filter")


def test_a_hint_whose_row_has_other_events_than_its_grant_is_dropped(desk: Setup) -> None:
    """Events come from the form, whatever the row says by now."""
    desk.stores.grants.put(GRANT)
    desk.asked.put(row(subscription_events="priority"))
    desk.hold({"hint": HINT})
    desk.settle()
    assert (desk.releasable(), desk.held()) == ([], [])


def test_a_hint_whose_changed_row_is_rejected_is_dropped_and_keeps_the_old_grant(desk: Setup) -> None:
    """The owner moved it to a channel that they can't post in."""
    desk.stores.grants.put(GRANT)
    desk.asked.put(row(channel_id=CLOSED))
    desk.hold({"hint": HINT})
    desk.settle()
    assert (desk.releasable(), desk.held()) == ([], [])
    assert desk.stores.grants.get(SUBSCRIPTION) == GRANT


def test_rows_cost_only_their_owners_time(desk: Setup) -> None:
    """
    A tenth of a second for each requested row; a hundred per turn in order of arrival, and those of one report
    together.
    """
    many = [numbered(number) for number in range(1, 131)]
    rows_for(desk, *many)
    keys = [desk.report(*many[start : start + 5]) for start in range(0, 130, 5)]
    desk.settle()
    assert desk.subscriptions() == [[one.sys_id for one in many[:100]]]
    assert (desk.releasable(), desk.held()) == (keys[:20], keys[20:])
    desk.moment.now += 9.9
    desk.settle()
    assert len(desk.subscriptions()) == 1
    other = "n" * 26
    desk.stores.accounts.put(replace(ACCOUNT, person_id=other, identity=replace(ACCOUNT.identity, user_name="bea")))
    theirs = replace(numbered(999), user_id=other, created_by="bea", updated_by="bea")
    desk.asked.put(row(theirs.sys_id, user_id=other, sys_created_by="bea", sys_updated_by="bea"))
    desk.report(theirs, owner_id=other)
    desk.settle()
    assert desk.subscriptions()[1:] == [[theirs.sys_id]]
    desk.moment.now += 0.1
    desk.settle()
    assert desk.subscriptions()[2:] == [[one.sys_id for one in many[100:]]]
    assert desk.held() == []


def test_pauses_double_while_an_owner_cant_be_asked(desk: Setup) -> None:
    """From a second to fifteen minutes; administrators see why until it is over, and then the pauses start over."""
    key = desk.report(MATCH)
    desk.asked.fails[TABLE] = Unreachable("ServiceNow is down")
    desk.settle()
    assert desk.health.health().trouble == "ServiceNow is down"
    for number, pause in enumerate([1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900], 1):
        desk.moment.now += pause - 0.25
        desk.settle()
        assert len(desk.subscriptions()) == number
        desk.moment.now += 0.25
        desk.settle()
        assert len(desk.subscriptions()) == number + 1
    assert desk.held() == [key]
    del desk.asked.fails[TABLE]
    desk.moment.now -= 1000  # a clock that was set back delays nothing
    desk.settle()
    assert (desk.releasable(), desk.health.health().trouble) == ([key], "")
    desk.asked.fails[TABLE] = Unreachable("again")
    desk.report(numbered(7))
    desk.moment.now += 1
    desk.settle()
    reads = len(desk.subscriptions())
    desk.moment.now += 1
    desk.settle()
    assert len(desk.subscriptions()) == reads + 1


def test_pauses_start_over_once_an_owner_could_be_asked(desk: Setup) -> None:
    """Even if rows are left for the next turn."""
    many = [numbered(number) for number in range(1, 102)]
    rows_for(desk, *many)
    for one in many:
        desk.report(one)
    desk.asked.fails[TABLE] = Unreachable("down")
    desk.settle()
    del desk.asked.fails[TABLE]
    desk.moment.now += 1
    desk.settle()
    desk.asked.fails[TABLE] = Unreachable("down")
    desk.moment.now += 10
    desk.settle()
    assert [len(sys_ids) for sys_ids in desk.subscriptions()] == [100, 100, 1]
    desk.moment.now += 1
    desk.settle()
    assert len(desk.subscriptions()) == 4


def test_what_cant_be_verified_for_a_day_is_given_up(desk: Setup) -> None:
    """After at least twenty tries, and only those rows; they are counted. Then the owner starts over."""
    silent, good, refused = numbered(1, SILENT), numbered(2), numbered(3, CLOSED)
    rows_for(desk, silent, good, refused)
    old = desk.report(silent, age=DAY + 0.5)
    exactly = desk.report(silent, age=DAY - 9123.0)
    desk.settle()
    pauses = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, *[900] * 8]
    for pause in pauses:
        desk.moment.now += pause
        desk.settle()
    assert desk.held() == [old, exactly]
    # Two more of that age, decided in the same turn in which the others are given up.
    released = desk.report(good, age=2 * DAY)
    desk.report(refused, age=2 * DAY)
    assert sum(pauses) == 8223
    desk.moment.now = NOW + 9123
    desk.settle()
    assert (desk.held(), desk.releasable()) == ([exactly], [released])
    assert desk.health.health().given_up == 1
    assert desk.health.health().trouble == "no answer from Mattermost"
    desk.moment.now = NOW + 10_023
    desk.settle()
    assert (desk.held(), desk.health.health().given_up) == ([], 2)
    desk.settle()
    later = desk.report(numbered(2))
    desk.settle()
    assert later in desk.releasable()


def test_nobody_is_asked_while_the_app_is_off_and_a_day_is_the_limit(desk: Setup) -> None:
    """Older rows are given up and counted; the rest continue when the app is enabled again."""
    desk.muted = True
    kept = desk.report(MATCH, age=DAY)
    desk.report(MATCH, age=DAY + 0.5)
    desk.settle()
    assert (desk.held(), desk.releasable(), desk.asked.reads) == ([kept], [], [])
    assert (desk.health.health().given_up, desk.stores.outbox.known("e2")) == (1, True)
    desk.muted = False
    desk.settle()
    assert (desk.releasable(), desk.health.health().given_up) == ([kept], 1)


def test_the_thread_sleeps_until_a_turn_is_due(stores: Stores) -> None:
    """And for long while nothing waits, or while the app is off."""
    desk = Setup(stores, ManualClock())
    desk.asked.fails[TABLE] = Unreachable("silent")
    waits = [desk.adopter._round()]
    desk.report(MATCH)
    waits += [desk.adopter._round(), desk.adopter._round()]
    desk.muted = True
    waits.append(desk.adopter._round())
    assert waits == [30.0, 0.0, 1.0, 30.0]


def test_a_row_that_fails_delays_no_other(desk: Setup) -> None:
    """Administrators see an error of ours in one row; the other is released."""
    wrong = desk.hold({"nothing": "that is known"})
    good = desk.report(MATCH)
    desk.settle()
    assert (desk.held(), desk.releasable()) == ([wrong], [good])
    assert desk.health.health().trouble == "could not be looked at: KeyError"


def test_a_full_disk_decides_nothing(stores: Stores) -> None:
    """The round ends: the next row isn't dropped either, because the rejection isn't stored yet."""

    class Full:
        """Grants that can't be written."""

        def __getattr__(self, name: str) -> Any:
            return getattr(stores.grants, name)

        def put(self, *_: object) -> None:
            """The disk is full."""
            raise StorageFailed("full")

    desk = Setup(stores, ManualClock(), grants=Full())
    refused = numbered(1, CLOSED)
    rows_for(desk, refused)
    desk.asked.put(row())
    keys = [desk.report(MATCH), desk.report(refused)]
    desk.adopter.loop.start()
    desk.settle(quiet=False)
    desk.adopter.loop.close()
    assert (desk.held(), stores.parked.all()) == (keys, [])
