"""The configured ServiceNow instance, and our component in it as its administrators see it."""

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlsplit

_OF_SERVICENOW = re.compile(r"https://([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+service-now\.com")

# In the order of the documentation.
SETTING_NAMES = {
    "url": "SERVICENOW_URL",
    "client_id": "SERVICENOW_CLIENT_ID",
    "client_secret": "SERVICENOW_CLIENT_SECRET",
}


@dataclass(frozen=True, kw_only=True)
class Instance:
    """The instance and our OAuth client there; "" for what isn't set. ``url`` is an origin without a slash."""

    url: str = ""
    client_id: str = ""
    client_secret: str = field(default="", repr=False)

    @property
    def missing(self) -> tuple[str, ...]:
        """Names of the missing settings that connecting requires, in the documentation's order."""
        return tuple(name for part, name in SETTING_NAMES.items() if not getattr(self, part))


class Proof(StrEnum):
    """What a test of the instance says about the OAuth client."""

    PROVEN = "proven"  # it refreshed a connection's token
    REFUSED = "refused"  # it didn't refresh a token, which can be the connection's fault
    NONE = "none"  # unknown: ServiceNow answers every refusal alike, so testing needs a connection


def instance_problem(address: str, named: Collection[str]) -> str:
    """
    Why *address* can't be the instance, as the end of a sentence; "" if it can.

    Args:
        named: Other origins than ``https://*.service-now.com`` that are allowed, from ``SERVICENOW_HOSTS``.
    """
    address = address.rstrip("/")
    if address in {origin.rstrip("/") for origin in named} or _OF_SERVICENOW.fullmatch(address):
        return ""
    try:
        parts = urlsplit(address)
        plain = parts.scheme in {"http", "https"} and parts.hostname
        extra = parts.username is not None or parts.path or parts.query or parts.fragment or "\\" in address
    except ValueError:
        plain, extra = None, False
    if not plain:
        return "must be an address such as https://example.service-now.com"
    if extra:
        return "must be scheme and host alone, such as https://example.service-now.com"
    return "must be https://NAME.service-now.com, or an origin named in SERVICENOW_HOSTS"


VERSION = "3.0.0"  # the component's version in this release
OLD_VERSION = "2.1"  # the plugin's update set, which doesn't report a version
AUTH_TABLE = "x_830655_mm_std_servicenow_for_mattermost_notifications_auth"


@dataclass(frozen=True, kw_only=True)
class AuthRow:
    """
    A row of `AUTH_TABLE`: how the component authenticates to one server. The key itself can't be read.

    Args:
        key_id: Id of the key that it signs with; "" in rows of the old component.
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
        queued, dead: Reports that are waiting, and those that failed for good.
        oldest_queued: Raw UTC time, "" for none.
        last_status: HTTP status of the last attempt, 0 for no answer or no attempt.
    """

    version: str = ""
    queued: int = 0
    dead: int = 0
    oldest_queued: str = ""
    last_status: int = 0
    last_error: str = ""


@dataclass(frozen=True, kw_only=True)
class ForeignRow:
    """A subscription of another server (the plugin's), with what its migration needs. See `core.subscriptions`."""

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
