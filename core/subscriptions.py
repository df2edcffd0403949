"""
Subscriptions: a row in ServiceNow, and the grant that we store for it.

The row says what is wanted and lives in ServiceNow, where any holder of the role can write one. The
grant says what somebody set up through us and may have; only what both agree on is ever posted.
"""

import hashlib
from dataclasses import dataclass, field
from enum import StrEnum

TABLE = "x_830655_mm_std_servicenow_for_mattermost_subscriptions"
ROLE = "x_830655_mm_std.user"

NAME_CHARACTERS = 100
FILTER_CHARACTERS = 4000
EVENTS_CHARACTERS = 1000
REASON_CHARACTERS = 255

PRIORITIES = ("1", "2", "3", "4", "5")  # critical … planning

# Journals and secrets aren't values of the record.
UNFILTERABLE_TYPES = frozenset({"journal", "journal_input", "journal_list", "password", "password2"})


class Event(StrEnum):
    """Events: the exact tokens of the column ``subscription_events``, separated by commas."""

    CREATED = "created"  # a whole table alone: a record that is subscribed to exists already
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
    Tokens of the column ``options``, comma separated.

    Each says how a subscription differs from the usual, so that rows of older versions, whose column
    is empty, have the usual: comment text shown, replies in a thread, nobody mentioned.
    """

    HIDE_COMMENT = "hide_comment"
    IN_CHANNEL = "in_channel"
    MENTION_ASSIGNEE = "mention_assignee"


class Status(StrEnum):
    """The column ``status``; empty in rows of older versions, which means active."""

    ACTIVE = "active"
    PAUSED = "paused"
    BROKEN = "broken"


@dataclass(frozen=True, kw_only=True)
class Subscription:
    """
    One row of `TABLE`.

    Args:
        sys_id: 32 hex digits; "" for one that is not stored yet.
        table: ``record_type``; changes of tables that extend it count too.
        record_id: sys_id of the one record; "" for the whole table (``type`` is ``object`` then, else ``record``).
        user_id: Mattermost id of the creator; proves nothing (design §5).
        filter_query: Encoded query on the record; "" for none.
        events: Tokens of `Event`; unknown ones of later versions are kept as they are.
        is_active: False in rows that somebody switched off by hand; they read as paused.
        status_reason: Why it is broken, for people.
        filter_error: What the component met when it evaluated the filter, "" for nothing.
        created_by: ServiceNow user name (``sys_created_by``); ``updated_by`` likewise.
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
        """Where it stands in a list."""
        return Cursor(self.created_on, self.sys_id)

    def same_as(self, other: "Subscription") -> bool:
        """Whether both would post the same records' notices in the same channel."""
        return _identity(self) == _identity(other)


def _identity(of: "Subscription | Grant") -> tuple[str, str, str, str]:
    return of.channel_id, of.table, of.record_id, of.filter_query


@dataclass(frozen=True)
class Cursor:
    """A place in a list that is ordered by creation; ``created_on`` is raw UTC."""

    created_on: str
    sys_id: str


@dataclass(frozen=True, kw_only=True)
class SubscriptionFilter:
    """Which subscriptions of this Mattermost server a list shows; "" demands nothing."""

    user_id: str = ""
    channel_id: str = ""
    table: str = ""


@dataclass(frozen=True, kw_only=True)
class Grant:
    """
    What one owner set up through us and may have; sys_id of the subscription is the key.

    Args:
        owner_id: Mattermost user id, whose rights decide what is posted.
        events, options: Tokens joined by commas, as in the row.
        status: `Status`; a broken one keeps its row and its reason.
        reason: A sentence for people, "" unless broken.
        told_at: When the owner was told of it, Unix seconds, 0.0 for never.
        granted_at: Unix seconds.
        created_by: ServiceNow user name of who created the row; "" where that isn't known.
        record_read: The owner could read the subscription's one record when it was set up.
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
        """Whether *subscription* would post the same records' notices in the same channel."""
        return _identity(self) == _identity(subscription)

    def covers(self, *, channel_id: str, table: str, record_id: str, filter_digest: str) -> bool:
        """Whether a row with these columns is still the one that was granted."""
        return (self.channel_id, self.table, self.record_id, digest_of(self.filter_query)) == (
            channel_id,
            table,
            record_id,
            filter_digest,
        )


@dataclass(frozen=True, kw_only=True)
class Filter:
    """
    Which records of a table a subscription is about, as chosen in a form. All parts must match; "" matches everything.

    Args:
        priority: Values up to this one, such as ``2`` for critical and high.
        assignment_group, cmdb_ci: sys_ids.
        category: The choice's value.
        text: What the short description or the description contains.
        query: An encoded query, for what the rest can't say.
    """

    priority: str = ""
    assignment_group: str = ""
    category: str = ""
    cmdb_ci: str = ""
    text: str = ""
    query: str = ""

    def __bool__(self) -> bool:
        return self != Filter()


def digest_of(filter_query: str) -> str:
    """SHA-256 of a filter in lower-case hex, as the component sends it; "" for no filter."""
    return hashlib.sha256(filter_query.encode()).hexdigest() if filter_query else ""


def tokens(text: str) -> tuple[str, ...]:
    """The tokens of a comma-separated column, trimmed, each once, in order."""
    return tuple(dict.fromkeys(word for part in text.split(",") if (word := part.strip())))
