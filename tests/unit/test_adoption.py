"""Rows that owners wrote or changed in ServiceNow: what is granted, what is rejected and why, what is requested."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from core.errors import ChannelClosed, MayNotPost, NotConnected
from core.notices import Match
from core.outbox import Parked
from core.storage_ports import Stores
from core.subscriptions import TABLE, Grant, digest_filter
from core.upstream_errors import AccessDenied, MattermostSilent, NotInstalled, Unreachable
from notifications.adoption import Adoption, BeingChanged, Turn, match_of
from notifications.authorization import Claimed, Foreign, Granted, Ignored
from tests.unit.asked import Asked, row
from tests.unit.noticing import (
    ACCOUNT,
    CHANNEL,
    GRANT,
    MATCH,
    NOW,
    OWNER,
    RECORD,
    SUBSCRIPTION,
    ManualClock,
    open_stores,
)

FILTER = "active=true"
FILTERED = replace(MATCH, filter_digest=digest_filter(FILTER))
ONE = replace(MATCH, record_id=RECORD)
DENIED = [
    NotConnected("no account", "https://app.example/connect"),
    AccessDenied("403"),
    NotInstalled("no such table"),
]


@pytest.fixture
def moment() -> ManualClock:
    """The clock."""
    return ManualClock()


@pytest.fixture
def stores(tmp_path: Path, moment: ManualClock) -> Iterator[Stores]:
    """The owner is connected; nothing is granted."""
    opened_ = open_stores(tmp_path, moment)
    opened_.accounts.put(ACCOUNT)
    yield opened_
    opened_.close()


@pytest.fixture
def servicenow() -> Asked:
    """ServiceNow has the row."""
    servicenow = Asked()
    servicenow.put(row())
    return servicenow


@pytest.fixture
def adoption(stores: Stores, servicenow: Asked, moment: ManualClock) -> Adoption:
    """Incidents and articles can be subscribed to."""
    return Adoption(
        accounts=stores.accounts,
        grants=stores.grants,
        parked=stores.parked,
        bot=cast("Any", servicenow),
        servicenow_for=servicenow.servicenow_for,
        tables=("incident", "kb_knowledge"),
        clock=moment,
    )


def turn_with(adoption: Adoption, *sys_ids: str) -> Turn:
    """A turn whose rows were read."""
    turn = adoption.turn(OWNER)
    turn.read(sys_ids or [SUBSCRIPTION])
    return turn


def reason(adoption: Adoption, match: Match = MATCH) -> str:
    """Why a match is rejected in a turn of its own; "" if it isn't."""
    turn = turn_with(adoption)
    assert turn.adopt(match) is False
    assert adoption.grants.get(SUBSCRIPTION) is None
    return turn.refusals.get(match, "")


def test_an_owners_row_is_granted_as_written(adoption: Adoption, servicenow: Asked, stores: Stores) -> None:
    """Events, options and filter come from the row as the owner reads it now; a parked row is no longer parked."""
    stores.parked.put(
        [Parked(sys_id=SUBSCRIPTION, channel_id="", created_by="", updated_by="", reason="", seen_at=NOW)]
    )
    servicenow.put(row(filter_query=FILTER))
    turn = turn_with(adoption)
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
    assert servicenow.reads == [(OWNER, TABLE, [SUBSCRIPTION])]
    assert (servicenow.looks, servicenow.posts) == (["incident"], [(OWNER, CHANNEL)])
    assert all(7 < seconds <= 8 for seconds in servicenow.seconds)


def test_a_changed_row_replaces_its_grant(
    adoption: Adoption, servicenow: Asked, stores: Stores, moment: ManualClock
) -> None:
    """
    It has the next version, a minute after our own last change; until then it waits, because the row may still have the
    old values.
    """
    stores.grants.put(replace(GRANT, channel_id="d" * 26, version=7))
    turn = turn_with(adoption)
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
def test_a_report_older_than_its_row_grants_nothing_and_isnt_an_error(
    adoption: Adoption, servicenow: Asked, how: str
) -> None:
    """The row has changed since, and nobody else is asked about it."""
    servicenow.rows.clear()
    if (now := STALE[how]) is not None:
        servicenow.put(now)
    assert reason(adoption) == ""
    assert (len(servicenow.reads), servicenow.posts) == (1, [])


