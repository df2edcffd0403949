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


class Outbox(Protocol):
    """
    Events that wait to be posted. Each write is on disk when the call returns.

    Several workers may share one: `claim` says what it really got. With a queue of its own (procrastinate)
    behind it, `waiting` is the rows of the jobs that are due.
    """

    def add(self, event_id: str, rows: Sequence[tuple[Queued, Content]]) -> bool:
        """
        Store all rows of one event, or none; give each its number. False for an event of the last seven
        days, of which nothing is done. An event without rows is remembered as well. Raises StorageFailed.
        """
        ...

    def known(self, event_id: str) -> bool:
        """Whether the event came in the last seven days."""
        ...

    def waiting(self) -> Sequence[Queued]:
        """Every row, claimed ones included, by number."""
        ...

    def batches(self) -> Sequence[Batch]:
        """What was claimed and is not settled."""
        ...

    def claim(self, claims: Sequence[Claim]) -> Sequence[Batch]:
        """Freeze batches with their rows; those of which every row was free, and not held. Raises StorageFailed."""
        ...

    def contents(self, batch_ids: Collection[str]) -> Mapping[str, Sequence[tuple[Queued, Content | None]]]:
        """The rows of batches by batch id, opened, by number; None for what no key opens any more."""
        ...

    def opened(self, keys: Collection[str]) -> Mapping[str, Content | None]:
        """The content of rows by key, for those that wait; None for what no key opens any more."""
        ...

    def release(self, keys: Collection[str], dropped: Collection[str]) -> None:
        """
        Hold rows no longer; drop others that were held, and remember their events. Rows that are claimed or gone are
        left alone. Raises StorageFailed.
        """
        ...

    def retry_later(self, batches: Sequence[Batch]) -> None:
        """Store how often these were tried and when to try again. Raises StorageFailed."""
        ...

    def ack(self, batch_ids: Sequence[str]) -> None:
        """Remember their events for seven days, then drop their rows with what they carry. Raises StorageFailed."""
        ...


class Threads(Protocol):
    """What records have in channels, for thirty days after their root was posted. Writes are on disk at once."""

    def get(self, channel_id: str, record_id: str) -> Thread | None:
        """From memory."""
        ...

    def put(self, threads: Sequence[Thread]) -> None:
        """Raises StorageFailed."""
        ...


class ParkedSubscriptions(Protocol):
    """Subscriptions that nobody who may has asked for, by sys_id; forgotten thirty days after their last change."""

    def get(self, sys_id: str) -> Parked | None: ...

    def put(self, parked: Sequence[Parked]) -> None:
        """Raises StorageFailed."""
        ...

    def delete(self, sys_id: str) -> None:
        """Raises StorageFailed."""
        ...

    def all(self) -> Sequence[Parked]: ...


class PostedCards(Protocol):
    """Which posts show a record's card, for thirty days; the newest few of a record in a channel."""

    def of(self, channel_id: str, record_id: str) -> Sequence[str]:
        """Ids of posts, newest first; from memory."""
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
