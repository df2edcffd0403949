"""REST API v4: channels and their members, archiving, direct and group messages."""

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from sandbox.mattermost.api.teams import give_roles, give_scheme_roles
from sandbox.mattermost.server.hub import Hub
from sandbox.mattermost.server.rest import ApiError, body, forbidden, invalid_body, me, named, own
from sandbox.mattermost.server.state import Json, State

_MISSING_CHANNEL = ApiError(404, "app.channel.get.existing.app_error", "Unable to find the existing channel.")
_MISSING_MEMBER = ApiError(
    404,
    "app.channel.get_member.missing.app_error",
    "No channel member found for that user ID and channel ID.",
)
_DEFAULT = "town-square"  # every member of the team is in it, and it can't be archived


def channels_blueprint(state: State, hub: Hub) -> Blueprint:
    """The routes of channels and their members."""
    blueprint = Blueprint("channels", __name__, url_prefix="/api/v4")
    _reading(blueprint, state)
    _changing(blueprint, state, hub)
    _members(blueprint, state)
    _membership(blueprint, state, hub)
    _private(blueprint, state, hub)
    return blueprint


def _reading(blueprint: Blueprint, state: State) -> None:
    @blueprint.get("/users/<user_id>/teams/<team_id>/channels")
    def channels_of(user_id: str, team_id: str) -> ResponseReturnValue:
        person = own(state, user_id)
        mine = [c for c in state.channels.values() if (c["id"], person) in state.members]
        return jsonify(sorted(mine, key=lambda c: (c["display_name"], c["name"])))

    @blueprint.get("/channels/<channel_id>")
    def channel(channel_id: str) -> ResponseReturnValue:
        return jsonify(readable(state, me(state), channel_id))

    @blueprint.get("/teams/<team_id>/channels/name/<name>")
    def channel_by_name(team_id: str, name: str) -> ResponseReturnValue:
        person = me(state)
        for found in state.channels.values():
            if found["name"] == name and found["team_id"] == team_id and state.may_read(person, found["id"]):
                return jsonify(found)
        raise ApiError(404, "app.channel.get_by_name.missing.app_error", "Channel does not exist.")

    @blueprint.get("/teams/<team_id>/channels/autocomplete")
    def autocomplete(team_id: str) -> ResponseReturnValue:
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


def _changing(blueprint: Blueprint, state: State, hub: Hub) -> None:
    @blueprint.post("/channels")
    def create() -> ResponseReturnValue:
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
        give_roles(state.join(made["id"], person), "channel", "channel_user channel_admin")
        hub.publish("channel_created", {"channel_id": made["id"], "team_id": team_id}, user_id=person)
        return jsonify(made), 201

    @blueprint.delete("/channels/<channel_id>")
    def archive(channel_id: str) -> ResponseReturnValue:
        found = readable(state, me(state), channel_id)
        if found["type"] not in {"O", "P"}:
            text = "Unable to delete direct or group message channels"
            raise ApiError(400, "api.channel.delete_channel.type.invalid", text)
        if not state.may_post(me(state), channel_id):
            raise forbidden()
        if found["name"] == _DEFAULT:
            text = f"Unable to delete the default channel {_DEFAULT}."
            raise ApiError(400, "api.channel.delete_channel.cannot.app_error", text)
        found["delete_at"] = found["update_at"] = state.now()
        data = {"channel_id": channel_id, "delete_at": found["delete_at"]}
        hub.publish("channel_deleted", data, **_audience(found))
        return jsonify({"status": "OK"})

    @blueprint.post("/channels/<channel_id>/restore")
    def restore(channel_id: str) -> ResponseReturnValue:
        person = me(state)
        found = state.channels.get(channel_id)
        if found is None:
            raise _MISSING_CHANNEL
        if not state.is_team_admin(person, found["team_id"]):
            raise forbidden()
        if not found["delete_at"]:
            text = "Unable to unarchive channel. The channel is not archived."
            raise ApiError(400, "api.channel.restore_channel.restored.app_error", text)
        found |= {"delete_at": 0, "update_at": state.now()}
        hub.publish("channel_restored", {"channel_id": channel_id}, **_audience(found))
        return jsonify(found)


