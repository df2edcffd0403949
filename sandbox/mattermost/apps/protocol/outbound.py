"""Requests from the plugin to apps. They ignore proxies and are limited to this machine."""

from typing import Any
from urllib.parse import urlsplit

import requests

from sandbox.mattermost.apps.protocol.errors import PluginError

AGENT = "Mattermost-Bot/1.1"
_CONNECT_SECONDS = 3.0
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


class _Session(requests.Session):
    """Used for one request and its redirects."""

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False  # neither proxies nor .netrc
        self.headers.update({"User-Agent": AGENT, "Accept-Encoding": "gzip"})
        for name in ("Accept", "Connection"):
            del self.headers[name]

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        host = urlsplit(request.url or "").hostname
        if host not in _LOOPBACK:
            raise PluginError(f"the sandbox asks this machine alone, not {host}")
        return super().send(request, **options)


def ask(method: str, url: str, seconds: float = 10.0, **options: Any) -> requests.Response:
    """
    Send one request, following redirects.

    Raises:
        PluginError: The URL, or that of a redirect, isn't on this machine.
        requests.RequestException: There is no response.
    """
    with _Session() as session:
        return session.request(method, url, timeout=(_CONNECT_SECONDS, seconds), **options)
