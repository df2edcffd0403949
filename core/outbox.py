"""Notifications that are in progress: waiting rows, claimed batches, threads in channels (design §9)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

REMEMBERED = 7 * 86_400.0  # seconds that event ids are stored
THREAD_LIFE = 30 * 86_400.0  # seconds after which a record gets a new thread


@dataclass(frozen=True, kw_only=True)
class Queued:
    """
    One event for one channel. It is on disk until it is delivered.

    Args:
        key: ``event id/channel id``, and the owner's id if it is held. So an event is stored only once.
        number: The order of arrival, which doesn't depend on a clock.
        stored_at: Unix seconds.
        batch_id: The batch that contains it, "" before it is claimed.
        held_for: Mattermost id of the owner whose permissions must be checked before it can be claimed; "" for none.
    """

    key: str
    event_id: str
    channel_id: str
    table: str
    record_id: str
    number: int = 0
    stored_at: float
    batch_id: str = ""
    held_for: str = ""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """
    Rows of one record in one channel that are posted together in every attempt.

    Args:
        batch_id: 26 random characters. Stored in the post, so that the post can be found.
        claimed_at: Unix seconds. The post is never older.
        attempts: Number of failed attempts.
        retry_at: Unix seconds of the next attempt.
        reason: Why the last attempt failed, for the log and the status.
    """

    batch_id: str
    channel_id: str
    table: str
    record_id: str
    claimed_at: float
    attempts: int = 0
    retry_at: float = 0.0
    reason: str = ""


@dataclass(frozen=True)
class Claim:
    """A new batch, and the keys of its rows in order of arrival."""

    batch: Batch
    keys: tuple[str, ...]


@dataclass(frozen=True)
class Card:
    """
    A record's card. ``attachment`` is in Mattermost's format. ``shows`` has the record's ``table``, ``sys_id`` and
    ``sys_mod_count``.
    """

    attachment: Mapping[str, Any]
    shows: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class CardUpdate:
    """
    The result of updating a card.

    Attributes:
        root_id: The root of the card's thread, "" if Mattermost doesn't tell.
        updated: Whether the card now shows the given state of the record, or a newer one.
    """

    root_id: str = ""
    updated: bool


@dataclass(frozen=True)
class Posted:
    """The bot's post. ``root_id`` is "" if it isn't a reply."""

    post_id: str
    root_id: str = ""


@dataclass(frozen=True)
class Mark:
    """
    What a post stores in its props so that it can be found.

    Args:
        events: Ids of the events in the post. ``id.number`` for an event that continues in the next post.
        part: Number of the post within its batch.
        more: The batch continues in another post.
    """

    batch_id: str
    events: tuple[str, ...] = ()
    part: int = 0
    more: bool = False


@dataclass(frozen=True)
class Found:
    """What an earlier attempt posted: one of the posts, the events in all of them, and their number."""

    posted: Posted
    events: frozenset[str]
    posts: int
    complete: bool


@dataclass(frozen=True, kw_only=True)
class Thread:
    """
    A record's thread in a channel. Times are Unix seconds.

    Args:
        root_id: Post id of the card that later posts reply to.
        root_at: When the card was posted.
        last_at: When the record was last posted in the channel.
        mod_count: The ``sys_mod_count`` of the record that the card shows.
    """

    channel_id: str
    table: str
    record_id: str
    root_id: str
    root_at: float
    last_at: float
    mod_count: int = 0


@dataclass(frozen=True, kw_only=True)
class Parked:
    """
    A subscription that no one with permission asked for, so it isn't posted (design §5).

    Args:
        reason: For administrators.
        seen_at: When a change last matched it, Unix seconds.
        told_at: When administrators were last notified, Unix seconds.
    """

    sys_id: str
    channel_id: str
    created_by: str
    updated_by: str
    reason: str
    seen_at: float
    told_at: float = 0.0


Content = Mapping[str, Any]  # a row's content as JSON values; encrypted on disk
