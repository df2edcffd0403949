"""REST API v4: sessions, users, teams, channels, roles, configuration."""

from typing import Any

from flask import Blueprint, Response, jsonify, make_response, request
from flask.typing import ResponseReturnValue

from sandbox.mattermost.hub import Hub
from sandbox.mattermost.state import PASSWORD, ROLES, Json, State
from sandbox.mattermost.web import ApiError, body, forbidden, invalid_body, me, token_of_request

_MISSING_USER = ApiError(404, "app.user.missing_account.const", "Unable to find the user.")
_MISSING_CHANNEL = ApiError(404, "app.channel.get.existing.app_error", "Unable to find the existing channel.")


def rest_blueprint(state: State, hub: Hub) -> Blueprint:
    """The routes under `/api/v4` but posts."""
    blueprint = Blueprint("rest", __name__, url_prefix="/api/v4")
    _sessions(blueprint, state)
    _users(blueprint, state)
    _teams(blueprint, state, hub)
    _channels(blueprint, state, hub)
    _system(blueprint, state)
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

    @blueprint.post("/users")
    def create() -> ResponseReturnValue:
        if not state.is_admin(me(state)):
            raise forbidden()
        given = body("user")
        user = state.add_user(str(given["username"]), str(given.get("first_name", "")), str(given.get("last_name", "")))
        return jsonify(user), 201

    @blueprint.put("/users/<user_id>/roles")
    def set_roles(user_id: str) -> ResponseReturnValue:
        if not state.is_admin(me(state)):
            raise forbidden()
        _user(state, user_id)["roles"] = str(body("roles")["roles"])
        return jsonify({"status": "OK"})

    @blueprint.delete("/users/<user_id>")
    def deactivate(user_id: str) -> ResponseReturnValue:
        if not state.is_admin(me(state)):
            raise forbidden()
        _user(state, user_id)["delete_at"] = state.now()
        return jsonify({"status": "OK"})

    @blueprint.get("/users/<user_id>")
    def get_user(user_id: str) -> ResponseReturnValue:
        me(state)
        return jsonify(_public(_user(state, user_id)))

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
        user = _user(state, user_id)
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


def _teams(blueprint: Blueprint, state: State, hub: Hub) -> None:
    @blueprint.get("/users/<user_id>/teams")
    def teams(user_id: str) -> ResponseReturnValue:
        person = _self(state, user_id)
        return jsonify([t for t in state.teams.values() if (t["id"], person) in state.team_members])

    @blueprint.get("/teams/<team_id>")
    def team(team_id: str) -> ResponseReturnValue:
        person = me(state)
        if team_id not in state.teams:
            raise ApiError(404, "app.team.get.find.app_error", "Unable to find the existing team.")
        if (team_id, person) not in state.team_members:
            raise forbidden()
        return jsonify(state.teams[team_id])

    @blueprint.get("/teams/name/<name>")
    def team_by_name(name: str) -> ResponseReturnValue:
        me(state)
        found = next((t for t in state.teams.values() if t["name"] == name), None)
        if found is None:
            raise ApiError(404, "app.team.get_by_name.missing.app_error", "Unable to find the existing team.")
        return jsonify(found)

    @blueprint.get("/teams/<team_id>/members/<user_id>")
    def team_member(team_id: str, user_id: str) -> ResponseReturnValue:
        person = me(state)
        if (team_id, person) not in state.team_members and not state.is_admin(person):
            raise forbidden()
        member = state.team_members.get((team_id, _self_or(state, user_id)))
        if member is None:
            raise ApiError(404, "app.team.get_member.missing.app_error", "Unable to find the team member.")
        return jsonify(member)

    @blueprint.post("/teams/<team_id>/members")
    def add_team_member(team_id: str) -> ResponseReturnValue:
        person = me(state)
        user_id = str(body("team_member").get("user_id", ""))
        guest = "system_guest" in state.roles(person)
        if (team_id, person) not in state.team_members or guest or user_id not in state.users:
            raise forbidden()
        return jsonify(state.join_team(team_id, user_id)), 201


