"""Rows that are held for owners: who is asked when, what is released, what is dropped, and what is given up."""

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
    Moment,
    opened,
)

CLOSED, SILENT = "d" * 26, "s" * 26
DAY = 86_400.0


@dataclass
class Desk:
    """The adopter on a storage of its own; ``released`` is how often somebody was to post."""

    stores: Stores
    moment: Moment
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
        """A row that came in *age* seconds ago; its key."""
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
        """A row that says so of its first *claimed* matches."""
        content = {
            "report": packed(replace(REPORT, matches=matches)),
            "claimed": [one.sys_id for one in matches[:claimed]],
        }
        return self.hold(content, **more)

    def settle(self, quiet: bool = True) -> None:
        """Let what is due be done; it ends at once, and without a mistake of ours."""
        began = time.monotonic()
        with structlog.testing.capture_logs() as logs:
            self.adopter.loop.settle(20)
        assert time.monotonic() - began < 15
        wrong = [line for line in logs if line["event"] == "round failed"]
        assert bool(wrong) is not quiet, wrong

    def held(self) -> list[str]:
        """Keys of rows that still wait for an owner."""
        return [one.key for one in self.stores.outbox.waiting() if one.held_for]

    def free(self) -> list[str]:
        """Keys of rows that may be posted."""
        return [one.key for one in self.stores.outbox.waiting() if not one.held_for]

    def subscriptions(self) -> list[list[str]]:
        """What was read of the subscriptions table, request by request."""
        return [sys_ids for _, table, sys_ids in self.asked.reads if table == TABLE]


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    """The owner is connected; nothing is granted."""
    opened_ = opened(tmp_path, Moment())
    opened_.accounts.put(ACCOUNT)
    yield opened_
    opened_.close()


@pytest.fixture
def desk(stores: Stores) -> Iterator[Desk]:
    """ServiceNow has the row; the thread works."""
    made = Desk(stores, Moment())
    made.asked.put(row())
    made.adopter.loop.start()
    yield made
    made.adopter.loop.close()


def of(number: int, channel_id: str = CHANNEL) -> Match:
    """A subscription of the owner, by number."""
    return replace(MATCH, sys_id=f"{number:032x}", channel_id=channel_id)


def rows_for(desk: Desk, *matches: Match) -> None:
    """ServiceNow's side of them."""
    desk.asked.put(*(row(one.sys_id, channel_id=one.channel_id) for one in matches))


def test_a_row_is_released_where_any_of_its_subscriptions_is_granted(desk: Desk) -> None:
    """All of them are asked about and decided for good; somebody is woken to post."""
    both = of(1, CLOSED), of(2), of(3, CLOSED)
    rows_for(desk, *both)
    key = desk.report(*both)
    desk.settle()
    assert (desk.held(), desk.free(), len(desk.released)) == ([], [key], 1)
    assert [one.sys_id for one in desk.stores.grants.all()] == [both[1].sys_id]
    assert {one.sys_id for one in desk.stores.parked.all()} == {both[0].sys_id, both[2].sys_id}
    assert desk.subscriptions() == [[one.sys_id for one in both]]


def test_a_row_of_which_nothing_is_granted_is_dropped_and_known(desk: Desk) -> None:
    """Nobody is woken; the same event does nothing later. What was refused is not asked again for five minutes."""
    refused = of(1, CLOSED)
    rows_for(desk, refused)
    desk.report(refused)
    desk.settle()
    desk.moment.now += 200
    desk.report(refused)
    desk.settle()
    assert (desk.held(), desk.free(), desk.released) == ([], [], [])
    assert desk.stores.outbox.known("e1")
    assert len(desk.subscriptions()) == 1
    assert desk.health.health().given_up == 0


def test_only_what_is_claimed_is_asked_about(desk: Desk) -> None:
    """Not other subscriptions that the report tells of, and not what is paused by now; that is dropped."""
    claimed, other, paused = of(1), of(2), of(3)
    rows_for(desk, claimed, other, paused)
    desk.stores.grants.put(replace(GRANT, sys_id=paused.sys_id, status=Status.PAUSED.value))
    desk.report(claimed, other, claimed=1)
    desk.settle()
    desk.moment.now += 1
    desk.report(paused)
    desk.settle()
    assert desk.subscriptions() == [[claimed.sys_id]]
    assert desk.stores.grants.get(other.sys_id) is None
    assert (desk.held(), len(desk.free())) == ([], 1)


def test_what_was_granted_meanwhile_is_released_without_asking(desk: Desk) -> None:
    """Also where it had been refused a moment before."""
    match = replace(MATCH, channel_id=CLOSED)
    desk.asked.put(row(channel_id=CLOSED))
    desk.report(match)
    desk.settle()
    desk.stores.grants.put(replace(GRANT, channel_id=CLOSED))
    desk.moment.now += 1
    key = desk.report(match)
    desk.settle()
    assert (desk.free(), len(desk.subscriptions())) == ([key], 1)


