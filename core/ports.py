"""
What handlers need of the outside, as Protocols. `app.py` passes the implementations in.

Every method may raise the errors of `core.errors` that its docstring names, and no others.
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from core.accounts import Account, BotTokenHealth, FormResult, Installation, Tokens
from core.actions import CardKey, Offer
from core.calls import Channel
from core.component import AuthRow, ComponentHealth, ForeignRow
from core.deadline import Deadline
from core.fields import Option
from core.instance import Instance, Proof
from core.messages import Message
from core.notices import DeliveryHealth, WebhookKey
from core.record_ports import Attachments, Changes, Journal, Records
from core.records import Column, Identity, Record
from core.subscription_ports import Subscriptions
from core.subscriptions import Grant


class Clock(Protocol):
    """Unix seconds. Injected, so that tests can live through a hundred days."""

    def __call__(self) -> float: ...


class Accounts(Protocol):
    """Linked accounts, one per Mattermost user. Each write is on disk when the call returns."""

    def get(self, person_id: str) -> Account | None:
        """
        The account, or None; None also where its tokens can't be opened any more. Never touches the network.
        """
        ...

    def put(self, account: Account) -> bool:
        """
        Store *account* unless a stored one has the same or a higher version; say whether it was stored.
        A row whose tokens can't be opened any more gives way to any version.

        Raises:
            StorageFailed: The disk did not take it; what was stored before stays.
        """
        ...

    def delete(self, person_id: str) -> None:
        """Remove the account; no error when there is none. Raises StorageFailed."""
        ...

    def all(self) -> Sequence[Account]:
        """Every account, in no order."""
        ...


class Installations(Protocol):
    """The one installation of the app."""

    def get(self) -> Installation | None: ...

    def put(self, installation: Installation) -> None:
        """Replace it whole. Raises StorageFailed."""
        ...


class FormResults(Protocol):
    """Results of opened forms, kept for 24 hours, so that one form makes one record."""

    def claim(self, form_id: str) -> AbstractContextManager[None]:
        """
        Hold *form_id* while it is submitted.

        Raises:
            StillWorking: Another submit of the same form holds it.
        """
        ...

    def get(self, form_id: str) -> FormResult | None: ...

    def put(self, result: FormResult) -> None:
        """Store before answering. Raises StorageFailed."""
        ...

    def forget(self, form_id: str) -> None:
        """Remove it: nothing was saved, the form may start anew. Raises StorageFailed."""
        ...


class ChannelGrants(Protocol):
    """What people set up through us, by the subscription's sys_id. Each write is on disk when the call returns."""

    def get(self, sys_id: str) -> Grant | None: ...

    def put(self, grant: Grant) -> None:
        """Store it, in place of one with the same sys_id. Raises StorageFailed."""
        ...

    def delete(self, sys_id: str) -> None:
        """Remove it; no error when there is none. Raises StorageFailed."""
        ...

    def all(self) -> Sequence[Grant]:
        """Every grant, in no order."""
        ...


class WebhookKeys(Protocol):
    """The keys that the component may sign with: at most two of ours, and those of the environment."""

    def accepted(self) -> Sequence[WebhookKey]:
        """Newest first; from memory."""
        ...

    def used(self, key_id: str) -> None:
        """Remember that a request with a good signature came with this key; cheap, so call it for every one."""
        ...


class BotToken(Protocol):
    """The bot's token outside any call."""

    def health(self) -> BotTokenHealth:
        """From memory."""
        ...


class TestReports(Protocol):
    """Reports that somebody waits for: a test of the way from ServiceNow to us."""

    def arrived(self, nonce: str, seconds: float) -> bool:
        """Whether the report with *nonce* came in, also before this was asked; waits at most *seconds*."""
        ...


class Deliveries(Protocol):
    """What becomes of reports."""

    def health(self) -> DeliveryHealth:
        """From memory, or cheap."""
        ...


class OldDialect(Protocol):
    """Whether requests of update set v2.1 are taken."""

    def secret(self) -> str:
        """What they must carry; "" while they are refused."""
        ...


class SavedSettings(Protocol):
    """
    What is set while the service runs, by name: JSON objects, sealed on disk.

    For secrets and small things alone: each write replaces one object, and is on disk when it returns.
    """

    def get(self, name: str) -> Mapping[str, Any]:
        """The object, from memory; empty when there is none or no key opens it any more."""
        ...

    def put(self, name: str, content: Mapping[str, Any]) -> None:
        """Replace it whole. Raises StorageFailed."""
        ...


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

    All methods raise `core.errors.ServiceNowError` classes, `NotConnected` and `Suspended`.
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


