"""
Decides what a subscription may have: its grant is compared with what a report says about its row. Pure.

Anyone with the role can write rows in ServiceNow, so rows prove nothing. A row that still is what was granted gets
what its grant says. A row that was written or changed in ServiceNow may be its owner's own work; that is checked with
the owner's permissions before anything is posted.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from core.accounts import Account
from core.notices import Match, Report
from core.outbox import Parked
from core.subscriptions import Grant, Status, tokens
from core.tables import table_of
from core.times import moment_of


@dataclass(frozen=True)
class Granted:
    """Its grant allows this event."""


@dataclass(frozen=True)
class Ignored:
    """
    Nothing to post, and nothing is wrong: it is paused or broken, its grant doesn't include the event, or the report
    is older than the grant.
    """


@dataclass(frozen=True)
class Claimed:
    """Its owner seems to have written or changed it in ServiceNow. The owner's permissions decide."""

    owner_id: str


@dataclass(frozen=True)
class Foreign:
    """No one with permission asked for it. ``reason`` is for administrators."""

    reason: str


Verdict = Granted | Ignored | Claimed | Foreign


def authorize(
    match: Match, grant: Grant | None, owner: Account | None, events: Sequence[str], test: bool = False
) -> Verdict:
    """
    Args:
        grant: The grant stored for the subscription's sys_id.
        owner: The linked account of the grant's owner, or of the row's ``user_id`` if there is no grant.
        events: Tokens of what happened.
        test: Someone asked for a test of this subscription, so any event matches.
    """
    if grant is not None and grant.status == Status.PAUSED:
        return Ignored()
    name = owner.identity.user_name if owner is not None else ""
    creator = name or (grant.created_by if grant is not None else "")
    if grant is not None and grant.covers(
        channel_id=match.channel_id, table=match.table, record_id=match.record_id, filter_digest=match.filter_digest
    ):
        if creator and match.created_by != creator:
            return Foreign("The row was made by somebody else than the person who set the subscription up.")
        if owner is None and not creator:
            return Ignored()  # nothing says whose row it is
        if grant.status != Status.ACTIVE or not (test or set(events) & set(tokens(grant.events))):
            return Ignored()
        return Granted()
    what = "made" if grant is None else "changed"
    if owner is None or not name:
        return Foreign(f"The row was {what} in ServiceNow, and its owner has no connected account here.")
    if (match.created_by, match.updated_by, match.user_id) != (name, name, owner.person_id):
        if grant is not None and 0.0 < moment_of(match.updated_on) < grant.granted_at:
            return Ignored()  # the row before our own change: the report waited in ServiceNow
        return Foreign(f"The row was {what} in ServiceNow by somebody else than its owner.")
    return Claimed(owner.person_id)


def shared(report: Report, tables: Collection[str]) -> Report | None:
    """
    *report* if the class of its record is one of *tables*, else None.

    A subscription to a table also matches the classes that extend it. Those are shared only if an administrator named
    them. Article templates are the exception: they count as articles.
    """
    record = report.record
    if record is None or record.table in tables:
        return report
    article = next((one.table for one in report.matches if one.table in tables and not table_of(one.table).is_task), "")
    return replace(report, record=replace(record, table=article)) if article else None


def parked(match: Match, reason: str, now: float, told_at: float) -> Parked:
    """A subscription that posts nothing, as it is kept for administrators."""
    return Parked(
        sys_id=match.sys_id,
        channel_id=match.channel_id,
        created_by=match.created_by,
        updated_by=match.updated_by,
        reason=reason,
        seen_at=now,
        told_at=told_at,
    )
