"""Bindings are cleaned as recorded, and the reasons shown with `test=1` match the recording."""

from collections.abc import Iterator

import pytest

from sandbox.mattermost.server.state import Json
from tests.contract.mattermost.rig import APP, Replay, replay, scenes

# Differences in the file's order: the start of the scene, and why.
DIFFERENT: dict[str, str] = {
    "the same, by an administrator": "of the administrator's /apps commands the double has those that tests need",
}

_OTHER_CALL = {"manifest whose bindings call requires post": {"post": "+summary"}}
_GRANTED = {
    "only /post_menu granted": ["/post_menu"],
    "only the narrower": ["/command/recorder"],
    "no location granted": [],
}


@pytest.fixture(scope="module")
def server() -> Iterator[Replay]:
    """The recorded app is installed."""
    with replay() as started:
        yield started


def before(server: Replay, scene: Json) -> None:
    """The manifest of the recorded scene."""
    app = server.app()
    for exchange in scene.get("exchanges", []):
        if exchange["mattermost_to_app"]["path"] == "/bindings":
            app.manifest["bindings"]["expand"] = exchange["mattermost_to_app"]["body"].get("expand", {})
    for beginning, expand in _OTHER_CALL.items():
        if scene["what"].startswith(beginning):
            app.manifest["bindings"]["expand"] = expand
    for beginning, granted in _GRANTED.items():
        if scene["what"].startswith(beginning):
            app.manifest["requested_locations"] = granted


@pytest.mark.parametrize("scene", scenes("bindings_explained"), ids=lambda scene: scene["what"][:60])
def test_bindings_are_as_recorded(server: Replay, scene: Json) -> None:
    """The client's bindings, the reasons with `test=1`, and the app's request match the recording."""
    if reason := next((why for what, why in DIFFERENT.items() if scene["what"].startswith(what)), ""):
        pytest.skip(reason)
    before(server, scene)
    assert server.play(scene) == []
    assert APP in server.double.registry.apps
