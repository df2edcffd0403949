"""
Outbound HTTP of scripts. Requests are really sent, but only to this machine, and are logged (API reference §11.4).
"""

import ipaddress
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode, urlsplit

import requests

from sandbox.servicenow.records.store import Row

_DEFAULT_SECONDS = 175.0  # the platform's default
_METHODS = {"get", "post", "put", "patch", "delete", "head"}
_SOCKET_TIMEOUT = 1
Json = dict[str, Any]


class Unreachable(Exception):
    """`execute()` throws this if nothing responds."""


class Outbound:
    """
    Sends the requests of scripts.

    Args:
        log: Stores a row of ``sys_outbound_http_log``.
    """

    def __init__(self, log: Callable[[Row], None]) -> None:
        self._log = log

    def send(self, message: Json, user_name: str, alive: Callable[[], bool]) -> Json:
        """
        Send one request. Returns status, headers, body, error text and code. Logged while the instance is *alive*.

        A refused connection and any host but this machine throw. A timeout returns status 0.
        """
        method = message["method"].lower()
        if method not in _METHODS:
            raise Unreachable(f"Unknown HTTP method: {message['method']}")
        query = urlencode([(name, value) for name, value in message["query"]])
        url = message["endpoint"] + (("&" if "?" in message["endpoint"] else "?") + query if query else "")
        answer = self._answered(method, url, message)
        parts = urlsplit(message["endpoint"])
        row = {"sys_id": uuid.uuid4().hex, "method": method.upper(), "hostname": parts.netloc, "path": parts.path}
        row |= {"response_status": str(answer["status"]), "url": message["endpoint"], "user_name": user_name}
        if alive():
            self._log(row)
        if answer["error"] and not answer["code"] and not answer["status"]:
            raise Unreachable(answer["error"])
        return answer

    def _answered(self, method: str, url: str, message: Json) -> Json:
        if problem := _foreign(url):
            return _failed(problem, 0)
        headers = {"User-Agent": "ServiceNow/1.0", "Accept-Encoding": "gzip"}
        headers |= dict(message["headers"])
        seconds = (message["timeout"] or _DEFAULT_SECONDS * 1000) / 1000
        with requests.Session() as http:
            http.trust_env = False
            http.headers.clear()
            try:
                response = http.request(
                    method,
                    url,
                    data=message["body"].encode() if message["body"] else None,
                    headers=headers,
                    timeout=seconds,
                    allow_redirects=False,
                )
            except requests.Timeout:
                return _failed("java.net.SocketTimeoutException: Read timed out", _SOCKET_TIMEOUT)
            except (requests.RequestException, ValueError) as problem:
                return _failed(f"java.net.ConnectException: Connection refused ({type(problem).__name__})", 0)
        return {
            "status": response.status_code,
            "headers": list(response.headers.items()),
            "body": response.text,
            "error": f"Method failed: ({urlsplit(url).path}) with code: {response.status_code}"
            if response.status_code >= 400
            else "",
            "code": 0,
        }


def _foreign(url: str) -> str:
    """Why a URL isn't requested: the double connects only to this machine."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return "java.net.MalformedURLException"
    if host == "localhost":
        return ""
    try:
        return "" if ipaddress.ip_address(host).is_loopback else f"java.net.NoRouteToHostException: {host}"
    except ValueError:
        return f"java.net.UnknownHostException: {host}"


def _failed(text: str, code: int) -> Json:
    return {"status": 0, "headers": [], "body": "", "error": text, "code": code}
