"""Every action of a card against everything that can be in its way, by buttons and dialogs of old and new servers."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from sandbox.client import MattermostClient
from sandbox.dialog import OpenDialog
from tests.acts import opened, row
from tests.scenarios.plain.test_plain_cards import as_version
from tests.world import World

Json = dict[str, Any]
NUMBER = "INC0010001"
TABLE = "/api/now/v2/table/incident"


@dataclass(frozen=True)
class Case:
    """One action: its button, or its word in “More…”, and what is entered in its dialog; None where none opens."""

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
    """A connected agent on a server of that version."""
    as_version(world, str(request.param))
    return world.connected("agent")


def card(world: World, person: MattermostClient) -> Json:
    """The record's card in the service desk's channel."""
    form = opened(person.command("share", {"record": NUMBER}, channel="service-desk"))
    assert person.submit(form, {}, channel="service-desk")["type"] == "ok"
    return world.mattermost.posts_in("service-desk")[-1]


def ready(person: MattermostClient, post: Json, case: Case) -> OpenDialog | None:
    """The action's dialog; None for one that is done at once."""
    if case.values is None:
        return None
    pressed = person.press_action(post["id"], *(("More…", case.word) if case.more else (case.word,)))
    assert pressed.dialog is not None, pressed.texts
    return pressed.dialog


def finish(person: MattermostClient, post: Json, case: Case, dialog: OpenDialog | None) -> str:
    """The last press; what is said to the person, "" where the dialog closes."""
    if dialog is None or case.values is None:
        pressed = person.press_action(post["id"], *(("More…", case.word) if case.more else (case.word,)))
        assert pressed.dialog is None
        return pressed.texts[0]
    answer = person.submit_dialog(dialog, case.values)
    if answer.get("type") == "form":  # drawn anew, with what was entered
        return str(answer["form"]["introduction_text"])
    assert set(answer) <= {"error", "errors"}, answer
    assert set(answer.get("errors", {})) <= set(dialog.names)
    return " ".join([str(answer.get("error", "")), *answer.get("errors", {}).values()]).strip()


def state_of(world: World) -> tuple[dict[str, str], int]:
    """The record and how many journal entries it has."""
    found = row(world, NUMBER)
    return found, len(world.servicenow.store.journal(found["sys_id"], "comments", "work_notes"))


@every_action
def test_it_works(world: World, agent: MattermostClient, case: Case) -> None:
    """The record is changed once, its card shows that state of it, and the thread says who did it."""
    post, before = card(world, agent), state_of(world)
    dialog = ready(agent, post, case)
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
    """Disconnected meanwhile: the way to connect, and nothing asked of ServiceNow."""
    post = card(world, agent)
    dialog = ready(agent, post, case)
    agent.command("disconnect")
    world.servicenow.clear_requests()
    assert "oauth2/remote/connect" in finish(agent, post, case, dialog)
    assert world.asked() == []


@every_action
def test_the_record_is_gone(world: World, agent: MattermostClient, case: Case) -> None:
    """Deleted meanwhile: said so."""
    post = card(world, agent)
    dialog = ready(agent, post, case)
    world.administer("DELETE", f"/api/now/table/incident/{row(world, NUMBER)['sys_id']}", {})
    assert "no such record, or your account may not see it" in finish(agent, post, case, dialog)


@every_action
def test_servicenow_is_silent(world: World, agent: MattermostClient, case: Case) -> None:
    """Nothing is saved, the card stays as it is, and the same press works later."""
    post, before = card(world, agent), state_of(world)
    dialog = ready(agent, post, case)
    world.servicenow.fault("hibernating", TABLE)
    assert "asleep" in finish(agent, post, case, dialog)
    assert state_of(world) == before
    finish(agent, post, case, dialog)
    assert state_of(world) != before


@every_action
def test_a_rule_of_the_instance_refuses(world: World, agent: MattermostClient, case: Case) -> None:
    """A column that the instance demands: named by its label, nothing is saved."""
    post = card(world, agent)
    dialog = ready(agent, post, case)
    column = {"name": "incident", "element": "business_impact", "column_label": "Business impact", "mandatory": "true"}
    world.administer("POST", "/api/now/table/sys_dictionary", column)
    before = state_of(world)
    assert "ServiceNow demands more: Business impact" in finish(agent, post, case, dialog)
    assert state_of(world) == before


@every_action
def test_the_answer_to_a_write_is_lost(world: World, agent: MattermostClient, case: Case) -> None:
    """It was saved: found out by looking, not written twice, and the card shows it."""
    post, before = card(world, agent), state_of(world)
    dialog = ready(agent, post, case)
    world.servicenow.clear_requests()
    world.servicenow.fault("500_after_commit", TABLE)
    finish(agent, post, case, dialog)
    assert len(world.asked(method="PATCH")) == 1
    assert state_of(world) != before
    now = agent.get(f"/api/v4/posts/{post['id']}")
    assert now["props"]["servicenow"]["sys_mod_count"] == row(world, NUMBER)["sys_mod_count"]


@every_action
def test_no_right_in_servicenow(world: World, agent: MattermostClient, case: Case) -> None:
    """Somebody who may not see the record presses: words for that person alone, nothing changes."""
    post, before = card(world, agent), state_of(world)
    requester = world.connected("requester")
    pressed = requester.press_action(post["id"], *(("More…", case.word) if case.more else (case.word,)))
    told = pressed.texts
    if pressed.dialog is not None:
        answer = requester.submit_dialog(pressed.dialog, case.values or {})
        told = [str(answer.get("error", ""))]
    assert "may not" in told[0]
    assert state_of(world) == before
