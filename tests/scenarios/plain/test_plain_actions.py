"""Every action of a card under every obstacle, with the buttons and dialogs of old and new servers."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from sandbox.client import MattermostClient
from sandbox.dialog import OpenDialog
from tests.acts import opened, row
from tests.scenarios.plain.test_plain_cards import set_version
from tests.world import World

Json = dict[str, Any]
NUMBER = "INC0010001"
TABLE = "/api/now/v2/table/incident"


@dataclass(frozen=True)
class Case:
    """One action: its button, or its entry in “More…”, and the values for its dialog (None if it opens none)."""

    word: str
    values: Json | None = field(default_factory=dict)
    more: bool = True

    def __str__(self) -> str:
        return self.word


CASES = (
    Case("comment", {"comments": "Hello"}, more=False),
    Case("state", {"state": "2"}, more=False),
    Case("mine", None, more=False),
    Case("note", {"work_notes": "Hello"}),
    Case("assign", {"assignment_group": "Network"}),
    Case("resolve", {"close_code": "Duplicate", "close_notes": "Done"}),
    Case("priority", {"impact": "1", "urgency": "1"}),
    Case("watch", None),
)
every_action = pytest.mark.parametrize("case", CASES, ids=str)


@pytest.fixture(params=["9.11.0", "11.6.0"])
def agent(world: World, request: pytest.FixtureRequest) -> MattermostClient:
    """A connected agent on a server of the given version."""
    set_version(world, str(request.param))
    return world.connected("agent")


def card(world: World, person: MattermostClient) -> Json:
    """The record's card in the service desk's channel."""
    form = opened(person.command("share", {"record": NUMBER}, channel="service-desk"))
    assert person.submit(form, {}, channel="service-desk")["type"] == "ok"
    return world.mattermost.posts_in("service-desk")[-1]


def open_dialog(person: MattermostClient, post: Json, case: Case) -> OpenDialog | None:
    """The action's dialog, or None for one that is done at once."""
    if case.values is None:
        return None
    pressed = person.press_action(post["id"], *(("More…", case.word) if case.more else (case.word,)))
    assert pressed.dialog is not None, pressed.texts
    return pressed.dialog


def finish(person: MattermostClient, post: Json, case: Case, dialog: OpenDialog | None) -> str:
    """The last press; returns what the person is told, or "" if the dialog closes."""
    if dialog is None or case.values is None:
        pressed = person.press_action(post["id"], *(("More…", case.word) if case.more else (case.word,)))
        assert pressed.dialog is None
        return pressed.texts[0]
    answer = person.submit_dialog(dialog, case.values)
    if answer.get("type") == "form":  # sent again with the same values
        return str(answer["form"]["introduction_text"])
    assert set(answer) <= {"error", "errors"}, answer
    assert set(answer.get("errors", {})) <= set(dialog.names)
    return " ".join([str(answer.get("error", "")), *answer.get("errors", {}).values()]).strip()


def state_of(world: World) -> tuple[dict[str, str], int]:
    """The record and its number of journal entries."""
    found = row(world, NUMBER)
    return found, len(world.servicenow.store.journal(found["sys_id"], "comments", "work_notes"))


@every_action
def test_it_works(world: World, agent: MattermostClient, case: Case) -> None:
    """The record is changed once, its card shows the new state, and the thread names who did it."""
    post, before = card(world, agent), state_of(world)
    dialog = open_dialog(agent, post, case)
    world.servicenow.clear_requests()
    finish(agent, post, case, dialog)
    assert len(world.asked(method="PATCH")) == 1
    assert state_of(world) != before
    now = agent.get(f"/api/v4/posts/{post['id']}")
    assert now["props"]["servicenow"]["sys_mod_count"] == row(world, NUMBER)["sys_mod_count"]
    assert now["message"].startswith("Amir Agent shared [INC")
    thread = agent.get(f"/api/v4/posts/{post['id']}/thread")["posts"].values()
    assert [one["message"][:11] for one in thread if one["root_id"]] == ["Amir Agent "]


@every_action
def test_not_connected(world: World, agent: MattermostClient, case: Case) -> None:
    """After the person disconnected, the answer links to connecting, and nothing is sent to ServiceNow."""
    post = card(world, agent)
    dialog = open_dialog(agent, post, case)
    agent.command("disconnect")
    world.servicenow.clear_requests()
    assert "oauth2/remote/connect" in finish(agent, post, case, dialog)
    assert world.asked() == []


@every_action
def test_the_record_is_deleted(world: World, agent: MattermostClient, case: Case) -> None:
    """The answer says so."""
    post = card(world, agent)
    dialog = open_dialog(agent, post, case)
    world.administer("DELETE", f"/api/now/table/incident/{row(world, NUMBER)['sys_id']}", {})
    assert "no such record, or your account may not see it" in finish(agent, post, case, dialog)


@every_action
def test_servicenow_doesnt_answer(world: World, agent: MattermostClient, case: Case) -> None:
    """Nothing is saved, the card isn't changed, and the same press works later."""
    post, before = card(world, agent), state_of(world)
    dialog = open_dialog(agent, post, case)
    world.servicenow.fault("hibernating", TABLE)
    assert "asleep" in finish(agent, post, case, dialog)
    assert state_of(world) == before
    finish(agent, post, case, dialog)
    assert state_of(world) != before


@every_action
def test_a_rule_of_the_instance_rejects_it(world: World, agent: MattermostClient, case: Case) -> None:
    """The instance requires a column: the answer names its label, and nothing is saved."""
    post = card(world, agent)
    dialog = open_dialog(agent, post, case)
    column = {"name": "incident", "element": "business_impact", "column_label": "Business impact", "mandatory": "true"}
    world.administer("POST", "/api/now/table/sys_dictionary", column)
    before = state_of(world)
    assert "ServiceNow demands more: Business impact" in finish(agent, post, case, dialog)
    assert state_of(world) == before


@every_action
def test_the_answer_to_a_write_is_lost(world: World, agent: MattermostClient, case: Case) -> None:
    """It was saved: a lookup confirms it, it isn't written twice, and the card shows it."""
    post, before = card(world, agent), state_of(world)
    dialog = open_dialog(agent, post, case)
    world.servicenow.clear_requests()
    world.servicenow.fault("500_after_commit", TABLE)
    finish(agent, post, case, dialog)
    assert len(world.asked(method="PATCH")) == 1
    assert state_of(world) != before
    now = agent.get(f"/api/v4/posts/{post['id']}")
    assert now["props"]["servicenow"]["sys_mod_count"] == row(world, NUMBER)["sys_mod_count"]


@every_action
def test_no_rights_in_servicenow(world: World, agent: MattermostClient, case: Case) -> None:
    """Someone who can't see the record presses: only that person gets an answer, and nothing changes."""
    post, before = card(world, agent), state_of(world)
    requester = world.connected("requester")
    pressed = requester.press_action(post["id"], *(("More…", case.word) if case.more else (case.word,)))
    told = pressed.texts
    if pressed.dialog is not None:
        answer = requester.submit_dialog(pressed.dialog, case.values or {})
        told = [str(answer.get("error", ""))]
    assert "may not" in told[0]
    assert state_of(world) == before
