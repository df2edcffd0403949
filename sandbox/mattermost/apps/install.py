"""Installing apps: the builtin `/apps` and the administrator's routes (protocol reference §1, §10.3, §10.4)."""

import re
from collections.abc import Callable
from typing import Any

import requests
from flask import Blueprint, Response, jsonify, request
from flask.typing import ResponseReturnValue

from sandbox.mattermost.apps.expand import Agent, Expander
from sandbox.mattermost.apps.registry import PLUGIN, App, PluginError, Registry, new_secret
from sandbox.mattermost.state import State
from sandbox.mattermost.web import anonymous_or_session

Json = dict[str, Any]

BUILTIN = "apps"
_APP_ID = re.compile(r"[A-Za-z0-9\-_.]{3,32}")
_EXPAND = {"acting_user": "+summary", "locale": "all"}
_PERMISSIONS = {
    "act_as_bot": "use Mattermost REST API as the app's bot user",
    "act_as_user": "use Mattermost REST API as connected users",
    "remote_oauth2": "use a remote (3rd party) OAuth2 and store secrets",
    "remote_webhooks": "receive webhook messages from a remote (3rd party) system",
}
_LOCATIONS = {
    "/command": "Slash commands",
    "/channel_header": "Channel Header buttons",
    "/post_menu": "Post Menu items",
}


