"""Protocols of the storage. Everything is on disk unless a docstring says otherwise."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from core.accounts import Account, BotTokenHealth, FormResult, Installation, SignIn
from core.notice_ports import Outbox, ParkedSubscriptions, Threads
from core.notices import DeliveryHealth, WebhookKey
from core.record_ports import PostedCards
from core.subscriptions import Grant


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

    def person_of(self, user_sys_id: str) -> str:
        """The Mattermost ID of someone whose account is linked to this ServiceNow user; "" if there is no one."""
        ...


class SignIns(Protocol):
    """Sign-ins at ServiceNow under way: a few per person, each for 15 minutes, as the framework keeps its own."""

    def start(self, sign_in: SignIn) -> None:
        """Store it before the browser is sent away. Raises StorageFailed."""
        ...

    def take(self, person_id: str, state: str) -> SignIn | None:
        """
        The sign-in, once: a second call finds nothing. None also where it is another person's or too old.

        Raises:
            StorageFailed: It may still be there, so it must not be used.
        """
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


@dataclass(frozen=True)
class Stores:
    """
    The ports, and how to give the storage back.

    ``check()`` raises StorageFailed where writes are known not to work; it is cheap, for ``/readyz``.
    ``close()`` finishes writes under way, refuses later ones and lets the next process in; twice is fine.
    """

    accounts: Accounts
    sign_ins: SignIns
    installations: Installations
    form_results: FormResults
    settings: SavedSettings
    grants: ChannelGrants
    outbox: Outbox
    threads: Threads
    parked: ParkedSubscriptions
    cards: PostedCards
    check: Callable[[], None]
    close: Callable[[], None]
