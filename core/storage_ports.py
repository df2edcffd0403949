"""Protocols of the storage. Everything is on disk unless a docstring says otherwise."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from core.accounts import Account, FormResult, Installation, SignIn
from core.notices import WebhookKey
from core.outbox import Batch, Claim, Content, Parked, Queued, Thread
from core.subscriptions import Grant


class Accounts(Protocol):
    """Connected accounts, one per Mattermost user. Each write is on disk when the call returns."""

    def get(self, person_id: str) -> Account | None:
        """The account; None also if its tokens can't be decrypted. Never uses the network."""
        ...

    def put(self, account: Account) -> bool:
        """
        Store *account* unless the same or a higher version is stored. Returns whether it was stored.

        Any version replaces an account whose tokens can't be decrypted.

        Raises:
            StorageFailed: The write failed and nothing changed.
        """
        ...

    def delete(self, person_id: str) -> None:
        """Remove the account if it exists. Raises StorageFailed."""
        ...

    def all(self) -> Sequence[Account]:
        """All accounts in any order."""
        ...

    def person_of(self, user_sys_id: str) -> str:
        """The Mattermost ID of the person who connected this ServiceNow user; "" if nobody did."""
        ...


class SignIns(Protocol):
    """Sign-ins at ServiceNow in progress: a few per person, each for 15 minutes, like the framework's."""

    def start(self, sign_in: SignIn) -> None:
        """Store it before the browser is redirected. Raises StorageFailed."""
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
        """Store it before answering. Raises StorageFailed."""
        ...

    def forget(self, form_id: str) -> None:
        """Remove it, so that the form can be submitted again. Raises StorageFailed."""
        ...


class ChannelGrants(Protocol):
    """Subscriptions that people set up through this app, by sys_id. Each write is on disk when the call returns."""

    def get(self, sys_id: str) -> Grant | None: ...

    def put(self, grant: Grant) -> None:
        """Store it, and replace the one with the same sys_id. Raises StorageFailed."""
        ...

    def delete(self, sys_id: str) -> None:
        """Remove it if it exists. Raises StorageFailed."""
        ...

    def all(self) -> Sequence[Grant]:
        """All grants in any order."""
        ...


class WebhookKeys(Protocol):
    """The accepted keys of the component: at most two that we created, and those of the environment."""

    def accepted(self) -> Sequence[WebhookKey]:
        """Newest first. Read from memory."""
        ...

    def used(self, key_id: str) -> None:
        """Record that a request with a valid signature used this key. Cheap, so call it for every request."""
        ...


class LegacyWebhookSecret(Protocol):
    """The secret of requests from update set v2.1."""

    def secret(self) -> str:
        """The secret; "" while these requests are rejected."""
        ...


class SavedSettings(Protocol):
    """
    Settings that change while the service runs, by name: JSON objects, encrypted on disk.

    Only for secrets and small data. Each write replaces one object and is on disk when it returns.
    """

    def get(self, name: str) -> Mapping[str, Any]:
        """The object, read from memory; empty if nothing is stored or it can't be decrypted."""
        ...

    def put(self, name: str, content: Mapping[str, Any]) -> None:
        """Replace it. Raises StorageFailed."""
        ...


class Outbox(Protocol):
    """
    Events that wait to be posted. Each write is on disk when the call returns.

    Several workers can share it, because `claim` returns only what it really claimed.
    """

    def add(self, event_id: str, rows: Sequence[tuple[Queued, Content]]) -> bool:
        """
        Store all rows of one event, with numbers, or none of them. Returns False if the event was added in the last
        seven days. An event without rows is remembered too. Raises StorageFailed.
        """
        ...

    def known(self, event_id: str) -> bool:
        """Whether the event was added in the last seven days."""
        ...

    def waiting(self) -> Sequence[Queued]:
        """All rows, including claimed ones, by number."""
        ...

    def batches(self) -> Sequence[Batch]:
        """Claimed batches that are neither acknowledged nor given up."""
        ...

    def claim(self, claims: Sequence[Claim]) -> Sequence[Batch]:
        """Claim each batch if none of its rows is held or already claimed. Raises StorageFailed."""
        ...

    def contents(self, batch_ids: Collection[str]) -> Mapping[str, Sequence[tuple[Queued, Content | None]]]:
        """The decrypted rows by batch id, each by number; None for content that can't be decrypted."""
        ...

    def opened(self, keys: Collection[str]) -> Mapping[str, Content | None]:
        """The decrypted content of waiting rows by key; None for content that can't be decrypted."""
        ...

    def release(self, keys: Collection[str], dropped: Collection[str]) -> None:
        """
        Stop holding rows. Drop other held rows, and remember their events. Claimed and missing rows are ignored. Raises
        StorageFailed.
        """
        ...

    def retry_later(self, batches: Sequence[Batch]) -> None:
        """Store the number of attempts and the time of the next one. Raises StorageFailed."""
        ...

    def ack(self, batch_ids: Sequence[str]) -> None:
        """Remember the events of these batches for seven days, then drop the rows. Raises StorageFailed."""
        ...


class Threads(Protocol):
    """Threads of records in channels, kept for thirty days. Each write is on disk when the call returns."""

    def get(self, channel_id: str, record_id: str) -> Thread | None:
        """From memory."""
        ...

    def put(self, threads: Sequence[Thread]) -> None:
        """Raises StorageFailed."""
        ...


class ParkedSubscriptions(Protocol):
    """Subscriptions that no one with permission asked for, by sys_id; kept for thirty days after the last match."""

    def get(self, sys_id: str) -> Parked | None: ...

    def put(self, parked: Sequence[Parked]) -> None:
        """Raises StorageFailed."""
        ...

    def delete(self, sys_id: str) -> None:
        """Raises StorageFailed."""
        ...

    def all(self) -> Sequence[Parked]: ...


class PostedCards(Protocol):
    """The newest posts that show a record's card in a channel; kept for thirty days."""

    def of(self, channel_id: str, record_id: str) -> Sequence[str]:
        """Ids of posts, newest first. Read from memory."""
        ...

    def add(self, channel_id: str, record_id: str, post_id: str) -> None:
        """On disk when the call returns. Raises StorageFailed."""
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
