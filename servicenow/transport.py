"""
One request function for everything that ServiceNow is asked.

Shared between people is the connection pool and nothing else: ServiceNow sets session cookies even
on Bearer calls, and a cookie jar would send one person's with another's token (design §3).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
import structlog
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.exceptions import HTTPError

from core.deadline import Deadline
from core.errors import Broken, ServiceNowError, Unanswered, Unreachable
from servicenow.limits import Gate

CONNECT_SECONDS = 3.0
READ_SECONDS = 10.0
MOST_BYTES = 8 * 1024 * 1024
_CHUNK = 64 * 1024

log = structlog.get_logger(__name__)


class BearerToken(AuthBase):
    """Sets the header last, so that neither a `.netrc` nor a default replaces it."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class NoCredentials(AuthBase):
    """For the token endpoint, whose credentials stand in the body: keeps a `.netrc` out."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


@dataclass(frozen=True)
class Answer:
    """Status, headers (case-insensitive) and whole body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport:
    """
    Args:
        origin: Scheme, host and port of the instance. Tokens go there and nowhere else.
        at_once: Calls at the same time in all; also the size of the connection pool.
    """

    def __init__(self, origin: str, at_once: int) -> None:
        self.origin = origin
        self.gate = Gate(at_once)
        self._adapter = HTTPAdapter(pool_connections=1, pool_maxsize=max(1, at_once), pool_block=False)

    def send(
        self,
        method: str,
        path: str,
        *,
        auth: AuthBase,
        person_id: str,
        deadline: Deadline,
        params: Mapping[str, str] | None = None,
        json: Any = None,
        form: Mapping[str, str] | None = None,
    ) -> Answer:
        """
        Send once and return whatever came back, unread.

        Raises:
            Unreachable: No connection, so nothing was sent.
            Unanswered: Sent, and no whole answer inside the deadline.
            Broken: More than 8 MiB came back.
            Busy, Silent: Our own limits, before anything was sent.
        """
        with self.gate.passing(person_id, deadline.left()):
            if not deadline.left():
                raise Unreachable("no time left to ask")
            answer = self._send(method, path, auth, deadline, params, json, form)
        log.debug(
            "servicenow answered",
            method=method,
            path=path.partition("?")[0],
            status=answer.status,
            transaction=answer.headers.get("X-Transaction-ID", ""),
        )
        return answer

    def _send(
        self,
        method: str,
        path: str,
        auth: AuthBase,
        deadline: Deadline,
        params: Mapping[str, str] | None,
        json: Any,
        form: Mapping[str, str] | None,
    ) -> Answer:
        with requests.Session() as session:
            session.mount(self.origin, _Borrowed(self._adapter))
            session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
            try:
                with session.request(
                    method,
                    self.origin + path,
                    params=params,
                    json=json,
                    data=form,
                    auth=auth,
                    headers={"Accept": "application/json"},
                    timeout=(deadline.within(CONNECT_SECONDS), deadline.within(READ_SECONDS)),
                    allow_redirects=False,
                    stream=True,
                ) as response:
                    body = _whole(response, deadline)
                    return Answer(response.status_code, response.headers, body)
            except ServiceNowError:
                raise
            except (requests.ConnectTimeout, requests.exceptions.SSLError) as error:
                raise Unreachable(type(error).__name__) from error
            except requests.ConnectionError as error:
                raise _connection_error(error) from error
            except (requests.RequestException, HTTPError, OSError) as error:
                raise Unanswered(type(error).__name__) from error


class _Borrowed(HTTPAdapter):
    """Closing a session must not close the pool that all of them use."""

    def __init__(self, adapter: HTTPAdapter) -> None:
        super().__init__()
        self._adapter = adapter

    def send(self, *args: Any, **kwargs: Any) -> requests.Response:
        return self._adapter.send(*args, **kwargs)

    def close(self) -> None:
        """Nothing."""


def _whole(response: requests.Response, deadline: Deadline) -> bytes:
    """The body, bounded in size and in time even when it trickles."""
    parts: list[bytes] = []
    size = 0
    # read1 returns with what is there; read would wait for a full chunk, however slowly it comes.
    while part := response.raw.read1(_CHUNK, decode_content=True):
        parts.append(part)
        size += len(part)
        if size > MOST_BYTES:
            raise Broken(f"{response.status_code}: more than {MOST_BYTES} bytes")
        if not deadline.left():
            raise Unanswered(f"{response.status_code}: deadline passed while reading")
    return b"".join(parts)


def _connection_error(error: requests.ConnectionError) -> ServiceNowError:
    """Refused, no route, no name: nothing was sent. Cut off while waiting: it may have been."""
    text = str(error)
    never_sent = ("NewConnectionError", "NameResolutionError", "Failed to establish", "ConnectTimeout")
    if any(sign in text for sign in never_sent):
        return Unreachable("no connection")
    return Unanswered("connection lost")
