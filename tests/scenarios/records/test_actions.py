"""Every action on a record against everything that can be in its way: right words, nothing half done."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from sandbox.client import MattermostClient
from tests.acts import act, opened, row, view, written
from tests.world import World

Json = dict[str, Any]
NUMBER = "INC0010001"
TABLE = "/api/now/v2/table/incident"


@dataclass(frozen=True)
class Case:
    """One action: its button, what is entered, and whether it overwrites what somebody else may have changed."""

    button: str
    values: Json = field(default_factory=dict)
    form: bool = True
    overwrites: bool = True

    def __str__(self) -> str:
        return self.button


_DONE = {"close_code": {"label": "Duplicate", "value": "Duplicate"}, "close_notes": "Done"}
CASES = (
    Case("comment", {"comments": "Hello", "action": "add"}, overwrites=False),
    Case("note", {"work_notes": "Hello", "action": "add"}, overwrites=False),
    Case("state", {"state": {"label": "In Progress", "value": "2"}}),
    Case("resolve", _DONE),
    Case("assign", {"assigned_to": "me"}),
    Case("priority", {"impact": {"label": "1 - High", "value": "1"}}),
    Case("mine", form=False, overwrites=False),
    Case("watch", form=False, overwrites=False),
)
every_action = pytest.mark.parametrize("case", CASES, ids=str)


@pytest.fixture
def agent(world: World) -> MattermostClient:
    """A connected agent."""
    return world.connected("agent")


def ready(person: MattermostClient, case: Case) -> Json:
    """The form that the action's last press is in."""
    return opened(act(person, NUMBER, case.button)) if case.form else view(person, NUMBER)


def finish(person: MattermostClient, form: Json, case: Case) -> Json:
    """The last press."""
    return person.submit(form, case.values if case.form else {"action": case.button})


def state_of(world: World) -> tuple[dict[str, str], int]:
    """The record and how many journal entries it has."""
    found = row(world, NUMBER)
    return found, len(world.servicenow.store.journal(found["sys_id"], "comments", "work_notes"))


@every_action
def test_it_works(world: World, agent: MattermostClient, case: Case) -> None:
    """Nothing in the way: the record is changed, once."""
    before = state_of(world)
    form = ready(agent, case)
    world.servicenow.clear_requests()
    answer = finish(agent, form, case)
    assert answer["type"] == ("form" if case.button in {"comment", "note"} else "ok"), answer
    assert [entry["method"] for entry in written(world)] == ["PATCH"]
    assert state_of(world) != before


@every_action
def test_not_connected(world: World, agent: MattermostClient, case: Case) -> None:
    """The account was disconnected meanwhile: the way to connect, and nothing asked of ServiceNow."""
    form = ready(agent, case)
    agent.command("disconnect")
    world.servicenow.clear_requests()
    answer = finish(agent, form, case)
    assert answer["type"] == "error"
    assert "oauth2/remote/connect" in answer["text"]
    assert world.asked() == []


@every_action
def test_the_record_is_gone(world: World, agent: MattermostClient, case: Case) -> None:
    """Deleted while the form was open: said so."""
    form = ready(agent, case)
    world.administer("DELETE", f"/api/now/table/incident/{row(world, NUMBER)['sys_id']}", {})
    answer = finish(agent, form, case)
    assert answer["type"] == "error"
    assert "no such record, or your account may not see it" in answer["text"]


@every_action
def test_servicenow_is_silent(world: World, agent: MattermostClient, case: Case) -> None:
    """Nothing is saved; the form is as it was and works later."""
    before = state_of(world)
    form = ready(agent, case)
    world.servicenow.fault("hibernating", TABLE)
    answer = finish(agent, form, case)
    assert answer["type"] == "error"
    assert "asleep" in answer["text"]
    assert state_of(world) == before
    assert finish(agent, form, case)["type"] in {"ok", "form"}
    assert state_of(world) != before


