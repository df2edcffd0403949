"""Put a webhook key where the component signs with it; make a new one without an outage."""

from collections.abc import Sequence

import structlog

from core.errors import NotPermitted
from core.instance import AuthRow
from core.notices import WebhookKey
from core.ports import Component
from core.upstream_errors import AccessDenied, NotInstalled, ServiceNowError
from core.webhook_keys import KeyRing

log = structlog.get_logger(__name__)


class NoKeyRights(NotPermitted):
    """The table of keys is closed to the account, as to everybody but administrators of ServiceNow."""

    user_message = (
        "Your ServiceNow account may not change the component's keys. Somebody who is an administrator there can."
    )


class NotWritten(ServiceNowError):
    """A key was made and counts here, but ServiceNow did not take it; the former one counts as well."""

    def __init__(self, key: WebhookKey, cause: ServiceNowError) -> None:
        super().__init__(f"{key.key_id}: {cause}")
        self.user_message = (
            f"The key `{key.key_id}` is made and counts here, but ServiceNow did not take it: {cause.user_message} "
            "The former key still counts, so nothing is lost."
        )


def own_row(component: Component, server_url: str) -> AuthRow | None:
    """
    The row of our address: the one with a key, else the oldest.

    Raises:
        NoKeyRights: It can't be read, so it could not be written either.
    """
    try:
        rows = component.auth_rows(server_url)
    except (AccessDenied, NotInstalled) as error:
        raise NoKeyRights(error.log_message) from error
    return row_of(rows)


def row_of(rows: Sequence[AuthRow]) -> AuthRow | None:
    """Of the rows of one address that with a key, else the oldest."""
    return next((row for row in rows if row.key_id), None) or next(iter(rows), None)


def rotate(component: Component, keys: KeyRing, server_url: str, old_secret: str = "") -> WebhookKey:
    """
    Make a key, accept it, then have the component sign with it.

    Whichever of the two ServiceNow signs with meanwhile, it counts. An unanswered write may have been done.

    Raises:
        NoKeyRights, KeysFromEnvironment, StorageFailed, ServiceNowError: Nothing changed.
        NotWritten: The key counts, but ServiceNow signs with the former one.
    """
    row = own_row(component, server_url)
    key = keys.make(row.key_id if row else "")
    log.info("webhook key made", key=key.key_id)
    try:
        write(component, keys, server_url, row, old_secret)
    except (ServiceNowError, NoKeyRights) as error:
        log.warning("webhook key not written", key=key.key_id, reason=error.log_message)
        raise NotWritten(
            key, error if isinstance(error, ServiceNowError) else AccessDenied(error.log_message)
        ) from error
    return key


def write(component: Component, keys: KeyRing, server_url: str, row: AuthRow | None, old_secret: str) -> None:
    """Have the component sign with the newest key. Raises NoKeyRights, or what ServiceNow says."""
    try:
        component.put_key(server_url, row, keys.newest, old_secret)
    except AccessDenied as error:
        raise NoKeyRights(error.log_message) from error
