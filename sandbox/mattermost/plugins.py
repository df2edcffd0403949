"""Which plugins run: the System Console's list."""

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from sandbox.mattermost.state import State
from sandbox.mattermost.web import forbidden, me

APPS = "com.mattermost.apps"
RUNNING = 2  # 0: not running


def plugins_blueprint(state: State) -> Blueprint:
    """`GET /api/v4/plugins/statuses`, for administrators."""
    blueprint = Blueprint("plugins", __name__, url_prefix="/api/v4/plugins")

    @blueprint.get("/statuses")
    def statuses() -> ResponseReturnValue:
        if not state.is_admin(me(state)):
            raise forbidden()
        return jsonify([_status(plugin_id, number) for plugin_id, number in state.plugins.items()])

    return blueprint


def _status(plugin_id: str, number: int) -> dict[str, object]:
    name = {APPS: "Apps"}.get(plugin_id, plugin_id)
    texts = dict.fromkeys(("cluster_id", "error", "description"), "")
    path = f"/opt/mattermost/plugins/{plugin_id}"
    return {"plugin_id": plugin_id, "plugin_path": path, "state": number, "name": name, "version": "1.2.2"} | texts
