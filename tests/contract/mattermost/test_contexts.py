"""Calls and forms run, and contexts are expanded, exactly as recorded, with every key that reaches the app."""

from collections.abc import Iterator

import pytest

from sandbox.mattermost.server.state import Json
from tests.contract.mattermost.rig import (
    ADMIN,
    ALICE,
    APP,
    BOB,
    BOT,
    INCIDENTS,
    PRIVATE,
    PUBLIC,
    TEAM,
    Replay,
    person,
    post,
    replay,
    scenes,
)

# Differences in the files' order: the start of the scene, and why.
DIFFERENT: dict[str, str] = {
    "empty path": "the plugin panics; the double says what is wrong instead of a stack",
    "app is down": "the recorded app was stopped; here it is the server of all scenes",
    'expand root_post: "all"': "the recorded post had a reaction; the double has none",
    'expand root_post: "+all"': "the recorded post had a reaction; the double has none",
}

_ROOT, _REPLY = "usbdbab6w7d1dpc3p5wbo8xtky", "1g6bejbdxibxxxaxg6fchu4j7r"
_HIDDEN, _ELSEWHERE = "bueji1ef1infbnwnbcr8f7dhya", "jmebiya1ubycjpsjwbueh6q16y"
_CAROL, _GROUP = "3b63u5h113f3m8j6ai6guxrq7o", "ckj8nhmnfpng8efiknjefr5uzw"
_FILES = ("calls", "forms", "expand", "expand_rights")


@pytest.fixture(scope="module")
def server() -> Iterator[Replay]:
    """The recorded people, places and posts."""
    with replay() as started:
        prepare(started)
        yield started


def prepare(server: Replay) -> None:
    """What existed before, with the recording's initial counts."""
    state = server.double.state
    post(server, _ROOT, INCIDENTS, "Disk full on **db01**")
    post(server, _REPLY, INCIDENTS, "reply in thread", root_id=_ROOT)
    post(server, _HIDDEN, PRIVATE)
    post(server, _ELSEWHERE, PUBLIC)
    person(server, _CAROL, "carol")
    server.session("4o8ptudan7ftiq5w61gaihx65y", _CAROL)
    made = state.group({ALICE, BOB, ADMIN})
    state.channels[_GROUP] = state.channels.pop(made["id"]) | {"id": _GROUP}
    for user_id in (ALICE, BOB, ADMIN):
        state.join(_GROUP, user_id)
    server.ours[_GROUP] = _GROUP
    state.channels[INCIDENTS] |= {"total_msg_count": 79, "total_msg_count_root": 73}
    state.members[INCIDENTS, ALICE] |= {"msg_count": 67, "msg_count_root": 63}
    state.members[INCIDENTS, ADMIN] |= {"roles": "channel_user channel_admin", "scheme_admin": True}
    state.team_members[TEAM, ADMIN] |= {"roles": "team_user team_admin", "scheme_admin": True}
    state.users[ALICE]["failed_attempts"] = 1


def before(server: Replay, scene: Json) -> None:
    """The permissions of the scene's app, and the channels of its bot."""
    state, what = server.double.state, scene["what"]
    app = server.app(webhook_secret="d7nzzoap33dt8qs8ia1qz5atcy")
    for exchange in scene.get("exchanges", []):
        stored = exchange["mattermost_to_app"]["body"]["context"]["oauth2"]
        app.oauth2_app = {key: value for key, value in stored.items() if not key.endswith("_url") or "root" in key}
        if "user" in app.oauth2_app:
            app.oauth2_users[ALICE] = app.oauth2_app.pop("user")
    state.posts[_REPLY]["reply_count"] = 1 if what.startswith("post menu") else 5
    for name, granted in (("act_as_bot", ["act_as_bot"]), ("act_as_user", ["act_as_user"]), ("no permission", [])):
        if what.startswith(f"app with {name}"):
            app.manifest["requested_permissions"] = granted
    if "bot is a team member" in what:
        state.join_team(TEAM, BOT)
    if "bot is a channel member" in what:
        state.join(INCIDENTS, BOT)
    if what.startswith("app with act_as_user"):
        state.members.pop((INCIDENTS, BOT), None)
    assert app.app_id == APP


@pytest.mark.parametrize(
    "scene",
    [pytest.param(one, id=f"{name}-{one['what'][:60]}") for name in _FILES for one in scenes(name)],
)
def test_a_call_runs_exactly_as_recorded(server: Replay, scene: Json) -> None:
    """The client's status and body, and the app's request body, match the recording."""
    if reason := next((why for what, why in DIFFERENT.items() if scene["what"].startswith(what)), ""):
        pytest.skip(reason)
    before(server, scene)
    assert server.play(scene) == []