def test_a_new_save_or_other_events_dont_make_a_report_outdated(adoption: Adoption, servicenow: Asked) -> None:
    """Each save changes the time; events and options come from the row."""
    servicenow.put(row(sys_updated_on="2036-02-02 00:00:00", subscription_events="priority", options=""))
    assert turn_with(adoption).adopt(MATCH) is True


def test_a_row_is_named_as_in_a_report(adoption: Adoption, servicenow: Asked) -> None:
    """Hints of v2.1 don't contain its name."""
    servicenow.put(row(filter_query=FILTER, record_id=RECORD))
    found = turn_with(adoption).row(SUBSCRIPTION)
    assert found is not None
    assert match_of(found) == replace(
        FILTERED, record_id=RECORD, events=("state", "commented"), options=("hide_comment",)
    )


def test_each_row_is_read_once(adoption: Adoption, servicenow: Asked) -> None:
    """However often it is named; a row that wasn't read doesn't exist."""
    turn = turn_with(adoption, SUBSCRIPTION, "6" * 32, SUBSCRIPTION)
    assert servicenow.reads == [(OWNER, TABLE, [SUBSCRIPTION, "6" * 32])]
    found = turn.row(SUBSCRIPTION)
    assert found is not None
    assert {"sys_id": SUBSCRIPTION} | {name: found.value(name) for name in found.cells} == row()
    assert turn.row("6" * 32) is None


@pytest.mark.parametrize("denied", DENIED, ids=lambda error: type(error).__name__)
def test_an_owner_without_read_access_is_rejected(adoption: Adoption, servicenow: Asked, denied: Exception) -> None:
    """To the row, or to its subject: each has its reason."""
    servicenow.fails[TABLE] = denied
    assert reason(adoption) == "Its owner can't read the row in ServiceNow."
    del servicenow.fails[TABLE]
    servicenow.fails["incident"] = denied
    servicenow.put(row(record_id=RECORD))
    assert reason(adoption, ONE) == "Its owner may not read its table in ServiceNow."


def test_an_unavailable_servicenow_rejects_nothing(adoption: Adoption, servicenow: Asked) -> None:
    """It is asked again later."""
    servicenow.fails[TABLE] = Unreachable("down")
    with pytest.raises(Unreachable):
        turn_with(adoption)
    del servicenow.fails[TABLE]
    servicenow.fails["incident"] = Unreachable("down")
    servicenow.put(row(record_id=RECORD))
    turn = turn_with(adoption)
    with pytest.raises(Unreachable):
        turn.adopt(ONE)
    assert turn.refusals == {}


def test_a_table_that_isnt_shared_is_rejected(adoption: Adoption, servicenow: Asked) -> None:
    """Whoever can read it."""
    servicenow.put(row(record_type="sys_user"))
    assert reason(adoption, replace(MATCH, table="sys_user")) == "Its table may not be subscribed to here."


@pytest.mark.parametrize("seen_as", [None, "sn_hr_core_case", ""])
def test_a_hidden_record_or_one_that_isnt_shared_is_rejected(
    adoption: Adoption, servicenow: Asked, seen_as: str | None
) -> None:
    """A record of a class that extends the table counts as its own class; one with a hidden class is never shared."""
    servicenow.put(row(record_id=RECORD))
    if seen_as is not None:
        servicenow.put_record(seen_as)
    assert reason(adoption, ONE) == "Its owner may not see its record, or records of that class are not shared here."
    assert servicenow.reads[1:] == [(OWNER, "incident", [RECORD])]


