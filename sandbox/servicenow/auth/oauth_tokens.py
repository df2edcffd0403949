"""Authorization codes and tokens of the OAuth provider (API reference §4)."""

import base64
import hashlib
import secrets
import threading
from dataclasses import dataclass

from sandbox.common import Clock

ACCESS_SECONDS = 1800.0
REFRESH_SECONDS = 8_640_000.0
CODE_SECONDS = 60.0


@dataclass
class Code:
    """An authorization code, valid once."""

    client_id: str
    user_id: str
    redirect_uri: str
    challenge: str
    expires_at: float


@dataclass
class Grant:
    """
    A refresh token ("" if none) and its newest access token. Older access tokens remain valid until they expire.

    Attributes:
        seconds: The lifetime of an access token.
        kind: The grant type.
    """

    client_id: str
    user_id: str
    refresh_token: str
    ends_at: float
    seconds: float = ACCESS_SECONDS
    kind: str = "authorization_code"
    access_token: str = ""


class OAuthTokens:
    """All issued codes and tokens."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._codes: dict[str, Code] = {}
        self._grants: dict[str, Grant] = {}
        self._access: dict[str, tuple[Grant, float]] = {}

    def issue_code(self, client_id: str, user_id: str, redirect_uri: str, challenge: str) -> str:
        """Issue a code after consent."""
        code = secrets.token_urlsafe(64)
        ends = self._clock.now() + CODE_SECONDS
        with self._lock:
            self._codes[code] = Code(client_id, user_id, redirect_uri, challenge, ends)
        return code

    def redeem(
        self, code: str, client_id: str, redirect_uri: str, verifier: str, lives: tuple[float, float]
    ) -> Grant | None:
        """
        Exchange a code for tokens, or return None if it isn't valid. The code is used up in either case.

        Args:
            lives: The lifetimes of the access token and the refresh token, in seconds.
        """
        with self._lock:
            issued = self._codes.pop(code, None)
            if issued is None or issued.client_id != client_id or issued.redirect_uri != redirect_uri:
                return None
            if self._clock.now() > issued.expires_at:
                return None
            if issued.challenge and issued.challenge != challenge_of(verifier):
                return None
            return self._new(client_id, issued.user_id, "authorization_code", lives)

    def give(self, client_id: str, user_id: str, kind: str, lives: tuple[float, float]) -> Grant:
        """
        Issue tokens without a code. Returns the current ones while the access token is valid. Client credentials get no
        refresh token.
        """
        with self._lock:
            now = self._clock.now()
            wanted = (client_id, user_id, kind)
            for held, ends_at in self._access.values():
                if (held.client_id, held.user_id, held.kind) == wanted and now < ends_at:
                    return held
            return self._new(client_id, user_id, kind, lives)

    def remaining(self, grant: Grant) -> int:
        """The remaining lifetime of the access token in whole seconds."""
        with self._lock:
            _, ends_at = self._access.get(grant.access_token, (grant, 0.0))
            return max(int(ends_at - self._clock.now() - 0.001), 0)

    def _new(self, client_id: str, user_id: str, kind: str, lives: tuple[float, float]) -> Grant:
        access, refresh = lives
        token = "" if kind == "client_credentials" else _token()
        grant = Grant(client_id, user_id, token, self._clock.now() + refresh, access, kind)
        if token:
            self._grants[token] = grant
        return self._renewed(grant)

    def refresh(self, refresh_token: str, client_id: str) -> Grant | None:
        """Issue a new access token. The refresh token and its expiry don't change."""
        with self._lock:
            grant = self._grants.get(refresh_token)
            if grant is None or grant.client_id != client_id or self._clock.now() > grant.ends_at:
                return None
            return self._renewed(grant)

    def revoke(self, token: str) -> None:
        """Revoke an access token alone, or a refresh token with its access tokens."""
        with self._lock:
            self._access.pop(token, None)
            if (ended := self._grants.pop(token, None)) is not None:
                self._access = {key: held for key, held in self._access.items() if held[0] is not ended}

    def expire_access(self) -> None:
        """Expire every access token now. Refresh tokens remain valid."""
        with self._lock:
            self._access.clear()

    def grants(self) -> list[Grant]:
        """All grants that weren't revoked."""
        with self._lock:
            return list(self._grants.values())

    def owner(self, access_token: str) -> str:
        """The user ID of a valid access token, or ""."""
        with self._lock:
            grant, ends_at = self._access.get(access_token, (None, 0.0))
            return grant.user_id if grant is not None and self._clock.now() < ends_at else ""

    def _renewed(self, grant: Grant) -> Grant:
        grant.access_token = _token()
        self._access[grant.access_token] = (grant, self._clock.now() + grant.seconds)
        return grant


def challenge_of(verifier: str) -> str:
    """The S256 challenge of RFC 7636."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _token() -> str:
    return secrets.token_urlsafe(64)
