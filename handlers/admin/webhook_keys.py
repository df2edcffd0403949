"""Write the webhook key that the component signs with, and replace it without an outage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import structlog

from core.errors import NotPermitted
from core.instance import AuthRow
from core.notices import WebhookKey
from core.upstream_errors import AccessDenied, NotInstalled, ServiceNowError
from handlers.live_settings import KeyRing

if TYPE_CHECKING:
    from servicenow.component import ComponentClient

log = structlog.get_logger(__name__)


class KeyAccessDenied(NotPermitted):
    """Only administrators of ServiceNow can read and write the table of keys."""

    user_message = (
        "Your ServiceNow account may not change the component's keys. Somebody who is an administrator there can."
    )


class NotWritten(ServiceNowError):
    """A new key is accepted here, but it could not be written to ServiceNow. The former key is still accepted."""

    def __init__(self, key: WebhookKey, cause: ServiceNowError) -> None:
        super().__init__(f"{key.key_id}: {cause}")
        self.user_message = (
            f"The key `{key.key_id}` is made and counts here, but ServiceNow did not take it: {cause.user_message} "
            "The former key still counts, so nothing is lost."
        )


def find_row(component: ComponentClient, server_url: str) -> AuthRow | None:
    """
    Our row in the table of keys, if there is one.

    Raises:
        KeyAccessDenied: It can't be read, so it couldn't be written either.
    """
    try:
        rows = component.auth_rows(server_url)
    except (AccessDenied, NotInstalled) as error:
        raise KeyAccessDenied(error.log_message) from error
    return choose_row(rows)


def choose_row(rows: Sequence[AuthRow]) -> AuthRow | None:
    """The row with a key, or else the oldest."""
    return next((row for row in rows if row.key_id), None) or next(iter(rows), None)


def rotate(component: ComponentClient, keys: KeyRing, server_url: str, old_secret: str = "") -> WebhookKey:
    """
    Create a key, accept it, then write it to ServiceNow. The former key is still accepted, also if the write fails.

    Raises:
        KeyAccessDenied, KeysFromEnvironment, StorageFailed, ServiceNowError: Nothing changed.
        NotWritten: The key is accepted, but ServiceNow signs with the former one.
    """
    row = find_row(component, server_url)
    key = keys.make(row.key_id if row else "")
    log.info("webhook key made", key=key.key_id)
    try:
        write_key(component, keys, server_url, row, old_secret)
    except (ServiceNowError, KeyAccessDenied) as error:
        log.warning("webhook key not written", key=key.key_id, reason=error.log_message)
        raise NotWritten(
            key, error if isinstance(error, ServiceNowError) else AccessDenied(error.log_message)
        ) from error
    return key


def write_key(component: ComponentClient, keys: KeyRing, server_url: str, row: AuthRow | None, old_secret: str) -> None:
    """Write the newest key to ServiceNow. Raises KeyAccessDenied or ServiceNowError."""
    try:
        component.put_key(server_url, row, keys.newest, old_secret)
    except AccessDenied as error:
        raise KeyAccessDenied(error.log_message) from error
