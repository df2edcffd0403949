"""
The plugin's builtin app: `/apps install http …` with its consent form, and `/apps enable`, `disable`, `uninstall`,
`info`.
"""

import json
from typing import Any

import requests

from sandbox.mattermost.apps.expand import UserAgentContext
from sandbox.mattermost.apps.install import Installer
from sandbox.mattermost.apps.protocol.errors import PluginError
from sandbox.mattermost.apps.protocol.go_json import Undecodable, decode_json
from sandbox.mattermost.apps.protocol.manifest import LOCATIONS, PERMISSIONS, read_manifest
from sandbox.mattermost.apps.protocol.outbound import ask
from sandbox.mattermost.apps.protocol.registry import Registry
from sandbox.mattermost.server.state import State

Json = dict[str, Any]

BUILTIN = "apps"
_EXPAND = {"acting_user": "+summary", "locale": "all"}
_MOST = 1024 * 1024
_NIL = "runtime error: invalid memory address or nil pointer dereference"
_INFO = (
    "Mattermost Apps plugin version: 1.2.2, "
    "[](https://github.com/mattermost/mattermost-plugin-apps/commit/), built \n\n"
    "- Mattermost Cloud Mode: false\n- Developer Mode: true\n- Allow HTTP Apps: true\n\n"
)


class Builtin:
    """The builtin app's bot, bindings and calls."""

    def __init__(self, state: State, registry: Registry, installer: Installer) -> None:
        self._state = state
        self._registry = registry
        self._installer = installer

    def metadata(self) -> Json:
        """The bot of the builtin app."""
        bot = self._state.by_username("appsbot") or self._state.add_user("appsbot", "Mattermost Apps", "", bot=True)
        return {"bot_user_id": bot["id"], "bot_username": "appsbot"}

    def bindings(self, user_id: str) -> list[Json]:
        """The `/apps` commands that the user can run."""
        commands = [
            _command("info", "Display Apps plugin info", {"submit": {"path": "/info", "expand": {"locale": "all"}}})
        ]
        if self._state.is_admin(user_id):
            url = {"name": "url", "type": "text", "label": "url", "is_required": True, "position": 1}
            form = {"submit": {"path": "/install-http", "expand": _EXPAND}, "fields": [url]}
            http = {"app_id": BUILTIN, "location": "http", "label": "http", "form": form}
            commands += [
                _of_app("disable", "Disable an App", "enabled"),
                _of_app("enable", "Enable an App", "disabled"),
                _command("install", "Install an App", {"bindings": [http]}),
                _of_app("uninstall", "Uninstall an App", "installed", _FORCE),
            ]
        return [{"location": "/command", "bindings": [_command("apps", "Mattermost Apps", {"bindings": commands})]}]

    def call(self, given: Json, user_id: str) -> Json:
        """Handle a client's call. Raises PluginError."""
        path, values, context = str(given.get("path")), given.get("values") or {}, given["context"]
        expand = given.get("expand") or {}
        acting = str(expand.get("acting_user", "")).removeprefix("+") in {"id", "summary", "all"}
        if not acting and not expand.get("locale"):
            # It looks up the user's language before anything else.
            what = f"Command `{given['raw_command']}`" if given.get("raw_command") else f"Call `{path}`"
            return {"type": "ok", "text": f"{what} panic-ed.\nError: **{_NIL}**.\n"}
        if path == "/info":
            return {"type": "ok", "text": _INFO}
        if not acting:
            why = f"no or invalid ActingUser in the context for {path}, please make sure Expand.ActingUser is set"
            raise PluginError(f"{why}: invalid input")
        user = self._state.users[user_id]
        if not self._state.is_admin(user_id):
            raise PluginError(f"user {user['username']} ({user_id}) is not a sysadmin: unauthorized")
        client = str(context.get("user_agent") or "")
        agent = UserAgentContext(user_id, user_agent=client, track_as_submit=context.get("track_as_submit") is True)
        match path:
            case "/q/app_id":
                return {"type": "ok", "data": {"items": self._apps(str(given.get("state")))}}
            case "/install-http":
                return _consent(self._fetched(str(values.get("url"))))
            case "/install-consent":
                if not values.get("consent"):
                    raise PluginError("consent to use APIs and locations is required to install")
                secret = str(values.get("secret") or "")
                text = self._installer.install(str(given.get("state")), agent, secret, trusted=True)
            case "/enable" | "/disable":
                text = self._installer.switch(_app_value(values), path == "/enable", agent)
            case "/uninstall":
                text = self._installer.uninstall(_app_value(values), agent, bool(values.get("force")))
            case _:
                raise PluginError(f"the sandbox does not have the builtin call {path}")
        return {"type": "ok", "text": text}

    def _apps(self, which: str) -> list[Json]:
        apps = [
            app for app in self._registry.apps.values() if which == "installed" or app.enabled is (which == "enabled")
        ]
        return [{"label": app.manifest["display_name"], "value": app.app_id} for app in apps]

    def _fetched(self, url: str) -> Json:
        """Fetch, validate and list a manifest. It remains listed even if nobody consents."""
        try:
            response = ask("GET", url)
        except requests.ConnectionError as error:
            address = url.split("/")[2]
            raise PluginError(f'Get "{url}": dial tcp {address}: connect: connection refused') from error
        if response.status_code >= 400:
            words = (response.reason or "").title()
            raise PluginError(f"received status {response.status_code} {words}: not found")
        if len(response.content) > _MOST:
            raise PluginError("size limit of 1024Kb exceeded")
        try:
            manifest = read_manifest(decode_json(response.content))
        except Undecodable as error:
            raise PluginError(str(error)) from error
        self._registry.listings[manifest["app_id"]] = manifest
        return manifest


