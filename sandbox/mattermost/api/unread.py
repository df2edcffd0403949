"""
REST API v4: unread counts, viewing a channel, and followed threads (from the documentation, not recorded).

https://developers.mattermost.com/api-documentation/#/operations/GetUserThreads
"""

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from sandbox.mattermost.server.hub import Hub
from sandbox.mattermost.server.rest import ApiError, body, forbidden, invalid_body, own
from sandbox.mattermost.server.state import Json, State
from sandbox.mattermost.server.unread import Unread

_NOT_IN_CHANNEL = ApiError(404, "app.channel.get_unread.app_error", "Unable to get the channel unread messages.")
_NOT_FOLLOWED = ApiError(
    404, "app.user.get_thread_membership_for_user.not_found", "User thread membership does not exist."
)
_BOTH_ONLY = ApiError(400, "api.getThreadsForUser.bad_only_params", "Both totalsOnly and threadsOnly cannot be set.")
_USUAL, _MOST = 60, 200


def unread_blueprint(state: State, hub: Hub, unread: Unread) -> Blueprint:
    """The routes, for the requesting user only. Admins reading other users' counts isn't implemented."""
    blueprint = Blueprint("unread", __name__, url_prefix="/api/v4")
    _channels(blueprint, state, hub, unread)
    _threads(blueprint, state, hub, unread)
    return blueprint


def _channels(blueprint: Blueprint, state: State, hub: Hub, unread: Unread) -> None:
    @blueprint.get("/users/<user_id>/channels/<channel_id>/unread")
    def of_channel(user_id: str, channel_id: str) -> ResponseReturnValue:
        person = own(state, user_id)
        if not state.may_read(person, channel_id):
            raise forbidden()
        if (channel_id, person) not in state.members or state.channels[channel_id]["delete_at"]:
            raise _NOT_IN_CHANNEL
        return jsonify(unread.channel(person, channel_id))

    @blueprint.get("/users/<user_id>/teams/unread")
    def of_teams(user_id: str) -> ResponseReturnValue:
        person = own(state, user_id)
        _only("include_collapsed_threads")
        threads = _flag("include_collapsed_threads")
        teams = [team_id for team_id, member_id in list(state.team_members) if member_id == person]
        return jsonify([unread.team(person, team_id, threads) for team_id in teams])

    @blueprint.get("/users/<user_id>/teams/<team_id>/unread")
    def of_team(user_id: str, team_id: str) -> ResponseReturnValue:
        return jsonify(unread.team(_member(state, user_id, team_id), team_id))

    @blueprint.get("/users/<user_id>/teams/<team_id>/channels/members")
    def members(user_id: str, team_id: str) -> ResponseReturnValue:
        person = _member(state, user_id, team_id)
        mine = [(state.channels[c], member) for (c, u), member in list(state.members.items()) if u == person]
        return jsonify([member for channel, member in mine if channel["team_id"] in {team_id, ""}])

    @blueprint.post("/channels/members/<user_id>/view")
    def view(user_id: str) -> ResponseReturnValue:
        person, given = own(state, user_id), body("channel_view")
        if not isinstance(given, dict):
            raise invalid_body("channel_view")
        ids = [str(given[key]) for key in ("channel_id", "prev_channel_id") if given.get(key)]
        with state.lock:
            times = unread.view(person, ids, threads=not given.get("collapsed_threads_supported"))
        if times:
            hub.publish("multiple_channels_viewed", {"channel_times": times}, user_id=person)
        return jsonify({"status": "OK", "last_viewed_at_times": times})


def _threads(blueprint: Blueprint, state: State, hub: Hub, unread: Unread) -> None:
    @blueprint.get("/users/<user_id>/teams/<team_id>/threads")
    def threads(user_id: str, team_id: str) -> ResponseReturnValue:
        person = _member(state, user_id, team_id)
        _only("extended", "unread", "totalsOnly", "threadsOnly", "per_page", "page")
        extended, new, totals, listed = (_flag(one) for one in ("extended", "unread", "totalsOnly", "threadsOnly"))
        if totals and listed:
            raise _BOTH_ONLY
        with state.lock:
            every = [unread.thread(person, root_id, extended) for root_id in unread.following(person, team_id)]
        counts = dict.fromkeys(
            ("total", "total_unread_threads", "total_unread_mentions", "total_unread_urgent_mentions"), 0
        )
        if not listed:
            counts["total_unread_threads"] = sum(one["unread_replies"] > 0 for one in every)
            counts["total_unread_mentions"] = sum(one["unread_mentions"] for one in every)
            counts["total"] = counts["total_unread_threads"] if new else len(every)
        chosen = [one for one in every if one["unread_replies"] or not new][: _size()]
        return jsonify(counts | {"threads": None if totals else chosen})

    @blueprint.put("/users/<user_id>/teams/<team_id>/threads/<thread_id>/read/<int:until>")
    def read(user_id: str, team_id: str, thread_id: str, until: int) -> ResponseReturnValue:
        person = _member(state, user_id, team_id)
        with state.lock:
            if (thread_id, person) not in state.threads:
                raise _NOT_FOLLOWED
            before = unread.read(person, thread_id, until)
            now = unread.thread(person, thread_id, extended=False)
        counts = ("unread_mentions", "unread_replies")
        data: Json = {"thread_id": thread_id, "timestamp": until, "channel_id": now["post"]["channel_id"]}
        data |= {name: now[name] for name in counts} | {f"previous_{name}": before[name] for name in counts}
        hub.publish("thread_read_changed", data, user_id=person, team_id=team_id)
        return jsonify(now)


def _member(state: State, user_id: str, team_id: str) -> str:
    """The requesting user, who must be a member of the team. Raises ApiError 401 or 403."""
    person = own(state, user_id)
    if (team_id, person) not in state.team_members:
        raise forbidden()
    return person


def _only(*names: str) -> None:
    """Raise ApiError 501 for a parameter that would change the response in a way that isn't implemented."""
    unknown = sorted(request.args.keys() - {*names})
    if unknown or request.args.get("page", "0") != "0":
        text = f"The sandbox does not do this yet: {request.method} {request.path} with {', '.join(unknown) or 'page'}"
        raise ApiError(501, "api.sandbox.missing.app_error", text)


def _flag(name: str) -> bool:
    return request.args.get(name, "").lower() in {"1", "t", "true"}


def _size() -> int:
    text = request.args.get("per_page", "")
    return min(int(text), _MOST) if text.isdigit() and int(text) else _USUAL
