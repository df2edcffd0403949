"""
One request function for everything that ServiceNow is asked.

Shared between people is the connection pool and nothing else. ServiceNow sets session cookies even on
Bearer calls, and a cookie jar would send one person's with another's token (design §3); so requests are
prepared without a session, which has the jar, reads `.netrc` and follows redirects, and are handed to
the adapter. What a session would have taken from the environment, proxies and CA bundle, is read once.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests
import structlog
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from requests.exceptions import ConnectTimeout, ProxyError, ReadTimeout, RequestException, SSLError
from requests.utils import default_user_agent
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError
from urllib3.exceptions import SSLError as TLSError

from core.errors import Broken, ServiceNowError, Unanswered, Unreachable
from core.times import Deadline
from servicenow.limits import Gate

CONNECT_SECONDS = 3.0
READ_SECONDS = 10.0
MOST_BYTES = 8 * 1024 * 1024
_LEAST_SECONDS = 0.25  # with less left, no answer can be hoped for
_CHUNK = 64 * 1024
_HEADERS = {
    "Accept": "application/json",
    "Accept-Encoding": "gzip, deflate",
    "User-Agent": f"servicenow-mattermost {default_user_agent()}",
}
_TRANSACTION = re.compile(r't;desc="([0-9a-f]+)"')
# TLS errors that come before the request; one that comes later leaves open what became of it.
_HANDSHAKE = re.compile("certificate|hostname|handshake|version|protocol|unrecognized.name", re.IGNORECASE)

log = structlog.get_logger(__name__)


class ConnectionLost(Unanswered):
    """The connection broke before the whole answer was there: no sign that the instance is slow."""


class BearerToken(AuthBase):
    """A person's access token."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class NoCredentials(AuthBase):
    """For the token endpoint, whose credentials stand in the body."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


@dataclass(frozen=True)
class Answer:
    """Status, headers (case-insensitive) and whole body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def transaction(self) -> str:
        """ServiceNow's id of this exchange, for its logs; a 401 has it in ``Server-Timing`` alone."""
        if found := self.headers.get("X-Transaction-ID"):
            return found
        timing = _TRANSACTION.search(self.headers.get("Server-Timing", ""))
        return timing[1] if timing else ""


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
        with requests.Session() as session:
            environment = session.merge_environment_settings(origin, {}, True, None, None)
        self._proxies = dict(environment["proxies"])
        self._verify = True if environment["verify"] is None else environment["verify"]

    def send(
        self,
        method: str,
        path: str,
        *,
        auth: AuthBase,
        person_id: str | None,
        deadline: Deadline,
        params: Mapping[str, str] | None = None,
        json: Any = None,
        form: Mapping[str, str] | None = None,
        file: tuple[str, bytes] | None = None,
    ) -> Answer:
        """
        Send once and return whatever came back, unread.

        Args:
            path: Without a query; it is logged.
            person_id: Whose share of the places this takes; None for sign-ins, which have no share.
            file: Media type and content, as the whole body.
            deadline: Connecting, waiting and reading together; looking up the name is not in our hands.

        Raises:
            Unreachable: No connection, so nothing was sent.
            Unanswered: Sent, and no whole answer inside the deadline.
            Broken: More than 8 MiB came back.
            Full, Silent: Our own limits, before anything was sent.
        """
        headers = _HEADERS if file is None else _HEADERS | {"Content-Type": file[0]}
        data = form if file is None else file[1]
        request = requests.Request(
            method, self.origin + path, params=params, json=json, data=data, auth=auth, headers=headers
        ).prepare()
        if deadline.left() < _LEAST_SECONDS:
            raise Unreachable("no time left to ask")
        with self.gate.passing(person_id, deadline.left() - _LEAST_SECONDS):
            try:
                answer = self._send(request, deadline)
            except ServiceNowError as error:
                log.warning("servicenow silent", method=method, path=path, reason=f"{type(error).__name__}: {error}")
                raise
        tell = log.debug if answer.status < 400 else log.warning
        tell("servicenow answered", method=method, path=path, status=answer.status, transaction=answer.transaction)
        return answer

    def _send(self, request: requests.PreparedRequest, deadline: Deadline) -> Answer:
        try:
            with self._adapter.send(
                request,
                stream=True,
                timeout=(deadline.within(CONNECT_SECONDS), deadline.within(READ_SECONDS)),
                verify=self._verify,
                proxies=self._proxies,
            ) as response:
                return Answer(response.status_code, response.headers, _whole(response, deadline))
        except (RequestException, HTTPError, OSError) as error:
            raise _silence(error) from error


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


def _silence(error: Exception) -> ServiceNowError:
    """Refused, no name, no route, no trust: nothing was sent. In every other case it may have been."""
    cause = getattr(error.args[0], "reason", error.args[0]) if error.args else None
    if isinstance(error, ConnectTimeout | ProxyError) or isinstance(cause, NewConnectionError | ConnectTimeoutError):
        return Unreachable(type(cause or error).__name__)
    if isinstance(error, SSLError | TLSError) and _HANDSHAKE.search(str(error)):
        return Unreachable("no trust: TLS handshake")
    if isinstance(error, ReadTimeout) or type(error).__name__ == "ReadTimeoutError":
        return Unanswered("read timeout")
    return ConnectionLost(type(cause or error).__name__)