def _command(word: str, description: str, action: Json) -> Json:
    return {"app_id": BUILTIN, "location": word, "label": word, "description": description} | action


def _of_app(word: str, description: str, which: str, *more: Json) -> Json:
    lookup = {"path": "/q/app_id", "expand": _EXPAND, "state": which}
    app = _APP | {"lookup": lookup}
    form = {"submit": {"path": f"/{word}", "expand": _EXPAND}, "fields": [app, *more]}
    return _command(word, description, {"hint": "[ App ID ]", "form": form})


def _consent(manifest: Json) -> Json:
    header = f"Application **{manifest['display_name']}** requires system administrator's consent to:\n\n\n"
    if locations := manifest.get("requested_locations"):
        header += "- Add the following elements to the **Mattermost User Interface**:\n"
        header += "".join(f"  - {LOCATIONS.get(one, one)}\n" for one in locations)
    if permissions := manifest.get("requested_permissions"):
        header += "- Access **Mattermost API** with the following permissions:\n"
        header += "".join(f"  - {PERMISSIONS.get(one, one)}\n" for one in permissions)
    fields: list[Json] = json.loads(_FIELDS)
    if manifest["http"].get("use_jwt"):
        text = "The secret will be used to issue JWTs in outgoing messages to the app. "
        text += f"Usually, it should be obtained from the App's web site, {manifest['homepage_url']}"
        fields.append(_SECRET | {"description": text})
    state = manifest["app_id"]
    form = {
        "source": {"path": "/install-consent/form", "expand": _EXPAND, "state": state},
        "title": f"Install App {manifest['display_name']}",
        "header": header + "---\n",
        "submit": {"path": "/install-consent", "expand": _EXPAND, "state": state},
        "fields": fields,
    }
    return {"type": "form", "form": form}


_APP = {
    "name": "app", "type": "dynamic_select", "is_required": True, "label": "app", "position": 1,
    "description": "Select an App or enter the App ID",
}  # fmt: skip
_FORCE = {
    "name": "force", "type": "bool", "label": "force",
    "description": "Forcefully uninstall the app, even if there is an error",
}  # fmt: skip
_FIELDS = """[
  {"name": "consent", "type": "bool", "is_required": true, "value": false, "label": "consent",
   "modal_label": "Agree to grant the app access to APIs and Locations"},
  {"name": "deploy_type", "type": "static_select", "is_required": true, "value": {"label": "HTTP", "value": "http"},
   "description": "Select how the App will be accessed.", "label": "deploy-type",
   "modal_label": "Deployment method", "refresh": true, "options": [{"label": "HTTP", "value": "http"}]}
]"""
_SECRET = {"name": "secret", "type": "text", "label": "secret", "modal_label": "Outgoing JWT Secret"}


def _app_value(values: Json) -> str:
    value = values.get("app")
    return str(value.get("value")) if isinstance(value, dict) else str(value)
