"""Installed apps, their sessions and stores, and calls to them (protocol reference §2, §3, §4)."""

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
    """A snapshot of the manifest at installation, and what belongs to the app."""

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
        """Whether it was granted at installation."""
        return permission in (self.manifest.get("requested_permissions") or [])

    def call(self, name: str, default: str = "", expand: Json | None = None) -> Json | None:
        """A call of the manifest; what it does not say is the default's."""
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
        self.listings: dict[str, Json] = {}  # by app id: what was fetched or announced, not what is installed
        self._tokens: dict[tuple[str, str], str] = {}

    def clear(self) -> None:
        """No app, no session."""
        self.apps.clear()
        self.listings.clear()
        self._tokens.clear()

    def get(self, app_id: str) -> App:
        """Raises PluginError: not installed."""
        if app_id not in self.apps:
            raise PluginError(f"app {app_id} is not installed: not found", 404)
        return self.apps[app_id]

    def token(self, app: App, user_id: str) -> str:
        """
        The app's session for a user: lives ten minutes, is prolonged when five or less are left.
        """
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
        """Forget the app's sessions; those of people already handed out live on until they expire."""
        for key in [key for key in self._tokens if key[0] == app.app_id]:
            self._tokens.pop(key)

    def invoke(self, app: App, request: Json, acting_user_id: str, seconds: float = CALL_SECONDS) -> Json:
        """
        Send a call to the app and decode its answer.

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
        """HS256 with whatever secret there is, a short or an empty one too, as the plugin does."""
        claims: Json = {"exp": int(self._state.clock.now()) + 15 * 60}
        if acting_user_id:
            claims["acting_user_id"] = acting_user_id
        parts = [_base64url(json.dumps(one).encode()) for one in ({"alg": "HS256", "typ": "JWT"}, claims)]
        signature = hmac.digest(app.secret.encode(), ".".join(parts).encode(), "sha256")
        return ".".join([*parts, _base64url(signature)])


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def clean_path(path: str) -> str:
    """``//``, ``.``, ``..`` and trailing slashes are resolved, as Go's ``path.Clean`` does; nothing is decoded."""
    return "/" + posixpath.normpath(path).strip("/")


def _target(path: str) -> str:
    """
    What goes over the wire: the plugin decodes the path as long as that changes it, then cleans and encodes it again.

    A query string survives, a fragment stays behind. So `/oauth2/connec%74` and `/oauth2/connect#x`, which no
    comparison of paths catches, arrive as `/oauth2/connect` (plugin source, ``utils.CleanURL``).
    """
    before, mark, query = path.partition("#")[0].partition("?")
    while (decoded := unquote(before)) != before:
        before = decoded
    return quote(clean_path(before), safe="/$&+,:;=@") + mark + query
