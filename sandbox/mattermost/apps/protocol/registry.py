"""Installed apps, their sessions and key-value stores, and calls to them (protocol reference §2, §3, §4)."""

import base64
import hmac
import json
import posixpath
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import requests

from sandbox.mattermost.apps.protocol.errors import PluginError
from sandbox.mattermost.apps.protocol.go_json import Undecodable, decode_response
from sandbox.mattermost.apps.protocol.outbound import ask
from sandbox.mattermost.server.state import State

Json = dict[str, Any]

SESSION_SECONDS = 600.0
CALL_SECONDS = 30.0
PLUGIN = "/plugins/com.mattermost.apps"


@dataclass
class App:
    """An installed app: its manifest at the time of installation, and its data."""

    manifest: Json
    secret: str
    bot_user_id: str
    webhook_secret: str = ""
    enabled: bool = True
    oauth2_app: Json = field(default_factory=dict)
    oauth2_users: dict[str, Any] = field(default_factory=dict)
    kv: dict[tuple[str, str, str], bytes] = field(default_factory=dict)
    states: dict[str, float] = field(default_factory=dict)
    mattermost_oauth2: Json = field(default_factory=dict)

    @property
    def app_id(self) -> str:
        return str(self.manifest["app_id"])

    @property
    def root_url(self) -> str:
        return str(self.manifest["http"]["root_url"]).rstrip("/")

    def may(self, permission: str) -> bool:
        """Whether the permission was granted at installation."""
        return permission in (self.manifest.get("requested_permissions") or [])

    def call(self, name: str, default: str = "", expand: Json | None = None) -> Json | None:
        """A call of the manifest. The default fills in what the manifest omits."""
        given = self.manifest.get(name)
        if given is None and not default:
            return None
        given = {"path": given} if isinstance(given, str) else dict(given or {})
        given.setdefault("path", default)
        given.setdefault("expand", expand or {})
        return given


class Registry:
    """All installed apps."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.apps: dict[str, App] = {}
        self.listings: dict[str, Json] = {}  # by app ID: fetched or announced, not necessarily installed
        self._tokens: dict[tuple[str, str], str] = {}

    def clear(self) -> None:
        """Remove all apps and sessions."""
        self.apps.clear()
        self.listings.clear()
        self._tokens.clear()

    def get(self, app_id: str) -> App:
        """Return an installed app. Raises PluginError if it isn't installed."""
        if app_id not in self.apps:
            raise PluginError(f"app {app_id} is not installed: not found", 404)
        return self.apps[app_id]

    def token(self, app: App, user_id: str) -> str:
        """The app's session token for a user. It lives ten minutes and is renewed when five or less remain."""
        key, now = (app.app_id, user_id), self._state.clock.now()
        token = self._tokens.get(key, "")
        session = self._state.sessions.get(token)
        if session is None or now >= session.expires_at:
            token = self._state.open_session(user_id, app.app_id, SESSION_SECONDS)
            self._tokens[key] = token
        elif session.expires_at - now <= SESSION_SECONDS / 2:
            session.expires_at = now + SESSION_SECONDS
        return token

    def drop_sessions(self, app: App) -> None:
        """Forget the app's sessions. User tokens that were handed out remain valid until they expire."""
        for key in [key for key in self._tokens if key[0] == app.app_id]:
            self._tokens.pop(key)

    def invoke(self, app: App, request: Json, acting_user_id: str, seconds: float = CALL_SECONDS) -> Json:
        """
        Send a call to the app and decode its response.

        Raises:
            PluginError: With ``upstream call failed: …``.
        """
        url = f"{app.root_url}{_target(str(request['path']))}"
        headers = {"Content-Type": "application/json"}
        if app.manifest["http"].get("use_jwt"):
            headers["Mattermost-App-Authorization"] = f"Bearer {self._jwt(app, acting_user_id)}"
        began = time.monotonic()
        try:
            response = ask("POST", url, seconds, data=json.dumps(request), headers=headers)
        except requests.Timeout as error:
            raise PluginError(
                f'upstream call failed: failed to invoke via HTTP: Post "{url}": context deadline exceeded'
            ) from error
        except requests.RequestException as error:
            refused = "refused" in str(error)
            why = f"dial tcp {urlsplit(url).netloc}: connect: connection refused" if refused else "EOF"
            raise PluginError(f'upstream call failed: failed to invoke via HTTP: Post "{url}": {why}') from error
        if time.monotonic() - began > seconds:
            raise PluginError("upstream call failed: context deadline exceeded")
        if response.status_code == 404:
            raise PluginError(f"upstream call failed: failed to invoke via HTTP: {url}: not found")
        if response.status_code != 200:
            text = response.content.decode("utf-8", "replace")
            raise PluginError(f"upstream call failed: failed to invoke via HTTP: {text}")
        try:
            return decode_response(response.content)
        except Undecodable as error:
            raise PluginError(f"upstream call failed: {error}") from error

    def _jwt(self, app: App, acting_user_id: str) -> str:
        """Sign with HS256 and any secret, even a short or empty one, as the plugin does."""
        claims: Json = {"exp": int(self._state.clock.now()) + 15 * 60}
        if acting_user_id:
            claims["acting_user_id"] = acting_user_id
        parts = [_base64url(json.dumps(one).encode()) for one in ({"alg": "HS256", "typ": "JWT"}, claims)]
        signature = hmac.digest(app.secret.encode(), ".".join(parts).encode(), "sha256")
        return ".".join([*parts, _base64url(signature)])


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def clean_path(path: str) -> str:
    """Resolve ``//``, ``.``, ``..`` and trailing slashes as Go's ``path.Clean`` does, without decoding."""
    return "/" + posixpath.normpath(path).strip("/")


def _target(path: str) -> str:
    """
    The path that is sent: decoded until it no longer changes, then cleaned and encoded again.

    A query string is kept, a fragment is dropped. So `/oauth2/connec%74` and `/oauth2/connect#x`, which path
    comparisons miss, arrive as `/oauth2/connect` (``utils.CleanURL`` in the plugin's source).
    """
    before, mark, query = path.partition("#")[0].partition("?")
    while (decoded := unquote(before)) != before:
        before = decoded
    return quote(clean_path(before), safe="/$&+,:;=@") + mark + query
