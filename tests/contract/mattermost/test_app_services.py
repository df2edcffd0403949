"""
What the plugin stores for an app: values by key, the OAuth app and users; who has access, and the errors for others.
"""

from collections.abc import Iterator

import pytest

from sandbox.mattermost.server.state import Json
from tests.contract.mattermost.rig import ADMIN, ALICE, BOT, Replay, replay, scenes

# Differences in the file's order: the start of the scene, and why.
DIFFERENT: dict[str, str] = {}


@pytest.fixture(scope="module")
def server() -> Iterator[Replay]:
    """The recorded app is installed; its tokens are the recorded ones."""
    with replay() as started:
        prepare(started)
        yield started


def prepare(server: Replay) -> None:
    """The app, its sessions, and a browser's session."""
    server.app()
    owners = {"app with the bot token": BOT, "app with the system administrator's acting user token": ADMIN}
    owners["app with alice's acting user token"] = ALICE
    server.session("eatuyryms3nam8n433ajuhruaa", ADMIN)  # a personal access token
    for scene in scenes("app_services"):
        for call in scene.get("app_calls_mattermost", []):
            if call["by"] in owners:
                server.app_session(
                    call["request"]["headers"]["Authorization"].removeprefix("Bearer "), owners[call["by"]]
                )


def before(server: Replay, scene: Json) -> None:
    """Cookies, which weren't recorded, and the token that belongs to each."""
    for call in scene.get("client_to_mattermost", []):
        if call["by"] == "alice with the session cookie only":
            headers = call["request"].setdefault("headers", {})
            server.session("cookie", ALICE, csrf=headers.get("X-CSRF-Token", "another"))
            headers["Cookie"] = "MMAUTHTOKEN=cookie"


@pytest.mark.parametrize("scene", scenes("app_services"), ids=lambda scene: scene["what"][:60])
def test_stored_values_are_answered_as_recorded(server: Replay, scene: Json) -> None:
    """Statuses, bodies and error texts match the recording."""
    if reason := next((why for what, why in DIFFERENT.items() if scene["what"].startswith(what)), ""):
        pytest.skip(reason)
    before(server, scene)
    assert server.play(scene) == []
