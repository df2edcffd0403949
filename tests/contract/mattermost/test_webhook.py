"""Webhooks reach the app, and senders are answered, as recorded."""

import re
from collections.abc import Iterator

import pytest

from sandbox.mattermost.server.state import Json
from tests.contract.mattermost.rig import Replay, replay, scenes

# Differences in the file's order: the start of the scene, and why.
DIFFERENT: dict[str, str] = {}

_MANIFESTS: dict[str, Json] = {
    "manifest with its own webhook path": {},
    "manifest webhook call that requires": {
        "on_remote_webhook": {"path": "/webhook", "expand": {"acting_user": "+id"}}
    },
    "auth type none": {"remote_webhook_auth_type": "none"},
    "auth type jwt": {"remote_webhook_auth_type": "jwt"},
    "app without remote_webhooks": {"requested_permissions": ["act_as_bot"]},
}


@pytest.fixture(scope="module")
def server() -> Iterator[Replay]:
    """A double and the recorded app."""
    with replay() as started:
        yield started


def before(server: Replay, scene: Json) -> None:
    """Install with the manifest and the secret of the scene."""
    more = next((more for what, more in _MANIFESTS.items() if scene["what"].startswith(what)), {})
    manifest = server.manifest() | more
    for exchange in scene.get("exchanges", []):
        if "own webhook path" in scene["what"]:
            body = exchange["mattermost_to_app"]["body"]
            manifest["on_remote_webhook"] = {"path": body["path"].removesuffix("/incident"), "expand": body["expand"]}
    found = re.search(r"secret=(\w{26})", scene["client_to_mattermost"][0]["request"]["path"])
    secret = "" if not found or scene["what"].startswith("old secret") else found[1]
    app = server.app(manifest, webhook_secret=secret or "another-secret")
    if "own webhook path" in scene["what"]:
        data = {"instance": "dev1"}
        app.oauth2_app = {"remote_root_url": "https://snow.example.com", "client_id": "client-id"}
        app.oauth2_app |= {"client_secret": "client-secret", "data": data}
    app.enabled = not scene["what"].startswith("disabled app")
    server.ours |= {secret: secret} if secret else {}


@pytest.mark.parametrize("scene", scenes("webhook"), ids=lambda scene: scene["what"][:60])
def test_a_webhook_is_handled_as_recorded(server: Replay, scene: Json) -> None:
    """The sender's answer and the app's request match the recording."""
    if reason := next((why for what, why in DIFFERENT.items() if scene["what"].startswith(what)), ""):
        pytest.skip(reason)
    before(server, scene)
    assert server.play(scene) == []
