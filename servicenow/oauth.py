"""
OAuth with ServiceNow (API reference §4): authorization URL, code exchange, refresh, revocation.

requests-oauthlib writes and parses the OAuth messages. An adapter in its session sends them through our own transport,
so the same limits, deadlines and errors apply, and no cookie jar or `.netrc` is used. The library rejects plain HTTP
for the whole process. The configuration decides whether it is allowed (loopback in the demo and tests), so the library
sees a placeholder with https, and the adapter sends to the configured origin.
"""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Callable
from io import BytesIO
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests
from oauthlib.oauth2 import OAuth2Error
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict
from requests_oauthlib import OAuth2Session

from core.accounts import Tokens
from core.records import Identity
from core.times import Clock, Deadline
from core.upstream_errors import AccessDenied, Broken, NotFound, OAuthRefused, ServiceNowError
from http_client.exchange import HttpResponse
from servicenow.classify import read_answer, read_plain_answer, read_token_answer
from servicenow.queries import Query, is_me
from servicenow.transport import Transport

_SECONDS = 8.0  # per request; connecting an account takes two within the 30 s of a call
_STAND_IN = "https://instance.invalid"
_IDENTITY = {name: name for name in ("sys_id", "user_name", "name", "email", "time_zone")}
_IDENTITY |= {"language": "preferred_language"}
_LIFE = 1800.0  # seconds that an access token lives if the answer doesn't say


