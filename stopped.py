"""What the command line does while the service is stopped; wired as in `app.py`, without doors and threads."""

import time
from collections.abc import Callable
from functools import partial

from config import Config
from core.errors import NotConfigured, NotConnected
from core.instance import LiveInstance
from core.notices import WebhookKey
from core.storage_ports import Stores
from core.times import Deadline
from core.webhook_keys import KeyRing, LegacyWebhookSwitch
from handlers.webhook_keys import rotate
from mattermost.client import REMOTE
from servicenow.side import ServiceNowSide
from storage.sealing import derive_keys
from storage.tinydb import open_storage

_SECONDS = 60.0


class NoAdministrator(NotConnected):
    """Nobody's account was named that is connected here."""

    user_message = (
        "No such account is connected. Name the ServiceNow user name of a connected administrator with --account, "
        "or connect in Mattermost with /servicenow connect first."
    )


def rotate_stopped(config: Config, user_name: str, clock: Callable[[], float] = time.time) -> WebhookKey:
    """
    Make a webhook key and write it to ServiceNow.

    Args:
        user_name: Of the ServiceNow account to write it with; "" for that of who installed the app.

    Raises:
        InUse: The service runs and owns the storage.
        AppError: As `handlers.webhook_keys.rotate`, or NotConfigured, or NoAdministrator.
    """
    keys = partial(derive_keys, config.app_secrets)
    stores = open_storage(config.storage_url, keys, clock=clock)
    try:
        build = partial(
            ServiceNowSide,
            accounts=stores.accounts,
            remote=config.mattermost_url + REMOTE,
            fingerprint_key=keys("oauth client")[-1],
            at_once=1,
            clock=clock,
            on_client_suspect=lambda: None,
            record_links=config.record_links,
        )
        side = LiveInstance(config.instance, stores.settings, build).current
        if side.instance.missing:
            raise NotConfigured(side.instance.missing, administrator=True)
        person_id = _person(stores, side.instance.url, user_name)
        component = side.servicenow_for(person_id, Deadline(_SECONDS)).component()
        ring = KeyRing(config.webhook_keys, stores.settings, clock)
        return rotate(component, ring, config.app_url, LegacyWebhookSwitch(stores.settings, clock).secret())
    finally:
        stores.close()


def _person(stores: Stores, instance: str, user_name: str) -> str:
    installation = stores.installations.get()
    for account in stores.accounts.all():
        wanted = (
            account.identity.user_name == user_name
            if user_name
            else (installation is not None and account.person_id == installation.installed_by)
        )
        if wanted and account.instance == instance:
            return account.person_id
    raise NoAdministrator("no account to write the key with", "")
