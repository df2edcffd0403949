"""What both the running service (`app.py`) and commands for a stopped one (`offline.py`) are built from."""

from collections.abc import Callable
from functools import partial

from config import Config
from core.instance import Instance
from core.storage_ports import Stores
from core.times import Clock
from handlers.live_settings import LiveInstance
from mattermost.client import REMOTE
from servicenow.client import InstanceClients, ServiceNowClients
from servicenow.columns import ColumnCache
from servicenow.links import LINKS
from servicenow.oauth import OAuthClient
from servicenow.tokens import TokenManager
from servicenow.transport import Transport
from storage.embedded import open_storage
from storage.sealing import derive_keys


def open_stores(config: Config, *, clock: Clock, wait: float = 0.0) -> Stores:
    """
    Open the storage for this process alone.

    Args:
        wait: Seconds to wait for another process to release it.

    Raises:
        StorageFailed: As `open_storage`.
    """
    return open_storage(config.storage_url, partial(derive_keys, config.app_secrets), clock=clock, wait=wait)


def live_instance(
    config: Config, stores: Stores, *, clock: Clock, on_client_suspect: Callable[[], None]
) -> LiveInstance[InstanceClients]:
    """
    The clients of the configured instance, rebuilt whenever an administrator changes it.

    Args:
        on_client_suspect: See `TokenManager`.
    """
    remote = config.mattermost_url + REMOTE
    fingerprint_key = derive_keys(config.app_secrets, "oauth client")[-1]

    def build(instance: Instance) -> InstanceClients:
        transport = Transport(instance.url, concurrent_calls=config.servicenow_calls)
        oauth = OAuthClient(
            transport,
            client_id=instance.client_id,
            client_secret=instance.client_secret,
            redirect_address=f"{remote}/complete",
            fingerprint_key=fingerprint_key,
            clock=clock,
        )
        tokens = TokenManager(
            stores.accounts,
            oauth,
            instance=instance.url,
            connect_address=f"{remote}/connect",
            clock=clock,
            on_client_suspect=on_client_suspect,
        )
        clients = ServiceNowClients(transport, tokens, stores.accounts, ColumnCache(clock), clock)
        links = LINKS[config.record_links](instance.url)
        return InstanceClients(instance=instance, oauth=oauth, links=links, servicenow_for=clients.client_for)

    return LiveInstance(config.instance, stores.settings, build)
