"""What a handler may ask for: everything of the outside, for one call of one person."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from core.accounts import Account
from core.calls import Person
from core.deadline import Deadline
from core.menus import Standing
from core.ports import Accounts, Clock, FormResults, Links, Mattermost, OAuth, ServiceNow
from core.signing import Signer


@dataclass(frozen=True, kw_only=True)
class Settings:
    """
    The settings that handlers read.

    Args:
        missing: Names of settings without which nobody can connect.
        instance: Origin of the ServiceNow instance, "" while not set.
        connect_address: Where a person starts to connect; shown as the target of links only.
        mattermost_url: Site URL, for permalinks.
        caller_optional: Whether an incident may have no caller.
    """

    missing: tuple[str, ...]
    instance: str
    connect_address: str
    mattermost_url: str
    caller_optional: bool = False


@dataclass(frozen=True, kw_only=True)
class Services:
    """The parts that live as long as the process."""

    settings: Settings
    accounts: Accounts
    form_results: FormResults
    oauth: OAuth
    links: Links
    signer: Signer
    clock: Clock
    servicenow_for: Callable[[str, Deadline], ServiceNow]


class Context:
    """One call's view of `Services`, with the person's own clients."""

    def __init__(self, services: Services, person: Person, mattermost: Mattermost, deadline: Deadline) -> None:
        self.settings = services.settings
        self.accounts = services.accounts
        self.form_results = services.form_results
        self.oauth = services.oauth
        self.links = services.links
        self.signer = services.signer
        self.clock = services.clock
        self.mattermost = mattermost
        self.person = person
        self._servicenow_for = services.servicenow_for
        self._deadline = deadline

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
        return standing_of(self.account, self.settings, self.oauth, self.person)

    @cached_property
    def servicenow(self) -> ServiceNow:
        """ServiceNow with this person's rights, inside this call's deadline."""
        return self._servicenow_for(self.person.id, self._deadline)


def standing_of(account: Account | None, settings: Settings, oauth: OAuth, person: Person) -> Standing:
    """Where *person* with *account* stands. Reads nothing else, so bindings can afford it."""
    connected = (
        account is not None
        and account.instance == settings.instance
        and (not account.suspended or account.suspended_client != oauth.client_fingerprint)
    )
    return Standing(
        configured=not settings.missing,
        linked=account is not None,
        connected=connected,
        administrator=person.administrator,
    )
