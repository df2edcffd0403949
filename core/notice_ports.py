"""
What notices need of the outside, as Protocols: a queue that survives, the channels, the bot.

Every method may raise the errors of `core.errors` that its docstring names, and no others.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from core.outbox import Batch, Card, Claim, Content, Found, Mark, Parked, Posted, Queued, Thread


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


class Bot(Protocol):
    """
    Mattermost as the bot, outside any call.

    All methods raise MattermostSilent (no live token included) and MattermostRefused.
    """

    def post(self, channel_id: str, message: str, *, card: Card | None, root_id: str, mark: Mark) -> str:
        """
        Post, with *mark*; the new post's id.

        Raises:
            ChannelClosed: Archived, gone, or the bot is no member; the reason is for people.
            RootGone: There is no such root any more.
        """
        ...

    def show(self, post_id: str, card: Card) -> None:
        """Let a post of ours show a newer state of its record; its message stays, and it never goes back."""
        ...

    def find(self, channel_id: str, batch_id: str, since: float) -> Found | None:
        """
        Posts of the bot that carry *batch_id*, made at or after *since* (Unix seconds), deleted or not; None for
        none. Raises ChannelClosed where the bot may not read there.
        """
        ...

    def told(self, channel_id: str, since: float) -> Mapping[str, Posted]:
        """As `find`, for every batch: the bot's posts by each of the events in their marks."""
        ...

    def may_post(self, person_id: str, channel_id: str) -> None:
        """
        Whether the person may post there now; a yes is remembered for five minutes.

        Raises:
            ChannelClosed: For everybody, or for the bot.
            MayNotPost: For this person: left, deactivated, no right.
        """
        ...

    def username(self, person_id: str) -> str:
        """Without ``@``; "" for somebody deactivated."""
        ...

    def send_direct_message(self, person_id: str, text: str) -> None:
        """A direct message."""
        ...
