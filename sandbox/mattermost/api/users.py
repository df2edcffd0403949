"""REST API v4: sign-in, users and roles."""

from typing import Any

from flask import Blueprint, Response, jsonify, make_response, request
from flask.typing import ResponseReturnValue

from sandbox.mattermost.server.hub import Hub
from sandbox.mattermost.server.rest import ApiError, administrator, body, me, token_of_request
from sandbox.mattermost.server.state import PASSWORD, ROLES, Json, State

_MISSING_USER = ApiError(404, "app.user.missing_account.const", "Unable to find the user.")


def users_blueprint(state: State, hub: Hub) -> Blueprint:
    """The routes of sessions and users."""
    blueprint = Blueprint("people", __name__, url_prefix="/api/v4")
    _sessions(blueprint, state)
    _users(blueprint, state)
    _administration(blueprint, state, hub)
    return blueprint


def _sessions(blueprint: Blueprint, state: State) -> None:
    @blueprint.post("/users/login")
    def login() -> ResponseReturnValue:
        given = body("user")
        login_id = str(given.get("login_id", ""))
        user = state.by_username(login_id)
        if user is None or user.get("is_bot") or given.get("password") != PASSWORD or user["delete_at"]:
            text = "Enter a valid email or username and/or password."
            raise ApiError(401, "api.user.login.invalid_credentials_email_username", text)
        token = state.open_session(user["id"])
        response = make_response(jsonify(user))
        response.headers["Token"] = token
        response.set_cookie("MMAUTHTOKEN", token, httponly=True, samesite="Lax")
        response.set_cookie("MMUSERID", user["id"], samesite="Lax")
        response.set_cookie("MMCSRF", state.sessions[token].csrf, samesite="Lax")
        return response

    @blueprint.post("/users/logout")
    def logout() -> ResponseReturnValue:
        state.sessions.pop(token_of_request()[0], None)
        response = jsonify({"status": "OK"})
        for name in ("MMAUTHTOKEN", "MMUSERID", "MMCSRF"):
            response.delete_cookie(name)
        return response


def _users(blueprint: Blueprint, state: State) -> None:
    @blueprint.get("/users/me")
    def get_me() -> ResponseReturnValue:
        return jsonify(state.users[me(state)])

    @blueprint.get("/users/<user_id>")
    def get_user(user_id: str) -> ResponseReturnValue:
        me(state)
        return jsonify(_public(user_of(state, user_id)))

    @blueprint.get("/users/email/<email>")
    def by_email(email: str) -> ResponseReturnValue:
        me(state)
        user = next((one for one in state.users.values() if one["email"] == email), None)
        if user is None:
            raise _MISSING_USER
        return jsonify(_public(user))

    @blueprint.get("/users/username/<username>")
    def by_username(username: str) -> ResponseReturnValue:
        me(state)
        user = state.by_username(username)
        if user is None:
            text = "Unable to find an existing account matching your username for this team."
            text += " This team may require an invite from the team owner to join."
            raise ApiError(404, "app.user.get_by_username.app_error", text)
        return jsonify(_public(user))

    @blueprint.post("/users/ids")
    def by_ids() -> ResponseReturnValue:
        me(state)
        return jsonify([_public(state.users[one]) for one in body("user_ids") if one in state.users])

    @blueprint.get("/users")
    def list_users() -> ResponseReturnValue:
        me(state)
        channel = request.args.get("in_channel", "")
        users = [u for u in state.users.values() if not channel or (channel, u["id"]) in state.members]
        return jsonify([_public(user) for user in users])

    @blueprint.get("/users/autocomplete")
    def autocomplete() -> ResponseReturnValue:
        me(state)
        name, channel = request.args.get("name", "").lower(), request.args.get("in_channel", "")
        found = [u for u in state.users.values() if name in _searchable(u) and not u["delete_at"]]
        found.sort(key=lambda user: user["username"])
        members = [u for u in found if not channel or (channel, u["id"]) in state.members]
        others = [u for u in found if u not in members]
        return jsonify(
            {"users": [_public(u) for u in members[:25]], "out_of_channel": [_public(u) for u in others[:25]]}
        )

    @blueprint.get("/users/<user_id>/image")
    def image(user_id: str) -> ResponseReturnValue:
        me(state)
        user = user_of(state, user_id)
        if user_id in state.pictures:
            return Response(state.pictures[user_id], mimetype="image/png")
        letters = (user["first_name"][:1] + user["last_name"][:1]).upper() or user["username"][:2].upper()
        hue = int(user["id"].encode().hex(), 16) % 360
        picture = (
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 40"><rect width="40" height="40" '
            f'fill="hsl({hue} 42% 44%)"/><text x="20" y="26" text-anchor="middle" font-family="sans-serif" '
            f'font-size="16" font-weight="600" fill="#fff">{letters}</text></svg>'
        )
        return Response(picture, mimetype="image/svg+xml")

    @blueprint.post("/roles/names")
    def roles() -> ResponseReturnValue:
        me(state)
        return jsonify([{"name": n, "permissions": ROLES[n]} for n in body("rolenames") if n in ROLES])


def _administration(blueprint: Blueprint, state: State, hub: Hub) -> None:
    @blueprint.post("/users")
    def create() -> ResponseReturnValue:
        administrator(state)
        given = body("user")
        user = state.add_user(str(given["username"]), str(given.get("first_name", "")), str(given.get("last_name", "")))
        return jsonify(user), 201

    @blueprint.put("/users/<user_id>/roles")
    def set_roles(user_id: str) -> ResponseReturnValue:
        administrator(state)
        user_of(state, user_id)["roles"] = str(body("roles")["roles"])
        return jsonify({"status": "OK"})

    @blueprint.delete("/users/<user_id>")
    def deactivate(user_id: str) -> ResponseReturnValue:
        administrator(state)
        return _activate(user_id, active=False)

    @blueprint.put("/users/<user_id>/active")
    def set_active(user_id: str) -> ResponseReturnValue:
        administrator(state)
        return _activate(user_id, active=bool(body("active").get("active")))

    def _activate(user_id: str, *, active: bool) -> ResponseReturnValue:
        """Deactivating a user ends the sessions. A bot's tokens work again once the bot is enabled (recorded)."""
        user = user_of(state, user_id)
        user["delete_at"] = 0 if active else state.now()
        user["update_at"] = state.now()
        if not active and not user.get("is_bot"):
            for token in [one for one, session in state.sessions.items() if session.user_id == user_id]:
                del state.sessions[token]
        hub.publish("user_updated", {"user": _public(user)})
        return jsonify({"status": "OK"})


def user_of(state: State, user_id: str) -> Json:
    """Return a user by ID. Raises ApiError: 400 for an invalid ID, 404 for an unknown one."""
    if len(user_id) != 26:
        text = "Invalid or missing user_id parameter in request URL."
        raise ApiError(400, "api.context.invalid_url_param.app_error", text)
    if user_id not in state.users:
        raise _MISSING_USER
    return state.users[user_id]


def _public(user: Json) -> Json:
    """A user as other users see it."""
    return {key: value for key, value in user.items() if key not in {"notify_props", "last_password_update"}}


def _searchable(user: Any) -> str:
    return f"{user['username']} {user['first_name']} {user['last_name']}".lower()
