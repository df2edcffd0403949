"""Buttons and selects of attachments, as recorded: the integration's request, and the effect of its answers."""

import re
from collections.abc import Iterator

import pytest

from sandbox.mattermost.server.state import Json
from tests.contract.mattermost.rig import (
    ALICE,
    INCIDENT_BOT,
    INCIDENTS,
    Replay,
    bot_account,
    person,
    post,
    replay,
    scenes,
)

BOT_TOKEN = "bnhbscwshbgaxrjqexuykk156e"
ROOT, DIRECT = "usbdbab6w7d1dpc3p5wbo8xtky", "98yj3ps75bf95eyf9efnn8hhze"
CAROL = "3b63u5h113f3m8j6ai6guxrq7o"
NOBODY = "x" * 26


@pytest.fixture(scope="module")
def server() -> Iterator[Replay]:
    """The recorded people, and a bot account that posts cards."""
    with replay() as started:
        started.listening = ["alice", "bob"]
        bot_account(started)
        del started.ours[BOT_TOKEN]  # a scene makes it
        person(started, CAROL, "carol")
        started.session("4o8ptudan7ftiq5w61gaihx65y", CAROL)
        post(started, ROOT, INCIDENTS, "Disk full on **db01**")
        state = started.double.state
        made = state.direct(ALICE, INCIDENT_BOT)
        state.channels[DIRECT] = state.channels.pop(made["id"]) | {"id": DIRECT}
        for user_id in (ALICE, INCIDENT_BOT):
            del state.members[made["id"], user_id]
            state.join(DIRECT, user_id)
        started.ours[DIRECT] = DIRECT
        yield started


def card(server: Replay, action_id: str = "ack", url: str = "") -> Json:
    """The props of the recorded card with one button."""
    context = {"action": "ack", "number": "INC0010001", "n": 12345678901234567890, "nested": {"a": [1, None]}}
    url = url or f"{server.recorder.server.url}/action"
    button: Json = {"id": action_id, "name": "Acknowledge", "type": "button", "style": "primary"}
    button["integration"] = {"url": url, "context": context}
    return {"attachments": [{"fallback": "Incident", "title": "INC0010001", "text": "Disk full", "actions": [button]}]}


def before(server: Replay, scene: Json) -> None:
    """The bot's card that a scene presses and no earlier scene has posted."""
    path = scene["client_to_mattermost"][0]["request"]["path"]
    found = re.search(r"/posts/(\w{26})/actions/([\w-]+)", path)
    if found is None or found[1] in {*server.ours, NOBODY}:
        return
    message = "original" if scene["what"].startswith("app answers") else ""
    refused = "http://127.0.0.1:4999/x" if "refuses the connection" in scene["what"] else ""
    direct, reply = "direct message" in scene["what"], "on a reply" in scene["what"]
    more = {"root_id": ROOT} if reply else {}
    props = card(server, found[2], refused)
    post(server, found[1], DIRECT if direct else INCIDENTS, message, BOT_TOKEN, props=props, **more)


@pytest.mark.parametrize("scene", scenes("post_actions"), ids=lambda scene: scene["what"][:60])
def test_a_press_works_as_recorded(server: Replay, scene: Json) -> None:
    """The integration's request, the client's answer and the events match the recording."""
    before(server, scene)
    assert server.play(scene) == []