def _members(blueprint: Blueprint, state: State) -> None:
    @blueprint.get("/channels/<channel_id>/members")
    def members(channel_id: str) -> ResponseReturnValue:
        readable(state, me(state), channel_id)
        return jsonify([m for (c, _), m in state.members.items() if c == channel_id])

    @blueprint.post("/channels/<channel_id>/members/ids")
    def members_by_ids(channel_id: str) -> ResponseReturnValue:
        readable(state, me(state), channel_id)
        keys = [(channel_id, one) for one in body("user_ids")]
        return jsonify([state.members[key] for key in keys if key in state.members])

    @blueprint.get("/channels/<channel_id>/members/<user_id>")
    def member(channel_id: str, user_id: str) -> ResponseReturnValue:
        readable(state, me(state), channel_id)
        found = state.members.get((channel_id, named(state, user_id)))
        if found is None:
            raise _MISSING_MEMBER
        return jsonify(found)

    @blueprint.put("/channels/<channel_id>/members/<user_id>/roles")
    def set_roles(channel_id: str, user_id: str) -> ResponseReturnValue:
        give_roles(_changed(channel_id, user_id), "channel", str(body("roles").get("roles", "")))
        return jsonify({"status": "OK"})

    @blueprint.put("/channels/<channel_id>/members/<user_id>/schemeRoles")
    def set_scheme_roles(channel_id: str, user_id: str) -> ResponseReturnValue:
        give_scheme_roles(_changed(channel_id, user_id), "channel", body("scheme_roles"))
        return jsonify({"status": "OK"})

    def _changed(channel_id: str, user_id: str) -> Json:
        if not state.is_channel_admin(me(state), channel_id):
            raise forbidden()
        found = state.members.get((channel_id, named(state, user_id)))
        if found is None:
            raise _MISSING_MEMBER
        return found


def _membership(blueprint: Blueprint, state: State, hub: Hub) -> None:
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
            hub.publish("user_added", {"user_id": user_id, "team_id": found["team_id"]}, channel_id=channel_id)
        return jsonify(member), 201

    @blueprint.delete("/channels/<channel_id>/members/<user_id>")
    def remove(channel_id: str, user_id: str) -> ResponseReturnValue:
        person, user_id = me(state), named(state, user_id)
        found = state.channels.get(channel_id)
        if found is None:
            raise _MISSING_CHANNEL
        if found["type"] not in {"O", "P"}:
            text = "Unable to remove a member from this channel type."
            raise ApiError(400, "api.channel.remove_channel_member.type.app_error", text)
        inside = (channel_id, person) in state.members or state.is_team_admin(person, found["team_id"])
        if person != user_id and (not inside or "system_guest" in state.roles(person)):
            raise forbidden()
        if found["name"] == _DEFAULT:
            text = f"Unable to remove user from the default channel {_DEFAULT}."
            raise ApiError(400, "api.channel.remove.default.app_error", text)
        if (channel_id, user_id) not in state.members:
            raise _MISSING_MEMBER
        del state.members[channel_id, user_id]
        hub.publish("user_removed", {"user_id": user_id, "remover_id": person}, channel_id=channel_id)
        hub.publish("user_removed", {"channel_id": channel_id, "remover_id": person}, user_id=user_id)
        return jsonify({"status": "OK"})


def _private(blueprint: Blueprint, state: State, hub: Hub) -> None:
    @blueprint.post("/channels/direct")
    def direct() -> ResponseReturnValue:
        person, ids = me(state), body("user_ids")
        if not isinstance(ids, list) or len(ids) not in {1, 2}:
            raise invalid_body("user_ids")
        ids = [ids[0], ids[-1]]  # a single ID opens a channel with oneself (recorded)
        if person not in ids and not state.is_admin(person):
            raise forbidden()
        if not all(one in state.users for one in ids):
            text = "Invalid user ID for direct channel creation."
            raise ApiError(400, "api.channel.create_direct_channel.invalid_user.app_error", text)
        before = len(state.channels)
        channel = state.direct(*ids)
        if len(state.channels) > before:
            for one in ids:
                hub.publish("direct_added", {"creator_id": person, "channel_id": channel["id"]}, user_id=one)
        return jsonify(channel), 201

    @blueprint.post("/channels/group")
    def group() -> ResponseReturnValue:
        people = {me(state), *(one for one in body("user_ids") if one in state.users)}
        if not 3 <= len(people) <= 8:
            text = "Group message channels must contain at least 3 and no more than 8 users."
            raise ApiError(400, "api.channel.create_group.bad_size.app_error", text)
        before = len(state.channels)
        channel = state.group(people)
        if len(state.channels) > before:
            hub.publish("group_added", {"teammate_ids": ""}, channel_id=channel["id"])
        return jsonify(channel), 201


def readable(state: State, person: str, channel_id: str) -> Json:
    """Return a channel that *person* can read. Raises ApiError 404 or 403."""
    if channel_id not in state.channels:
        raise _MISSING_CHANNEL
    if not state.may_read(person, channel_id):
        raise forbidden()
    return state.channels[channel_id]


def _audience(channel: Json) -> dict[str, str]:
    """Who receives the event of a change: the team for public channels, the members for others."""
    return {"team_id": channel["team_id"]} if channel["type"] == "O" else {"channel_id": channel["id"]}
