"""Protocols of the storage. Everything is on disk unless a docstring says otherwise."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from core.accounts import Account, FormResult, Installation, SignIn
from core.notice_ports import Outbox, ParkedSubscriptions, Threads
from core.notices import WebhookKey
from core.record_ports import PostedCards
from core.subscriptions import Grant


class Accounts(Protocol):
    """Connected accounts, one per Mattermost user. Each write is on disk when the call returns."""

    def get(self, person_id: str) -> Account | None:
        """
        The account; None also if no key opens its tokens. Never uses the network.
        """
        ...

    def put(self, account: Account) -> bool:
        """
        Store *account* unless a stored one has the same or a higher version. Returns whether it was stored.
        A row whose tokens no key opens is replaced by any version.

        Raises:
            StorageFailed: The write failed and nothing changed.
        """
        ...

    def delete(self, person_id: str) -> None:
        """Remove the account, if there is one. Raises StorageFailed."""
        ...

    def all(self) -> Sequence[Account]:
        """Every account, in no order."""
        ...

    def person_of(self, user_sys_id: str) -> str:
        """The Mattermost ID of someone whose account is linked to this ServiceNow user; "" if there is no one."""
        ...


class SignIns(Protocol):
    """Sign-ins at ServiceNow in progress: a few per person, each for 15 minutes, like the framework's."""

    def start(self, sign_in: SignIn) -> None:
        """Store it before the browser is sent away. Raises StorageFailed."""
        ...

    def take(self, person_id: str, state: str) -> SignIn | None:
        """
        Return and remove the sign-in. None also if it belongs to another person or has expired.

        Raises:
            StorageFailed: It may not have been removed, so don't use it.
        """
        ...


class Installations(Protocol):
    """The one installation of the app."""

    def get(self) -> Installation | None: ...

    def put(self, installation: Installation) -> None:
        """Replace it. Raises StorageFailed."""
        ...


class FormResults(Protocol):
    """Results of opened forms, kept for 24 hours, so that one form creates one record."""

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
        """Remove it: nothing was saved and the form can be submitted again. Raises StorageFailed."""
        ...


class ChannelGrants(Protocol):
    """Subscriptions that people set up through us, by sys_id. Each write is on disk when the call returns."""

    def get(self, sys_id: str) -> Grant | None: ...

    def put(self, grant: Grant) -> None:
        """Store it, replacing one with the same sys_id. Raises StorageFailed."""
        ...

    def delete(self, sys_id: str) -> None:
        """Remove it, if there is one. Raises StorageFailed."""
        ...

    def all(self) -> Sequence[Grant]:
        """Every grant, in no order."""
        ...


class WebhookKeys(Protocol):
    """The keys that we accept from the component: at most two of ours, and those of the environment."""

    def accepted(self) -> Sequence[WebhookKey]:
        """Newest first; from memory."""
        ...

    def used(self, key_id: str) -> None:
        """Record that a request with a valid signature used this key. Cheap, so call it for every request."""
        ...


class LegacyWebhookSecret(Protocol):
    """Whether requests of update set v2.1 are taken."""

    def secret(self) -> str:
        """What they must carry; "" while they are refused."""
        ...


class SavedSettings(Protocol):
    """
    Settings that change while the service runs, by name: JSON objects, sealed on disk.

    Only for secrets and small data. Each write replaces one object and is on disk when it returns.
    """

    def get(self, name: str) -> Mapping[str, Any]:
        """The object, from memory; empty if there is none or no key opens it."""
        ...

    def put(self, name: str, content: Mapping[str, Any]) -> None:
        """Replace it. Raises StorageFailed."""
        ...


@dataclass(frozen=True)
class Stores:
    """
    All stores, with the functions that check and close the storage.

    ``check()`` raises StorageFailed if writes are known to fail. It is cheap enough for ``/readyz``. ``close()``
    finishes the writes in progress, rejects later ones, and releases the storage for another process. It can be
    called twice.
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
