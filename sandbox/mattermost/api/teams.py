"""REST API v4: teams, their members, and the members' roles."""

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from sandbox.mattermost.server.hub import Hub
from sandbox.mattermost.server.rest import ApiError, body, forbidden, me, named, own
from sandbox.mattermost.server.state import Json, State

_MISSING_MEMBER = ApiError(404, "app.team.get_member.missing.app_error", "Unable to find the team member.")


def teams_blueprint(state: State, hub: Hub) -> Blueprint:
    """The routes of teams and their members."""
    blueprint = Blueprint("teams", __name__, url_prefix="/api/v4")
    _teams(blueprint, state)
    _members(blueprint, state, hub)
    return blueprint


def _teams(blueprint: Blueprint, state: State) -> None:
    @blueprint.get("/users/<user_id>/teams")
    def teams(user_id: str) -> ResponseReturnValue:
        person = own(state, user_id)
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


def _members(blueprint: Blueprint, state: State, hub: Hub) -> None:
    @blueprint.get("/teams/<team_id>/members/<user_id>")
    def member(team_id: str, user_id: str) -> ResponseReturnValue:
        person = me(state)
        if (team_id, person) not in state.team_members and not state.is_admin(person):
            raise forbidden()
        key = team_id, named(state, user_id)
        found = state.team_members.get(key) or state.former_team_members.get(key)
        if found is None:
            raise _MISSING_MEMBER
        return jsonify(found)

    @blueprint.post("/teams/<team_id>/members")
    def add(team_id: str) -> ResponseReturnValue:
        person = me(state)
        user_id = str(body("team_member").get("user_id", ""))
        guest = "system_guest" in state.roles(person)
        inside = (team_id, person) in state.team_members or state.is_admin(person)
        if not inside or guest or user_id not in state.users:
            raise forbidden()
        return jsonify(state.join_team(team_id, user_id)), 201

    @blueprint.delete("/teams/<team_id>/members/<user_id>")
    def remove(team_id: str, user_id: str) -> ResponseReturnValue:
        person, user_id = me(state), named(state, user_id)
        if person != user_id and not state.is_team_admin(person, team_id):
            raise forbidden()
        if (team_id, user_id) not in state.team_members:
            raise _MISSING_MEMBER
        hub.publish("leave_team", {"user_id": user_id, "team_id": team_id}, team_id=team_id)
        state.leave_team(team_id, user_id)
        return jsonify({"status": "OK"})

    @blueprint.put("/teams/<team_id>/members/<user_id>/roles")
    def set_roles(team_id: str, user_id: str) -> ResponseReturnValue:
        found = _changed(team_id, user_id)
        give_roles(found, "team", str(body("roles").get("roles", "")))
        return jsonify({"status": "OK"})

    @blueprint.put("/teams/<team_id>/members/<user_id>/schemeRoles")
    def set_scheme_roles(team_id: str, user_id: str) -> ResponseReturnValue:
        give_scheme_roles(_changed(team_id, user_id), "team", body("scheme_roles"))
        return jsonify({"status": "OK"})

    def _changed(team_id: str, user_id: str) -> Json:
        if not state.is_team_admin(me(state), team_id):
            raise forbidden()
        found = state.team_members.get((team_id, named(state, user_id)))
        if found is None:
            raise _MISSING_MEMBER
        return found


def give_roles(member: Json, kind: str, text: str) -> None:
    """Set roles by name: scheme roles become flags, others are explicit roles. *kind* is team or channel."""
    names = text.split()
    scheme = {f"{kind}_{role}": f"scheme_{role}" for role in ("guest", "user", "admin")}
    for name, flag in scheme.items():
        member[flag] = name in names
    member["explicit_roles"] = " ".join(name for name in names if name not in scheme)
    member["roles"] = " ".join(names)


def give_scheme_roles(member: Json, kind: str, given: Json) -> None:
    """Set the flags of scheme roles. Explicit roles don't change."""
    for role in ("guest", "user", "admin"):
        member[f"scheme_{role}"] = bool(given.get(f"scheme_{role}", False))
    names = [f"{kind}_{role}" for role in ("guest", "user", "admin") if member[f"scheme_{role}"]]
    member["roles"] = " ".join([*member["explicit_roles"].split(), *names])
