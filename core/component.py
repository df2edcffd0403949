"""The ServiceNow side of ours, as its administrators see it."""

from dataclasses import dataclass, field

VERSION = "3.0.0"  # of the component that belongs to this release
OLD_VERSION = "2.1"  # of the plugin's update set, which tells no version itself
AUTH_TABLE = "x_830655_mm_std_servicenow_for_mattermost_notifications_auth"


@dataclass(frozen=True, kw_only=True)
class AuthRow:
    """
    A row of `AUTH_TABLE`: what the component proves itself with at one server. The key itself can't be read.

    Args:
        key_id: Of the key that it signs with; "" in rows of the old component.
        old_secret: What a component of version 2.1 sends.
    """

    sys_id: str
    key_id: str = ""
    old_secret: str = field(default="", repr=False)


@dataclass(frozen=True, kw_only=True)
class ComponentHealth:
    """
    The component's own outbox.

    Args:
        queued, dead: Reports that wait, and those that were given up.
        oldest_queued: Raw UTC time, "" for none.
        last_status: HTTP status of the last try, 0 for no answer or no try.
    """

    version: str = ""
    queued: int = 0
    dead: int = 0
    oldest_queued: str = ""
    last_status: int = 0
    last_error: str = ""


@dataclass(frozen=True, kw_only=True)
class ForeignRow:
    """A subscription of another server (the plugin's), as far as taking it over needs. See `core.subscriptions`."""

    sys_id: str
    channel_id: str
    user_id: str
    table: str
    record_id: str
    filter_query: str
    events: str
    options: str
    name: str
    created_by: str
