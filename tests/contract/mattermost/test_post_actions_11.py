"""Buttons and selects of cards on 11.6: who can press, the integration's request, and the effect of its answers."""

import json
import re
from collections.abc import Iterator

import pytest
import requests

from sandbox.mattermost.server.state import Json
from tests.contract.mattermost.rig11 import (
    AGENT,
    ARCHIVED,
    BOT,
    BOT_TOKEN,
    DESK,
    DIRECT,
    GROUP,
    INNER,
    REQUESTER,
    Replay11,
    replay11,
    scenes,
)

# test_dialog_steps and test_plain_cards test what is private to one person, raced or timed.
_NOT_REPLAYED = (
    "ephemeral post",
    "pressed twice",
    "pressed by two",
    "update keeps",
    "update of a pinned",
    "answer: opens",
)
SCENES = [scene for scene in scenes("post_actions") if not scene["what"].startswith(_NOT_REPLAYED)]
_PLACES = {"private": INNER, "direct": DIRECT, "group": GROUP, "channel archived": ARCHIVED}


@pytest.fixture(scope="module")
def server() -> Iterator[Replay11]:
    """The recorded people."""
    with replay11() as started:
        yield started


def before(server: Replay11, scene: Json) -> None:
    """The bot's card that a scene presses and no earlier scene has posted, in its channel's state."""
    state = server.double.state
    path = scene["client_to_mattermost"][-1]["request"]["path"]
    found = re.search(r"/posts/(\w{26})/actions/([\w-]+)", path)
    place = next((id_ for start, id_ in _PLACES.items() if scene["what"].startswith(start)), DESK)
    if found and found[1] not in server.ours and len(scene["client_to_mattermost"]) == 1:
        if place == GROUP and GROUP not in state.channels:
            made = state.add_channel("e517250622e17ecd23c1f0d8899c9d6cda21e380", "", "G", "")
            state.channels[GROUP] = state.channels.pop(made["id"]) | {"id": GROUP}
            for user_id in (AGENT, REQUESTER, BOT):
                state.join(GROUP, user_id)
            server.ours[GROUP] = GROUP
        exchanges: list[Json] = scene.get("exchanges", [])
        asked: Json = exchanges[0]["mattermost_to_app"]["body"] if exchanges else {}
        kind = asked.get("type") or "button"
        integration = {"url": f"{server.recorder.server.url}/act", "context": asked.get("context") or {}}
        action = {"id": found[2], "type": kind, "name": "Go", "integration": integration}
        card = {"fallback": "f", "text": "card", "actions": [action]}
        message = "card message" if scene["what"].startswith("answer") else "card"
        post: Json = {"channel_id": place, "message": message, "props": {"attachments": [card]}}
        if "in a thread" in scene["what"]:
            post["root_id"] = _posted(server, {"channel_id": place, "message": "root"})
        server.ours[found[1]] = _posted(server, post)
        if "deleted post" in scene["what"]:
            headers = {"Authorization": f"Bearer {BOT_TOKEN}"}
            requests.delete(f"{server.double.url}/api/v4/posts/{server.ours[found[1]]}", headers=headers, timeout=10)
    if place == ARCHIVED:
        state.channels[ARCHIVED]["delete_at"] = state.now()


def _posted(server: Replay11, post: Json) -> str:
    headers = {"Authorization": f"Bearer {BOT_TOKEN}"}
    answer = requests.post(f"{server.double.url}/api/v4/posts", json=post, headers=headers, timeout=10)
    answer.raise_for_status()
    return str(answer.json()["id"])


def after(server: Replay11, scene: Json) -> list[str]:
    """How an answer changed the post, if it did."""
    wanted = scene.get("post_afterwards")
    exchanges: list[Json] = scene.get("exchanges", [])
    answered = exchanges[0]["app_to_mattermost"].get("body") if exchanges else None
    if not wanted or not isinstance(answered, dict) or not isinstance(answered.get("update"), dict):
        return []
    now = server.double.state.posts[server.ours[wanted["id"]]]
    return server.unlike(wanted["message"], now["message"], "message") + server.unlike(
        "attachments" in wanted["props"], "attachments" in now["props"], "props"
    )


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene["what"][:60])
def test_a_press_works_as_recorded(server: Replay11, scene: Json) -> None:
    """The integration's request, the client's answer, and the resulting post match the recording."""
    before(server, scene)
    assert server.play(json.loads(json.dumps(scene))) + after(server, scene) == []
