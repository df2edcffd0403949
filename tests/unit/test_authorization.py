"""A matching row compared with its grant: only the decision, without storage or network."""

from dataclasses import replace

import pytest

from core.accounts import Account, Tokens
from core.notices import Match
from core.outbox import Parked
from core.records import Identity
from core.subscriptions import Grant, digest_filter
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
    filter_digest=digest_filter("priority=1"),
    events=("state",),
    options=(),
    created_by="abel.tuter",
    updated_by="abel.tuter",
    updated_on="2036-01-01 00:00:00",
)


def test_an_unchanged_row_is_granted() -> None:
    """Even after an administrator touched it, or while its owner isn't connected."""
    assert authorize(ROW, GRANT, OWNER, ["state"]) == Granted()
    assert authorize(replace(ROW, updated_by="admin"), GRANT, OWNER, ["state"]) == Granted()
    assert authorize(ROW, replace(GRANT, created_by="abel.tuter"), None, ["state"]) == Granted()


def test_without_an_account_the_grant_names_the_rows_creator() -> None:
    """A row with another creator is foreign; a grant of an older version, which names nobody, gets nothing."""
    named = replace(GRANT, created_by="abel.tuter")
    assert isinstance(authorize(replace(ROW, created_by="mallory"), named, None, ["state"]), Foreign)
    assert authorize(ROW, GRANT, None, ["state"]) == Ignored()


def test_events_come_from_the_grant() -> None:
    """Additional events in the row are ignored; a test needs no event."""
    assert authorize(replace(ROW, events=("commented",)), GRANT, OWNER, ["commented"]) == Ignored()
    assert authorize(ROW, GRANT, OWNER, ["commented", "priority"]) == Granted()
    assert authorize(ROW, GRANT, OWNER, [], test=True) == Granted()


@pytest.mark.parametrize("status", ["paused", "broken"])
def test_a_paused_or_broken_subscription_isnt_wanted(status: str) -> None:
    """Not even for a test."""
    assert authorize(ROW, replace(GRANT, status=status), OWNER, ["state"], test=True) == Ignored()


CHANGED = [
    replace(ROW, channel_id="other"),
    replace(ROW, table="task"),
    replace(ROW, record_id="r" * 32),
    replace(ROW, filter_digest=""),
]


@pytest.mark.parametrize("row", CHANGED)
def test_a_changed_row_is_its_owners_claim_or_foreign(row: Match) -> None:
    """The owner must have changed it last; without an account there is no claim."""
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
def test_a_row_without_a_grant_needs_its_owner_everywhere(row: Match) -> None:
    """It is created and last changed by the linked account of the person it names."""
    assert authorize(ROW, None, OWNER, ["state"]) == Claimed("owner")
    assert isinstance(authorize(row, None, OWNER, ["state"]), Foreign)


def test_an_account_without_a_name_owns_nothing() -> None:
    """If ServiceNow doesn't let an account read itself, an empty user name proves nothing."""
    unknown = replace(OWNER, identity=Identity())
    assert isinstance(authorize(replace(ROW, created_by="", updated_by=""), None, unknown, ["state"]), Foreign)


def test_a_recreated_row_with_a_granted_id_is_foreign() -> None:
    """Everything is as granted except its creator."""
    assert isinstance(authorize(replace(ROW, created_by="mallory"), GRANT, OWNER, ["state"]), Foreign)


def test_a_connected_owner_without_a_name_keeps_an_older_grant() -> None:
    """Nothing shows who created the row, but the record is read with the owner's own token."""
    unknown = replace(OWNER, identity=Identity())
    assert authorize(ROW, GRANT, unknown, ["state"]) == Granted()


def test_administrators_learn_what_happened_to_a_row() -> None:
    """Created or changed; by someone else, or for someone without an account."""
    changed = replace(ROW, filter_digest="", updated_by="mallory")
    assert authorize(changed, GRANT, OWNER, ["state"]) == Foreign(
        "The row was changed in ServiceNow by somebody else than its owner."
    )
    assert authorize(ROW, None, None, ["state"]) == Foreign(
        "The row was made in ServiceNow, and its owner has no connected account here."
    )


def test_a_report_from_before_our_own_change_isnt_wanted() -> None:
    """It waited in ServiceNow while someone other than the owner changed the subscription through our form."""
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
