"""OAuth with a remote system, and its webhooks (protocol reference §8, §9)."""

import contextlib
import json
import secrets
import threading
from html import escape
from typing import Any
from urllib.parse import quote, urlencode

from flask import Blueprint, Response, abort, request
from flask.typing import ResponseReturnValue

from sandbox.mattermost.apps.expand import Expander, UserAgentContext
from sandbox.mattermost.apps.protocol.errors import PluginError, as_plain_text
from sandbox.mattermost.apps.protocol.go_json import as_go
from sandbox.mattermost.apps.protocol.registry import PLUGIN, App, Registry
from sandbox.mattermost.server.rest import anonymous_or_session
from sandbox.mattermost.server.state import State, stable_id

Json = dict[str, Any]

STATE_SECONDS = 900.0
_CONNECT = {"acting_user": "summary", "acting_user_access_token": "all", "oauth2_app": "all"}
_CLOSING = """
	<!DOCTYPE html>
	<html>
		<head>
			<script>
				window.close();
			</script>
		</head>
		<body>
			<p>Completed connecting your account. Please close this window.</p>
		</body>
	</html>
	"""


class RemoteRoutes:
    """The connect, complete and webhook routes."""

    def __init__(self, state: State, registry: Registry, expander: Expander) -> None:
        self._state = state
        self._registry = registry
        self._expander = expander

    def blueprint(self) -> Blueprint:
        """All routes."""
        blueprint = Blueprint("remote", __name__, url_prefix=f"{PLUGIN}/apps/<app_id>")
        add = blueprint.add_url_rule
        add("/oauth2/remote/connect", "connect", self.connect, methods=["GET"])
        add("/oauth2/remote/complete", "complete", self.complete, methods=["GET"])
        add("/webhook", "webhook", self.webhook, methods=["POST", "HEAD"])
        add("/webhook/<segment>", "webhook_path", self.webhook, methods=["POST", "HEAD"])
        blueprint.register_error_handler(PluginError, as_plain_text)
        return blueprint

    def connect(self, app_id: str) -> ResponseReturnValue:
        """Create a state, ask the app for the authorization URL, and redirect the browser there."""
        app = self._oauth_app(app_id)
        user_id = self._user_id()
        state = f"{secrets.token_urlsafe(15)}.{user_id}"
        call = app.call("get_oauth2_connect_url", "/oauth2/connect", _CONNECT) or {}
        answer = self._ask(app, call, user_id, {"state": state})
        data = answer.get("data")
        if not isinstance(data, str):
            kind = "<nil>" if data is None else "map[string]interface {}"
            text = f"oauth2: unexpected data type from the app: {kind}, expected string (connect URL)"
            raise PluginError(text)
        app.states[state] = self._state.clock.now() + STATE_SECONDS
        target = data or f"/apps/{app_id}/oauth2/remote/"
        page = f'<a href="{escape(target)}">Temporary Redirect</a>.\n\n'
        return Response(page, 307, {"Location": target, "Content-Type": "text/html; charset=utf-8"})

    def complete(self, app_id: str) -> ResponseReturnValue:
        """Check the state, which is valid once and for the same user, then call the app."""
        app = self._oauth_app(app_id)
        user_id, state = self._user_id(), request.args.get("state", "")
        if not state:
            raise PluginError("no state arg in the URL: unauthorized", 401)
        if "." not in state or state.partition(".")[2] != user_id:
            raise PluginError("forbidden", 403)
        if app.states.pop(state, 0.0) < self._state.clock.now():
            raise PluginError("state mismatch: forbidden", 403)
        call = app.call("on_oauth2_complete", "/oauth2/complete", _CONNECT | {"oauth2_user": "all"}) or {}
        self._ask(app, call, user_id, {name: request.args[name] for name in request.args})
        return Response(_CLOSING, 200, {"Content-Type": "text/html"})

    def webhook(self, app_id: str, segment: str = "") -> ResponseReturnValue:
        """Check the secret and forward the request. The sender learns nothing about the outcome."""
        if segment in {".", ".."}:
            abort(404)
        app = self._registry.get(app_id)
        if not app.enabled:
            raise PluginError(f"app is disabled by the administrator: {app_id}: forbidden", 403)
        self._check_webhook(app)
        if request.method == "HEAD":
            return Response("", 200)
        call = app.call("on_remote_webhook", "/webhook") or {}
        try:
            context = self._expander.context(app, UserAgentContext(""), call["expand"])
        except PluginError as error:
            raise PluginError(str(error).removeprefix("failed to expand context: ")) from error
        outgoing = {
            **{key: value for key, value in call.items() if value},
            "path": call["path"] + (f"/{quote(segment)}" if segment else ""),
            "values": {
                "headers": self._webhook_headers(),
                "data": as_go(_parsed(request.get_data())),
                "httpMethod": request.method,
                "rawQuery": _resorted_query(),
            },
            "context": context,
        }
        # Sent in the background: the sender neither waits for the app nor gets its response.
        threading.Thread(target=self._notify, args=(app, outgoing), daemon=True).start()
        return Response("", 200)

    def _notify(self, app: App, outgoing: Json) -> None:
        with contextlib.suppress(PluginError):
            self._registry.invoke(app, outgoing, app.bot_user_id)

    @staticmethod
    def _check_webhook(app: App) -> None:
        """Raise PluginError with the text of a failed authentication."""
        words = "failed to validate webhook authentication: "
        if not (app.may("remote_webhooks") and app.may("act_as_bot")):
            what = "receive webhook messages from a remote (3rd party) system"
            raise PluginError(f"{words}{app.app_id} does not have permission {what}: forbidden", 403)
        kind = app.manifest.get("remote_webhook_auth_type") or "secret"
        if kind == "none":
            return
        if kind != "secret":
            raise PluginError(f"{words}{kind} is not a known webhook authentication type")
        secret = request.args.get("secret", "")
        if not secret:
            raise PluginError(f"{words}webhook secret was not provided: invalid input", 400)
        if secret != app.webhook_secret:
            raise PluginError(f"{words}webhook secret mismatched: invalid input", 400)

    def _webhook_headers(self) -> dict[str, str]:
        """
        The sender's headers, without those that could be used against Mattermost. Adds the user of a sender with a
        session.
        """
        headers = {name.title(): value for name, value in reversed(request.headers.to_wsgi_list())}
        for name in ("Host", "Referer"):
            headers.pop(name, None)
        cookies = [one for one in headers.pop("Cookie", "").split("; ") if one and not one.startswith("MMAUTHTOKEN=")]
        if cookies:
            headers["Cookie"] = "; ".join(cookies)
        headers["Mattermost-Session-Id"] = ""
        if session := anonymous_or_session(self._state):
            headers |= {
                "Mattermost-Session-Id": stable_id(f"session {session.csrf}"),
                "Mattermost-User-Id": session.user_id,
            }
            headers.pop("Authorization", None)
        return headers

    def _ask(self, app: App, call: Json, user_id: str, values: Json) -> Json:
        context = self._expander.context(app, UserAgentContext(user_id), call["expand"])
        acting = context.get("acting_user", {}).get("id", "")
        answer = self._registry.invoke(app, {**call, "values": values, "context": context}, acting)
        if answer["type"] == "error":
            raise PluginError(str(answer.get("text", "")))
        if answer["type"] != "ok":
            raise PluginError(f'oauth2: unexpected response type from the app: "{answer["type"]}"')
        return answer

    def _oauth_app(self, app_id: str) -> App:
        app = self._registry.get(app_id)
        if not app.enabled:
            raise PluginError(f"app is disabled by the administrator: {app_id}: forbidden", 403)
        if not app.may("remote_oauth2"):
            raise PluginError(f"{app_id} is not authorized to use OAuth2")
        return app

    def _user_id(self) -> str:
        session = anonymous_or_session(self._state)
        return session.user_id if session else ""


def _resorted_query() -> str:
    """The query as Go encodes it again: sorted, and without a Mattermost token."""
    pairs = [pair for pair in request.args.items(multi=True) if pair[0] != "access_token"]
    return urlencode(sorted(pairs, key=lambda pair: pair[0]))


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return data.decode("utf-8", "replace")
