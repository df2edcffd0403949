"""
Subscriptions: a row in ServiceNow, and the grant that we store for it.

The row is stored in ServiceNow, where anyone with the role can write one. The grant contains what a person with
permission set up through this app. A notification is posted only if row and grant match.
"""

import hashlib
from dataclasses import dataclass, field
from enum import StrEnum

TABLE = "x_830655_mm_std_servicenow_for_mattermost_subscriptions"
ROLE = "x_830655_mm_std.user"

NAME_CHARACTERS = 100
FILTER_CHARACTERS = 4000
REASON_CHARACTERS = 255

PRIORITIES = ("1", "2", "3", "4", "5")  # critical … planning

# Journals and secrets aren't values of the record.
UNFILTERABLE_TYPES = frozenset({"journal", "journal_input", "journal_list", "password", "password2"})


class Event(StrEnum):
    """Events: the exact tokens of the column ``subscription_events``, separated by commas."""

    CREATED = "created"  # only for whole tables; a single record already exists
    STATE = "state"
    PRIORITY = "priority"
    COMMENTED = "commented"
    ASSIGNED_TO = "assigned_to"
    ASSIGNMENT_GROUP = "assignment_group"
    WORK_NOTES = "work_notes"
    RESOLVED = "resolved"
    CLOSED = "closed"
    REOPENED = "reopened"


EVENT_LABELS = {
    Event.CREATED: "New record created",
    Event.STATE: "State changed",
    Event.PRIORITY: "Priority changed",
    Event.COMMENTED: "New comment",
    Event.ASSIGNED_TO: "Assigned to changed",
    Event.ASSIGNMENT_GROUP: "Assignment group changed",
    Event.WORK_NOTES: "New work note",
    Event.RESOLVED: "Resolved",
    Event.CLOSED: "Closed",
    Event.REOPENED: "Reopened",
}
DEFAULT_EVENTS = (Event.STATE, Event.PRIORITY, Event.COMMENTED)


class PostOption(StrEnum):
    """
    Tokens of the column ``options``, separated by commas.

    Each is an exception to the default: comment text is shown, posts are replies in a thread, and nobody is mentioned.
    Rows of older versions have an empty column, so they have the default.
    """

    HIDE_COMMENT = "hide_comment"
    IN_CHANNEL = "in_channel"
    MENTION_ASSIGNEE = "mention_assignee"


class Status(StrEnum):
    """The column ``status``. It is empty in rows of older versions, which means active."""

    ACTIVE = "active"
    PAUSED = "paused"
    BROKEN = "broken"


@dataclass(frozen=True, kw_only=True)
class Subscription:
    """
    One row of `TABLE`.

    Args:
        sys_id: 32 hex digits; "" before it is stored.
        table: ``record_type``. Changes of tables that extend it match too.
        record_id: sys_id of a single record; "" for the whole table. ``type`` is ``record`` or ``object``.
        user_id: Mattermost id of the creator. Anyone with the role can write it, so it proves nothing (design §5).
        filter_query: Encoded query; "" for none.
        events: Tokens of `Event`. Unknown tokens of later versions are kept.
        is_active: False in rows that were deactivated in ServiceNow. They count as paused.
        status_reason: Why it is broken, for people.
        filter_error: The component's error when it evaluated the filter; "" for none.
        created_by, updated_by: ServiceNow user names.
        created_on, updated_on: Raw UTC times, ``YYYY-MM-DD HH:MM:SS``.
    """

    sys_id: str = ""
    name: str = ""
    channel_id: str
    user_id: str
    table: str
    record_id: str = ""
    filter_query: str = ""
    events: tuple[str, ...] = DEFAULT_EVENTS
    options: tuple[str, ...] = ()
    is_active: bool = True
    status: Status = Status.ACTIVE
    status_reason: str = ""
    filter_error: str = ""
    created_by: str = ""
    created_on: str = ""
    updated_by: str = ""
    updated_on: str = ""

    @property
    def cursor(self) -> "Cursor":
        """Its place in a list."""
        return Cursor(self.created_on, self.sys_id)

    def same_as(self, other: "Subscription") -> bool:
        """Whether both are for the same records and the same channel."""
        return _identity(self) == _identity(other)


def _identity(of: "Subscription | Grant") -> tuple[str, str, str, str]:
    return of.channel_id, of.table, of.record_id, of.filter_query


@dataclass(frozen=True)
class Cursor:
    """A place in a list that is sorted by creation. ``created_on`` is raw UTC."""

    created_on: str
    sys_id: str


@dataclass(frozen=True, kw_only=True)
class SubscriptionFilter:
    """Which subscriptions of this Mattermost server a list shows. "" matches all."""

    user_id: str = ""
    channel_id: str = ""
    table: str = ""


@dataclass(frozen=True, kw_only=True)
class Grant:
    """
    What an owner with permission set up through this app, keyed by the subscription's sys_id.

    Args:
        owner_id: Mattermost user id of the person whose permissions decide what is posted.
        events, options: Tokens joined by commas, as in the row.
        status: A `Status`.
        reason: Why it is broken, for people; "" if it isn't.
        told_at: When the owner was notified of that, Unix seconds; 0.0 for never.
        granted_at: Unix seconds.
        created_by: ServiceNow user name of the row's creator; "" if unknown.
        record_read: Whether the owner could read the single record when the subscription was set up.
    """

    sys_id: str
    owner_id: str
    channel_id: str
    table: str
    record_id: str = ""
    filter_query: str = ""
    events: str = ""
    options: str = ""
    name: str = ""
    status: str = Status.ACTIVE.value
    reason: str = ""
    told_at: float = 0.0
    granted_at: float = 0.0
    created_by: str = ""
    record_read: bool = False
    version: int = field(default=1)

    def same_as(self, subscription: Subscription) -> bool:
        """Whether *subscription* is for the same records and the same channel."""
        return _identity(self) == _identity(subscription)

    def covers(self, *, channel_id: str, table: str, record_id: str, filter_digest: str) -> bool:
        """Whether a row with these columns is still the one that was granted."""
        granted = (self.channel_id, self.table, self.record_id, digest_filter(self.filter_query))
        return granted == (channel_id, table, record_id, filter_digest)


@dataclass(frozen=True, kw_only=True)
class Filter:
    """
    The records of a table that a subscription is for, as chosen in a form. All parts must match, and "" matches all.

    Args:
        priority: Values up to this one, such as ``2`` for critical and high.
        assignment_group, cmdb_ci: sys_ids.
        category: The choice's value.
        text: Contained in the short description or the description.
        query: An encoded query for everything else.
    """

    priority: str = ""
    assignment_group: str = ""
    category: str = ""
    cmdb_ci: str = ""
    text: str = ""
    query: str = ""

    def __bool__(self) -> bool:
        return self != Filter()


def digest_filter(filter_query: str) -> str:
    """SHA-256 of a filter in lower-case hex, as the component sends it; "" for no filter."""
    return hashlib.sha256(filter_query.encode()).hexdigest() if filter_query else ""


def tokens(text: str) -> tuple[str, ...]:
    """The tokens of a comma-separated column, trimmed, each once, in order."""
    return tuple(dict.fromkeys(word for part in text.split(",") if (word := part.strip())))
