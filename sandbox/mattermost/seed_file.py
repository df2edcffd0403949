"""Adds the users, channels and messages of ``--seed FILE.json``."""

from typing import Any

from sandbox.double import BadSeed
from sandbox.mattermost.api.posts import Posts
from sandbox.mattermost.server.state import Json, State

_KINDS = {"users", "channels", "posts"}
_KEYS = {
    "users": {"username", "first_name", "last_name", "roles", "locale"},
    "channels": {"name", "display_name", "type", "members"},
    "posts": {"channel", "username", "message"},
}


def load(state: State, posts: Posts, given: Json) -> None:
    """
    Add the content of the file to the seeded team.

    Raises:
        BadSeed: An unknown key, user or channel, or a missing value.
    """
    if unknown := sorted(given.keys() - _KINDS):
        raise BadSeed(f"unknown: {', '.join(unknown)}; there are {', '.join(sorted(_KINDS))}")
    team_id = next(iter(state.teams))
    for user in _entries(given, "users", "username"):
        _user(state, team_id, user)
    for channel in _entries(given, "channels", "name"):
        _channel(state, team_id, channel)
    for post in _entries(given, "posts", "channel", "username", "message"):
        person, channel = _person(state, post["username"]), _named(state, post["channel"])
        posts.stored(person["id"], channel["id"], post["message"])


def _entries(given: Json, kind: str, *needed: str) -> list[dict[str, Any]]:
    entries = given.get(kind, [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise BadSeed(f"{kind} must be a list of objects")
    for number, entry in enumerate(entries, 1):
        if unknown := sorted(entry.keys() - _KEYS[kind]):
            raise BadSeed(f"{kind}, entry {number}: unknown: {', '.join(unknown)}")
        if missing := [name for name in needed if not entry.get(name)]:
            raise BadSeed(f"{kind}, entry {number}: {', '.join(missing)} is missing")
    return entries


def _user(state: State, team_id: str, given: dict[str, Any]) -> None:
    """Add a user to the team and to its default channel."""
    if state.by_username(given["username"]) is not None:
        raise BadSeed(f"there is a user {given['username']} already")
    names = str(given.get("first_name", "")), str(given.get("last_name", ""))
    user = state.add_user(given["username"], *names, str(given.get("roles", "system_user")))
    user["locale"] = given.get("locale", "en")
    state.join_team(team_id, user["id"])
    state.join(_named(state, "town-square")["id"], user["id"])


def _channel(state: State, team_id: str, given: dict[str, Any]) -> None:
    """Add a public (O) or private (P) channel. Without a list of members, the whole team joins."""
    kind, name = given.get("type", "O"), given["name"]
    if kind not in {"O", "P"}:
        raise BadSeed(f"channel {name}: type is O or P")
    everybody = [user["username"] for user in state.users.values() if (team_id, user["id"]) in state.team_members]
    members = [_person(state, username)["id"] for username in given.get("members", everybody)]
    channel = state.add_channel(name, str(given.get("display_name", name)), kind, team_id)
    for member in members:
        state.join(channel["id"], member)


def _person(state: State, username: str) -> Json:
    found = state.by_username(username)
    if found is None:
        raise BadSeed(f"there is no user {username}")
    return found


def _named(state: State, name: str) -> Json:
    found = next((channel for channel in state.channels.values() if channel["name"] == name), None)
    if found is None:
        raise BadSeed(f"there is no channel {name}")
    return found
