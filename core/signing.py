"""
Signed state, for one person and one path, until it expires.

Actions, forms, and links carry state through the client, where anyone can change it. A token made here can be read but
not changed, and it names the person it was made for.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from typing import Any

from core.errors import NotVerified


class Signer:
    """
    Make and check tokens: ``base64url(JSON) + "." + base64url(HMAC-SHA256)``.

    Args:
        keys: Newest first. The first one signs and all are accepted, so open forms survive a rotation.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys:
            raise ValueError("a signer needs at least one key")
        self._keys = tuple(keys)

    def sign(self, content: Mapping[str, Any], *, person: str, path: str, expires_at: float) -> str:
        """Bind *content* (JSON values) to *person* and *path* until *expires_at* (Unix seconds)."""
        body = {"c": dict(content), "u": person, "p": path, "e": int(expires_at)}
        payload = _encode(json.dumps(body, separators=(",", ":"), ensure_ascii=True).encode())
        return f"{payload}.{self._mac(self._keys[0], payload)}"

    def verify(self, token: str, *, person: str, path: str, now: float) -> dict[str, Any]:
        """
        Return the content of *token*.

        Raises:
            NotVerified: It isn't ours, was changed, is for another person or path, or has expired.
        """
        payload, _, mac = token.partition(".")
        if not any(hmac.compare_digest(self._mac(key, payload).encode(), mac.encode()) for key in self._keys):
            raise NotVerified("state: bad signature")
        body = json.loads(_decode(payload))
        if body["u"] != person or body["p"] != path:
            raise NotVerified("state: made for another person or path")
        if now > body["e"]:
            raise ExpiredState("state: expired")
        content: dict[str, Any] = body["c"]
        return content

    @staticmethod
    def _mac(key: bytes, payload: str) -> str:
        return _encode(hmac.digest(key, payload.encode(), hashlib.sha256))


class ExpiredState(NotVerified):
    """The form was open for too long."""

    user_message = "This form was open for too long, so nothing was saved. Open it again; copy what you typed first."


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
