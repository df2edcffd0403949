"""The server's version and the public key of its trigger ids, both readable without a session."""

import threading
from dataclasses import dataclass
from typing import Any

from cachetools import TTLCache

from core.times import Clock, Deadline
from core.upstream_errors import MattermostSilent
from mattermost.client import MattermostClient
from mattermost.paths import api

_REMEMBERED_SECONDS = 3600
_PAUSE_SECONDS = 10.0  # between two reads that bad signatures can cause
_WAIT_SECONDS = 3.0


@dataclass(frozen=True)
class ServerFacts:
    """
    Args:
        version: Major and minor, such as ``(9, 11)``; ``(0, 0)`` if unknown.
        trigger_key: Public key that verifies trigger ids: Base64 DER, "" if unknown.
    """

    version: tuple[int, int]
    trigger_key: str


class MattermostServer:
    """Reads the facts of ``MATTERMOST_URL`` once an hour."""

    def __init__(self, client: MattermostClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._known: TTLCache[str, ServerFacts] = TTLCache(maxsize=1, ttl=_REMEMBERED_SECONDS, timer=clock)
        self._asked_at = float("-inf")
        self._lock = threading.Lock()

    def facts(self, *, refresh: bool = False) -> ServerFacts:
        """
        The facts. *refresh* bypasses the cache, at most every ten seconds.

        Raises:
            MattermostSilent: Nothing is cached, and Mattermost didn't answer.
            MattermostRefused: Mattermost rejected the request.
        """
        with self._lock:
            known = self._known.get("facts")
            if known is not None and not (refresh and self._clock() - self._asked_at >= _PAUSE_SECONDS):
                return known
            self._asked_at = self._clock()
            found = self._ask()
            self._known["facts"] = found
            return found

    def _ask(self) -> ServerFacts:
        config: Any = self._client.request(
            "GET", api("config", "client"), token="", deadline=Deadline(_WAIT_SECONDS), params={"format": "old"}
        )
        if not isinstance(config, dict):
            raise MattermostSilent("the client configuration is no object")
        return ServerFacts(
            version=_version(str(config.get("Version", ""))),
            trigger_key=str(config.get("AsymmetricSigningPublicKey", "")),
        )


def _version(text: str) -> tuple[int, int]:
    major, _, rest = text.partition(".")
    minor = rest.partition(".")[0]
    return (int(major), int(minor)) if major.isdigit() and minor.isdigit() else (0, 0)