def test_a_row_that_no_key_opens_is_left_to_delivery(tmp_path: Path, desk: Desk) -> None:
    """It says so there, and gives it up in the end."""
    key = desk.report(MATCH)
    desk.settle()
    desk.adopter.loop.close()
    waiting = desk.stores.outbox.waiting()
    assert [one.key for one in waiting] == [key]

    class Unreadable:
        """An outbox whose key was taken away."""

        def __getattr__(self, name: str) -> Any:
            return getattr(desk.stores.outbox, name)

        def opened(self, keys: Any) -> Mapping[str, Content | None]:
            """No key opens any row."""
            return dict.fromkeys(keys)

    again = Desk(replace(desk.stores, outbox=cast("Any", Unreadable())), desk.moment, count=5)
    key = again.report(MATCH)
    again.adopter.loop.start()
    again.settle()
    again.adopter.loop.close()
    assert (key in again.free(), again.asked.reads, len(again.released)) == (True, [], 1)
    assert again.health.health().trouble == ""


HINT = {
    "sys_id": SUBSCRIPTION,
    "record_id": RECORD,
    "record_type": "incident",
    "mm_channel_id": CHANNEL,
    "mm_user_id": OWNER,
}


@pytest.mark.parametrize("active", ["true", "1"])
def test_a_hint_is_released_where_its_row_is_active_and_its_owners(desk: Desk, active: str) -> None:
    """The row is read first; then it is granted as any other."""
    desk.asked.put(row(is_active=active))
    key = desk.hold({"hint": HINT})
    desk.settle()
    assert (desk.free(), desk.held(), len(desk.released)) == ([key], [], 1)
    assert desk.subscriptions() == [[SUBSCRIPTION]]
    made = desk.stores.grants.get(SUBSCRIPTION)
    assert made is not None
    assert made.events == "state,commented"
    desk.moment.now += 100
    again = desk.hold({"hint": HINT})
    desk.settle()
    assert desk.free() == [key, again]


LEADS_NOWHERE: dict[str, dict[str, str] | None] = {
    "gone": None,
    "inactive": row(is_active="false"),
    "unknown": row(is_active=""),
    "made by another": row(sys_created_by="mallory"),
    "with a filter": row(filter_query="active=true"),
}


@pytest.mark.parametrize("how", LEADS_NOWHERE)
def test_a_hint_that_leads_nowhere_is_dropped(desk: Desk, how: str) -> None:
    """A subscription with a filter is granted, for the component reports of it; v2.1 knows no filters."""
    desk.asked.rows.clear()
    if (now := LEADS_NOWHERE[how]) is not None:
        desk.asked.put(now)
    desk.hold({"hint": HINT})
    desk.settle()
    assert (desk.free(), desk.held(), desk.released) == ([], [], [])
    assert (desk.stores.grants.get(SUBSCRIPTION) is not None) is (how == "with a filter")


def test_a_hint_of_a_row_that_names_other_events_than_its_grant_is_dropped(desk: Desk) -> None:
    """Events are what was set up through us, whatever the row says by now."""
    desk.stores.grants.put(GRANT)
    desk.asked.put(row(subscription_events="priority"))
    desk.hold({"hint": HINT})
    desk.settle()
    assert (desk.free(), desk.held()) == ([], [])


def test_a_hint_whose_changed_row_is_refused_is_dropped_though_the_old_grant_stays(desk: Desk) -> None:
    """The owner moved it to a channel that is closed to them."""
    desk.stores.grants.put(GRANT)
    desk.asked.put(row(channel_id=CLOSED))
    desk.hold({"hint": HINT})
    desk.settle()
    assert (desk.free(), desk.held()) == ([], [])
    assert desk.stores.grants.get(SUBSCRIPTION) == GRANT


def test_rows_cost_their_owner_time_and_nobody_else(desk: Desk) -> None:
    """
    A tenth of a second for each row of ServiceNow that was asked for; a hundred of them in a turn, in the order of
    their arrival, and those of one report together.
    """
    many = [of(number) for number in range(1, 131)]
    rows_for(desk, *many)
    keys = [desk.report(*many[start : start + 5]) for start in range(0, 130, 5)]
    desk.settle()
    assert desk.subscriptions() == [[one.sys_id for one in many[:100]]]
    assert (desk.free(), desk.held()) == (keys[:20], keys[20:])
    desk.moment.now += 9.9
    desk.settle()
    assert len(desk.subscriptions()) == 1
    other = "n" * 26
    desk.stores.accounts.put(replace(ACCOUNT, person_id=other, identity=replace(ACCOUNT.identity, user_name="bea")))
    theirs = replace(of(999), user_id=other, created_by="bea", updated_by="bea")
    desk.asked.put(row(theirs.sys_id, user_id=other, sys_created_by="bea", sys_updated_by="bea"))
    desk.report(theirs, owner_id=other)
    desk.settle()
    assert desk.subscriptions()[1:] == [[theirs.sys_id]]
    desk.moment.now += 0.1
    desk.settle()
    assert desk.subscriptions()[2:] == [[one.sys_id for one in many[100:]]]
    assert desk.held() == []


