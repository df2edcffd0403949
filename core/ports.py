"""
What handlers need of the outside, as Protocols. `app.py` passes the implementations in.

Every method may raise the errors of `core.errors` that its docstring names, and no others.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from core.accounts import Tokens
from core.fields import Option
from core.instance import AuthRow, ComponentHealth, ForeignRow
from core.notices import WebhookKey
from core.record_ports import Attachments, Changes, Journal, Records
from core.records import Column, Identity, Record
from core.subscription_ports import Subscriptions
from core.times import Deadline


class Clock(Protocol):
    """Unix seconds. Injected, so that tests can live through a hundred days."""

    def __call__(self) -> float: ...


class OAuth(Protocol):
    """ServiceNow as OAuth provider (API reference §4). All addresses are of the configured instance."""

    @property
    def client_fingerprint(self) -> str:
        """Changes when client id or secret change; tells nothing of them."""
        ...

    def authorization_address(self, state: str, code_verifier: str) -> str:
        """Where the browser goes to sign in and consent; carries the S256 challenge of *code_verifier*."""
        ...

    def exchange(self, code: str, code_verifier: str) -> Tokens:
        """Raises OAuthRefused, or a ServiceNowError of the connection."""
        ...

    def refresh(self, tokens: Tokens, deadline: Deadline | None = None) -> Tokens:
        """A new access token beside the same refresh token, inside *deadline*. Raises as `exchange` does."""
        ...

    def revoke(self, tokens: Tokens) -> None:
        """Revoke both tokens. Raises a ServiceNowError when either may still be alive."""
        ...

    def identify(self, tokens: Tokens) -> Identity:
        """Whose tokens these are; an unknown `Identity` where sys_user is closed to the account."""
        ...


class Component(Protocol):
    """
    Our update set in ServiceNow, with one person's rights. All methods raise as `ServiceNow`'s do.

    ``server_url`` is the address that the component reports to.
    """

    def version(self) -> str:
        """Such as ``3.0.0``; ``2.1`` for the plugin's, which tells none itself; "" where there is none."""
        ...

    def may_subscribe(self) -> bool:
        """Whether the account may read subscriptions, which takes the role or an administrator."""
        ...

    def auth_rows(self, server_url: str) -> Sequence[AuthRow]:
        """Oldest first. Raises AccessDenied for everybody but administrators."""
        ...

    def put_key(self, server_url: str, row: AuthRow | None, key: WebhookKey | None, old_secret: str) -> None:
        """
        Write what the component proves itself with; into a new row where *row* is None.

        Args:
            key: What it signs with; None leaves that alone.
            old_secret: What a component of version 2.1 sends; "" leaves that alone.
        """
        ...

    def send_test(self, server_url: str, nonce: str) -> None:
        """Have it send a report that carries *nonce*, through its outbox. Administrators only."""
        ...

    def health(self) -> ComponentHealth:
        """Administrators only."""
        ...

    def foreign_rows(self, server_url: str, limit: int) -> Sequence[ForeignRow]:
        """Subscriptions of another server, at most *limit*, in no order that means anything."""
        ...

    def move(self, sys_id: str, server_url: str) -> None:
        """Have a subscription reported to *server_url* from now on."""
        ...


class ServiceNow(Protocol):
    """
    ServiceNow with one person's rights, inside one call's deadline.

    All methods raise `core.upstream_errors.ServiceNowError` classes, `NotConnected` and `Suspended`.
    Reads are retried at most twice inside the deadline, writes never.
    """

    @property
    def records(self) -> Records: ...

    @property
    def journal(self) -> Journal: ...

    @property
    def changes(self) -> Changes: ...

    @property
    def attachments(self) -> Attachments: ...

    def create(self, table: str, columns: Mapping[str, str]) -> Record:
        """
        Insert a row of raw values; one round trip.

        The answer holds what a card shows. A `may_have_been_saved` error leaves open whether it was
        saved: look by ``correlation_id`` before telling anything.
        """
        ...

    def find_created(self, table: str, columns: Mapping[str, str], since: float) -> Record | None:
        """
        The row that an unanswered `create` of *columns* made at or after *since* (Unix seconds), if any.

        Looks by ``correlation_id``; where that column does not read back, by opener, short description
        and time. Raises MayBeSaved's cause (a ServiceNowError) when ServiceNow doesn't answer this either.
        """
        ...

    def created_by_form(self, table: str, form_id: str) -> Sequence[Record]:
        """The rows whose ``correlation_id`` is *form_id*, oldest first; none where that column does not read back."""
        ...

    def read_records(self, table: str, sys_ids: Sequence[str], columns: Sequence[str]) -> Mapping[str, Record]:
        """
        The records of *table* among *sys_ids* that the account may read, by sys_id; one round trip per hundred.

        Missing from the answer: deleted, or hidden by an ACL; ServiceNow does not say which. ``columns``
        are read raw and as displayed; ``sys_id`` and ``sys_mod_count`` come without being named.
        """
        ...

    def sees_any(self, table: str) -> bool:
        """Whether the account may read any of the table's twenty newest records; one round trip."""
        ...

    def columns(self, table: str) -> Mapping[str, Column]:
        """
        Columns with their choices, from memory for 15 minutes per table and language (design §5).

        Never raises for missing rights: less is returned, at last the base system's impact and urgency.
        """
        ...

    def visible_columns(self, table: str) -> Mapping[str, Column]:
        """The columns that this very account may see, asked for now; empty where ServiceNow does not say."""
        ...

    def cached_columns(self, table: str) -> Mapping[str, Column]:
        """As `columns`, without asking ServiceNow: what memory holds, else the base system's."""
        ...

    def component(self) -> Component:
        """The component, with the same rights and deadline."""
        ...

    def subscriptions(self, server_url: str) -> Subscriptions:
        """The subscriptions of the Mattermost server at *server_url*."""
        ...

    def find_users(self, query: str) -> Sequence[Option]:
        """Active users by name, user name or e-mail, at most 20, any for "": ``Name (user_name)``, sys_id."""
        ...

    def find_groups(self, query: str) -> Sequence[Option]:
        """Active groups by name, at most 20, any for ""."""
        ...

    def find_configuration_items(self, query: str) -> Sequence[Option]:
        """Configuration items by name, at most 20, any for ""."""
        ...


class Links(Protocol):
    """Addresses that people open; every part encoded."""

    def record(self, table: str, sys_id: str) -> str: ...

    def list(self, table: str) -> str: ...

    def new(self, table: str, columns: Mapping[str, str]) -> str:
        """The form for a new record with these raw values in it; long ones are cut, for addresses have a limit."""
        ...
