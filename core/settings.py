"""
Which ServiceNow instance is in force: what the environment sets wins, the rest is what administrators
set while the service runs.

Everything that is built for one instance is built anew when it changes and then replaced whole. A call
keeps the parts that it began with, so a token never meets another origin than its own.
"""

import re
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, fields
from typing import Generic, TypeVar
from urllib.parse import urlsplit

from core.ports import SavedSettings

Parts = TypeVar("Parts")

_OF_SERVICENOW = re.compile(r"https://([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+service-now\.com")
_SAVED_AS = "instance"

# In the order of the manual.
SETTING_NAMES = {
    "url": "SERVICENOW_URL",
    "client_id": "SERVICENOW_CLIENT_ID",
    "client_secret": "SERVICENOW_CLIENT_SECRET",
}


@dataclass(frozen=True, kw_only=True)
class Instance:
    """One instance and our OAuth client there; "" for what nobody set. ``url`` is an origin without a slash."""

    url: str = ""
    client_id: str = ""
    client_secret: str = field(default="", repr=False)

    @property
    def missing(self) -> tuple[str, ...]:
        """Names of the settings without which nobody can connect, in the order of the manual."""
        return tuple(name for part, name in SETTING_NAMES.items() if not getattr(self, part))


class LiveInstance(Generic[Parts]):
    """
    The parts that belong to the instance in force.

    Args:
        environment: Set from outside; what it has can't be changed here.
        build: Makes the parts for an instance; runs at the start and at each change.
    """

    def __init__(self, environment: Instance, saved: SavedSettings, build: Callable[[Instance], Parts]) -> None:
        self.environment = environment
        self._saved = saved
        self._build = build
        self._lock = threading.Lock()
        self.current: Parts = build(self._in_force())

    def set(self, instance: Instance) -> None:
        """
        Store *instance* and use it from now on, but for what the environment sets.

        Raises:
            StorageFailed: Not stored, and nothing changed.
        """
        with self._lock:
            kept = {part: getattr(instance, part) for part in SETTING_NAMES if not getattr(self.environment, part)}
            self._saved.put(_SAVED_AS, kept)
            self.current = self._build(self._in_force())

    def _in_force(self) -> Instance:
        saved = self._saved.get(_SAVED_AS)
        return Instance(
            **{
                one.name: getattr(self.environment, one.name) or str(saved.get(one.name, ""))
                for one in fields(Instance)
            }
        )


def instance_problem(address: str, named: Collection[str]) -> str:
    """
    Why *address* can't be the instance, as the end of a sentence; "" when it can.

    Args:
        named: Origins beside ``https://*.service-now.com`` that are allowed, as in ``SERVICENOW_HOSTS``.
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