class OAuthClient:
    """
    The OAuth client of one instance. The URLs are the instance's.

    Args:
        redirect_address: The framework's ``…/oauth2/remote/complete``, as registered in ServiceNow.
        fingerprint_key: For the MAC that is the fingerprint, so that it reveals nothing about the secret.

    Attributes:
        client_fingerprint: Changes when the client ID or secret changes.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        client_id: str,
        client_secret: str,
        redirect_address: str,
        fingerprint_key: bytes,
        clock: Clock,
    ) -> None:
        self._transport = transport
        self._client_id = client_id
        self._client_secret = client_secret
        self._redirect_address = redirect_address
        self._clock = clock
        text = f"{transport.origin}\n{client_id}\n{client_secret}".encode()
        self.client_fingerprint = hmac.new(fingerprint_key, text, hashlib.sha256).hexdigest()[:16]

    def authorization_address(self, state: str, code_verifier: str) -> str:
        """Where the browser goes to sign in and consent. Contains the S256 challenge of *code_verifier*."""
        digest = hashlib.sha256(code_verifier.encode()).digest()
        address, _ = OAuth2Session(self._client_id, redirect_uri=self._redirect_address).authorization_url(
            f"{_STAND_IN}/oauth_auth.do",
            state=state,
            code_challenge=urlsafe_b64encode(digest).rstrip(b"=").decode(),
            code_challenge_method="S256",
        )
        return self._transport.origin + str(address).removeprefix(_STAND_IN)

    def exchange(self, code: str, code_verifier: str) -> Tokens:
        """Raises OAuthRefused, or a ServiceNowError of the connection."""
        now = self._clock()
        content = self._asked(
            Deadline(_SECONDS),
            lambda session: session.fetch_token(
                f"{_STAND_IN}/oauth_token.do",
                code=code,
                code_verifier=code_verifier,
                client_secret=self._client_secret,
                include_client_id=True,
            ),
        )
        return _tokens(content, now, granted_at=now, refresh_token="")

    def refresh(self, tokens: Tokens, deadline: Deadline | None = None) -> Tokens:
        """A new access token with the same refresh token. Raises the errors of `exchange`."""
        if not tokens.refresh_token:
            raise OAuthRefused("no refresh token was ever given")
        now = self._clock()
        content = self._asked(
            Deadline(deadline.within(_SECONDS) if deadline else _SECONDS),
            lambda session: session.refresh_token(
                f"{_STAND_IN}/oauth_token.do",
                refresh_token=tokens.refresh_token,
                client_id=self._client_id,
                client_secret=self._client_secret,
            ),
        )
        # The answer can lack a refresh token or repeat it (reference §4.3).
        return _tokens(content, now, granted_at=tokens.granted_at, refresh_token=tokens.refresh_token)

    def revoke(self, tokens: Tokens) -> None:
        """Revoke both tokens. Raises a ServiceNowError if either can still be valid."""
        failures: list[ServiceNowError] = []
        for token in filter(None, (tokens.refresh_token, tokens.access_token)):
            try:
                # In the body, because URLs are logged.
                answer = self._send("/oauth_revoke_token.do", {"token": token}, Deadline(_SECONDS))
                if not read_plain_answer(answer.status, answer.headers, answer.body):
                    raise OAuthRefused(f"revocation: {answer.status}")
            except ServiceNowError as error:
                failures.append(error)
        if failures:
            raise failures[0]

    def identify(self, tokens: Tokens) -> Identity:
        """Whose tokens these are. An empty `Identity` if the account can't read its own user record."""
        answer = self._transport.send(
            "GET",
            "/api/now/v2/table/sys_user",
            token=tokens.access_token,
            person_id=None,
            deadline=Deadline(_SECONDS),
            params={
                "sysparm_query": str(Query().where(is_me("sys_id"))),
                "sysparm_fields": ",".join(_IDENTITY.values()),
                # Two, so that another person's row isn't mistaken for this one if ServiceNow drops the condition.
                "sysparm_limit": "2",
                "sysparm_exclude_reference_link": "true",
                "sysparm_no_count": "true",
                "sysparm_suppress_pagination_header": "true",
            },
        )
        try:
            rows = read_answer("GET", answer.status, answer.headers, answer.body)["result"]
        except (AccessDenied, NotFound):
            return Identity()
        if not isinstance(rows, list) or len(rows) != 1 or not isinstance(rows[0], dict):
            return Identity()
        row = {column: value for column, value in rows[0].items() if isinstance(value, str)}
        return Identity(**{name: row.get(column, "") for name, column in _IDENTITY.items()})

    def _asked(self, deadline: Deadline, ask: Callable[[Any], Any]) -> dict[str, Any]:
        """The token endpoint's answer, parsed by the library."""
        with OAuth2Session(self._client_id, redirect_uri=self._redirect_address) as session:
            session.mount(_STAND_IN, _TokenEndpoint(lambda path, form: self._send(path, form, deadline)))
            try:
                return dict(ask(session))
            except ServiceNowError:
                raise
            except OAuth2Error as error:
                # Only the code, because a description can quote the request.
                raise OAuthRefused(f"token endpoint: {error.error}") from None
            except (ValueError, TypeError, Warning) as error:
                raise Broken(f"token answer: {type(error).__name__}") from None

    def _send(self, path: str, form: dict[str, str], deadline: Deadline) -> HttpResponse:
        return self._transport.send("POST", path, person_id=None, deadline=deadline, form=form)


class _TokenEndpoint(BaseAdapter):
    """Sends the library's requests through our transport. Raises unless the answer is a token or a rejection."""

    def __init__(self, send: Callable[[str, dict[str, str]], HttpResponse]) -> None:
        super().__init__()
        self._through = send

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        body = request.body or ""
        form = dict(parse_qsl(body if isinstance(body, str) else body.decode()))
        answer = self._through(urlsplit(request.url or "").path, form)
        if not read_token_answer(answer.status, answer.headers, answer.body):
            raise OAuthRefused(f"token endpoint: {answer.status}")
        response = requests.Response()
        response.status_code = answer.status
        response.headers = CaseInsensitiveDict({"Content-Type": "application/json;charset=UTF-8"})
        response.raw = BytesIO(answer.body)
        response.request = request
        response.url = request.url or ""
        return response

    def close(self) -> None:
        """There is nothing to close."""


def _tokens(content: dict[str, Any], now: float, *, granted_at: float, refresh_token: str) -> Tokens:
    given = content.get("refresh_token")
    try:
        life = float(content.get("expires_in") or _LIFE)
    except (TypeError, ValueError):
        life = _LIFE
    return Tokens(
        access_token=content["access_token"],
        refresh_token=given if given and isinstance(given, str) else refresh_token,
        expires_at=now + life,
        granted_at=granted_at,
    )
