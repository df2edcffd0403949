"""What a handler can use: `Context` for one call, `Services` for the whole process."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from core.accounts import Account
from core.calls import Person
from core.menus import UserStatus
from core.signing import Signer
from core.storage_ports import Stores
from core.times import Clock, Deadline
from handlers.live_settings import KeyRing, LegacyWebhookSwitch, LiveInstance

if TYPE_CHECKING:
    from mattermost.bot_tokens import BotTokens
    from mattermost.card_buttons import CardButtons
    from mattermost.person import MattermostForPerson
    from notifications.health import Health, ReceivedTests
    from servicenow.client import InstanceClients, ServiceNowClient
    from servicenow.probe import Probe


@dataclass(frozen=True, kw_only=True)
class Settings:
    """
    The settings that handlers read and that don't change while the service runs.

    Args:
        remote: The framework's ``…/oauth2/remote``, under which people connect their accounts.
        mattermost_url: Site URL, for permalinks.
        app_url: Where ServiceNow reaches us; the ``server_url`` of our rows there.
        servicenow_hosts: Allowed origins of the instance, in addition to ``https://*.service-now.com``.
        caller_optional: Whether an incident can have no caller.
        guests: Whether Mattermost guests can use the app.
        shared_tables: Tables that can be shared and subscribed to, in addition to `core.tables.TABLES`.
    """

    remote: str
    mattermost_url: str
    app_url: str
    servicenow_hosts: tuple[str, ...] = ()
    caller_optional: bool = False
    guests: bool = False
    shared_tables: tuple[str, ...] = ()

    @property
    def connect_address(self) -> str:
        """Where a person starts to connect. Show it only as the target of links."""
        return f"{self.remote}/connect"

    @property
    def redirect_address(self) -> str:
        """Where ServiceNow redirects people to. It must be registered there exactly like this."""
        return f"{self.remote}/complete"


@dataclass(frozen=True, kw_only=True)
class Services:
    """
    The objects that live as long as the process.

    ``live.current`` are the clients of the configured instance. Read it once, and use them for the whole call.
    """

    settings: Settings
    live: LiveInstance[InstanceClients]
    probe: Probe
    stores: Stores
    keys: KeyRing
    legacy_webhook: LegacyWebhookSwitch
    bot_token: BotTokens
    test_reports: ReceivedTests
    deliveries: Health
    buttons: CardButtons
    signer: Signer
    clock: Clock


class Context:
    """
    What a handler can use during one call of one person.

    Attributes:
        person: Who is asking. The host verified it.
        account: Their ServiceNow account as stored, even if it is suspended. None if they haven't connected one.
        user_status: Whether they are connected, an administrator, and so on.
        display_name: Their name in posts.
        servicenow: ServiceNow with their permissions.
        mattermost: Mattermost with the bot's session, and with theirs if the call carries one.
        stores: What is stored: ``accounts``, ``sign_ins``, ``installations``, ``form_results``, ``settings``,
            ``grants``, ``parked``, ``cards``, and more. See `core.storage_ports.Stores`.
        instance: The ServiceNow instance in use. The call keeps it, even if an administrator changes it meanwhile.
        oauth: That instance as an OAuth provider.
        links: Addresses of its pages.
        settings: What was configured when the service started.
        buttons: Makes the buttons of cards.
        signer: Signs the state of forms and the links we give out.
        clock: Unix seconds.
        deadline: When the call must be finished. All clients of this context observe it.
        services: Everything else, which only setup, configuration, and status need: ``keys``, ``live``, ``probe``,
            ``deliveries``, and more. See `Services`.
    """

    def __init__(self, services: Services, person: Person, mattermost: MattermostForPerson, deadline: Deadline) -> None:
        self.services = services
        self.person = person
        self.mattermost = mattermost
        self.deadline = deadline
        self.stores = services.stores
        self.settings = services.settings
        self.buttons = services.buttons
        self.signer = services.signer
        self.clock = services.clock
        self._clients = services.live.current
        self.instance = self._clients.instance
        self.oauth = self._clients.oauth
        self.links = self._clients.links

    @property
    def display_name(self) -> str:
        """
        The name in ServiceNow, or else the Mattermost user name. Never a mention.

        Raw text: escape it in Markdown.
        """
        account = self.account
        name = account.identity.name or account.identity.user_name if account is not None else ""
        return name or self.person.username

    @cached_property
    def account(self) -> Account | None:
        return self.stores.accounts.get(self.person.id)

    @property
    def time_zone(self) -> str:
        """The IANA name of their time zone in ServiceNow, "UTC" if unknown."""
        return (self.account.identity.time_zone if self.account else "") or "UTC"

    @cached_property
    def user_status(self) -> UserStatus:
        """A suspended account counts as connected once the OAuth client changed: the next use tries it (design §4)."""
        return user_status_of(self.account, self._clients, self.person)

    @cached_property
    def servicenow(self) -> ServiceNowClient:
        return self._clients.servicenow_for(self.person.id, self.deadline)


def user_status_of(account: Account | None, clients: InstanceClients, person: Person) -> UserStatus:
    """The user_status of *person* with *account*. Reads nothing else, because every request for bindings needs it."""
    connected = (
        account is not None
        and account.instance == clients.instance.url
        and (not account.suspended or account.suspended_client != clients.oauth.client_fingerprint)
    )
    return UserStatus(
        configured=not clients.instance.missing,
        linked=account is not None,
        connected=connected,
        administrator=person.administrator,
    )
