"""Rows that owners wrote or changed in ServiceNow: what is granted, what is refused and why, what is asked for."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from core.errors import ChannelClosed, MayNotPost, NotConnected
from core.notices import Match
from core.outbox import Parked
from core.storage_ports import Stores
from core.subscriptions import TABLE, Grant, digest_of
from core.upstream_errors import AccessDenied, MattermostSilent, NotInstalled, Unreachable
from notifications.adoption import Adoption, BeingChanged, Turn, match_of
from notifications.authorization import Claimed, Foreign, Granted, Ignored
from tests.unit.asked import Asked, row
from tests.unit.noticing import ACCOUNT, CHANNEL, GRANT, MATCH, NOW, OWNER, RECORD, SUBSCRIPTION, Moment, opened

FILTER = "active=true"
FILTERED = replace(MATCH, filter_digest=digest_of(FILTER))
ONE = replace(MATCH, record_id=RECORD)
DENIED = [
    NotConnected("no account", "https://app.example/connect"),
    AccessDenied("403"),
    NotInstalled("no such table"),
]


@pytest.fixture
def moment() -> Moment:
    """The clock."""
    return Moment()


@pytest.fixture
def stores(tmp_path: Path, moment: Moment) -> Iterator[Stores]:
    """The owner is connected; nothing is granted."""
    opened_ = opened(tmp_path, moment)
    opened_.accounts.put(ACCOUNT)
    yield opened_
    opened_.close()


@pytest.fixture
def asked() -> Asked:
    """ServiceNow has the row."""
    asked = Asked()
    asked.put(row())
    return asked


@pytest.fixture
def adoption(stores: Stores, asked: Asked, moment: Moment) -> Adoption:
    """Incidents and articles may be subscribed to."""
    return Adoption(
        accounts=stores.accounts,
        grants=stores.grants,
        parked=stores.parked,
        bot=cast("Any", asked),
        servicenow_for=asked.servicenow_for,
        tables=("incident", "kb_knowledge"),
        clock=moment,
    )


def turn_of(adoption: Adoption, *sys_ids: str) -> Turn:
    """A turn whose rows were read."""
    turn = adoption.turn(OWNER)
    turn.read(sys_ids or [SUBSCRIPTION])
    return turn


def why(adoption: Adoption, match: Match = MATCH) -> str:
    """Why a match is refused in a turn of its own; "" where it is not even that."""
    turn = turn_of(adoption)
    assert turn.adopt(match) is False
    assert adoption.grants.get(SUBSCRIPTION) is None
    return turn.refusals.get(match, "")


def test_what_the_owner_may_have_is_granted_as_the_row_says(adoption: Adoption, asked: Asked, stores: Stores) -> None:
    """Events, options and filter from the row as the owner reads it now; what was parked is so no more."""
    stores.parked.put(
        [Parked(sys_id=SUBSCRIPTION, channel_id="", created_by="", updated_by="", reason="", seen_at=NOW)]
    )
    asked.put(row(filter_query=FILTER))
    turn = turn_of(adoption)
    assert turn.adopt(FILTERED) is True
    assert stores.grants.get(SUBSCRIPTION) == Grant(
        sys_id=SUBSCRIPTION,
        owner_id=OWNER,
        channel_id=CHANNEL,
        table="incident",
        record_id="",
        filter_query=FILTER,
        events="state,commented",
        options="hide_comment",
        name="Written there",
        granted_at=NOW,
        created_by="abel",
        record_read=False,
        version=1,
    )
    assert (turn.refusals, stores.parked.all()) == ({}, [])
    assert asked.reads == [(OWNER, TABLE, [SUBSCRIPTION])]
    assert (asked.looks, asked.posts) == (["incident"], [(OWNER, CHANNEL)])
    assert all(7 < seconds <= 8 for seconds in asked.seconds)


def test_a_changed_row_replaces_its_grant(adoption: Adoption, asked: Asked, stores: Stores, moment: Moment) -> None:
    """One version on, a minute after our own last change; before that it waits, for its row may still say the old."""
    stores.grants.put(replace(GRANT, channel_id="d" * 26, version=7))
    turn = turn_of(adoption)
    for age in (0.0, 59.5):
        stores.grants.put(replace(GRANT, channel_id="d" * 26, version=7, granted_at=NOW - age))
        with pytest.raises(BeingChanged, match=f"subscription {SUBSCRIPTION} is being changed"):
            turn.adopt(MATCH)
    for age in (60.0, -5.0):  # the clock was set back
        stores.grants.put(replace(GRANT, channel_id="d" * 26, version=7, granted_at=NOW - age))
        assert turn.adopt(MATCH) is True
        made = stores.grants.get(SUBSCRIPTION)
        assert made is not None
        assert (made.version, made.channel_id, made.granted_at) == (8, CHANNEL, NOW)


STALE: dict[str, dict[str, str] | None] = {
    "gone": None,
    "another channel": row(channel_id="d" * 26),
    "another owner": row(user_id="n" * 26),
    "another table": row(record_type="kb_knowledge"),
    "another record": row(record_id=RECORD),
    "another filter": row(filter_query=FILTER),
    "made by another": row(sys_created_by="mallory"),
    "changed by another": row(sys_updated_by="mallory"),
}


@pytest.mark.parametrize("how", STALE)
def test_a_report_that_is_older_than_its_row_grants_nothing_and_is_no_fault(
    adoption: Adoption, asked: Asked, how: str
) -> None:
    """The row says something else by now; nobody else is asked about it."""
    asked.rows.clear()
    if (now := STALE[how]) is not None:
        asked.put(now)
    assert why(adoption) == ""
    assert (len(asked.reads), asked.posts) == (1, [])


def test_saving_a_row_again_or_with_other_events_makes_no_report_old(adoption: Adoption, asked: Asked) -> None:
    """Each save changes the time; events and options come from the row."""
    asked.put(row(sys_updated_on="2036-02-02 00:00:00", subscription_events="priority", options=""))
    assert turn_of(adoption).adopt(MATCH) is True


def test_a_row_is_named_as_a_report_would_name_it(adoption: Adoption, asked: Asked) -> None:
    """Hints of v2.1 tell nothing of it."""
    asked.put(row(filter_query=FILTER, record_id=RECORD))
    found = turn_of(adoption).row(SUBSCRIPTION)
    assert found is not None
    assert match_of(found) == replace(
        FILTERED, record_id=RECORD, events=("state", "commented"), options=("hide_comment",)
    )


def test_rows_are_read_once_each(adoption: Adoption, asked: Asked) -> None:
    """However often they are named; what was not read is not there."""
    turn = turn_of(adoption, SUBSCRIPTION, "6" * 32, SUBSCRIPTION)
    assert asked.reads == [(OWNER, TABLE, [SUBSCRIPTION, "6" * 32])]
    found = turn.row(SUBSCRIPTION)
    assert found is not None
    assert {"sys_id": SUBSCRIPTION} | {name: found.value(name) for name in found.cells} == row()
    assert turn.row("6" * 32) is None


@pytest.mark.parametrize("denied", DENIED, ids=lambda error: type(error).__name__)
def test_an_owner_who_can_not_read_is_refused(adoption: Adoption, asked: Asked, denied: Exception) -> None:
    """The rows themselves, or what they are about: each has its reason."""
    asked.fails[TABLE] = denied
    assert why(adoption) == "Its owner can't read the row in ServiceNow."
    del asked.fails[TABLE]
    asked.fails["incident"] = denied
    asked.put(row(record_id=RECORD))
    assert why(adoption, ONE) == "Its owner may not read its table in ServiceNow."


def test_a_servicenow_that_does_not_answer_refuses_nothing(adoption: Adoption, asked: Asked) -> None:
    """It is asked later."""
    asked.fails[TABLE] = Unreachable("down")
    with pytest.raises(Unreachable):
        turn_of(adoption)
    del asked.fails[TABLE]
    asked.fails["incident"] = Unreachable("down")
    asked.put(row(record_id=RECORD))
    turn = turn_of(adoption)
    with pytest.raises(Unreachable):
        turn.adopt(ONE)
    assert turn.refusals == {}


def test_a_table_that_is_not_shared_is_refused(adoption: Adoption, asked: Asked) -> None:
    """Whoever may read it."""
    asked.put(row(record_type="sys_user"))
    assert why(adoption, replace(MATCH, table="sys_user")) == "Its table may not be subscribed to here."


@pytest.mark.parametrize("seen_as", [None, "sn_hr_core_case", ""])
def test_a_record_that_its_owner_may_not_see_or_that_is_not_shared_is_refused(
    adoption: Adoption, asked: Asked, seen_as: str | None
) -> None:
    """One of a class that extends the table's counts as its own class; one whose class is hidden is never shared."""
    asked.put(row(record_id=RECORD))
    if seen_as is not None:
        asked.put_record(seen_as)
    assert why(adoption, ONE) == "Its owner may not see its record, or records of that class are not shared here."
    assert asked.reads[1:] == [(OWNER, "incident", [RECORD])]


