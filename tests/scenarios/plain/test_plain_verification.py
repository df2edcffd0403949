"""
Presses and dialogs without their proofs are rejected with a message, and nothing is done (design §4, "Plain host").
"""

from pathlib import Path
from typing import Any

import pytest
import requests

from core.calls import Kind
from core.menus import COMMENT, CardKey, Offer, Requirement
from core.signing import Signer
from handlers import capabilities  # noqa: F401 - registers every path
from handlers.registry import Route, calls
from mattermost.card_buttons import CardButtons
from storage.sealing import derive_keys
from tests.world import World

Json = dict[str, Any]
# Handlers that a dialog's submit, refresh or lookup could reach.
ADMINISTRATORS = [one for one in calls.routes if one.needs is Requirement.ADMINISTRATOR and one.kind is not Kind.FORM]


def post(world: World, path: str, body: Any) -> Json:
    """What anyone who reaches the service can send."""
    answer = requests.post(world.config.app_url + path, json=body, timeout=20)
    assert answer.status_code == 200
    found: Json = answer.json()
    return found


def signer(world: World) -> Signer:
    """The service's own signer, which needs its secret."""
    return Signer(derive_keys(world.config.app_secrets, "states"))


def context(world: World, channel_id: str) -> Json:
    """What a genuine button carries."""
    card = CardKey("incident", "a" * 32, "INC0010001", channel_id)
    [button] = CardButtons(signer(world), "").write(card, Offer((COMMENT,), ()))
    found: Json = button["integration"]["context"]
    return found


@pytest.mark.parametrize("what", ["empty", "no trigger", "made-up trigger", "made-up token", "token as text"])
def test_a_press_without_its_proofs_is_rejected(world: World, what: str) -> None:
    """The server's signature alone isn't enough, and neither is our token alone. Nothing is sent to ServiceNow."""
    agent = world.connected("agent")
    world.servicenow.clear_requests()
    channel_id = agent.channel("town-square")
    genuine: Json = {"user_id": agent.id, "channel_id": channel_id, "post_id": "p" * 26}
    genuine["context"] = context(world, channel_id)
    changes: dict[str, Json] = {
        "empty": {"context": {}, "user_id": ""},
        "no trigger": {},
        "made-up trigger": {"trigger_id": "bWFkZSB1cA=="},
        "made-up token": {"context": {"card": "e30.AAAA"}, "trigger_id": "bWFkZSB1cA=="},
        "token as text": {"context": genuine["context"]["card"]},
    }
    answer = post(world, "/plain/press", genuine | changes[what])
    assert "could not be verified" in answer["ephemeral_text"]
    assert "Reference" in answer["ephemeral_text"]
    assert world.asked() == []


@pytest.mark.parametrize("kind", ["dialog_submission", "refresh", "dialog_lookup"])
@pytest.mark.parametrize("what", ["no state", "made up", "of another person", "expired", "of a form"])
def test_a_dialog_without_its_proof_is_rejected(world: World, kind: str, what: str) -> None:
    """
    Only a state that we signed for this person and for dialogs within the last hour is valid. A lookup gets no items
    instead of an error, because the web client would retry it without a pause.
    """
    agent, admin = world.connected("agent"), world.person("admin")
    world.servicenow.clear_requests()
    content: Json = {"path": "incident/create", "state": "", "shape": {"names": ["short_description"]}, "id": "one"}
    content |= {"channel_id": "", "post_id": "", "direct": False}
    ours = signer(world)
    later = world.now() + 3600
    states = {
        "no state": "",
        "made up": "e30.AAAA",
        "of another person": ours.sign(content, person=admin.id, path="dialog", expires_at=later),
        "expired": ours.sign(content, person=agent.id, path="dialog", expires_at=world.now() - 1),
        "of a form": ours.sign(content, person=agent.id, path="incident/create", expires_at=later),
    }
    submission = {"short_description": "Forged", "selected_field": "caller_id", "query": "abel"}
    body = {"type": kind, "user_id": agent.id, "state": states[what], "submission": submission}
    answer = post(world, "/plain/dialog", body)
    if kind == "dialog_lookup":
        assert answer == {"items": []}
    else:
        words = "open for too long" if what == "expired" else "could not be verified"
        assert words in answer["error"]
    assert world.asked() == []
    assert not [row for row in world.servicenow.rows("incident") if row["short_description"] == "Forged"]


@pytest.mark.parametrize("route", ADMINISTRATORS, ids=lambda route: f"{route.path}/{route.kind}")
def test_administrators_actions_arent_reachable_here(world: World, route: Route) -> None:
    """A dialog carries no roles, so not even an administrator's genuine state opens their handlers."""
    admin = world.connected("admin")
    files = {
        path: path.read_bytes() for path in Path(world.config.storage_url.removeprefix("tinydb://")).glob("*.json")
    }
    world.servicenow.clear_requests()
    content: Json = {"path": route.path, "state": "", "shape": {"names": []}, "id": "one"}
    content |= {"channel_id": "", "post_id": "", "direct": True}
    state = signer(world).sign(content, person=admin.id, path="dialog", expires_at=world.now() + 3600)
    kind = {"refresh": "refresh", "lookup": "dialog_lookup"}.get(route.kind, "dialog_submission")
    body = {"type": kind, "user_id": admin.id, "state": state, "submission": {"selected_field": "x", "query": "abc"}}
    answer = post(world, "/plain/dialog", body)
    if kind == "dialog_lookup":
        assert answer == {"items": []}
    else:
        assert "could not be verified" in answer["error"]
    assert world.asked() == []
    assert files == {path: path.read_bytes() for path in files}


@pytest.mark.parametrize("body", [None, [], "text", 5, {"context": 5, "trigger_id": [], "user_id": {}}, {"state": {}}])
@pytest.mark.parametrize("path", ["/plain/press", "/plain/dialog"])
def test_malformed_bodies_are_answered_with_a_message(world: World, path: str, body: Any) -> None:
    """The answer is HTTP 200 with a sentence and a reference code, never a traceback."""
    answer = post(world, path, body)
    words = answer.get("ephemeral_text") or answer["error"]
    assert "Reference" in words
    assert "Traceback" not in words
