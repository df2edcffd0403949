"""
Plugins: their statuses, enabling and disabling, and the routes that reveal whether the old ServiceNow plugin runs.
"""

from typing import Any

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from sandbox.mattermost.server.rest import ApiError, administrator, anonymous_or_session
from sandbox.mattermost.server.state import Json, State

APPS = "com.mattermost.apps"
OLD = "mattermost-plugin-servicenow"
RUNNING = 2  # 0: not running
_KNOWN: dict[str, Json] = {
    APPS: {
        "name": "Apps",
        "description": "This plugin powers the Mattermost Apps Framework and is required for any Apps to run",
        "version": "1.2.2",
    },
    OLD: {"name": "ServiceNow", "description": "ServiceNow plugin for Mattermost.", "version": "2.4.0"},
}


def plugins_blueprint(state: State) -> Blueprint:
    """Plugin statuses, enabling and disabling, and the old plugin's routes, which do nothing here."""
    blueprint = Blueprint("plugins", __name__)
    _lists(blueprint, state)
    _switches(blueprint, state)
    _old_plugin(blueprint, state)
    return blueprint


def _lists(blueprint: Blueprint, state: State) -> None:
    @blueprint.get("/api/v4/plugins/statuses")
    def statuses() -> ResponseReturnValue:
        administrator(state)
        fixed = {"cluster_id": "", "plugin_path": "(elided)", "error": ""}
        return jsonify(
            [{"plugin_id": one, **fixed, "state": number, **_told(one)} for one, number in state.plugins.items()]
        )

    @blueprint.get("/api/v4/plugins/webapp")
    def webapp() -> ResponseReturnValue:
        running = [one for one, number in state.plugins.items() if number == RUNNING and one != APPS]
        return jsonify([_manifest(one) for one in running])


def _switches(blueprint: Blueprint, state: State) -> None:
    @blueprint.post("/api/v4/plugins/<plugin_id>/<verb>")
    def switch(plugin_id: str, verb: str) -> ResponseReturnValue:
        administrator(state)
        if plugin_id != OLD or verb not in {"enable", "disable"}:
            raise ApiError(404, "app.plugin.not_installed.app_error", "Plugin is not installed.")
        state.plugins[plugin_id] = RUNNING if verb == "enable" else 0
        return jsonify({"status": "OK"})

    @blueprint.post("/_sandbox/plugins")
    def set_running() -> ResponseReturnValue:
        given: Any = request.get_json(silent=True) or {}
        if given.get("id") != OLD:
            return jsonify({"error": f"unknown plugin; there is {OLD}"}), 400
        state.plugins[OLD] = RUNNING if given.get("running") else 0
        return jsonify({"running": [one for one, number in state.plugins.items() if number == RUNNING]})


def _old_plugin(blueprint: Blueprint, state: State) -> None:
    @blueprint.route(f"/plugins/{OLD}/api/v1/<path:path>", methods=["GET", "POST", "PATCH", "DELETE"])
    def route(path: str) -> ResponseReturnValue:
        """404 while the plugin isn't running. While it is, unauthenticated requests get its own error texts."""
        if state.plugins.get(OLD) != RUNNING:
            return "404 page not found\n", 404
        if path == "notification":
            return jsonify({"id": "", "message": "Invalid webhook secret. Error: Forbidden", "status_code": 403}), 403
        if anonymous_or_session(state) is None:
            return jsonify({"id": "", "message": "Not authorized", "status_code": 401}), 401
        text = f"The sandbox does not do this yet: {request.method} {request.path}"
        raise ApiError(501, "api.sandbox.missing.app_error", text)


def _told(plugin_id: str) -> Json:
    return _KNOWN.get(plugin_id, {"name": plugin_id, "description": "", "version": "1.0.0"})


def _manifest(plugin_id: str) -> Json:
    told = _told(plugin_id)
    webapp = {"bundle_path": f"/static/{plugin_id}/{plugin_id}_bundle.js"}
    return {"id": plugin_id, "name": told["name"], "version": told["version"], "webapp": webapp}
