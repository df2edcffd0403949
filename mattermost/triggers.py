"""
Verifies who pressed a button, by the server's signature in the trigger id (design §4, "Plain host").

The rest of the request proves nothing, because any Mattermost user can make the server post anything here.
A trigger id is Base64 of ``client id:user id:milliseconds:`` followed by the Base64 of an ECDSA P-256 signature
(DER, SHA-256) over the text up to and including the third colon.
"""

import base64
import binascii
import threading

from cachetools import TTLCache
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from core.errors import NotVerified
from core.times import Clock
from mattermost.server import MattermostServer

LIFE_SECONDS = 60.0  # in both directions; Mattermost opens dialogs for 30
_MOST_CHARACTERS = 1000


class ExpiredTrigger(NotVerified):
    """The press is more than a minute old, or the clocks differ by that much."""

    user_message = "This took too long to reach us, so nothing was done. Press it again."


class UsedTrigger(NotVerified):
    """The same press arrived twice."""

    user_message = "This was pressed already; the first press counts."


class Triggers:
    """
    Accepts each trigger id once.

    Args:
        server: Has the key. It is read again when a signature fails, because keys change.
    """

    def __init__(self, server: MattermostServer, clock: Clock) -> None:
        self._server = server
        self._clock = clock
        self._used: TTLCache[str, bool] = TTLCache(maxsize=100_000, ttl=2 * LIFE_SECONDS, timer=clock)
        self._lock = threading.Lock()

    def check(self, trigger_id: object, user_id: object) -> None:
        """
        Verify that *user_id* pressed something within the last minute. Both arguments are unchecked JSON.

        Raises:
            ExpiredTrigger, UsedTrigger: Signed by the server, but too old or used before.
            NotVerified: Not signed by this server, or for another person.
            MattermostSilent: The server's key isn't known, and the server didn't answer.
        """
        text, signature = _parts(trigger_id)
        client_id, owner, milliseconds, _ = text.decode().split(":")
        self._check_signature(text, signature)
        if owner != user_id:
            raise NotVerified("trigger: of another person")
        if abs(self._clock() - int(milliseconds) / 1000) > LIFE_SECONDS:
            raise ExpiredTrigger("trigger: too old")
        with self._lock:
            if client_id in self._used:
                raise UsedTrigger("trigger: used before")
            self._used[client_id] = True

    def _check_signature(self, text: bytes, signature: bytes) -> None:
        known = self._server.facts().trigger_key
        if _holds(known, text, signature):
            return
        newest = self._server.facts(refresh=True).trigger_key
        if newest == known or not _holds(newest, text, signature):
            raise NotVerified("trigger: bad signature")


def _parts(trigger_id: object) -> tuple[bytes, bytes]:
    """The signed text and the signature. Raises NotVerified if the format is wrong."""
    try:
        if not isinstance(trigger_id, str) or len(trigger_id) > _MOST_CHARACTERS:
            raise ValueError("no text, or too long")
        decoded = base64.b64decode(trigger_id, validate=True)
        text, colon, signature = decoded.rpartition(b":")
        client_id, owner, milliseconds = text.decode("ascii").split(":")
        if not client_id or not owner or not milliseconds.isdigit() or len(milliseconds) > 15:
            raise ValueError("parts")
        return text + colon, base64.b64decode(signature, validate=True)
    except (ValueError, binascii.Error) as error:
        raise NotVerified("trigger: of another shape") from error


def _holds(key: str, text: bytes, signature: bytes) -> bool:
    try:
        public = load_der_public_key(base64.b64decode(key))
    except (ValueError, binascii.Error):
        return False
    if not isinstance(public, EllipticCurvePublicKey):
        return False
    try:
        public.verify(signature, text, ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True