@every_action
def test_a_rule_of_the_instance_refuses(world: World, agent: MattermostClient, case: Case) -> None:
    """A column that the instance demands and the record lacks: named by its label, nothing is saved."""
    form = ready(agent, case)
    column = {"name": "incident", "element": "business_impact", "column_label": "Business impact", "mandatory": "true"}
    world.administer("POST", "/api/now/table/sys_dictionary", column)
    before = state_of(world)
    answer = finish(agent, form, case)
    assert answer["type"] == "error"
    assert "ServiceNow demands more: Business impact" in answer["text"]
    assert state_of(world) == before


@every_action
def test_the_record_changed_meanwhile(world: World, agent: MattermostClient, case: Case) -> None:
    """What overwrites shows first what it is now, and does it when sent again; what adds, adds."""
    form = ready(agent, case)
    sys_id = row(world, NUMBER)["sys_id"]
    world.administer("PATCH", f"/api/now/table/incident/{sys_id}", {"urgency": "1", "description": "Worse"})
    before = state_of(world)
    answer = finish(agent, form, case)
    if case.overwrites:
        shown = opened(answer)
        assert "**admin** changed INC0010001 since you opened it" in shown["header"]
        assert state_of(world) == before
        answer = agent.submit(shown, {})
        assert answer["type"] == "ok", answer
    assert state_of(world) != before
    assert row(world, NUMBER)["description"] == "Worse"


@pytest.mark.parametrize(
    ("case", "kind"),
    [
        *((case, "500_after_commit") for case in CASES),
        # The first answer of all others is a read, which is repeated.
        *((case, "truncated") for case in CASES if case.button in {"comment", "note"}),
    ],
    ids=str,
)
def test_the_answer_to_a_write_is_lost(world: World, agent: MattermostClient, case: Case, kind: str) -> None:
    """It was saved: found out by looking, confirmed, and not written twice."""
    form = ready(agent, case)
    before = state_of(world)
    world.servicenow.clear_requests()
    world.servicenow.fault(kind, TABLE)
    answer = finish(agent, form, case)
    assert answer["type"] in {"ok", "form"}, answer
    assert len(written(world)) == 1
    assert state_of(world) != before


@pytest.mark.parametrize(
    ("command", "values"),
    [
        ("comment", {"comments": "Hello"}),
        ("state", {"state": "Canceled"}),
        ("assign", {"assigned_to": "me"}),
    ],
)
def test_without_the_right_to_write(world: World, command: str, values: Json) -> None:
    """An approver may read the change and not write it: ServiceNow's refusal in words, nothing saved."""
    approver = world.connected("approver")
    before = row(world, "CHG0030002")
    answer = approver.command(command, {"record": "CHG0030002", **values})
    assert answer["type"] == "error"
    assert "your account may not" in answer["text"]
    assert row(world, "CHG0030002") == before


def test_a_refusal_stands_at_the_field_that_bears_its_label(world: World, agent: MattermostClient) -> None:
    """The group may not be empty on this instance: said at the group."""
    form = ready(agent, Case("assign"))
    column = {"name": "incident", "element": "assignment_group", "column_label": "Assignment group"}
    world.administer("POST", "/api/now/table/sys_dictionary", column | {"mandatory": "true"})
    answer = agent.submit(form, {"assigned_to": "me"})
    assert answer["data"]["errors"] == {"assignment_group": "ServiceNow demands this: Assignment group."}
    assert row(world, NUMBER)["assigned_to"] == ""


def test_a_form_s_state_is_one_person_s(world: World, agent: MattermostClient) -> None:
    """Sent by somebody else, or for another path: refused, nothing done."""
    form = ready(agent, CASES[2])
    other = world.connected("agent2")
    before = state_of(world)
    for person, path in ((other, "/record/state/submit"), (agent, "/record/assign/submit")):
        call = form["submit"] | {"path": path}
        answer = person.call(call, values={"state": {"label": "x", "value": "2"}, "assigned_to": "me"})
        assert answer["type"] == "error"
        assert "could not be verified" in answer["text"]
    assert state_of(world) == before
