"""Dialogs as recorded from 9.11: what opens where, what a submission sends, and how answers are handled."""

import base64
from collections.abc import Iterator

import pytest

from sandbox.mattermost.server.state import Json
from tests.contract.mattermost.rig import ALICE, BOB, Replay, bot_account, replay, scenes


@pytest.fixture(scope="module")
def server() -> Iterator[Replay]:
    """The recorded people and a bot account."""
    with replay() as started:
        started.listening = ["alice", "bob"]
        bot_account(started)
        yield started


def trigger_for(server: Replay, scene: Json) -> None:
    """A trigger of this server replaces the recorded one, with the same flaw if it had one."""
    body = scene.get("app_calls_mattermost", [{}])[0].get("request", {}).get("body")
    recorded = body.get("trigger_id", "") if isinstance(body, dict) else ""
    parts = _decoded(recorded).split(":")
    if len(parts) != 4 or recorded in server.ours:
        return
    client_id, trigger_id = server.double.trigger_ids.create(ALICE)
    if "forged for another user" in scene["what"]:
        forged = _decoded(trigger_id).replace(ALICE, BOB)
        trigger_id = base64.b64encode(forged.encode()).decode()
    if "expired" in scene["what"]:
        server.double.advance(31)
    server.ours |= {recorded: trigger_id, parts[0]: client_id}


def _decoded(trigger_id: str) -> str:
    try:
        return base64.b64decode(trigger_id, validate=True).decode()
    except ValueError:
        return ""


@pytest.mark.parametrize("scene", scenes("dialogs"), ids=lambda scene: scene["what"][:60])
def test_a_dialog_works_as_recorded(server: Replay, scene: Json) -> None:
    """The event, the integration's request, and every answer and error match the recording."""
    trigger_for(server, scene)
    assert server.play(scene) == []
