"""
ServiceNow as OAuth provider (API reference §4): authorization address, code, refresh, revocation.

requests-oauthlib writes and reads the OAuth messages; the bytes travel through our own transport,
whose limits and classification hold here too. Its session refuses plain HTTP for the token endpoint;
the demo and tests use loopback, so the messages are built with the library's client underneath it.
"""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from requests_oauthlib import OAuth2Session

from core.accounts import Tokens
from core.deadline import Deadline
from core.errors import AccessDenied, Broken, NotFound, OAuthRefused, ServiceNowError
from core.ports import Clock
from core.records import Identity
from servicenow.classify import read_answer, read_token_answer
from servicenow.queries import Query, is_me
from servicenow.transport import Answer, BearerToken, NoCredentials, Transport

_SECONDS = 15.0
_NOBODY = "oauth"  # the share of the bulkhead that sign-ins have together
_IDENTITY = "sys_id,user_name,name,email,time_zone,preferred_language"


class OAuthClient:
    """
    The port `core.ports.OAuth`.

    Args:
        redirect_address: The framework's ``…/oauth2/remote/complete``; registered in ServiceNow.
        fingerprint_key: Keys the fingerprint, so that it tells nothing of the secret.
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
        digest = hashlib.sha256(code_verifier.encode()).digest()
        address, _ = self._session().authorization_url(
            f"{self._transport.origin}/oauth_auth.do",
            state=state,
            code_challenge=urlsafe_b64encode(digest).rstrip(b"=").decode(),
            code_challenge_method="S256",
        )
        return str(address)

    def exchange(self, code: str, code_verifier: str) -> Tokens:
        body = self._session()._client.prepare_request_body(
            code=code,
            redirect_uri=self._redirect_address,
            client_secret=self._client_secret,
            code_verifier=code_verifier,
        )
        now = self._clock()
        return self._tokens(self._post("/oauth_token.do", body), now, granted_at=now, refresh_token="")

    def refresh(self, tokens: Tokens) -> Tokens:
        body = self._session()._client.prepare_refresh_body(
            refresh_token=tokens.refresh_token,
            client_id=self._client_id,
            client_secret=self._client_secret,
        )
        answer = self._post("/oauth_token.do", body)
        return self._tokens(answer, self._clock(), granted_at=tokens.granted_at, refresh_token=tokens.refresh_token)

    def revoke(self, tokens: Tokens) -> None:
        failures: list[ServiceNowError] = []
        for token in (tokens.refresh_token, tokens.access_token):
            try:
                # In the body, not in the address: addresses are logged.
                answer = self._send("/oauth_revoke_token.do", {"token": token})
                if answer.status != 200:
                    raise OAuthRefused(f"revocation: {answer.status}")
            except ServiceNowError as error:
                failures.append(error)
        if failures:
            raise failures[0]

    def identify(self, tokens: Tokens) -> Identity:
        answer = self._transport.send(
            "GET",
            "/api/now/v2/table/sys_user",
            auth=BearerToken(tokens.access_token),
            person_id=_NOBODY,
            deadline=Deadline(_SECONDS),
            params={
                "sysparm_query": str(Query().where(is_me("sys_id"))),
                "sysparm_fields": _IDENTITY,
                "sysparm_limit": "1",
                "sysparm_exclude_reference_link": "true",
                "sysparm_no_count": "true",
            },
        )
        try:
            rows = read_answer("GET", answer.status, answer.headers, answer.body)["result"]
        except (AccessDenied, NotFound):
            return Identity()
        if len(rows) != 1 or not isinstance(rows[0], dict):
            return Identity()
        row = {name: str(value) for name, value in rows[0].items() if isinstance(value, str)}
        return Identity(
            sys_id=row.get("sys_id", ""),
            user_name=row.get("user_name", ""),
            name=row.get("name", ""),
            email=row.get("email", ""),
            time_zone=row.get("time_zone", ""),
            language=row.get("preferred_language", ""),
        )

    def _session(self) -> Any:
        return OAuth2Session(self._client_id, redirect_uri=self._redirect_address)

    def _post(self, path: str, body: str) -> Answer:
        return self._send(path, dict(parse_qsl(body)))

    def _send(self, path: str, form: dict[str, str]) -> Answer:
        return self._transport.send(
            "POST", path, auth=NoCredentials(), person_id=_NOBODY, deadline=Deadline(_SECONDS), form=form
        )

    def _tokens(self, answer: Answer, now: float, *, granted_at: float, refresh_token: str) -> Tokens:
        if not read_token_answer(answer.status, answer.headers, answer.body):
            raise OAuthRefused(f"token endpoint: {answer.status}")
        content = _parsed(self._session()._client.parse_request_body_response, answer.body)
        return Tokens(
            access_token=content["access_token"],
            # A refresh may answer without one, or with the same (reference §4.3): then the old one stays.
            refresh_token=content.get("refresh_token") or refresh_token,
            expires_at=now + float(content.get("expires_in", 1800)),
            granted_at=granted_at,
        )


def _parsed(parse: Callable[[str], Any], body: bytes) -> dict[str, Any]:
    try:
        content: dict[str, Any] = parse(body.decode())
    except Exception as error:
        raise Broken(f"token answer: {type(error).__name__}") from error
    return content
