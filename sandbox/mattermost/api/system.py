"""REST API v4: ping, client configuration and bots. Also the `/_sandbox/version` control."""

import re
from typing import Any

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from sandbox.mattermost.api.users import user_of
from sandbox.mattermost.server.rest import ApiError, administrator, body, forbidden, me
from sandbox.mattermost.server.state import Json, State
from sandbox.mattermost.server.trigger_ids import TriggerIds

_VERSION = re.compile(r"\d+\.\d+\.\d+")
_BOT_NAME = re.compile(r"[a-z][a-z0-9._-]{0,63}")


def system_blueprint(state: State, trigger_ids: TriggerIds) -> Blueprint:
    """The routes."""
    blueprint = Blueprint("system", __name__)
    _server(blueprint, state, trigger_ids)
    _bots(blueprint, state)
    _switches(blueprint, state)
    return blueprint


def _server(blueprint: Blueprint, state: State, trigger_ids: TriggerIds) -> None:
    @blueprint.get("/api/v4/system/ping")
    def ping() -> ResponseReturnValue:
        clients = dict.fromkeys(("AndroidLatestVersion", "AndroidMinVersion", "IosLatestVersion", "IosMinVersion"), "")
        return jsonify({"status": "OK", "ActiveSearchBackend": "database"} | clients)

    @blueprint.get("/api/v4/config/client")
    def config() -> ResponseReturnValue:
        if request.args.get("format") != "old" and not state.at_least(11, 0):
            text = "New format for the client configuration is not supported yet."
            text += " Please specify format=old in the query string."
            raise ApiError(501, "api.config.client.old_format.app_error", text)
        return jsonify(
            {
                "AsymmetricSigningPublicKey": trigger_ids.public_key,
                "EnableBotAccountCreation": "true",
                "FeatureFlagAppsEnabled": "true",
                "MaxPostSize": "16383",
                "SiteName": "Sandbox",
                "SiteURL": request.host_url.rstrip("/"),
                "Version": state.version,
            }
        )

    @blueprint.get("/api/v4/config")
    def whole_config() -> ResponseReturnValue:
        administrator(state)
        raise ApiError(501, "api.sandbox.missing.app_error", "The sandbox does not do this yet: GET /api/v4/config")

    @blueprint.post("/api/v4/commands/execute")
    def execute() -> ResponseReturnValue:
        me(state)
        trigger = str(body("command").get("command", "")).split(" ")[0].removeprefix("/")
        text = f"Command with a trigger of '{trigger}' not found. To send a message beginning with \"/\", "
        text += "try adding an empty space at the beginning of the message."
        raise ApiError(404, "api.command.execute_command.not_found.app_error", text)


def _bots(blueprint: Blueprint, state: State) -> None:
    @blueprint.post("/api/v4/bots")
    def create() -> ResponseReturnValue:
        person, given = me(state), body("bot")
        if not state.is_admin(person) or state.users[person].get("is_bot"):
            raise forbidden()
        name = str(given.get("username", ""))
        if not _BOT_NAME.fullmatch(name):
            raise ApiError(400, "model.bot.is_valid.username.app_error", "Invalid username.")
        if state.by_username(name) is not None:
            text = "An account with that username already exists."
            raise ApiError(400, "app.user.save.username_exists.app_error", text)
        user = state.add_user(name, str(given.get("display_name", "")), "", bot=True)
        user["bot_description"] = str(given.get("description", ""))
        return jsonify(_bot(user, person)), 201

    @blueprint.post("/api/v4/bots/<bot_user_id>/<verb>")
    def switch_bot(bot_user_id: str, verb: str) -> ResponseReturnValue:
        person = administrator(state)
        user = user_of(state, bot_user_id)
        if not user.get("is_bot") or verb not in {"enable", "disable"}:
            raise ApiError(404, "store.sql_bot.get.missing.app_error", "Bot does not exist.")
        user["delete_at"], user["update_at"] = 0 if verb == "enable" else state.now(), state.now()
        return jsonify(_bot(user, person))


def _bot(user: Json, owner: str) -> Json:
    return {
        "user_id": user["id"],
        "username": user["username"],
        "display_name": user["first_name"],
        "description": user["bot_description"],
        "owner_id": owner,
        "create_at": user["create_at"],
        "update_at": user["update_at"],
        "delete_at": user["delete_at"],
    }


def _switches(blueprint: Blueprint, state: State) -> None:
    @blueprint.post("/_sandbox/version")
    def version() -> ResponseReturnValue:
        given: Any = request.get_json(silent=True) or {}
        wanted = str(given.get("version", ""))
        if not _VERSION.fullmatch(wanted):
            return jsonify({"error": "version is three numbers, such as 11.6.0"}), 400
        state.version = wanted
        return jsonify({"version": wanted})