def test_a_record_that_its_owner_sees_is_granted_as_read(adoption: Adoption, asked: Asked, stores: Stores) -> None:
    """The channel may learn of it later even while the owner is not connected."""
    asked.put(row(record_id=RECORD))
    asked.put_record("incident")
    assert turn_of(adoption).adopt(ONE) is True
    made = stores.grants.get(SUBSCRIPTION)
    assert made is not None
    assert (made.record_id, made.record_read) == (RECORD, True)


@pytest.mark.parametrize("query", ["u_salary>100000", "active"])
def test_a_filter_on_what_its_owner_can_not_see_is_refused(adoption: Adoption, asked: Asked, query: str) -> None:
    """ServiceNow evaluates it as the system: notices would tell what the column holds."""
    asked.put(row(filter_query=query))
    reason = why(adoption, replace(MATCH, filter_digest=digest_of(query)))
    assert reason == "Its filter names something that its owner may not see, or that is not taken here."


def test_a_channel_that_its_owner_may_not_post_in_is_refused(adoption: Adoption, asked: Asked) -> None:
    """With Mattermost's reason; a silent Mattermost refuses nothing."""
    asked.bot[CHANNEL] = MayNotPost("left")
    assert why(adoption) == f"Its owner may not post in its channel. {MayNotPost.user_message}"
    asked.bot[CHANNEL] = ChannelClosed("archived", "It is archived.")
    assert why(adoption) == "Its owner may not post in its channel. It is archived."
    asked.bot[CHANNEL] = MattermostSilent("down")
    with pytest.raises(MattermostSilent):
        turn_of(adoption).adopt(MATCH)


