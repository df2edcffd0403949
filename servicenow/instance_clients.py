"""The clients of one ServiceNow instance, which are replaced together."""

from collections.abc import Callable
from dataclasses import dataclass

from core.instance import Instance
from core.ports import Links, OAuth
from core.times import Deadline
from servicenow.client import ServiceNowClient


@dataclass(frozen=True, kw_only=True)
class InstanceClients:
    """
    What depends on the instance and its OAuth client. `/servicenow configure` replaces all of it.

    Attributes:
        servicenow_for: Makes the client that has a person's permissions and must finish before a deadline.
    """

    instance: Instance
    oauth: OAuth
    links: Links
    servicenow_for: Callable[[str, Deadline], ServiceNowClient]
