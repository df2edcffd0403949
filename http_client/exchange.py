"""
One HTTP request and its answer, for ServiceNow and Mattermost alike.

Only the connection pool is shared. Both servers set session cookies, and a cookie jar would send one person's
session with another person's token. So requests are prepared without a `requests.Session`, which has a cookie jar,
reads `.netrc` and follows redirects. Proxies and the CA bundle are read from the environment once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any, cast

import requests
from requests.adapters import HTTPAdapter
from requests.utils import default_user_agent
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPSConnection
from urllib3.exceptions import HTTPError, NewConnectionError

from core.times import Deadline
from http_client.failures import ExchangeError, Failure, failure_of, name_of

CONNECT_SECONDS = 3.0
READ_SECONDS = 10.0
_CHUNK = 64 * 1024  # bytes
_HEADERS = {
    "Accept": "application/json",
    "Accept-Encoding": "gzip, deflate",
    "User-Agent": f"servicenow-mattermost {default_user_agent()}",
}


@dataclass(frozen=True)
class HttpResponse:
    """Status, headers (looked up without regard to case) and the whole body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class _HTTPSConnection(HTTPSConnection):
    """Raises `NewConnectionError` for all that fails before the request, because TLS errors look alike after it."""

    def connect(self) -> None:
        try:
            super().connect()
        except (OSError, HTTPException) as error:
            raise NewConnectionError(self, type(error).__name__) from error


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection


class _Adapter(HTTPAdapter):
    """The adapter of requests, whose HTTPS connections are ours."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager


_POOLS = {"http": HTTPConnectionPool, "https": _HTTPSPool}


class HttpClient:
    """
    Args:
        origin: Scheme, host and port, the only place that requests and tokens go to.
        connections: How many idle connections to keep; should equal the number of concurrent calls.
    """

    def __init__(self, origin: str, connections: int) -> None:
        self._origin = origin
        self._adapter = _Adapter(pool_connections=1, pool_maxsize=max(1, connections))
        with requests.Session() as session:
            environment = session.merge_environment_settings(origin, {}, True, None, None)
        self._proxies = dict(environment["proxies"])
        self._verify = cast(bool | str, environment["verify"])

    def send(
        self,
        method: str,
        path: str,
        *,
        token: str,
        deadline: Deadline,
        limit: int,
        params: Mapping[str, str] | None = None,
        json: Any = None,
        form: Mapping[str, str] | None = None,
        file: tuple[str, bytes] | None = None,
    ) -> HttpResponse:
        """
        Send once, and return the answer whatever its status is. Redirects are returned, not followed.

        Args:
            token: For the `Authorization` header; "" sends none.
            deadline: For connecting, waiting and reading together. Name resolution can exceed it.
            limit: Bytes of the unpacked body.
            file: Media type and content of the body.

        Raises:
            ExchangeError: There is no complete answer.
        """
        headers = dict(_HEADERS)
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if file is not None:
            headers["Content-Type"] = file[0]
        data = form if file is None else file[1]
        if not deadline.left():
            raise ExchangeError(Failure.NOT_SENT, "deadline passed before sending")
        try:
            request = requests.Request(
                method, self._origin + path, params=params, json=json, data=data, headers=headers
            ).prepare()
            with self._adapter.send(
                request,
                stream=True,
                timeout=(deadline.within(CONNECT_SECONDS) or 0.001, deadline.within(READ_SECONDS) or 0.001),
                verify=self._verify,
                proxies=self._proxies,
            ) as response:
                return HttpResponse(response.status_code, response.headers, _read(response, deadline, limit))
        except (requests.RequestException, HTTPError, OSError) as error:
            raise ExchangeError(failure_of(error), name_of(error)) from error


def _read(response: requests.Response, deadline: Deadline, limit: int) -> bytes:
    """The body. Limits its size, and its duration even when it comes byte by byte."""
    parts: list[bytes] = []
    size = 0
    # read1 returns what has arrived; read would wait for a full chunk, however slowly it comes.
    while part := response.raw.read1(_CHUNK, decode_content=True):
        parts.append(part)
        size += len(part)
        if size > limit:
            raise ExchangeError(Failure.TOO_LARGE, f"{response.status_code}: more than {limit} bytes")
        if not deadline.left():
            raise ExchangeError(Failure.TIMED_OUT, f"{response.status_code}: deadline passed while reading")
    return b"".join(parts)