def _channels(blueprint: Blueprint, state: State, hub: Hub) -> None:
    @blueprint.get("/users/<user_id>/teams/<team_id>/channels")
    def channels_of(user_id: str, team_id: str) -> ResponseReturnValue:
        person = _self(state, user_id)
        mine = [c for c in state.channels.values() if (c["id"], person) in state.members]
        return jsonify(sorted(mine, key=lambda c: (c["display_name"], c["name"])))

    @blueprint.post("/channels")
    def create_channel() -> ResponseReturnValue:
        person, given = me(state), body("channel")
        team_id, name, kind = (str(given.get(key, "")) for key in ("team_id", "name", "type"))
        if (team_id, person) not in state.team_members or "system_guest" in state.roles(person):
            raise forbidden()
        if kind not in {"O", "P"} or not name:
            raise invalid_body("channel")
        if any(c["name"] == name and c["team_id"] == team_id for c in state.channels.values()):
            text = "A channel with that name already exists on the same team."
            raise ApiError(400, "store.sql_channel.save_channel.exists.app_error", text)
        made = state.add_channel(name, str(given.get("display_name") or name), kind, team_id, person)
        state.join(made["id"], person).update(scheme_admin=True, roles="channel_user channel_admin")
        hub.tell("channel_created", {"channel_id": made["id"], "team_id": team_id}, user_id=person)
        return jsonify(made), 201

    @blueprint.get("/channels/<channel_id>")
    def channel(channel_id: str) -> ResponseReturnValue:
        return jsonify(_readable(state, me(state), channel_id))

    @blueprint.delete("/channels/<channel_id>")
    def archive(channel_id: str) -> ResponseReturnValue:
        if not state.is_admin(me(state)):
            raise forbidden()
        state.channels[channel_id]["delete_at"] = state.now()
        return jsonify({"status": "OK"})

    @blueprint.get("/teams/<team_id>/channels/name/<name>")
    def channel_by_name(team_id: str, name: str) -> ResponseReturnValue:
        person = me(state)
        for found in state.channels.values():
            if found["name"] == name and found["team_id"] == team_id and state.may_read(person, found["id"]):
                return jsonify(found)
        raise ApiError(404, "app.channel.get_by_name.missing.app_error", "Channel does not exist.")

    @blueprint.get("/teams/<team_id>/channels/autocomplete")
    def autocomplete_channels(team_id: str) -> ResponseReturnValue:
        person, name = me(state), request.args.get("name", "").lower()
        found = [
            c
            for c in state.channels.values()
            if c["team_id"] == team_id
            and not c["delete_at"]
            and name in f"{c['name']} {c['display_name']}".lower()
            and (c["type"] == "O" or (c["id"], person) in state.members)
        ]
        return jsonify(found)

    @blueprint.get("/channels/<channel_id>/members")
    def members(channel_id: str) -> ResponseReturnValue:
        _readable(state, me(state), channel_id)
        return jsonify([m for (c, _), m in state.members.items() if c == channel_id])

    @blueprint.get("/channels/<channel_id>/members/<user_id>")
    def member(channel_id: str, user_id: str) -> ResponseReturnValue:
        _readable(state, me(state), channel_id)
        found = state.members.get((channel_id, _self_or(state, user_id)))
        if found is None:
            text = "No channel member found for that user ID and channel ID."
            raise ApiError(404, "app.channel.get_member.missing.app_error", text)
        return jsonify(found)

    @blueprint.put("/channels/<channel_id>/members/<user_id>/roles")
    def set_channel_roles(channel_id: str, user_id: str) -> ResponseReturnValue:
        if not state.is_admin(me(state)):
            raise forbidden()
        state.members[channel_id, user_id]["roles"] = str(body("roles")["roles"])
        return jsonify({"status": "OK"})

    @blueprint.post("/channels/<channel_id>/members")
    def add(channel_id: str) -> ResponseReturnValue:
        person = me(state)
        user_id = str(body("user_id").get("user_id", ""))
        found = state.channels.get(channel_id)
        if found is None or user_id not in state.users:
            raise forbidden()
        in_team = (found["team_id"], user_id) in state.team_members
        invited = (channel_id, person) in state.members or (found["type"] == "O" and person == user_id)
        if not in_team or not invited or "system_guest" in state.roles(person):
            raise forbidden()
        new = (channel_id, user_id) not in state.members
        member = state.join(channel_id, user_id)
        if new:
            hub.tell("user_added", {"user_id": user_id, "team_id": found["team_id"]}, channel_id=channel_id)
        return jsonify(member), 201

    @blueprint.delete("/channels/<channel_id>/members/<user_id>")
    def remove(channel_id: str, user_id: str) -> ResponseReturnValue:
        person = me(state)
        if person != user_id and (channel_id, person) not in state.members:
            raise forbidden()
        state.members.pop((channel_id, user_id), None)
        return jsonify({"status": "OK"})

    @blueprint.post("/channels/direct")
    def direct() -> ResponseReturnValue:
        person, ids = me(state), body("user_ids")
        if not isinstance(ids, list) or len(ids) not in {1, 2}:
            raise invalid_body("user_ids")
        ids = [ids[0], ids[-1]]  # one id alone is a channel with oneself (recorded)
        if person not in ids and not state.is_admin(person):
            raise forbidden()
        if not all(one in state.users for one in ids):
            text = "Invalid user ID for direct channel creation."
            raise ApiError(400, "api.channel.create_direct_channel.invalid_user.app_error", text)
        before = len(state.channels)
        channel = state.direct(*ids)
        if len(state.channels) > before:
            for one in ids:
                hub.tell("direct_added", {"creator_id": person, "channel_id": channel["id"]}, user_id=one)
        return jsonify(channel), 201

    @blueprint.post("/channels/group")
    def group_channel() -> ResponseReturnValue:
        people = {me(state), *(one for one in body("user_ids") if one in state.users)}
        if not 3 <= len(people) <= 8:
            text = "Group message channels must contain at least 3 and no more than 8 users."
            raise ApiError(400, "api.channel.create_group.bad_size.app_error", text)
        return jsonify(state.group(people)), 201

    @blueprint.post("/channels/members/me/view")
    def view() -> ResponseReturnValue:
        me(state)
        return jsonify({"status": "OK"})


