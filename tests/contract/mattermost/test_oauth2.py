"""OAuth with a remote system as recorded: states, the browser's redirects, errors, the store."""

import re
from collections.abc import Iterator

import pytest

from sandbox.mattermost.server.state import Json
from tests.contract.mattermost.rig import ADMIN, Replay, replay, scenes

# Differences in the file's order: the start of the scene, and why.
DIFFERENT: dict[str, str] = {}


@pytest.fixture(scope="module")
def server() -> Iterator[Replay]:
    """The recorded app is installed and has the states that no recorded scene created."""
    with replay() as started:
        prepare(started)
        yield started


def prepare(server: Replay) -> None:
    """The app, people's browser sessions, and the app's sessions."""
    app = server.app()
    issued = set()
    for scene in scenes("oauth2"):
        for call in scene.get("client_to_mattermost", []):
            headers = call["request"].get("headers") or {}
            if found := re.match(r"MMAUTHTOKEN=(\w+); MMUSERID=(\w+); MMCSRF=(\w+)", headers.get("Cookie", "")):
                server.session(found[1], found[2], csrf=found[3])
            issued |= set(
                re.findall(r"state=([\w-]+\.\w*)", (call["response"].get("headers") or {}).get("Location", ""))
            )
            for state in re.findall(r"state=([\w-]+\.\w+)", call["request"]["path"]):
                if state not in issued and not state.startswith("abcdefghijklmnopqrst"):
                    app.states[state] = server.double.state.clock.now() + 900
                    server.ours[state.partition(".")[0]] = state.partition(".")[0]
        for call in scene.get("app_calls_mattermost", []):
            if "administrator" in call["by"]:  # alice's token comes in a call first, the administrator's in none
                server.app_session(call["request"]["headers"]["Authorization"].removeprefix("Bearer "), ADMIN)


def before(server: Replay, scene: Json) -> None:
    """The manifest of the recorded scene."""
    manifest = server.double.registry.get("com.example.recorder").manifest
    if scene["what"].startswith("manifest without get_oauth2_connect_url"):
        del manifest["get_oauth2_connect_url"], manifest["on_oauth2_complete"]
    if scene["what"].startswith("complete where the app stores"):
        server.app_keeps_states()
    if scene["what"].startswith("connect of an app without remote_oauth2"):
        manifest["requested_permissions"] = ["act_as_bot", "act_as_user"]


@pytest.mark.parametrize("scene", scenes("oauth2"), ids=lambda scene: scene["what"][:60])
def test_oauth_runs_as_recorded(server: Replay, scene: Json) -> None:
    """The browser's answers and redirects, the app's requests, and the store's answers match the recording."""
    if reason := next((why for what, why in DIFFERENT.items() if scene["what"].startswith(what)), ""):
        pytest.skip(reason)
    before(server, scene)
    assert server.play(scene) == []
