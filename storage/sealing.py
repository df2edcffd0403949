"""
Encryption of stored secrets: MultiFernet with keys derived from `APP_SECRET` per purpose (HKDF-SHA256).

A sealed value contains the place it belongs to, so a row that was copied to another person can't be opened.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from core.errors import StorageFailed


class Unreadable(StorageFailed):
    """A sealed value can't be opened: its key was removed from `APP_SECRET`, or the row was copied."""

    user_message = "What is stored for you can't be read any more. Run `/servicenow connect` to connect anew."
    retryable = False


def derive_keys(app_secrets: Sequence[str], purpose: str) -> list[bytes]:
    """32 bytes per secret, newest first. A key reveals nothing about the keys of other purposes."""
    return [
        HKDF(algorithm=SHA256(), length=32, salt=None, info=f"servicenow-mattermost/{purpose}".encode()).derive(
            secret.encode()
        )
        for secret in app_secrets
    ]


class Sealer:
    """
    Seal and open JSON objects.

    Args:
        keys: From `derive_keys`. The first one seals; all of them open.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        fernets = [Fernet(base64.urlsafe_b64encode(key)) for key in keys]
        self._newest = fernets[0]
        self._fernet = MultiFernet(fernets)

    def seal(self, place: str, content: Mapping[str, Any]) -> str:
        """Encrypt *content* so that it can be opened only at *place*."""
        return self._fernet.encrypt(json.dumps([place, dict(content)]).encode()).decode()

    def renewed(self, sealed: str) -> str | None:
        """The same value, sealed with the newest key; None if it already is, or if no key opens it."""
        try:
            self._newest.decrypt(sealed.encode())
        except InvalidToken:
            try:
                return self._fernet.rotate(sealed.encode()).decode()
            except InvalidToken:
                return None
        return None

    def open(self, place: str, sealed: str) -> dict[str, Any]:
        """Raises Unreadable: no key opens it, or it was sealed for another place."""
        try:
            sealed_for, content = json.loads(self._fernet.decrypt(sealed.encode()))
        except InvalidToken as error:
            raise Unreadable(f"{place}: no key opens it") from error
        if sealed_for != place:
            raise Unreadable(f"{place}: sealed for another place")
        opened: dict[str, Any] = content
        return opened
