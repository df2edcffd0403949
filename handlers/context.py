"""What a handler may ask for: everything of the outside, for one call of one person."""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from core.accounts import Account
from core.calls import Person
from core.deadline import Deadline
from core.instance import Instance
from core.keys import KeyRing
from core.mattermost_ports import Buttons, Mattermost
from core.menus import Standing
from core.old_dialect import OldDialectSwitch
from core.ports import Clock, InstanceProbe, Links, OAuth, ServiceNow
from core.settings import LiveInstance
from core.signing import Signer
from core.storage_ports import Accounts, BotToken, ChannelGrants, Deliveries, TestReports
from core.stores import Stores


@dataclass(frozen=True, kw_only=True)
class Settings:
    """
    The settings that handlers read and that stay while the service runs.

    Args:
        remote: The framework's ``…/oauth2/remote``, under which people connect and come back.
        mattermost_url: Site URL, for permalinks.
        app_url: Where ServiceNow reaches us; the ``server_url`` of our rows there.
        servicenow_hosts: Origins beside ``https://*.service-now.com`` that may be the instance.
        caller_optional: Whether an incident may have no caller.
        guests: Whether Mattermost guests may use the app.
        shared_tables: Tables beside `core.base.TABLES` that may be shared and subscribed to.
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
        """Where a person starts to connect; shown as the target of links only."""
        return f"{self.remote}/connect"

    @property
    def redirect_address(self) -> str:
        """Where ServiceNow sends people back to; registered there to the letter."""
        return f"{self.remote}/complete"


class ServiceNowParts(Protocol):
    """What belongs to one instance and is replaced whole when administrators choose another."""

    @property
    def instance(self) -> Instance: ...

    @property
    def oauth(self) -> OAuth: ...

    @property
    def links(self) -> Links: ...

    def servicenow_for(self, person_id: str, deadline: Deadline) -> ServiceNow:
        """ServiceNow with *person_id*'s rights, inside *deadline*."""
        ...


@dataclass(frozen=True, kw_only=True)
class Services:
    """
    The parts that live as long as the process.

    ``live.current`` is ServiceNow as it is configured now: take it once and keep it for the whole call.
    """

    settings: Settings
    live: LiveInstance[ServiceNowParts]
    probe: InstanceProbe
    stores: Stores
    keys: KeyRing
    old_dialect: OldDialectSwitch
    bot_token: BotToken
    test_reports: TestReports
    deliveries: Deliveries
    buttons: Buttons
    signer: Signer
    clock: Clock

    @property
    def accounts(self) -> Accounts:
        return self.stores.accounts

    @property
    def grants(self) -> ChannelGrants:
        return self.stores.grants


class Context:
    """One call's view of `Services`, with the person's own clients."""

    def __init__(self, services: Services, person: Person, mattermost: Mattermost, deadline: Deadline) -> None:
        self.live = services.live
        self.probe = services.probe
        self._parts = services.live.current
        self.settings = services.settings
        self.instance = self._parts.instance
        self.accounts = services.stores.accounts
        self.sign_ins = services.stores.sign_ins
        self.form_results = services.stores.form_results
        self.keys = services.keys
        self.old_dialect = services.old_dialect
        self.saved = services.stores.settings
        self.check_storage = services.stores.check
        self.grants = services.stores.grants
        self.parked = services.stores.parked
        self.cards = services.stores.cards
        self.bot_token = services.bot_token
        self.test_reports = services.test_reports
        self.deliveries = services.deliveries
        self.oauth = self._parts.oauth
        self.links = self._parts.links
        self.buttons = services.buttons
        self.signer = services.signer
        self.clock = services.clock
        self.mattermost = mattermost
        self.person = person
        self.deadline = deadline

    @property
    def who(self) -> str:
        """
        The person's display name, for what a channel reads: people are named there for what they do, never mentioned.

        Raw text: escape it in Markdown.
        """
        account = self.account
        named = account.identity.name or account.identity.user_name if account is not None else ""
        return named or self.person.username

    @cached_property
    def account(self) -> Account | None:
        """The person's account as stored, suspended or not."""
        return self.accounts.get(self.person.id)

    @cached_property
    def standing(self) -> Standing:
        """
        Where the person stands now.

        A suspended account counts as connected again once the OAuth client was changed: the next
        use tries it (design §4).
        """
        return standing_of(self.account, self._parts, self.person)

    @cached_property
    def servicenow(self) -> ServiceNow:
        """ServiceNow with this person's rights, inside this call's deadline."""
        return self._parts.servicenow_for(self.person.id, self.deadline)


def standing_of(account: Account | None, parts: ServiceNowParts, person: Person) -> Standing:
    """Where *person* with *account* stands. Reads nothing else, so bindings can afford it."""
    connected = (
        account is not None
        and account.instance == parts.instance.url
        and (not account.suspended or account.suspended_client != parts.oauth.client_fingerprint)
    )
    return Standing(
        configured=not parts.instance.missing,
        linked=account is not None,
        connected=connected,
        administrator=person.administrator,
    )