class Installer:
    """The builtin app, and what the administrator's routes share with it."""

    def __init__(self, state: State, registry: Registry, expander: Expander, refresh: Callable[[str], None]) -> None:
        self._state = state
        self._registry = registry
        self._expander = expander
        self._refresh = refresh

    def metadata(self) -> Json:
        """The builtin bot."""
        bot = self._state.by_username("appsbot") or self._state.add_user("appsbot", "Mattermost Apps", "", bot=True)
        return {"bot_user_id": bot["id"], "bot_username": "appsbot"}

    def bindings(self, user_id: str) -> list[Json]:
        """`/apps`, with what an administrator may do."""
        commands: list[Json] = [
            {
                "app_id": BUILTIN,
                "location": "info",
                "label": "info",
                "description": "Display Apps plugin info",
                "submit": {"path": "/info", "expand": {"locale": "all"}},
            }
        ]
        if self._state.is_admin(user_id):
            url = {"name": "url", "type": "text", "label": "url", "is_required": True, "position": 1}
            form = {"submit": {"path": "/install-http", "expand": _EXPAND}, "fields": [url]}
            http = {"app_id": BUILTIN, "location": "http", "label": "http", "form": form}
            commands.append(
                {
                    "app_id": BUILTIN,
                    "location": "install",
                    "label": "install",
                    "description": "Install an App",
                    "bindings": [http],
                }
            )
        root = {"app_id": BUILTIN, "location": "apps", "label": "apps", "description": "Mattermost Apps"}
        return [{"location": "/command", "bindings": [root | {"bindings": commands}]}]

    def call(self, given: Json, user_id: str) -> Json:
        """Calls of the builtin app."""
        path, values = str(given.get("path")), given.get("values") or {}
        if path == "/info":
            return {"type": "ok", "text": "Mattermost Apps, sandbox"}
        user = self._state.users[user_id]
        if not self._state.is_admin(user_id):
            raise PluginError(f"user {user['username']} ({user_id}) is not a sysadmin: unauthorized")
        match path:
            case "/install-http":
                return self._consent(self.listing_of(str(values.get("url"))))
            case "/install-consent":
                if not values.get("consent"):
                    raise PluginError("consent to use APIs and locations is required to install")
                text = self.install(str(given.get("state")), user_id, str(values.get("secret") or ""))
                return {"type": "ok", "text": text}
            case "/enable" | "/disable":
                text = self.switch(_app_value(values), path == "/enable", user_id)
                return {"type": "ok", "text": text}
            case "/uninstall":
                return {"type": "ok", "text": self.uninstall(_app_value(values), user_id, bool(values.get("force")))}
        raise PluginError(f"the sandbox does not have the builtin call {path}")

    def listing_of(self, url: str) -> Json:
        """Fetch, check and list a manifest."""
        try:
            response = requests.get(url, timeout=10)
        except requests.RequestException as error:
            raise PluginError(f'Get "{url}": connect: connection refused') from error
        if response.status_code >= 400:
            raise PluginError(f"received status {response.status_code} {response.reason.title()}: not found")
        if len(response.content) > 1024 * 1024:
            raise PluginError("size limit of 1024Kb exceeded")
        try:
            manifest = response.json()
        except ValueError as error:
            raise PluginError("invalid character '<' looking for beginning of value") from error
        check_manifest(manifest)
        self._registry.listings[manifest["app_id"]] = manifest
        return dict(manifest)

    def install(self, app_id: str, user_id: str, secret: str) -> str:
        """Ping, icon, bot, record, on_install; the text for the administrator."""
        manifest = self._registry.listings.get(app_id)
        if manifest is None:
            raise PluginError(f"{app_id}: not found", 404)
        before = self._registry.apps.get(app_id)
        app = App(manifest, secret or (before.secret if before else ""), "", new_secret())
        self._ping(app)
        picture = b""
        icon = manifest.get("icon")
        if icon:
            found = requests.get(f"{app.root_url}/static/{icon}", timeout=10)
            if found.status_code != 200:
                raise PluginError("failed to get bot icon")
            picture = found.content
        username = app_id.lower()
        bot = self._state.by_username(username)
        if bot is not None and not bot.get("is_bot"):
            username, bot = f"{username}-app", self._state.by_username(f"{username}-app")
        bot = bot or self._state.add_user(username, manifest["display_name"], "", bot=True)
        bot["delete_at"] = 0
        app.bot_user_id = bot["id"]
        if picture:
            self._state.pictures[bot["id"]] = picture
        if before is not None:
            app.oauth2_app, app.oauth2_users, app.kv = before.oauth2_app, before.oauth2_users, before.kv
        self._registry.apps[app_id] = app
        text = f"Installed app `{app_id}`: {manifest['display_name']}."
        try:
            if more := self._lifecycle(app, "on_install", user_id):
                text += f"\n\n{more}"
        except PluginError as error:
            text = f"Installed app `{app_id}`: {manifest['display_name']}., despite on_install failure: {error}"
        self._refresh(user_id)
        return text

    def switch(self, app_id: str, enable: bool, user_id: str) -> str:
        """Enable or disable."""
        app = self._registry.get(app_id)
        bot = self._state.users[app.bot_user_id]
        if enable:
            app.enabled, bot["delete_at"] = True, 0
            text = self._lifecycle(app, "on_enable", user_id, soft=True)
        else:
            text = self._lifecycle(app, "on_disable", user_id, soft=True)
            app.enabled, bot["delete_at"] = False, self._state.now()
            self._registry.drop_sessions(app)
        self._refresh(user_id)
        return f"{'Enabled' if enable else 'Disabled'} app `{app_id}`.{' ' + text if text else ''}"

    def uninstall(self, app_id: str, user_id: str, force: bool) -> str:
        """on_uninstall may cancel, unless forced; then everything of the app is gone."""
        app = self._registry.get(app_id)
        try:
            text = self._lifecycle(app, "on_uninstall", user_id)
        except PluginError as error:
            if not force:
                raise PluginError(f"app canceled uninstall request: {error}") from error
            text = ""
        del self._registry.apps[app_id]
        self._registry.drop_sessions(app)
        self._state.users[app.bot_user_id]["delete_at"] = self._state.now()
        self._refresh(user_id)
        return f"Uninstalled app `{app_id}`.{' ' + text if text else ''}"

    def _ping(self, app: App) -> None:
        try:
            self._registry.invoke(app, {"path": "/ping", "context": {}}, "", seconds=2.0)
        except PluginError as error:
            if not str(error).endswith(": not found"):
                raise PluginError(f"failed to install, {app.app_id} path is not accessible: {error}") from error

    def _lifecycle(self, app: App, name: str, user_id: str, soft: bool = False) -> str:
        call = app.call(name)
        if call is None:
            return ""
        try:
            context = self._expander.context(app, Agent(user_id), call["expand"])
            acting = context.get("acting_user", {}).get("id", "")
            answer = self._registry.invoke(app, {**call, "context": context}, acting)
            if answer["type"] == "error":
                raise PluginError(str(answer.get("text", "")))
        except PluginError:
            if soft:
                return ""
            raise
        return str(answer.get("text", ""))

    def _consent(self, manifest: Json) -> Json:
        header = f"Application **{manifest['display_name']}** requires system administrator's consent to:\n\n\n"
        if locations := manifest.get("requested_locations"):
            header += "- Add the following elements to the **Mattermost User Interface**:\n"
            header += "".join(f"  - {_LOCATIONS.get(one, one)}\n" for one in locations)
        if permissions := manifest.get("requested_permissions"):
            header += "- Access **Mattermost API** with the following permissions:\n"
            header += "".join(f"  - {_PERMISSIONS.get(one, one)}\n" for one in permissions)
        fields: list[Json] = [
            {
                "name": "consent",
                "type": "bool",
                "is_required": True,
                "value": False,
                "label": "consent",
                "modal_label": "Agree to grant the app access to APIs and Locations",
            },
            {
                "name": "deploy_type",
                "type": "static_select",
                "is_required": True,
                "value": {"label": "HTTP", "value": "http"},
                "description": "Select how the App will be accessed.",
                "label": "deploy-type",
                "modal_label": "Deployment method",
                "refresh": True,
                "options": [{"label": "HTTP", "value": "http"}],
            },
        ]
        if manifest["http"].get("use_jwt"):
            fields.append({"name": "secret", "type": "text", "label": "secret", "modal_label": "Outgoing JWT Secret"})
        state = manifest["app_id"]
        form = {
            "source": {"path": "/install-consent/form", "expand": _EXPAND, "state": state},
            "title": f"Install App {manifest['display_name']}",
            "header": header + "---\n",
            "submit": {"path": "/install-consent", "expand": _EXPAND, "state": state},
            "fields": fields,
        }
        return {"type": "form", "form": form}

    def blueprint(self) -> Blueprint:
        """The administrator's routes."""
        blueprint = Blueprint("apps_admin", __name__, url_prefix=f"{PLUGIN}/api/v1")
        blueprint.register_error_handler(
            PluginError, lambda e: Response(f"{e}\n", e.status, {"Content-Type": "text/plain; charset=utf-8"})
        )

        @blueprint.post("/update-app-listing")
        def update_listing() -> ResponseReturnValue:
            self._admin()
            manifest = {k: v for k, v in request.get_json().items() if k not in {"Replace", "add_deploys"}}
            check_manifest(manifest)
            self._registry.listings[manifest["app_id"]] = manifest
            return jsonify(manifest)

        @blueprint.post("/install-app")
        def install() -> ResponseReturnValue:
            user_id = self._admin()
            app_id = str(request.get_json()["app_id"])
            self.install(app_id, user_id, "")
            app = self._registry.get(app_id)
            record = {"bot_user_id": app.bot_user_id, "webhook_secret": app.webhook_secret, "secret": app.secret}
            return jsonify(app.manifest | record)

        @blueprint.post("/enable-app")
        def enable() -> ResponseReturnValue:
            return Response(self.switch(str(request.get_json()["app_id"]), True, self._admin()))

        @blueprint.post("/disable-app")
        def disable() -> ResponseReturnValue:
            return Response(self.switch(str(request.get_json()["app_id"]), False, self._admin()))

        @blueprint.post("/uninstall-app")
        def uninstall() -> ResponseReturnValue:
            self.uninstall(str(request.get_json()["app_id"]), self._admin(), False)
            return Response("")

        return blueprint

    def _admin(self) -> str:
        session = anonymous_or_session(self._state)
        if session is None or not self._state.is_admin(session.user_id):
            raise PluginError("access to this operation is limited to system administrators: unauthorized", 401)
        return session.user_id


def check_manifest(manifest: Json) -> None:
    """Raises PluginError with what is wrong (protocol reference §1.1, §1.2)."""
    app_id, version = str(manifest.get("app_id", "")), str(manifest.get("version", ""))
    if not _APP_ID.fullmatch(app_id):
        raise PluginError(f"app ID {app_id!r} is not valid: invalid input", 400)
    if len(version) > 10:
        raise PluginError(f"version {version} is too long: invalid input", 400)
    if not manifest.get("display_name"):
        raise PluginError("display_name is empty: invalid input", 400)
    for url in (manifest.get("homepage_url", ""), (manifest.get("http") or {}).get("root_url", "")):
        if not re.match(r"https?://[^/]+", str(url)):
            raise PluginError(f"invalid URL {url!r}: invalid input", 400)
    needs = {"remote_webhooks": "act_as_bot", "remote_oauth2": "act_as_user"}
    permissions = manifest.get("requested_permissions") or []
    for one, other in needs.items():
        if one in permissions and other not in permissions:
            raise PluginError(f"{one} requires {other}: invalid input", 400)


def _app_value(values: Json) -> str:
    value = values.get("app")
    return str(value.get("value")) if isinstance(value, dict) else str(value)