def test_pauses_double_while_an_owner_can_not_be_asked(desk: Desk) -> None:
    """From a second to a quarter of an hour; administrators see why, until it is over, and pauses begin anew."""
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
    desk.moment.now -= 1000  # a clock that was set back holds nothing up
    desk.settle()
    assert (desk.free(), desk.health.health().trouble) == ([key], "")
    desk.asked.fails[TABLE] = Unreachable("again")
    desk.report(of(7))
    desk.moment.now += 1
    desk.settle()
    reads = len(desk.subscriptions())
    desk.moment.now += 1
    desk.settle()
    assert len(desk.subscriptions()) == reads + 1


def test_pauses_begin_anew_once_an_owner_could_be_asked(desk: Desk) -> None:
    """Also where rows are left for the next turn."""
    many = [of(number) for number in range(1, 102)]
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


def test_what_could_not_be_found_out_for_a_day_is_given_up(desk: Desk) -> None:
    """After at least twenty tries, and only those rows; they are counted. Then the owner begins anew."""
    silent, good, refused = of(1, SILENT), of(2), of(3, CLOSED)
    rows_for(desk, silent, good, refused)
    old = desk.report(silent, age=DAY + 0.5)
    exactly = desk.report(silent, age=DAY - 9123.0)
    desk.settle()
    pauses = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, *[900] * 8]
    for pause in pauses:
        desk.moment.now += pause
        desk.settle()
    assert desk.held() == [old, exactly]
    # Two more of that age, which are decided in the very turn in which the others are given up.
    released = desk.report(good, age=2 * DAY)
    desk.report(refused, age=2 * DAY)
    assert sum(pauses) == 8223
    desk.moment.now = NOW + 9123
    desk.settle()
    assert (desk.held(), desk.free()) == ([exactly], [released])
    assert desk.health.health().given_up == 1
    assert desk.health.health().trouble == "no answer from Mattermost"
    desk.moment.now = NOW + 10_023
    desk.settle()
    assert (desk.held(), desk.health.health().given_up) == ([], 2)
    desk.settle()
    later = desk.report(of(2))
    desk.settle()
    assert later in desk.free()


def test_while_the_app_is_off_nobody_is_asked_and_a_day_is_the_limit(desk: Desk) -> None:
    """What waited for longer is given up and counted; the rest goes on when the app is on again."""
    desk.muted = True
    kept = desk.report(MATCH, age=DAY)
    desk.report(MATCH, age=DAY + 0.5)
    desk.settle()
    assert (desk.held(), desk.free(), desk.asked.reads) == ([kept], [], [])
    assert (desk.health.health().given_up, desk.stores.outbox.known("e2")) == (1, True)
    desk.muted = False
    desk.settle()
    assert (desk.free(), desk.health.health().given_up) == ([kept], 1)


def test_the_thread_sleeps_until_a_turn_is_due(stores: Stores) -> None:
    """And for long while nobody is waited for, or the app is off."""
    desk = Desk(stores, Moment())
    desk.asked.fails[TABLE] = Unreachable("silent")
    waits = [desk.adopter._round()]
    desk.report(MATCH)
    waits += [desk.adopter._round(), desk.adopter._round()]
    desk.muted = True
    waits.append(desk.adopter._round())
    assert waits == [30.0, 0.0, 1.0, 30.0]


def test_a_row_that_can_not_be_looked_at_holds_up_no_other(desk: Desk) -> None:
    """A mistake of ours in one row is said for administrators; the other is released."""
    wrong = desk.hold({"nothing": "that is known"})
    good = desk.report(MATCH)
    desk.settle()
    assert (desk.held(), desk.free()) == ([wrong], [good])
    assert desk.health.health().trouble == "could not be looked at: KeyError"


def test_a_disk_that_takes_nothing_decides_nothing(stores: Stores) -> None:
    """The round ends there: the next row is not dropped either, for what was refused is not parked yet."""

    class Full:
        """Grants that can't be written."""

        def __getattr__(self, name: str) -> Any:
            return getattr(stores.grants, name)

        def put(self, *_: object) -> None:
            """The disk is full."""
            raise StorageFailed("full")

    desk = Desk(stores, Moment(), grants=Full())
    refused = of(1, CLOSED)
    rows_for(desk, refused)
    desk.asked.put(row())
    keys = [desk.report(MATCH), desk.report(refused)]
    desk.adopter.loop.start()
    desk.settle(quiet=False)
    desk.adopter.loop.close()
    assert (desk.held(), stores.parked.all()) == (keys, [])
