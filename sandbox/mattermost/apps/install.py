"""Installs, enables, disables and removes apps. Also the admin routes (protocol reference §1, §10.3)."""

import json
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, jsonify, request
from flask.typing import ResponseReturnValue

from sandbox.mattermost.apps.expand import Expander, UserAgentContext
from sandbox.mattermost.apps.protocol.errors import PluginError, as_plain_text
from sandbox.mattermost.apps.protocol.manifest import DEPLOYS, read_manifest
from sandbox.mattermost.apps.protocol.outbound import ask
from sandbox.mattermost.apps.protocol.registry import PLUGIN, App, Registry
from sandbox.mattermost.server.rest import anonymous_or_session
from sandbox.mattermost.server.state import State, new_id

Json = dict[str, Any]

_EMPTY_CONTEXT = {"app_id": "", "mattermost_site_url": "", "app_path": "", "bot_user_id": "", "oauth2": {}}
_UPSTREAM = "upstream call failed: "


class Installer:
    """
    The operations that the builtin `/apps` and the admin routes share.

    Args:
        refresh: Tells a user's clients to fetch bindings again.
        site: Returns this server's URL.
    """

    def __init__(
        self,
        state: State,
        registry: Registry,
        expander: Expander,
        refresh: Callable[[str], None],
        site: Callable[[], str],
    ) -> None:
        self._state = state
        self._registry = registry
        self._expander = expander
        self._refresh = refresh
        self._site = site

    def install(
        self, app_id: str, agent: UserAgentContext, secret: str = "", deploy: str = "http", trusted: bool = False
    ) -> str:
        """Install an app: ping, icon, bot, record, on_install. Returns the text for the admin. Raises PluginError."""
        manifest = self._registry.listings.get(app_id)
        if manifest is None:
            raise PluginError(f"failed to find manifest to install app: {app_id}: not found", 404)
        if deploy not in manifest:
            raise PluginError(f"app does not support {DEPLOYS.get(deploy, deploy)} deployment")
        before = self._registry.apps.get(app_id)
        app = App({"SchemaVersion": "1.2.2"} | manifest, secret or (before.secret if before else ""), "")
        self._ping(app)
        picture = self._icon(app)
        app.bot_user_id = self._bot(app)
        if picture:
            self._state.pictures[app.bot_user_id] = picture
        app.webhook_secret = self._webhook_secret(app, before)
        kept = before.mattermost_oauth2 if before else {}
        app.mattermost_oauth2 = kept or self._oauth_application(app, agent.user_id, trusted)
        if before is not None:
            app.oauth2_app, app.oauth2_users, app.kv = before.oauth2_app, before.oauth2_users, before.kv
            app.states = before.states
        self._registry.apps[app_id] = app
        text = f"Installed app `{app_id}`: {manifest['display_name']}."
        try:
            if more := self._greeted(app, agent):
                text += f"\n\n{more}"
        except PluginError as error:
            text += f", despite on_install failure: {error}"
        self._refresh(agent.user_id)
        return text

    def switch(self, app_id: str, enable: bool, agent: UserAgentContext) -> str:
        """Enable or disable an app, even if the app's own callback fails. Returns the text for the admin."""
        app = self._registry.get(app_id)
        word = "enabled" if enable else "disabled"
        if app.enabled is enable:
            return f"{app.manifest['display_name']} is already enabled" if enable else "Already disabled"
        bot = self._state.users[app.bot_user_id]
        if enable:
            app.enabled, bot["delete_at"] = True, 0
            text = self._softly(app, "on_enable", agent)
        else:
            text = self._softly(app, "on_disable", agent)
            app.enabled, bot["delete_at"] = False, self._state.now()
            self._registry.drop_sessions(app)
        self._refresh(agent.user_id)
        return text or f"{word.capitalize()} {app.manifest['display_name']}"

    def uninstall(self, app_id: str, agent: UserAgentContext, force: bool = False) -> str:
        """Uninstall an app. Unless forced, a failing on_uninstall cancels it. The deactivated bot remains."""
        app = self._registry.get(app_id)
        name = app.manifest["display_name"]
        text = f"Uninstalled {name}"
        try:
            if app.call("on_uninstall") is not None:
                text += f", with message: {self._lifecycle(app, 'on_uninstall', agent)}"
        except PluginError as error:
            if not force:
                raise PluginError(f"app canceled uninstall request: {error}") from error
            text = f"Force-uninstalled {name}, despite error: {error}"
        del self._registry.apps[app_id]
        self._registry.drop_sessions(app)
        bot, now = self._state.users[app.bot_user_id], self._state.now()
        bot["delete_at"] = bot["update_at"] = now
        self._refresh(agent.user_id)
        return text

    def record(self, app: App, admin: bool) -> Json:
        """The stored app. Every user can read the JWT secret (recorded), admins also the rest."""
        bot = self._state.users[app.bot_user_id]
        manifest = app.manifest
        record = manifest | {"deploy_type": "http", "bot_user_id": bot["id"], "bot_username": bot["username"]}
        record["remote_oauth2"] = dict(app.oauth2_app) if admin else {}
        for key in ("permissions", "locations"):
            if f"requested_{key}" in manifest:
                record[f"granted_{key}"] = manifest[f"requested_{key}"]
        optional = {"disabled": not app.enabled, "secret": app.secret}
        if admin:
            optional |= {"webhook_secret": app.webhook_secret, "mattermost_oauth2": app.mattermost_oauth2}
        return record | {key: value for key, value in optional.items() if value}

    # --- the steps of an installation

    def _ping(self, app: App) -> None:
        try:
            self._registry.invoke(app, {"path": "/ping", "context": _EMPTY_CONTEXT}, "", seconds=2.0)
        except PluginError as error:
            if not str(error).endswith(": not found"):
                why = str(error).removeprefix(_UPSTREAM)
                text = f"failed to install, /ping path is not accessible: failed to call /ping endpoint: {why}"
                raise PluginError(text) from error

    def _icon(self, app: App) -> bytes:
        icon = app.manifest.get("icon")
        if not icon:
            return b""
        found = ask("GET", icon if "://" in icon else f"{app.root_url}/static/{icon}")
        if found.status_code != 200:
            why = f"{icon}: received status code {found.status_code}"
            raise PluginError(f"failed to get bot icon: failed to download icon: {why}")
        return found.content

    def _bot(self, app: App) -> str:
        """Find or create the bot. It is named like the app, with ``-app`` appended if a user has that name."""
        username = app.app_id.lower()
        bot = self._state.by_username(username)
        if bot is not None and not bot.get("is_bot"):
            username = f"{username}-app"
            bot = self._state.by_username(username)
        bot = bot or self._state.add_user(username, app.manifest["display_name"], "", bot=True)
        bot["delete_at"] = 0
        return str(bot["id"])

    @staticmethod
    def _webhook_secret(app: App, before: App | None) -> str:
        """A new secret for each installation, unless the app's webhooks need none."""
        kind = app.manifest.get("remote_webhook_auth_type", "")
        fresh = not kind or (kind == "secret" and app.may("remote_webhooks"))
        return new_id() if fresh or before is None else before.webhook_secret

    def _oauth_application(self, app: App, creator: str, trusted: bool) -> Json:
        now = self._state.now()
        return {
            "id": new_id(),
            "creator_id": creator,
            "create_at": now,
            "update_at": now,
            "client_secret": new_id(),
            "name": app.manifest["display_name"],
            "description": app.manifest.get("description", ""),
            "icon_url": "",
            "callback_urls": [f"{self._site()}{PLUGIN}/apps/{app.app_id}/oauth2/mattermost/complete"],
            "homepage": app.manifest["homepage_url"],
            "is_trusted": trusted,
            "mattermost_app_id": app.app_id,
        }

    def _greeted(self, app: App, agent: UserAgentContext) -> str:
        """Call on_install. An app without it is asked for its bindings, to see whether it responds."""
        if app.call("on_install") is not None:
            return self._lifecycle(app, "on_install", agent)
        if app.manifest.get("requested_locations"):
            self._lifecycle(app, "bindings", agent, "/bindings")
        return ""

    def _softly(self, app: App, name: str, agent: UserAgentContext) -> str:
        try:
            return self._lifecycle(app, name, agent)
        except PluginError:
            return ""

    def _lifecycle(self, app: App, name: str, agent: UserAgentContext, default: str = "") -> str:
        """Return the text of the app's response. These calls never include a channel or team."""
        call = app.call(name, default)
        if call is None:
            return ""
        context = self._expander.context(app, agent, call["expand"])
        acting = context.get("acting_user", {}).get("id", "")
        answer = self._registry.invoke(app, {**call, "context": context}, acting)
        if answer["type"] == "error":
            raise PluginError(str(answer.get("text", "")))
        return str(answer.get("text", ""))

    # --- the admin routes

    def blueprint(self) -> Blueprint:
        """All routes."""
        blueprint = Blueprint("apps_admin", __name__, url_prefix=f"{PLUGIN}/api/v1")
        blueprint.register_error_handler(PluginError, as_plain_text)

        @blueprint.post("/update-app-listing")
        def update_listing() -> ResponseReturnValue:
            self._admin()
            return jsonify(self._listed(_body()))

        @blueprint.post("/install-app")
        def install() -> ResponseReturnValue:
            agent, given = self._admin(), _body()
            app_id = str(given.get("app_id"))
            self.install(app_id, agent, deploy=str(given.get("deploy_type", "")))
            return jsonify(self.record(self._registry.get(app_id), admin=True))

        @blueprint.post("/enable-app")
        def enable() -> ResponseReturnValue:
            return Response(self.switch(str(_body().get("app_id")), True, self._admin()))

        @blueprint.post("/disable-app")
        def disable() -> ResponseReturnValue:
            return Response(self.switch(str(_body().get("app_id")), False, self._admin()))

        @blueprint.post("/uninstall-app")
        def uninstall() -> ResponseReturnValue:
            agent, app_id = self._admin(), str(_body().get("app_id"))
            if app_id not in self._registry.apps:
                text = f"failed to get app, appID: {app_id}: app {app_id} is not installed: not found"
                raise PluginError(text, 404)
            self.uninstall(app_id, agent)
            return Response("")

        return blueprint

    def _listed(self, given: Json) -> Json:
        """Merge a listing: new deployments are added, and old ones are kept unless it says Replace."""
        manifest = read_manifest(given, "UpdateAppListingRequest", "Manifest")
        before = {} if given.get("Replace") else self._registry.listings.get(manifest["app_id"], {})
        deploys = {key: manifest.pop(key, None) for key in DEPLOYS}
        for key, deploy in deploys.items():
            deploy = deploy if key in (given.get("add_deploys") or []) else before.get(key)
            if deploy and key not in (given.get("remove_deploys") or []):
                manifest[key] = deploy
        self._registry.listings[manifest["app_id"]] = manifest
        return manifest

    def _admin(self) -> UserAgentContext:
        session = anonymous_or_session(self._state)
        if session is None:
            raise PluginError("user ID is required: unauthorized", 401)
        if not self._state.is_admin(session.user_id):
            text = "access to this operation is limited to system administrators, or plugins: unauthorized"
            raise PluginError(text, 401)
        return UserAgentContext(session.user_id)


def _body() -> Json:
    try:
        given = json.loads(request.get_data())
        return dict(given)
    except (ValueError, TypeError):
        raise PluginError("unexpected EOF: invalid input", 400) from None