def _system(blueprint: Blueprint, state: State) -> None:
    @blueprint.get("/system/ping")
    def ping() -> ResponseReturnValue:
        clients = dict.fromkeys(("AndroidLatestVersion", "AndroidMinVersion", "IosLatestVersion", "IosMinVersion"), "")
        return jsonify({"status": "OK", "ActiveSearchBackend": "database"} | clients)

    @blueprint.get("/config/client")
    def config() -> ResponseReturnValue:
        if request.args.get("format") != "old":
            text = "New format for the client configuration is not supported yet."
            text += " Please specify format=old in the query string."
            raise ApiError(501, "api.config.client.old_format.app_error", text)
        site = request.host_url.rstrip("/")
        return jsonify({"FeatureFlagAppsEnabled": "true", "SiteURL": site, "Version": "9.11.0", "SiteName": "Sandbox"})

    @blueprint.post("/commands/execute")
    def execute() -> ResponseReturnValue:
        me(state)
        trigger = str(body("command").get("command", "")).split(" ")[0]
        text = f"Command with a trigger of '{trigger}' not found. Click here to send as a message."
        raise ApiError(404, "api.command.execute_command.not_found.app_error", text)


def _self(state: State, user_id: str) -> str:
    person = me(state)
    if user_id not in {"me", person}:
        raise forbidden()
    return person


def _self_or(state: State, user_id: str) -> str:
    return me(state) if user_id == "me" else user_id


def _user(state: State, user_id: str) -> Json:
    if len(user_id) != 26:
        text = "Invalid or missing user_id parameter in request URL."
        raise ApiError(400, "api.context.invalid_url_param.app_error", text)
    if user_id not in state.users:
        raise _MISSING_USER
    return state.users[user_id]


def _public(user: Json) -> Json:
    """What others see of a person."""
    return {key: value for key, value in user.items() if key not in {"notify_props", "last_password_update"}}


def _readable(state: State, person: str, channel_id: str) -> Json:
    if channel_id not in state.channels:
        raise _MISSING_CHANNEL
    if not state.may_read(person, channel_id):
        raise forbidden()
    return state.channels[channel_id]


def _searchable(user: Any) -> str:
    return f"{user['username']} {user['first_name']} {user['last_name']}".lower()