def test_a_visible_record_is_granted_as_read(adoption: Adoption, servicenow: Asked, stores: Stores) -> None:
    """The channel can learn about it later even while the owner isn't connected."""
    servicenow.put(row(record_id=RECORD))
    servicenow.put_record("incident")
    assert turn_with(adoption).adopt(ONE) is True
    made = stores.grants.get(SUBSCRIPTION)
    assert made is not None
    assert (made.record_id, made.record_read) == (RECORD, True)


@pytest.mark.parametrize("query", ["u_salary>100000", "active"])
def test_a_filter_on_hidden_columns_is_rejected(adoption: Adoption, servicenow: Asked, query: str) -> None:
    """ServiceNow evaluates it as the system: notices would reveal what the column contains."""
    servicenow.put(row(filter_query=query))
    found = reason(adoption, replace(MATCH, filter_digest=digest_filter(query)))
    assert found == "Its filter names something that its owner may not see, or that is not taken here."


def test_a_channel_that_its_owner_cant_post_in_is_rejected(adoption: Adoption, servicenow: Asked) -> None:
    """With Mattermost's reason; an unavailable Mattermost rejects nothing."""
    servicenow.bot[CHANNEL] = MayNotPost("left")
    assert reason(adoption) == f"Its owner may not post in its channel. {MayNotPost.user_message}"
    servicenow.bot[CHANNEL] = ChannelClosed("archived", "It is archived.")
    assert reason(adoption) == "Its owner may not post in its channel. It is archived."
    servicenow.bot[CHANNEL] = MattermostSilent("down")
    with pytest.raises(MattermostSilent):
        turn_with(adoption).adopt(MATCH)


def test_answers_are_reused_within_a_turn(adoption: Adoption, servicenow: Asked) -> None:
    """Of a table's columns, and of a channel, whatever the answer was."""
    closed = "d" * 26
    servicenow.bot[closed] = MayNotPost("left")
    rows = [
        row(str(number) * 32, filter_query=FILTER, channel_id=channel)
        for number, channel in enumerate([CHANNEL, CHANNEL, closed, closed])
    ]
    servicenow.put(*rows)
    turn = turn_with(adoption, *(one["sys_id"] for one in rows))
    each = [turn.adopt(replace(FILTERED, sys_id=one["sys_id"], channel_id=one["channel_id"])) for one in rows]
    assert each == [True, True, False, False]
    assert (servicenow.looks, servicenow.posts) == (["incident"], [(OWNER, CHANNEL), (OWNER, closed)])
    assert len(turn.refusals) == 2


def test_a_rejection_is_parked_and_cached_for_five_minutes(
    adoption: Adoption, servicenow: Asked, stores: Stores, moment: ManualClock
) -> None:
    """However often the row is saved; any other change makes another row. The time of the last message is kept."""
    servicenow.bot[CHANNEL] = MayNotPost("left")
    turn = turn_with(adoption)
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
    servicenow.bot.clear()
    assert turn_with(adoption).adopt(saved) is False
    moment.now = NOW + 299.5
    assert adoption.refused(saved) is True
    moment.now = NOW + 300
    assert adoption.refused(saved) is False
    stores.parked.put([replace(parked, told_at=NOW + 1)])
    adoption.park({})
    adoption.park({MATCH: "Again."})
    [parked] = stores.parked.all()
    assert (parked.reason, parked.seen_at, parked.told_at) == ("Again.", NOW + 300, NOW + 1)


def test_stored_data_decides_whose_row_it_is(adoption: Adoption, stores: Stores) -> None:
    """The grant's owner, or without a grant the person named in the row; as stored now, not at intake."""
    assert adoption.verdict(MATCH, ["state"], False) == Claimed(OWNER)
    assert isinstance(adoption.verdict(replace(MATCH, user_id="n" * 26), ["state"], False), Foreign)
    stores.grants.put(GRANT)
    assert adoption.verdict(replace(MATCH, user_id="n" * 26), ["state"], False) == Granted()
    assert adoption.verdict(MATCH, ["priority"], False) == Ignored()
    assert adoption.verdict(MATCH, ["priority"], True) == Granted()
