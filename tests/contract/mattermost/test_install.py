"""Apps are installed, listed, disabled and removed as recorded, scene by scene."""

import base64
import hmac
import json
from collections.abc import Iterator

import jwt
import pytest
import requests

from sandbox.mattermost.apps.protocol.registry import PLUGIN
from sandbox.mattermost.server.state import Json
from tests.contract.mattermost.rig import (
    ADMIN,
    ALICE,
    APP,
    BOT,
    PEOPLE,
    Replay,
    person,
    recorded_manifest,
    replay,
    scenes,
)

# Differences in the file's order: the start of the scene, and why.
DIFFERENT: dict[str, str] = {
    "manifest with an empty string among": "the plugin panics here; the double shows its consent form",
}

_LISTED_BEFORE: dict[str, Json] = {
    "manifest without on_install": {"on_install": None},
    "manifest without icon": {"icon": None},
    "install with a JWT secret": {"http": {"root_url": "http://127.0.0.1:4000", "use_jwt": True}},
    "on_install that requires": {"on_install": {"path": "/install", "expand": {"channel": "+id"}}},
}
_UNINSTALLED_BEFORE = (
    "install with a JWT secret",
    "headless install with use_jwt",
    "after uninstall and a new install",
)
_DATA = "before a reinstall: KV value"


@pytest.fixture(scope="module")
def server() -> Iterator[Replay]:
    """Nothing is installed."""
    with replay() as started:
        yield started


def before(server: Replay, scene: Json) -> None:
    """What was done between the recorded scenes: listings, removals, and what the app stored."""
    registry, what = server.double.registry, scene["what"]
    for beginning, changes in _LISTED_BEFORE.items():
        if what.startswith(beginning):
            manifest = json.loads(server.local(json.dumps(recorded_manifest() | changes)))
            registry.listings[APP] = {key: value for key, value in manifest.items() if value is not None}
    if what.startswith(_UNINSTALLED_BEFORE):
        registry.apps.pop(APP, None)
    if what.startswith("a human already owns"):
        person(server, "human-human-human-human-26", "human.app")
    if what.startswith("JWT on a webhook call"):
        secret = scene["client_to_mattermost"][0]["request"]["path"].partition("secret=")[2]
        server.ours[secret] = registry.get(APP).webhook_secret
    if what.startswith(_DATA):
        app = server.app(oauth2_app={"client_id": "cid", "client_secret": "cs"}, oauth2_users={ALICE: {"t": 1}})
        app.kv[BOT, "", "keep"] = b'{"v": 1}'
    if what.startswith(("after a reinstall", "after uninstall and")):
        registry.listings[APP] = server.manifest()
        answer = requests.post(
            f"{server.double.url}{PLUGIN}/api/v1/install-app",
            json={"app_id": APP, "deploy_type": "http"},
            headers={"Authorization": f"Bearer {PEOPLE[ADMIN][4]}"},
            timeout=10,
        )
        assert answer.status_code == 200
    for call in scene.get("app_calls_mattermost", []):
        token = call["request"]["headers"]["Authorization"].removeprefix("Bearer ")
        server.app_session(token, BOT if "bot" in call["by"] else ALICE)
    scene["app_calls_mattermost"] = [
        one for one in scene.get("app_calls_mattermost", []) if not one["request"]["path"].endswith("/subscribe")
    ]


def signed_with(secret: str, token: str) -> bool:
    """
    Whether the signature is HMAC-SHA256 with that secret; computed by hand, because the secret can be short or empty.
    """
    text, _, signature = token.rpartition(".")
    expected = base64.urlsafe_b64encode(hmac.digest(secret.encode(), text.encode(), "sha256"))
    return expected.rstrip(b"=").decode() == signature


@pytest.mark.parametrize("scene", scenes("install"), ids=lambda scene: scene["what"][:60])
def test_an_installation_runs_as_recorded(server: Replay, scene: Json) -> None:
    """The administrator's message, the app's requests and their order, and what is stored match the recording."""
    if reason := next((why for what, why in DIFFERENT.items() if scene["what"].startswith(what)), ""):
        pytest.skip(reason)
    before(server, scene)
    assert server.play(scene) == []
    decoded = [one for one in scene.get("jwt_decoded", []) if one.get("claims")]
    for recorded, token in zip(decoded, server.recorder.tokens, strict=bool(decoded)):
        assert jwt.get_unverified_header(token) == recorded["header"]
        key = server.double.registry.apps[APP].secret
        claims = jwt.decode(token, options={"verify_signature": False})
        assert claims.pop("exp") == pytest.approx(server.double.state.clock.now() + 900, abs=5)
        assert claims == {key: value for key, value in recorded["claims"].items() if key != "exp"}
        assert signed_with(key, token)


@pytest.mark.parametrize(("kind", "kept"), [("", False), ("secret", False), ("none", True)])
def test_a_reinstallation_creates_a_new_webhook_secret_if_one_is_needed(kind: str, kept: bool) -> None:
    """As recorded for every authentication type: an old secret stops working unless senders need none."""
    with replay() as server:
        more = {"remote_webhook_auth_type": kind} if kind else {}
        manifest = server.manifest() | more
        server.double.registry.listings[APP] = manifest
        server.app(manifest, webhook_secret="the-secret-before")
        answer = requests.post(
            f"{server.double.url}{PLUGIN}/api/v1/install-app",
            json={"app_id": APP, "deploy_type": "http"},
            headers={"Authorization": f"Bearer {PEOPLE[ADMIN][4]}"},
            timeout=10,
        )
        assert answer.status_code == 200
        assert (answer.json()["webhook_secret"] == "the-secret-before") is kept
