"""Calls to Mattermost's REST API v4 and the routes of the Apps plugin."""

import json as json_module
from collections.abc import Mapping
from typing import Any

import structlog

from core.times import Deadline
from core.upstream_errors import MattermostRefused, MattermostSilent
from http_client.exchange import HttpClient, HttpResponse
from http_client.failures import ExchangeError, Failure
from mattermost.paths import Path, apps_plugin

APP_ID = "servicenow"
REMOTE = apps_plugin("apps", APP_ID, "oauth2", "remote").text  # the pages that connect an account

_MOST_BYTES = 16 * 1024 * 1024  # of an answer in JSON

log = structlog.get_logger(__name__)


class MattermostClient:
    """
    Args:
        url: Site URL without trailing slash; the only host that is ever asked.
        connections: How many calls may run concurrently.
    """

    def __init__(self, url: str, connections: int = 32) -> None:
        self.url = url
        self._client = HttpClient(url, connections)

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
        Send once and return the decoded JSON, or None for an empty answer.

        Args:
            token: Of the person or the bot; "" for none.

        Raises:
            MattermostSilent: No connection, no answer in time, 429 or 5xx, or something that isn't JSON.
            MattermostRefused: 4xx, with Mattermost's own error id; 413 for an answer that is too large.

        Source: Mattermost API reference v4; answers as recorded in recorded/mattermost.
        """
        return _decoded(method, path, self._send(method, path, token, deadline, _MOST_BYTES, json, params))

    def download(self, path: Path, *, token: str, deadline: Deadline, most: int) -> bytes:
        """A file's content. Raises as `request`; a file of more than *most* bytes is too large."""
        response = self._send("GET", path, token, deadline, most)
        if response.status >= 300:
            _decoded("GET", path, response)
        return response.body

    def _send(
        self,
        method: str,
        path: Path,
        token: str,
        deadline: Deadline,
        limit: int,
        json: Any = None,
        params: Mapping[str, str] | None = None,
    ) -> HttpResponse:
        try:
            response = self._client.send(
                method, path.text, token=token, deadline=deadline, limit=limit, json=json, params=params
            )
        except ExchangeError as error:
            what = f"{method} {path.shape}: {error}"
            too_large = error.failure is Failure.TOO_LARGE
            raise (MattermostRefused(what, 413) if too_large else MattermostSilent(what)) from error
        log.debug("mattermost answered", method=method, path=path.shape, status=response.status)
        return response


def _decoded(method: str, path: Path, response: HttpResponse) -> Any:
    status = response.status
    what = f"{method} {path.shape}: {status}"
    if status == 429 or status >= 500:
        after = response.headers.get("Retry-After", "")
        raise MattermostSilent(what, status, float(after) if after.isdecimal() else None)
    try:
        body = json_module.loads(response.body) if response.body else None
    except (ValueError, RecursionError):
        body = None
        if status < 300:
            raise MattermostSilent(f"{what}: no JSON") from None
    if status >= 300:
        error_id = str(body.get("id", "")) if isinstance(body, dict) else ""
        raise MattermostRefused(f"{what} {error_id}", status, error_id)
    return body
