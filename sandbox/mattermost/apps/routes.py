"""The plugin's routes for clients and apps: bindings, calls, static files, key-value store (protocol reference §10)."""

import json
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, jsonify, request
from flask.typing import ResponseReturnValue

from sandbox.mattermost.apps.bindings import Bindings
from sandbox.mattermost.apps.builtin import BUILTIN, Builtin
from sandbox.mattermost.apps.expand import Expander, UserAgentContext, echoed
from sandbox.mattermost.apps.install import Installer
from sandbox.mattermost.apps.protocol.cleaning import clean_form
from sandbox.mattermost.apps.protocol.errors import PluginError, as_go_error, as_plain_text
from sandbox.mattermost.apps.protocol.go_json import Undecodable, as_go, expand_of
from sandbox.mattermost.apps.protocol.outbound import ask
from sandbox.mattermost.apps.protocol.registry import PLUGIN, App, Registry, clean_path
from sandbox.mattermost.server.hub import Hub
from sandbox.mattermost.server.rest import anonymous_or_session
from sandbox.mattermost.server.state import State

Json = dict[str, Any]

REFRESH = "custom_com.mattermost.apps_refresh_bindings"
_MOST = 8192
_FORBIDDEN = (
    ("on_install", ""), ("on_uninstall", ""), ("on_enable", ""), ("on_disable", ""),
    ("on_version_changed", ""), ("get_oauth2_connect_url", "/oauth2/connect"),
    ("on_oauth2_complete", "/oauth2/complete"), ("on_remote_webhook", "/webhook"),
)  # fmt: skip


