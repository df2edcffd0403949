"""Requests of one call with one person's, or the bot's, session."""

from collections.abc import Mapping
from typing import Any

from core.times import Deadline
from core.upstream_errors import MattermostRefused
from mattermost.client import MattermostClient
from mattermost.paths import Path


class Session:
    """
    A session, until the call's deadline.

    Args:
        token: "" for a call that doesn't carry this session; every request is refused then.
    """

    def __init__(self, client: MattermostClient, token: str, deadline: Deadline) -> None:
        self._client = client
        self.token = token
        self._deadline = deadline

    def __call__(self, method: str, path: Path, json: Any = None, params: Mapping[str, str] | None = None) -> Any:
        """One request; the decoded JSON. Raises MattermostSilent and MattermostRefused."""
        self._check(f"{method} {path.shape}")
        return self._client.request(method, path, token=self.token, deadline=self._deadline, json=json, params=params)

    def download(self, path: Path, most: int) -> bytes:
        """A file's content. Raises as a request, and MattermostRefused above *most* bytes."""
        self._check(f"GET {path.shape}")
        return self._client.download(path, token=self.token, deadline=self._deadline, most=most)

    def _check(self, what: str) -> None:
        if not self.token:
            raise MattermostRefused(f"{what}: the call doesn't carry this session", 401)
