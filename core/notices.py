"""The component's report: one change of one record, and the subscriptions that match it (design §9)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from core.records import Cell

MOST_BYTES = 256 * 1024  # of one report


@dataclass(frozen=True)
class Change:
    """
    One column's change.

    Args:
        label, old, new: In the language of the person who saved, because business rules run as that person.
        old_value, new_value: As stored. Both are "" in reports without them.
    """

    field: str
    label: str
    old: str
    new: str
    old_value: str = ""
    new_value: str = ""


@dataclass(frozen=True)
class Comment:
    """A journal entry of this save. ``kind`` is ``comments`` or ``work_notes``."""

    kind: str
    text: str


@dataclass(frozen=True)
class Actor:
    """The person who saved. All "" if ServiceNow didn't tell."""

    sys_id: str = ""
    user_name: str = ""
    name: str = ""


@dataclass(frozen=True, kw_only=True)
class ReportedRecord:
    """The record right after the save."""

    table: str
    sys_id: str
    number: str
    short_description: str = ""
    class_label: str = ""
    state: Cell = field(default_factory=Cell)
    priority: Cell = field(default_factory=Cell)
    assigned_to: Cell = field(default_factory=Cell)
    assignment_group: Cell = field(default_factory=Cell)
    sys_mod_count: int = 0


@dataclass(frozen=True, kw_only=True)
class Match:
    """
    A subscription that matched this change. Anyone with the role can write its row, so it is compared with the grant.

    Args:
        filter_digest: See `core.subscriptions.digest_filter`.
        events: All tokens of the row, not only those that matched.
        updated_on: Raw UTC time.
    """

    sys_id: str
    channel_id: str
    user_id: str
    table: str
    record_id: str
    filter_digest: str
    events: tuple[str, ...]
    options: tuple[str, ...]
    created_by: str
    updated_by: str
    updated_on: str


@dataclass(frozen=True, kw_only=True)
class Report:
    """
    One signed request of the component.

    Args:
        event_id: The same for every attempt. 1 to 64 characters.
        occurred_at: Unix seconds.
        events: Tokens of what happened in this save (`core.subscriptions.Event`).
        record: None only in a test report without a subscription.
        test: The nonce of a test report, otherwise "".
    """

    event_id: str
    occurred_at: float
    component: str
    server_url: str
    record: ReportedRecord | None
    events: tuple[str, ...] = ()
    changes: Sequence[Change] = ()
    comments: Sequence[Comment] = ()
    actor: Actor = Actor()
    matches: Sequence[Match] = ()
    test: str = ""


@dataclass(frozen=True, kw_only=True)
class DeliveryHealth:
    """
    The state of notifications. Times are Unix seconds, 0.0 for never. Counts start with the process.

    Args:
        waiting: Notifications that are stored but neither posted nor given up.
        oldest_at: When the oldest of them was stored.
        delivered_at: When the last one was posted.
        refused_at, refused_reason: The last request that the webhook rejected, and why (``stale``, ``bad_mac`` …).
        clock_offset: Seconds that ServiceNow's clock was ahead of ours in the last request with a valid signature.
        refused: Number of rejected requests by reason.
        delivered, given_up: Number of notifications. They are given up after 24 hours of retries.
        trouble: Why the oldest failed batch wasn't delivered, for administrators; "" if none failed.
    """

    waiting: int = 0
    oldest_at: float = 0.0
    delivered_at: float = 0.0
    refused_at: float = 0.0
    refused_reason: str = ""
    clock_offset: float = 0.0
    refused: Mapping[str, int] = field(default_factory=dict)
    delivered: int = 0
    given_up: int = 0
    trouble: str = ""


@dataclass(frozen=True, kw_only=True)
class WebhookKey:
    """
    A key that requests can be signed with.

    Args:
        key_id: 1 to 40 characters of ``[A-Za-z0-9_-]``.
        secret: At least 32 ASCII characters.
        made_at, used_at: Unix seconds; 0.0 for unknown or never.
        from_environment: Only the environment can remove it.
    """

    key_id: str
    secret: str = field(repr=False)
    made_at: float = 0.0
    used_at: float = 0.0
    from_environment: bool = False
