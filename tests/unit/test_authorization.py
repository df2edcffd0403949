"""A matching row held against its grant: the decision, without anything around it."""

from dataclasses import replace

import pytest

from core.accounts import Account, Tokens
from core.notices import Match
from core.outbox import Parked
from core.records import Identity
from core.subscriptions import Grant, digest_of
from notifications.authorization import Claimed, Foreign, Granted, Ignored, authorize, parked

OWNER = Account(
    person_id="owner",
    instance="https://acme.service-now.com",
    tokens=Tokens("a", "r", 0.0, 0.0),
    identity=Identity("1" * 32, "abel.tuter"),
    connected_at=0.0,
)
GRANT = Grant(
    sys_id="s" * 32,
    owner_id="owner",
    channel_id="channel",
    table="incident",
    filter_query="priority=1",
    events="state,priority",
    granted_at=2_000_000_000.0,
)
ROW = Match(
    sys_id="s" * 32,
    channel_id="channel",
    user_id="owner",
    table="incident",
    record_id="",
    filter_digest=digest_of("priority=1"),
    events=("state",),
    options=(),
    created_by="abel.tuter",
    updated_by="abel.tuter",
    updated_on="2036-01-01 00:00:00",
)


def test_a_row_as_it_was_granted_is_granted() -> None:
    """Also after an administrator touched it, or while its owner is not connected."""
    assert authorize(ROW, GRANT, OWNER, ["state"]) == Granted()
    assert authorize(replace(ROW, updated_by="admin"), GRANT, OWNER, ["state"]) == Granted()
    assert authorize(ROW, replace(GRANT, created_by="abel.tuter"), None, ["state"]) == Granted()


def test_without_an_account_the_grant_knows_who_created_the_row() -> None:
    """Another creator is foreign; a grant of an older version, which names nobody, gets nothing."""
    named = replace(GRANT, created_by="abel.tuter")
    assert isinstance(authorize(replace(ROW, created_by="mallory"), named, None, ["state"]), Foreign)
    assert authorize(ROW, GRANT, None, ["state"]) == Ignored()


def test_events_come_from_the_grant() -> None:
    """A row that names more gets no more; a test needs no event."""
    assert authorize(replace(ROW, events=("commented",)), GRANT, OWNER, ["commented"]) == Ignored()
    assert authorize(ROW, GRANT, OWNER, ["commented", "priority"]) == Granted()
    assert authorize(ROW, GRANT, OWNER, [], test=True) == Granted()


@pytest.mark.parametrize("status", ["paused", "broken"])
def test_what_is_paused_or_broken_is_not_wanted(status: str) -> None:
    """A test makes no difference."""
    assert authorize(ROW, replace(GRANT, status=status), OWNER, ["state"], test=True) == Ignored()


CHANGED = [
    replace(ROW, channel_id="other"),
    replace(ROW, table="task"),
    replace(ROW, record_id="r" * 32),
    replace(ROW, filter_digest=""),
]


@pytest.mark.parametrize("row", CHANGED)
def test_a_changed_row_is_its_owners_claim_or_foreign(row: Match) -> None:
    """Whoever changed it last has to be the owner; no account, no claim."""
    assert authorize(row, GRANT, OWNER, ["state"]) == Claimed("owner")
    assert isinstance(authorize(replace(row, updated_by="mallory"), GRANT, OWNER, ["state"]), Foreign)
    assert isinstance(authorize(row, GRANT, None, ["state"]), Foreign)


@pytest.mark.parametrize(
    "row",
    [
        replace(ROW, created_by="mallory"),
        replace(ROW, updated_by="mallory"),
        replace(ROW, created_by="", updated_by=""),
        replace(ROW, user_id="mallory"),
    ],
)
def test_a_row_without_a_grant_needs_its_owner_in_every_place(row: Match) -> None:
    """Made and last changed by the linked account of the person it names."""
    assert authorize(ROW, None, OWNER, ["state"]) == Claimed("owner")
    assert isinstance(authorize(row, None, OWNER, ["state"]), Foreign)


def test_an_account_that_names_nobody_owns_nothing() -> None:
    """Where ServiceNow does not let an account read itself, an empty user name is no proof."""
    unknown = replace(OWNER, identity=Identity())
    assert isinstance(authorize(replace(ROW, created_by="", updated_by=""), None, unknown, ["state"]), Foreign)


def test_a_row_made_again_under_a_granted_id_is_foreign() -> None:
    """Everything as granted but its maker."""
    assert isinstance(authorize(replace(ROW, created_by="mallory"), GRANT, OWNER, ["state"]), Foreign)


def test_a_connected_owner_without_a_name_keeps_an_older_grant() -> None:
    """Nothing tells who created the row, but the record is read with the owner's own token."""
    unknown = replace(OWNER, identity=Identity())
    assert authorize(ROW, GRANT, unknown, ["state"]) == Granted()


def test_administrators_are_told_what_happened_to_a_row() -> None:
    """Made or changed; by somebody else, or for somebody without an account."""
    changed = replace(ROW, filter_digest="", updated_by="mallory")
    assert authorize(changed, GRANT, OWNER, ["state"]) == Foreign(
        "The row was changed in ServiceNow by somebody else than its owner."
    )
    assert authorize(ROW, None, None, ["state"]) == Foreign(
        "The row was made in ServiceNow, and its owner has no connected account here."
    )


def test_a_report_from_before_our_own_change_is_not_wanted() -> None:
    """It waited in ServiceNow while somebody else than the owner changed the subscription through us."""
    before = replace(ROW, filter_digest="", updated_by="admin", updated_on="2020-01-01 00:00:00")
    assert authorize(before, GRANT, OWNER, ["state"]) == Ignored()


def test_a_parked_subscription_names_its_channel_and_the_people_who_wrote_it() -> None:
    """Administrators need them to decide about it. The time of their last message is kept, so none is sent twice."""
    row = replace(ROW, created_by="mallory", updated_by="admin")
    assert parked(row, "Why.", 7.0, 5.0) == Parked(
        sys_id="s" * 32,
        channel_id="channel",
        created_by="mallory",
        updated_by="admin",
        reason="Why.",
        seen_at=7.0,
        told_at=5.0,
    )
