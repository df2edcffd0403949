"""
REST API v4: personal access tokens, which admins create for bots. They never expire, but can be revoked.

https://developers.mattermost.com/integrate/reference/personal-access-token/
"""

from flask import Blueprint, g, jsonify
from flask.typing import ResponseReturnValue

from sandbox.mattermost.server.rest import ApiError, body, forbidden, invalid_body, me
from sandbox.mattermost.server.state import State, new_id


def tokens_blueprint(state: State) -> Blueprint:
    """Routes to create and revoke tokens. App sessions can do neither (recorded)."""
    blueprint = Blueprint("tokens", __name__, url_prefix="/api/v4/users")

    def administrator() -> None:
        if not state.is_admin(me(state)) or g.session.app_id:
            raise forbidden()

    @blueprint.post("/<user_id>/tokens")
    def create(user_id: str) -> ResponseReturnValue:
        administrator()
        given = body("user_access_token")
        description = given.get("description") if isinstance(given, dict) else ""
        if not description:
            raise invalid_body("description")
        if user_id not in state.users:
            raise ApiError(404, "app.user.missing_account.const", "Unable to find the user.")
        token_id, token = new_id(), state.open_session(user_id)
        state.access_tokens[token_id] = token
        made = {"id": token_id, "token": token, "user_id": user_id, "description": description, "is_active": True}
        return jsonify(made)

    @blueprint.post("/tokens/revoke")
    def revoke() -> ResponseReturnValue:
        administrator()
        token = state.access_tokens.pop(str(body("token_id").get("token_id", "")), "")
        if state.sessions.pop(token, None) is None:
            text = "Unable to get the user access token."
            raise ApiError(404, "app.user_access_token.get_by_user.app_error", text)
        return jsonify({"status": "OK"})

    return blueprint
