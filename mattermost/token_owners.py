"""
Finds out whose Mattermost session a token is. The result is cached under the token's hash.

Every Mattermost user can read the framework's secret and send made-up tokens here. So checks of unknown tokens are
limited. When the limit is reached, a call is rejected at once, because waiting would occupy threads that others need.
The limits don't apply to tokens that were valid before.
"""

import hashlib
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from cachetools import TTLCache

from core.errors import NotVerified, TooManyRequests
from core.times import Clock, Deadline
from core.upstream_errors import MattermostRefused, MattermostSilent
from mattermost.client import MattermostClient
from mattermost.paths import api

_SHAPE = re.compile(r"[a-z0-9]{26}")
_REMEMBERED_SECONDS = 300.0
_RENEWED_SECONDS = 240.0  # after which one caller checks again, and the others use the cached result
_REFUSED_SECONDS = 60.0
_SILENT_SECONDS = 2.0
_ASKING_SECONDS = 5.0
_WAITING_SECONDS = 2.0
_MOST_ASKING = 4  # concurrent checks of unknown tokens
_MOST_WAITING = 16  # threads that wait for another thread's check
_ALL = 5  # checks of unknown tokens per second
_EACH = 2  # checks per second and person


@dataclass(frozen=True)
class Owner:
    """The user that Mattermost says the token belongs to."""

    user_id: str
    is_bot: bool
    administrator: bool


class TokenOwners:
    """Asks ``MATTERMOST_URL`` only, once at a time per token."""

    def __init__(
        self, client: MattermostClient, clock: Clock = time.time, timer: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._clock = clock
        self._timer = timer
        self._known: TTLCache[bytes, tuple[Owner, float]] = TTLCache(1000, _REMEMBERED_SECONDS, timer)
        self._refused: TTLCache[bytes, str] = TTLCache(10_000, _REFUSED_SECONDS, timer)
        self._silent: TTLCache[bytes, str] = TTLCache(1000, _SILENT_SECONDS, timer)
        self._questions: dict[bytes, Future[Owner]] = {}
        self._unknown: set[bytes] = set()  # of the questions, those about tokens that nobody vouches for
        self._waiting = 0
        self._generation = 0
        self._lock = threading.Lock()
        self._spent: list[tuple[float, str]] = []  # questions of the last second, and who sent the token

    def owner(self, token: str, *, asker: str, trusted: bool = False, fresh: bool = False) -> Owner:
        """
        Args:
            asker: Who sent it, according to the framework's token. Checks are limited per asker.
            trusted: Something else proves that the token is worth a check, so the limits don't apply.
            fresh: Don't answer from the cache.

        Raises:
            NotVerified: It doesn't look like a token, or Mattermost doesn't know it.
            MattermostSilent: Mattermost didn't answer.
            TooManyRequests: A limit is reached, so Mattermost wasn't asked.
        """
        if not _SHAPE.fullmatch(token):
            raise NotVerified("no token of Mattermost's shape")
        key = hashlib.sha256(token.encode()).digest()
        with self._lock:
            known = self._known.get(key)
            if known is not None:
                young = self._timer() - known[1] < _RENEWED_SECONDS
                if not fresh and (young or key in self._questions):
                    return known[0]
            elif key in self._refused:
                raise NotVerified(f"refused before: {self._refused[key]}")
            elif key in self._silent:
                raise MattermostSilent(f"asked a moment ago: {self._silent[key]}")
            question = self._questions.get(key)
            asks = question is None
            if question is None:
                if known is None and not trusted:
                    self._spend(asker)
                    self._unknown.add(key)
                question = self._questions[key] = Future()
            elif self._waiting >= _MOST_WAITING:
                raise TooManyRequests("too many wait for one token's check")
            else:
                self._waiting += 1
            generation = self._generation
        if asks:
            return self._answer(key, token, question, generation)
        try:
            return question.result(_WAITING_SECONDS)
        except TimeoutError as error:
            raise MattermostSilent("another one's question is not answered yet") from error
        finally:
            with self._lock:
                self._waiting -= 1

    def forget(self) -> None:
        """Clear the cache, for example after the app was disabled or reinstalled."""
        with self._lock:
            self._generation += 1
            for known in (self._known, self._refused, self._silent):
                known.clear()

    def _spend(self, asker: str) -> None:
        """Count one check of an unknown token. Call it with the lock."""
        if len(self._unknown) >= _MOST_ASKING:
            raise TooManyRequests("too many unknown tokens are being checked")
        now = self._clock()
        self._spent = [(at, by) for at, by in self._spent if 0 <= now - at < 1]
        # What exceeds one person's share must not use up everybody's, so only what is asked counts.
        if sum(by == asker for _, by in self._spent) >= _EACH:
            raise TooManyRequests("too many unknown tokens of one person")
        if len(self._spent) >= _ALL:
            raise TooManyRequests("too many unknown tokens")
        self._spent.append((now, asker))

    def _answer(self, key: bytes, token: str, question: "Future[Owner]", generation: int) -> Owner:
        """Ask, remember, and tell whoever waits."""
        try:
            owner = self._ask(token)
        except BaseException as error:
            owned = self._failed(key, error, generation)
            if owned is None:
                question.set_exception(error)
                raise
            owner = owned
        else:
            with self._lock:
                if generation == self._generation:
                    self._known[key] = owner, self._timer()
                self._done(key)
        question.set_result(owner)
        return owner

    def _failed(self, key: bytes, error: BaseException, generation: int) -> Owner | None:
        """Remember that as well; the owner where one is known and Mattermost is only silent."""
        with self._lock:
            known = self._known.get(key)
            if generation == self._generation:
                if isinstance(error, NotVerified):
                    self._known.pop(key, None)
                    self._refused[key] = error.log_message
                elif isinstance(error, MattermostSilent):
                    self._silent[key] = error.log_message
            self._done(key)
        return known[0] if known is not None and isinstance(error, MattermostSilent) else None

    def _done(self, key: bytes) -> None:
        self._questions.pop(key, None)
        self._unknown.discard(key)

    def _ask(self, token: str) -> Owner:
        try:
            user: Any = self._client.request("GET", api("users", "me"), token=token, deadline=Deadline(_ASKING_SECONDS))
        except MattermostRefused as error:
            raise NotVerified(f"token refused: {error}") from error
        if not isinstance(user, dict) or not user.get("id"):
            raise NotVerified("token of nobody")
        return Owner(
            user_id=str(user["id"]),
            is_bot=bool(user.get("is_bot")),
            administrator="system_admin" in str(user.get("roles", "")).split(),
        )
