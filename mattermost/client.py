"""
One request function for Mattermost's REST API v4 and the Apps plugin's routes.

Shared between calls is the connection pool and nothing else: requests are prepared without a session,
which has a cookie jar, reads `.netrc` and follows redirects, so that one person's session can never
travel with another's request. Proxies and CA bundle of the environment are read once.
"""

from collections.abc import Mapping
from typing import Any

import requests
import structlog
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from requests.utils import default_user_agent

from core.errors import MattermostRefused, MattermostSilent
from core.times import Deadline
from mattermost.paths import Path, apps_plugin

APP_ID = "servicenow"
REMOTE = apps_plugin("apps", APP_ID, "oauth2", "remote").text  # under which people connect and come back

_CONNECT_SECONDS = 3.0
_READ_SECONDS = 10.0
_CHUNK = 64 * 1024  # bytes
_HEADERS = {
    "Accept": "application/json",
    "Accept-Encoding": "gzip, deflate",
    "User-Agent": f"servicenow-mattermost {default_user_agent()}",
}

log = structlog.get_logger(__name__)


class Bearer(AuthBase):
    """Sets the token last, so that nothing from the environment replaces it."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class MattermostClient:
    """
    Args:
        url: Site URL without trailing slash; the only host that is ever asked.
        connections: Size of the connection pool.
    """

    def __init__(self, url: str, connections: int = 32) -> None:
        self.url = url
        self._adapter = HTTPAdapter(pool_connections=2, pool_maxsize=connections, pool_block=False)
        with requests.Session() as session:
            found = session.merge_environment_settings(url, {}, False, None, None)
        self._proxies = dict(found["proxies"])
        self._verify = True if found["verify"] is None else found["verify"]

    def request(
        self,
        method: str,
        path: Path,
        *,
        token: str,
        deadline: Deadline,
        json: Any = None,
        params: Mapping[str, str] | None = None,
    ) -> Any:
        """
        Ask once and return the decoded JSON, or None for an empty answer.

        Args:
            token: Whose session it is; "" for none.

        Raises:
            MattermostSilent: No connection, no answer in time, 429 or 5xx, or something that is no JSON.
            MattermostRefused: 4xx, with Mattermost's own error id.

        Source: Mattermost API reference v4; answers as recorded in recorded/mattermost.
        """
        response = self._send(method, path, token=token, deadline=deadline, json=json, params=params)
        log.debug("mattermost answered", method=method, path=path.shape, status=response.status_code)
        return _decode(method, path, response)

    def download(self, path: Path, *, token: str, deadline: Deadline, most: int) -> bytes:
        """
        A file's content.

        Raises:
            MattermostRefused: As `request`; with status 413 for more than *most* bytes.
            MattermostSilent: As `request`; also where it breaks off.
        """
        with self._send("GET", path, token=token, deadline=deadline, stream=True) as response:
            if response.status_code >= 300:
                _decode("GET", path, response)
            parts: list[bytes] = []
            size = 0
            try:
                for part in response.iter_content(_CHUNK):
                    size += len(part)
                    if size > most:
                        raise MattermostRefused(f"GET {path.shape}: more than {most} bytes", 413)
                    parts.append(part)
                    if not deadline.left():
                        raise MattermostSilent(f"GET {path.shape}: deadline passed while reading")
            except requests.RequestException as error:
                raise MattermostSilent(f"GET {path.shape}: {type(error).__name__}") from error
            return b"".join(parts)

    def _send(
        self,
        method: str,
        path: Path,
        *,
        token: str,
        deadline: Deadline,
        json: Any = None,
        params: Mapping[str, str] | None = None,
        stream: bool = False,
    ) -> requests.Response:
        prepared = requests.Request(
            method,
            self.url + path.text,
            headers=_HEADERS,
            json=json,
            params=params,
            auth=Bearer(token) if token else None,
        ).prepare()
        try:
            response = self._adapter.send(
                prepared,
                stream=stream,
                timeout=(deadline.within(_CONNECT_SECONDS) or 0.001, deadline.within(_READ_SECONDS) or 0.001),
                verify=self._verify,
                proxies=self._proxies,
            )
            if not stream:
                _ = response.content  # read here: a cut answer is a silence, and the connection is given back
        except requests.RequestException as error:
            raise MattermostSilent(f"{method} {path.shape}: {type(error).__name__}") from error
        return response


def _decode(method: str, path: Path, response: requests.Response) -> Any:
    status = response.status_code
    where = f"{method} {path.shape}: {status}"
    if status == 429 or status >= 500:
        after = response.headers.get("Retry-After", "")
        raise MattermostSilent(where, status, float(after) if after.isdecimal() else None)
    try:
        body = response.json() if response.content else None
    except ValueError:
        body = None
        if status < 300:
            raise MattermostSilent(f"{where}: no JSON") from None
    if status >= 300:
        error_id = str(body.get("id", "")) if isinstance(body, dict) else ""
        raise MattermostRefused(f"{where} {error_id}", status, error_id)
    return body
