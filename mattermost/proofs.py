"""
Who is asking (design §4): the framework's token names the person, a live bot token names the server.

The secret of the framework's token is readable by every Mattermost user (protocol reference §2), so
it proves nothing alone; a bot session is handed to the app only.
"""

import hashlib
import json
import math
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jwt
from cachetools import TTLCache
from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from core.deadline import Deadline
from core.errors import MattermostRefused, MattermostSilent, NotVerified
from mattermost.client import MattermostClient
from mattermost.paths import api

HEADER = "Mattermost-App-Authorization"

_SHAPE = re.compile(r"[a-z0-9]{26}")
_REMEMBERED_SECONDS = 300
_QUESTIONS = RateLimitItemPerSecond(5)
_WAIT_SECONDS = 5.0
_JWS = jwt.PyJWS(algorithms=["HS256"])


@dataclass(frozen=True)
class Owner:
    """Whose token it is, as Mattermost says."""

    user_id: str
    is_bot: bool
    administrator: bool


def acting_user_id(authorization: str, secret: str, now: float) -> str:
    """
    Check the framework's token and return the person it names.

    Args:
        authorization: The header's value, ``Bearer <jwt>``.
        now: Unix seconds; ``exp`` is held against it, with a minute for clocks that differ.

    Raises:
        NotVerified: Missing, of another key or algorithm, expired, or naming nobody.
    """
    scheme, _, token = authorization.partition(" ")
    if scheme != "Bearer" or not token:
        raise NotVerified("no framework token")
    try:
        # The signature is the library's; of the claims there are two, checked here on our own clock.
        claims = json.loads(_JWS.decode(token, secret, algorithms=["HS256"]))
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise NotVerified(f"framework token: {type(error).__name__}") from error
    claims = claims if isinstance(claims, dict) else {}
    expires_at = claims.get("exp")
    # Python's JSON reads NaN and Infinity, and neither of them would ever expire.
    if not isinstance(expires_at, int | float) or expires_at is True or not -math.inf < expires_at < math.inf:
        raise NotVerified("framework token: no expiry")
    if now > expires_at + 60:
        raise NotVerified("framework token: expired")
    person = claims.get("acting_user_id")
    if not isinstance(person, str) or not person:
        raise NotVerified("framework token names nobody")
    return person


class TokenOwners:
    """
    Whose Mattermost sessions tokens are, asked once and remembered as hashes for five minutes.

    Questions go to ``MATTERMOST_URL`` alone, one at a time per token and at most five a second in
    all: anybody can make Mattermost post rubbish here, and only the questions it costs are limited.
    """

    def __init__(self, client: MattermostClient, timer: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._known: TTLCache[bytes, Owner] = TTLCache(maxsize=1000, ttl=_REMEMBERED_SECONDS, timer=timer)
        self._asking: dict[bytes, threading.Lock] = {}
        self._lock = threading.Lock()
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def owner(self, token: str) -> Owner:
        """
        Raises:
            NotVerified: No token of Mattermost's shape, or Mattermost does not know it.
            MattermostSilent: Mattermost could not be asked.
        """
        if not _SHAPE.fullmatch(token):
            raise NotVerified("no token of Mattermost's shape")
        key = hashlib.sha256(token.encode()).digest()
        with self._lock:
            known = self._known.get(key)
            if known is not None:
                return known
            asking = self._asking.setdefault(key, threading.Lock())
        try:
            with asking:
                with self._lock:
                    known = self._known.get(key)
                if known is None:
                    known = self._ask(token)
                    with self._lock:
                        self._known[key] = known
                return known
        finally:
            with self._lock:
                self._asking.pop(key, None)

    def forget(self) -> None:
        """Ask again for every token, as after the app was disabled or installed anew."""
        with self._lock:
            self._known.clear()

    def _ask(self, token: str) -> Owner:
        deadline = Deadline(_WAIT_SECONDS)
        # A burst of made-up tokens uses the questions up; a real one waits for its turn.
        while not self._limiter.hit(_QUESTIONS, "owner"):
            if deadline.left() == 0:
                raise MattermostSilent("too many unknown tokens at once")
            time.sleep(0.05)
        try:
            user: Any = self._client.request("GET", api("users", "me"), token=token, deadline=deadline)
        except MattermostRefused as error:
            raise NotVerified(f"token refused: {error}") from error
        if not isinstance(user, dict) or not user.get("id"):
            raise NotVerified("token of nobody")
        return Owner(
            user_id=str(user["id"]),
            is_bot=bool(user.get("is_bot")),
            administrator="system_admin" in str(user.get("roles", "")).split(),
        )
