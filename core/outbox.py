"""Notices on their way: rows that wait, batches that were claimed, threads in channels (design §9)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

REMEMBERED = 7 * 86_400.0  # seconds that event ids are known
THREAD_LIFE = 30 * 86_400.0  # seconds after which a record gets a new root


@dataclass(frozen=True, kw_only=True)
class Queued:
    """
    One event for one channel, on disk from intake until it was delivered.

    Args:
        key: ``event id/channel id``, with a third part where it is held; the same event never makes a second row.
        number: Order of arrival, which no clock can change.
        stored_at: Unix seconds.
        batch_id: The batch that holds it, "" while it waits for one.
        held_for: Mattermost id of the person whose rights are to be checked before it may be claimed; "" for nobody.
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
    Rows of one record in one channel that become one post, now and at every later try.

    Args:
        batch_id: Random, 26 characters; travels in the post, so that it can be found there.
        claimed_at: Unix seconds; the post is not older.
        attempts: Tries that failed so far.
        retry_at: Unix seconds before which it is not tried again.
        reason: Why the last try failed, for the log and the status.
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
    """A batch to be, and the keys of its rows by number."""

    batch: Batch
    keys: tuple[str, ...]


@dataclass(frozen=True)
class Card:
    """
    A record's card. ``attachment`` is Mattermost's; ``shows`` says which record it shows and which state of
    it: ``table``, ``sys_id``, ``sys_mod_count``.
    """

    attachment: Mapping[str, Any]
    shows: Mapping[str, str]


@dataclass(frozen=True)
class Posted:
    """A post of ours. ``root_id`` is "" for one that replies to nothing."""

    post_id: str
    root_id: str = ""


@dataclass(frozen=True)
class Mark:
    """
    By what a post of ours is found again.

    Args:
        events: Ids of the events in the post; ``id.number`` for an event that continues in the next one.
        part: Number of the post within its batch.
        more: The batch continues in another post.
    """

    batch_id: str
    events: tuple[str, ...] = ()
    part: int = 0
    more: bool = False


@dataclass(frozen=True)
class Found:
    """What an earlier try of a batch left in its channel: how many posts, one of them, and what all of them tell."""

    posted: Posted
    events: frozenset[str]
    posts: int
    complete: bool


@dataclass(frozen=True, kw_only=True)
class Thread:
    """
    What a record has in a channel.

    Args:
        root_id: Post id of the card that later posts reply to.
        root_at: When it was posted, Unix seconds.
        last_at: When anything of the record was last posted there, Unix seconds.
        mod_count: The highest ``sys_mod_count`` the card shows.
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
    A subscription that nobody who may has asked for: nothing of it is posted (design §5).

    Args:
        reason: A sentence for administrators.
        seen_at: When a change last matched it; ``told_at``: when administrators were last told. Unix seconds.
    """

    sys_id: str
    channel_id: str
    created_by: str
    updated_by: str
    reason: str
    seen_at: float
    told_at: float = 0.0


Content = Mapping[str, Any]  # what a row carries, as JSON values; sealed at rest
