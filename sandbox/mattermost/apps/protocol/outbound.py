"""What the plugin sends to apps: from no session and no proxy, under Mattermost's name, to this machine alone."""

from typing import Any
from urllib.parse import urlsplit

import requests

from sandbox.mattermost.apps.protocol.errors import PluginError

AGENT = "Mattermost-Bot/1.1"
_CONNECT_SECONDS = 3.0
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


class _Session(requests.Session):
    """For one request and the redirects that it meets."""

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
    One request; redirects are followed.

    Raises:
        PluginError: An address, also of a redirect, that is not on this machine.
        requests.RequestException: No answer.
    """
    with _Session() as session:
        return session.request(method, url, timeout=(_CONNECT_SECONDS, seconds), **options)