def test_what_was_said_of_one_row_is_not_asked_again_for_the_next(adoption: Adoption, asked: Asked) -> None:
    """In a turn: of a table's columns, and of a channel, whichever way it went."""
    closed = "d" * 26
    asked.bot[closed] = MayNotPost("left")
    rows = [
        row(str(number) * 32, filter_query=FILTER, channel_id=channel)
        for number, channel in enumerate([CHANNEL, CHANNEL, closed, closed])
    ]
    asked.put(*rows)
    turn = turn_of(adoption, *(one["sys_id"] for one in rows))
    each = [turn.adopt(replace(FILTERED, sys_id=one["sys_id"], channel_id=one["channel_id"])) for one in rows]
    assert each == [True, True, False, False]
    assert (asked.looks, asked.posts) == (["incident"], [(OWNER, CHANNEL), (OWNER, closed)])
    assert len(turn.refusals) == 2


def test_a_refusal_is_parked_and_holds_for_five_minutes(
    adoption: Adoption, asked: Asked, stores: Stores, moment: Moment
) -> None:
    """However often the row is saved; any other change of it is another row. When it was told of stays."""
    asked.bot[CHANNEL] = MayNotPost("left")
    turn = turn_of(adoption)
    turn.adopt(MATCH)
    adoption.park(turn.refusals)
    [parked] = stores.parked.all()
    assert (parked.sys_id, parked.reason, parked.seen_at, parked.told_at) == (
        SUBSCRIPTION,
        f"Its owner may not post in its channel. {MayNotPost.user_message}",
        NOW,
        0.0,
    )
    saved = replace(MATCH, updated_on="2036-03-03 00:00:00", events=("priority",), options=("in_channel",))
    assert adoption.refused(saved) is True
    assert adoption.refused(replace(MATCH, channel_id="d" * 26)) is False
    asked.bot.clear()
    assert turn_of(adoption).adopt(saved) is False
    moment.now = NOW + 299.5
    assert adoption.refused(saved) is True
    moment.now = NOW + 300
    assert adoption.refused(saved) is False
    stores.parked.put([replace(parked, told_at=NOW + 1)])
    adoption.park({})
    adoption.park({MATCH: "Again."})
    [parked] = stores.parked.all()
    assert (parked.reason, parked.seen_at, parked.told_at) == ("Again.", NOW + 300, NOW + 1)


def test_what_is_kept_decides_whose_row_it_is(adoption: Adoption, stores: Stores) -> None:
    """The grant's owner, and without a grant whom the row names; as it is now, not as it was when it came in."""
    assert adoption.verdict(MATCH, ["state"], False) == Claimed(OWNER)
    assert isinstance(adoption.verdict(replace(MATCH, user_id="n" * 26), ["state"], False), Foreign)
    stores.grants.put(GRANT)
    assert adoption.verdict(replace(MATCH, user_id="n" * 26), ["state"], False) == Granted()
    assert adoption.verdict(MATCH, ["priority"], False) == Ignored()
    assert adoption.verdict(MATCH, ["priority"], True) == Granted()