class InstanceProbe(Protocol):
    """A look at an instance before it is put in force."""

    def look(self, instance: Instance, tokens: Tokens | None, deadline: Deadline) -> Proof:
        """
        Whether *instance* is a ServiceNow that is awake, and what can be told of its OAuth client.

        Args:
            tokens: Of a connection that the same client made at the same instance; renewed as a proof.

        Raises:
            ServiceNowError: It can't be reached, sleeps, or is no ServiceNow; the class says which.
        """
        ...


class Links(Protocol):
    """Addresses that people open; every part encoded."""

    def record(self, table: str, sys_id: str) -> str: ...

    def list(self, table: str) -> str: ...

    def new(self, table: str, columns: Mapping[str, str]) -> str:
        """The form for a new record with these raw values in it; long ones are cut, for addresses have a limit."""
        ...


class Buttons(Protocol):
    """Buttons of cards, which prove what they are when they come back."""

    def write(self, card: CardKey, offered: Offer) -> list[dict[str, Any]]:
        """The ``actions`` of a message attachment."""
        ...


class Mattermost(Protocol):
    """
    Mattermost as this call may use it: the bot's session, and the person's where the call carries one.

    All methods raise MattermostSilent and MattermostRefused.
    """

    def post_card(
        self,
        *,
        channel_id: str,
        root_id: str,
        attachment: Mapping[str, Any],
        pending_post_id: str,
        message: str = "",
        shows: Mapping[str, str] | None = None,
    ) -> str:
        """
        Post an attachment after checking that the person may post there; the new post's id.

        *shows* (table, sys_id, sys_mod_count) says which record the card is of, for `update_card`.

        By the bot, which joins with the person's rights where it is no member; where it may not
        (a direct message of two people), as the person.

        Raises:
            MayNotPost: Archived, no member, no right, or a guest where guests are not let in.
        """
        ...

    def update_card(self, *, post_id: str, attachment: Mapping[str, Any], shows: Mapping[str, str]) -> str:
        """
        Put *attachment* in place of a card's that the bot posted, unless that card is of another record
        or shows a newer state already; nothing else of the post changes. The id of its thread's root.
        """
        ...

    def direct_channel(self, person_id: str) -> str:
        """The channel of direct messages between whoever asks and *person_id*; made with the asker's session."""
        ...

    def person_id(self, username: str) -> str:
        """The id of a user by name, without ``@``. Raises MattermostRefused where there is none."""
        ...

    def reply(self, *, channel_id: str, root_id: str, text: str) -> None:
        """A line by the bot in a thread, after the same check as `post_card`. Raises MayNotPost."""
        ...

    def may_post(self, channel_id: str) -> None:
        """The same check alone. Raises MayNotPost."""
        ...

    def may_manage(self, channel_id: str) -> None:
        """
        Check that the person administrates the channel, its team or the system.

        Raises:
            NotYours: None of them, or not to be found out.
        """
        ...

    def let_bot_in(self, channel_id: str) -> None:
        """
        Have the bot where it may post, with the person's rights where it is no member yet.

        Raises:
            MayNotPost: The person may not post there.
            BotNotIn: The bot is no member and can't become one.
        """
        ...

    def bot_channel(self) -> str:
        """The channel of the person and the bot alone."""
        ...

    def channels(self) -> Mapping[str, Channel]:
        """Channels that the person is in, of every team, archived and direct ones too, by id."""
        ...

    def channel(self, channel_id: str) -> Channel:
        """A channel as the person may read it; MattermostRefused where that is not so."""
        ...

    def usernames(self, person_ids: Collection[str]) -> Mapping[str, str]:
        """Names by user id; unknown people are missing."""
        ...

    def tell(self, person_id: str, text: str) -> None:
        """A direct message from the bot."""
        ...

    def thread(self, post_id: str) -> Sequence[Message]:
        """The thread that a message belongs to, oldest first, with the person's own session."""
        ...

    def file(self, file_id: str, most: int) -> bytes:
        """A file's content with the person's own session. Raises MattermostRefused above *most* bytes."""
        ...

    def username(self, person_id: str) -> str:
        """The user's name without ``@``."""
        ...

    def admit(self, person_id: str, channel_id: str) -> None:
        """
        Check with the administrator's own session that *person_id* may post in a channel, and have the bot join it.

        Raises:
            MayNotPost: The person may not, or the bot can't get in.
        """
        ...

    def plugin_runs(self, plugin_id: str) -> bool:
        """Whether a plugin is active, asked with the administrator's own session."""
        ...

    def show_connected(self, connected: bool) -> None:
        """Write the framework's mark, which makes the person's clients ask for their menus again."""
        ...
