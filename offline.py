"""What the command line does while the service is stopped."""

import time

from config import Config
from core.errors import NotConfigured, NotConnected
from core.notices import WebhookKey
from core.storage_ports import Stores
from core.times import Clock, Deadline
from handlers.admin.webhook_keys import rotate
from handlers.live_settings import KeyRing, LegacyWebhookSwitch
from wiring import live_instance, open_stores

_SECONDS = 60.0


class NoAdministrator(NotConnected):
    """Nobody's account was named that is connected here."""

    user_message = (
        "No such account is connected. Name the ServiceNow user name of a connected administrator with --account, "
        "or connect in Mattermost with /servicenow connect first."
    )


def rotate_key(config: Config, user_name: str, clock: Clock = time.time) -> WebhookKey:
    """
    Make a webhook key and write it to ServiceNow.

    Args:
        user_name: Of the ServiceNow account to write it with. "" for that of the person who installed the app.

    Raises:
        InUse: The service runs and owns the storage.
        AppError: As `handlers.admin.webhook_keys.rotate`, or NotConfigured, or NoAdministrator.
    """
    stores = open_stores(config, clock=clock)
    try:
        clients = live_instance(config, stores, clock=clock, on_client_suspect=lambda: None).current
        if clients.instance.missing:
            raise NotConfigured(clients.instance.missing, administrator=True)
        person_id = _person_id(stores, clients.instance.url, user_name)
        component = clients.servicenow_for(person_id, Deadline(_SECONDS)).component()
        keys = KeyRing(config.webhook_keys, stores.settings, clock)
        return rotate(component, keys, config.app_url, LegacyWebhookSwitch(stores.settings, clock).secret())
    finally:
        stores.close()


def _person_id(stores: Stores, instance: str, user_name: str) -> str:
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
