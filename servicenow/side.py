"""Everything that belongs to one instance and one OAuth client there, built together and replaced together."""

from collections.abc import Callable

from core.instance import Instance
from core.ports import Clock
from core.storage_ports import Accounts
from servicenow.choices import ColumnCache
from servicenow.client import ServiceNowClients
from servicenow.links import LINKS
from servicenow.oauth import OAuthClient
from servicenow.tokens import TokenKeeper
from servicenow.transport import Transport


class ServiceNowSide:
    """
    The parts, as `handlers.context.ServiceNowParts` names them.

    Args:
        remote: The framework's ``…/oauth2/remote``, under which people connect and come back.
        fingerprint_key: Keys the OAuth client's fingerprint.
        at_once: Calls to ServiceNow at the same time in all.
        on_client_suspect: See `TokenKeeper`.
        record_links: Where links to records lead, by its name in `servicenow.links.LINKS`.
    """

    def __init__(
        self,
        instance: Instance,
        *,
        accounts: Accounts,
        remote: str,
        fingerprint_key: bytes,
        at_once: int,
        clock: Clock,
        on_client_suspect: Callable[[], None],
        record_links: str = "classic",
    ) -> None:
        self.instance = instance
        transport = Transport(instance.url, at_once=at_once)
        self.oauth = OAuthClient(
            transport,
            client_id=instance.client_id,
            client_secret=instance.client_secret,
            redirect_address=f"{remote}/complete",
            fingerprint_key=fingerprint_key,
            clock=clock,
        )
        tokens = TokenKeeper(
            accounts,
            self.oauth,
            instance=instance.url,
            connect_address=f"{remote}/connect",
            clock=clock,
            on_client_suspect=on_client_suspect,
        )
        clients = ServiceNowClients(transport, tokens, accounts, ColumnCache(clock), clock)
        self.links = LINKS[record_links](instance.url)
        self.servicenow_for = clients.client_for
