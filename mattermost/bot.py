"""Mattermost as the bot, for work outside a call, such as posting notifications."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import structlog
from cachetools import TTLCache

from core.errors import ChannelClosed, MayNotPost
from core.outbox import Card, Found, Mark, Posted
from core.times import Deadline
from core.upstream_errors import MattermostRefused, MattermostSilent, RootPostDeleted
from mattermost.access import Access
from mattermost.bot_tokens import BotTokens
from mattermost.card_props import RECORD_PROP, post_lock, updated_props
from mattermost.client import MattermostClient
from mattermost.paths import Id, Path, api

log = structlog.get_logger(__name__)

BATCH = "servicenow_batch"  # props that identify a notification's post
EVENTS = "servicenow_events"
MORE = "servicenow_more"
_ARCHIVED = "api.post.create_post.can_not_post_to_deleted.error"
_ROOT_GONE = {"api.post.create_post.root_id.app_error", "api.post.create_post.channel_root_id.app_error"}
_SINCE_MOST = 1000  # the limit of posts in an answer to `since`
_PAGE = 200
_PAGES = 50
_CLOCK_MARGIN = 300.0  # seconds that Mattermost's clock can be behind ours
_SECONDS = 15.0  # per request
_REMEMBERED = 300.0

ARCHIVED = "The channel is archived."
CHANNEL_DELETED = "There is no such channel any more."
BOT_NOT_MEMBER = "The bot is no member of the channel. Invite it there again."
OWNER_DEACTIVATED = "The owner's Mattermost account is deactivated."
OWNER_CANT_POST = "The owner may not post in the channel any more."


class MattermostBot:
    """
    Posts, updates and finds notifications. All methods raise MattermostSilent (also without a valid token) and
    MattermostRefused.
    """

    def __init__(
        self,
        client: MattermostClient,
        tokens: BotTokens,
        access: Access,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._tokens = tokens
        self._access = access
        self._allowed: TTLCache[tuple[str, str], bool] = TTLCache(maxsize=10_000, ttl=_REMEMBERED, timer=timer)
        self._lock = threading.Lock()
        self._names: TTLCache[str, str] = TTLCache(maxsize=1000, ttl=_REMEMBERED, timer=timer)

    def post(self, channel_id: str, message: str, *, card: Card | None, root_id: str, mark: Mark) -> str:
        """
        Post a notification that `find` can identify by *mark*, and return the post's ID.

        Raises:
            ChannelClosed: The channel is archived or deleted, or the bot isn't a member. The reason is for people.
            RootPostDeleted: The thread's root was deleted.
        """
        props: dict[str, Any] = {BATCH: mark.batch_id, EVENTS: list(mark.events)}
        if mark.more:
            props[MORE] = True
        if card is not None:
            props |= {"attachments": [dict(card.attachment)], RECORD_PROP: dict(card.shows)}
        post = {
            "channel_id": channel_id,
            "root_id": root_id,
            # Has our user id, because Mattermost compares these ids across users (native integrations reference §4.5).
            "pending_post_id": f"{self._tokens.bot_user_id}:{mark.batch_id}" + (f":{mark.part}" if mark.part else ""),
            "message": message,
            "props": props,
        }
        try:
            return str(self._ask("POST", api("posts"), json=post)["id"])
        except MattermostRefused as error:
            if error.error_id in _ROOT_GONE and root_id:
                raise RootPostDeleted(error.log_message, error.status, error.error_id) from error
            if error.error_id == _ARCHIVED:
                raise ChannelClosed(error.log_message, ARCHIVED) from error
            if error.status in {403, 404}:
                raise self._closed(channel_id, error) from error
            raise

    def show(self, post_id: str, card: Card) -> None:
        """Update the card of one of our posts. The message stays, and an older state never replaces a newer one."""
        with post_lock(post_id):
            props = self._ask("GET", api("posts", Id(post_id))).get("props") or {}
            changed = updated_props(props, card.attachment, card.shows)
            if changed is not None:
                self._ask("PUT", api("posts", Id(post_id), "patch"), json={"props": changed})

    def find(self, channel_id: str, batch_id: str, since: float) -> Found | None:
        """
        The bot's posts of a batch made at or after *since* (Unix seconds), including deleted ones.

        Raises:
            ChannelClosed: The bot can't read the channel.
        """
        first: Posted | None = None
        posts = 0
        events: set[str] = set()
        for post in self._own_posts(channel_id, since):
            if _props(post).get(BATCH) != batch_id:
                continue
            first, posts = _posted(post), posts + 1
            events.update(_events(post))
            if not _props(post).get(MORE):
                return Found(first, frozenset(events), posts, complete=True)
        return None if first is None else Found(first, frozenset(events), posts, complete=False)

    def told(self, channel_id: str, since: float) -> Mapping[str, Posted]:
        """Like `find` for all batches: the bot's posts by event ID."""
        return {event: _posted(post) for post in self._own_posts(channel_id, since) for event in _events(post)}

    def _own_posts(self, channel_id: str, since: float) -> Iterator[Mapping[str, Any]]:
        """The bot's own posts in a channel, newest first. Props prove nothing, because anyone can write them."""
        after = int((since - _CLOCK_MARGIN) * 1000)
        try:
            path = api("channels", Id(channel_id), "posts")
            # Only `since` returns deleted posts, which must not be posted again.
            posts = _listed(self._ask("GET", path, params={"since": str(after)}))
            more = len(posts) >= _SINCE_MOST
            for _ in range(_PAGES):
                yield from (one for one in posts if one.get("user_id") == self._tokens.bot_user_id)
                if not more or not posts or int(posts[-1].get("create_at", 0)) < after:
                    return
                query = {"before": str(posts[-1]["id"]), "per_page": str(_PAGE)}
                posts = _listed(self._ask("GET", path, params=query))
        except MattermostRefused as error:
            raise self._closed(channel_id, error) from error
        log.error("too many posts to look for one", channel=channel_id)

    def may_post(self, person_id: str, channel_id: str) -> None:
        """
        Check that the person can post in the channel. A positive result is cached for five minutes.

        Raises:
            ChannelClosed: Nobody can, or the bot can't.
            MayNotPost: The person left, was deactivated or lacks permission.
        """
        with self._lock:
            if self._allowed.get((person_id, channel_id)):
                return
        reads = self._access.reads(self._ask, person_id)
        try:
            user = reads.user()  # alone: if the token has died, one request finds out and renews it
        except MattermostRefused as error:
            raise MayNotPost(f"owner: {error}", OWNER_DEACTIVATED) from error
        if user.get("delete_at"):
            raise MayNotPost("owner deactivated", OWNER_DEACTIVATED)
        try:
            self._access.may_post(reads, channel_id)
        except MayNotPost as error:
            raise self._why_not(channel_id, error) from error
        with self._lock:
            self._allowed[person_id, channel_id] = True

    def username(self, person_id: str) -> str:
        """The user name without ``@``; "" if the user is deactivated."""
        with self._lock:
            name = self._names.get(person_id)
        if name is None:
            try:
                user = self._ask("GET", api("users", Id(person_id)))
            except MattermostRefused:
                user = {}
            name = "" if user.get("delete_at") else str(user.get("username", ""))
            with self._lock:
                self._names[person_id] = name
        return name

    def send_direct_message(self, person_id: str, text: str) -> None:
        """A direct message."""
        channel = self._ask("POST", api("channels", "direct"), json=[self._tokens.bot_user_id, person_id])
        self._ask("POST", api("posts"), json={"channel_id": channel["id"], "message": text})

    def _closed(self, channel_id: str, cause: Exception) -> ChannelClosed:
        """Why the channel rejected the bot's post."""
        try:
            channel = self._ask("GET", api("channels", Id(channel_id)))
        except MattermostRefused as error:
            return ChannelClosed(f"{cause}; {error}", CHANNEL_DELETED if error.status == 404 else BOT_NOT_MEMBER)
        return ChannelClosed(str(cause), ARCHIVED if channel.get("delete_at") else BOT_NOT_MEMBER)

    def _why_not(self, channel_id: str, cause: MayNotPost) -> MayNotPost:
        """Find out whether *cause* is about the channel, the bot or the person, because the check reads as the bot."""
        closed = self._closed(channel_id, cause)
        if closed.user_message != BOT_NOT_MEMBER:
            return closed
        try:
            self._ask("GET", api("channels", Id(channel_id), "members", Id(self._tokens.bot_user_id)))
        except MattermostRefused:
            return closed
        return MayNotPost(cause.log_message, OWNER_CANT_POST)

    def _ask(self, method: str, path: Path, json: Any = None, params: Mapping[str, str] | None = None) -> Any:
        """One request, repeated with a new token if the first token had just expired."""
        token = self._tokens.current()
        try:
            return self._client.request(
                method, path, token=token, deadline=Deadline(_SECONDS), json=json, params=params
            )
        except MattermostRefused as error:
            if error.status != 401:
                raise _heard(error) from error
        # A 401 comes before anything is done, so nothing happens twice.
        self._tokens.refused(token)
        token = self._tokens.current()
        try:
            return self._client.request(
                method, path, token=token, deadline=Deadline(_SECONDS), json=json, params=params
            )
        except MattermostRefused as error:
            if error.status == 401:
                self._tokens.refused(token)
                raise MattermostSilent(f"no token is accepted: {error}", 401) from error
            raise _heard(error) from error


def _heard(error: MattermostRefused) -> MattermostRefused | MattermostSilent:
    """Mattermost gives each error an id. One without an id is from a proxy and says nothing about the request."""
    return error if error.error_id else MattermostSilent(f"not from Mattermost: {error}", error.status)


def _props(post: Mapping[str, Any]) -> Mapping[str, Any]:
    return post.get("props") or {}


def _events(post: Mapping[str, Any]) -> list[str]:
    found = _props(post).get(EVENTS)
    return [str(one) for one in found] if isinstance(found, list) else []


def _posted(post: Mapping[str, Any]) -> Posted:
    return Posted(str(post["id"]), str(post.get("root_id") or ""))


def _listed(answer: Any) -> list[dict[str, Any]]:
    """The listed posts, newest first, without the other posts of their threads that the answer contains."""
    posts = answer.get("posts") or {}
    return [posts[post_id] for post_id in answer.get("order") or () if post_id in posts]