class AppsRoutes:
    """All routes under `/plugins/com.mattermost.apps` except OAuth and webhooks."""

    def __init__(
        self,
        state: State,
        hub: Hub,
        registry: Registry,
        expander: Expander,
        installer: Installer,
        builtin: Builtin,
        site: Callable[[], str],
    ) -> None:
        self._state = state
        self._hub = hub
        self._registry = registry
        self._expander = expander
        self._installer = installer
        self._builtin = builtin
        self._site = site
        self._bindings = Bindings(registry, expander, self._icons)

    def blueprint(self) -> Blueprint:
        """All routes."""
        blueprint = Blueprint("apps", __name__, url_prefix=PLUGIN)
        add = blueprint.add_url_rule
        add("/api/v1/ping", "ping", lambda: jsonify({"version": "1.2.2"}), methods=["POST"])
        add("/api/v1/bindings", "bindings", self.bindings)
        add("/api/v1/call", "call", self.call, methods=["POST"])
        add("/api/v1/bot-ids", "bot_ids", self.bot_ids)
        add("/api/v1/oauth-app-ids", "oauth_app_ids", self.oauth_app_ids)
        add("/api/v1/apps/<app_id>", "app", self.app)
        add("/api/v1/oauth2/user", "get_user", self.get_oauth2_user)
        add("/api/v1/oauth2/user", "put_user", self.put_oauth2_user, methods=["POST", "PUT"])
        add("/api/v1/oauth2/app", "put_app", self.put_oauth2_app, methods=["POST", "PUT"])
        for rule in ("/api/v1/kv/<key>", "/api/v1/kv/<prefix>/<key>"):
            add(rule, rule, self.kv, methods=["GET", "PUT", "POST", "DELETE"])
        add("/apps/<app_id>/static/<name>", "static", self.static)
        blueprint.register_error_handler(PluginError, as_plain_text)
        return blueprint

    # --- bindings

    def bindings(self) -> ResponseReturnValue:
        """A user's bindings for a channel. With ``test=1`` also the problems found in them."""
        session, test = anonymous_or_session(self._state), request.args.get("test")
        if session is None:
            refused = {"bindings": None, "error": "user ID is required: unauthorized"}
            return jsonify(refused if test else None)
        ids = (request.args.get("channel_id", ""), request.args.get("team_id", ""))
        agent = UserAgentContext(session.user_id, *ids, user_agent=request.args.get("user_agent_type", ""))
        found, problems = self._bindings.fetch(agent, self._builtin.bindings(session.user_id))
        if not test:
            return jsonify(found)
        return jsonify({"bindings": found} | ({"error": as_go_error(problems)} if problems else {}))

    def _icons(self, app_id: str) -> str:
        return f"{self._site()}{PLUGIN}/apps/{app_id}/static"

    # --- calls

    def call(self) -> ResponseReturnValue:
        """Expand a client's call, forward it to the app, and decode the response. The status is always 200."""
        try:
            given = json.loads(request.get_data())
            if not isinstance(given, dict):
                raise ValueError("no object")
        except ValueError:
            raise PluginError("failed to unmarshal Call request: unexpected EOF: invalid input", 400) from None
        try:
            given = as_go(given)
            given |= {"expand": expand_of(given["expand"])} if given.get("expand") is not None else {}
        except Undecodable as error:
            raise PluginError(f"failed to unmarshal Call request: {error}: invalid input", 400) from error
        context = given.get("context") or {}
        app_id = str(context.get("app_id") or "")
        if not app_id:
            raise PluginError("app ID is not set in Call request: invalid input", 400)
        session = anonymous_or_session(self._state)
        metadata: Json = {}
        try:
            if session is None:
                raise PluginError("user ID is required: unauthorized")
            if app_id == BUILTIN:
                metadata = self._builtin.metadata()
                answer = self._builtin.call(given, session.user_id)
            else:
                app = self._registry.get(app_id)
                if not app.enabled:
                    raise PluginError(f"app is disabled by the administrator: {app_id}: forbidden")
                username = self._state.users[app.bot_user_id]["username"]
                metadata = {"bot_user_id": app.bot_user_id, "bot_username": username}
                answer = self._call(app, given, context, session.user_id)
        except PluginError as error:
            answer = {"type": "error", "text": str(error)}
        return jsonify(answer | {"app_metadata": metadata})

    def _call(self, app: App, given: Json, context: Json, user_id: str) -> Json:
        path = str(given.get("path") or "")
        if not path.startswith("/"):
            raise PluginError(f'call path must start with a "/": "{path}": invalid input')
        path = clean_path(path)
        self._allowed(app, path)
        agent = UserAgentContext(
            user_id,
            str(context.get("channel_id") or ""),
            str(context.get("team_id") or ""),
            str(context.get("post_id") or ""),
            str(context.get("root_post_id") or ""),
            str(context.get("user_agent") or ""),
            context.get("track_as_submit") is True,
        )
        expand = given.get("expand") or {}
        expanded = self._expander.context(app, agent, expand)
        if subject := context.get("subject"):
            expanded["subject"] = subject  # not removed, so users can forge it
        call: Json = {"path": path} | ({"expand": echoed(expand)} if given.get("expand") is not None else {})
        for key in ("state", "values", "raw_command", "selected_field", "query"):
            if given.get(key) not in (None, "", {}):
                call[key] = given[key]
        call["context"] = expanded
        answer = self._registry.invoke(app, call, expanded.get("acting_user", {}).get("id", ""))
        if "form" in answer:
            answer["form"] = clean_form(answer["form"], self._icons(app.app_id))
        bindings = app.call("bindings", "/bindings") or {}
        if answer.get("refresh_bindings") and answer["type"] != "error" and path != bindings["path"]:
            self.refresh(user_id)
        return answer

    @staticmethod
    def _allowed(app: App, path: str) -> None:
        if path == "/ping":
            raise PluginError("forbidden call path: path /ping defined as /ping")
        for name, default in _FORBIDDEN:
            call = app.call(name, default)
            if call is not None and call["path"] == path:
                raise PluginError(f"forbidden call path: path {path} defined as {name}.path")

    def refresh(self, user_id: str = "") -> None:
        """Tell the clients of one user, or of everyone, to fetch bindings again."""
        self._hub.publish(REFRESH, {}, user_id=user_id)

    # --- other routes

    def bot_ids(self) -> ResponseReturnValue:
        """The IDs of the apps' bots. Needs no session."""
        return jsonify(
            [self._builtin.metadata()["bot_user_id"], *(a.bot_user_id for a in self._registry.apps.values())]
        )

    def oauth_app_ids(self) -> ResponseReturnValue:
        """The IDs of the apps' OAuth applications in Mattermost. Needs no session."""
        return jsonify([app.mattermost_oauth2["id"] for app in self._registry.apps.values()])

    def app(self, app_id: str) -> ResponseReturnValue:
        """The stored app. Ordinary users see the JWT secret but not the webhook secret (recorded)."""
        session = anonymous_or_session(self._state)
        if session is None:
            raise PluginError("user ID is required: unauthorized", 401)
        app = self._registry.get(app_id)
        return jsonify(self._installer.record(app, self._state.is_admin(session.user_id)))

    def static(self, app_id: str, name: str) -> ResponseReturnValue:
        """A static file of an app, for any signed-in user. The content type is empty."""
        if anonymous_or_session(self._state) is None:
            raise PluginError("user ID is required: unauthorized", 401)
        app = self._registry.get(app_id)
        found = ask("GET", f"{app.root_url}/static/{name}")
        return Response(found.content, found.status_code, {"Content-Type": ""})

    def _app_session(self) -> tuple[App, str]:
        session = anonymous_or_session(self._state)
        if session is None:
            raise PluginError("user ID is required: unauthorized", 401)
        if not session.app_id:
            raise PluginError("not an app session: unauthorized", 401)
        return self._registry.get(session.app_id), session.user_id

    def get_oauth2_user(self) -> ResponseReturnValue:
        """The acting user's own record, or an empty body."""
        app, user_id = self._human()
        return jsonify(app.oauth2_users[user_id]) if user_id in app.oauth2_users else Response("", 200)

    def put_oauth2_user(self) -> ResponseReturnValue:
        """Store the record. If it changed, the user's clients refresh their bindings."""
        app, user_id = self._human()
        value = _json(_stored(), "payload is not valid JSON: invalid input")
        if user_id not in app.oauth2_users or app.oauth2_users[user_id] != value:
            app.oauth2_users[user_id] = value
            self.refresh(user_id)
        return Response("", 200)

    def put_oauth2_app(self) -> ResponseReturnValue:
        """Replace the whole record. Only for system admins."""
        app, user_id = self._app_session()
        if not self._state.is_admin(user_id):
            text = "access to this operation is limited to users with permission: manage_system: unauthorized"
            raise PluginError(text, 401)
        data = _stored()
        why = f"invalid character '{data[:1].decode()}' looking for beginning of value"
        app.oauth2_app = _json(data, f"OAuth2App is not valid JSON: {why}: invalid input")
        self.refresh()
        return Response("", 200)

    def _human(self) -> tuple[App, str]:
        app, user_id = self._app_session()
        if not app.may("remote_oauth2"):
            raise PluginError(f"{app.app_id} is not authorized to use remote OAuth2: unauthorized", 401)
        user = self._state.users[user_id]
        if user.get("is_bot"):
            raise PluginError(f"@{user['username']} ({user['first_name']}): is a bot: unauthorized", 401)
        return app, user_id

    def kv(self, key: str, prefix: str = "") -> ResponseReturnValue:
        """Read or write a value by app, token owner, prefix and key. Values are kept byte for byte."""
        app, user_id = self._app_session()
        if len(prefix) > 2:
            raise PluginError(f'prefix "{prefix}" is longer than the limit of 2 ASCII characters')
        place = (user_id, prefix, key)
        if request.method == "GET":
            return Response(app.kv.get(place, b"{}"), 200, {"Content-Type": "application/json"})
        if request.method == "DELETE":
            app.kv.pop(place, None)
            return Response("", 200)
        data = _stored()
        _json(data, "payload is not valid json: invalid input")
        app.kv[place] = data
        return jsonify({"changed": True})


def _stored() -> bytes:
    data = request.get_data()
    if len(data) > _MOST:
        raise PluginError("size limit of 8Kb exceeded")
    return data


def _json(data: bytes, otherwise: str) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        raise PluginError(otherwise, 400) from None
