"""
Who may have what: a matching subscription held against the grant that was made through us. Pure.

Rows in ServiceNow can be written by any holder of the role, so they prove nothing. A row that is as it
was granted gets what the grant says. One that did not come through us, or was changed since, may still
be its owner's own work; that is looked at again with the owner's rights before anything is posted.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from core.accounts import Account
from core.notices import Match
from core.subscriptions import Grant, Status, tokens
from core.times import moment_of


@dataclass(frozen=True)
class Granted:
    """It may have this event, by its grant."""


@dataclass(frozen=True)
class NotWanted:
    """
    It is paused or broken, its grant does not name the event, or the report is older than it: nothing is
    posted, and nothing is wrong.
    """


@dataclass(frozen=True)
class Claimed:
    """By all signs its owner wrote or changed it in ServiceNow; the owner's rights decide."""

    owner_id: str


@dataclass(frozen=True)
class Foreign:
    """Nobody who may has asked for it. ``reason`` is for administrators."""

    reason: str


Verdict = Granted | NotWanted | Claimed | Foreign


def judge(
    match: Match, grant: Grant | None, owner: Account | None, events: Sequence[str], test: bool = False
) -> Verdict:
    """
    Args:
        grant: What we keep for the subscription's sys_id.
        owner: The linked account of the grant's owner; without a grant, of the row's ``user_id``.
        events: Tokens of what happened.
        test: Somebody asked for a test of this subscription: any event will do.
    """
    if grant is not None and grant.status == Status.PAUSED:
        return NotWanted()
    name = owner.identity.user_name if owner is not None else ""
    creator = name or (grant.created_by if grant is not None else "")
    if grant is not None and grant.covers(
        channel_id=match.channel_id,
        table=match.table,
        record_id=match.record_id,
        filter_digest=match.filter_digest,
    ):
        if creator and match.created_by != creator:
            return Foreign("The row was made by somebody else than the person who set the subscription up.")
        if owner is None and not creator:
            return NotWanted()  # nothing tells any more whose row it is
        if grant.status != Status.ACTIVE or not (test or set(events) & set(tokens(grant.events))):
            return NotWanted()
        return Granted()
    what = "made" if grant is None else "changed"
    if owner is None or not name:
        return Foreign(f"The row was {what} in ServiceNow, and its owner has no connected account here.")
    if (match.created_by, match.updated_by, match.user_id) != (name, name, owner.person_id):
        if grant is not None and 0.0 < moment_of(match.updated_on) < grant.granted_at:
            return NotWanted()  # the row as it was before our own change: the report waited in ServiceNow
        return Foreign(f"The row was {what} in ServiceNow by somebody else than its owner.")
    return Claimed(owner.person_id)
