"""Every action on a record under every obstacle: a correct message, and nothing half done."""

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
    """One action: its button, its values, and whether it overwrites what someone else changed."""

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


def open_form(person: MattermostClient, case: Case) -> Json:
    """The form of the action's last press."""
    return opened(act(person, NUMBER, case.button)) if case.form else view(person, NUMBER)


def finish(person: MattermostClient, form: Json, case: Case) -> Json:
    """The last press."""
    return person.submit(form, case.values if case.form else {"action": case.button})


def state_of(world: World) -> tuple[dict[str, str], int]:
    """The record and its number of journal entries."""
    found = row(world, NUMBER)
    return found, len(world.servicenow.store.journal(found["sys_id"], "comments", "work_notes"))


@every_action
def test_it_works(world: World, agent: MattermostClient, case: Case) -> None:
    """Without an obstacle, the record is changed once."""
    before = state_of(world)
    form = open_form(agent, case)
    world.servicenow.clear_requests()
    answer = finish(agent, form, case)
    assert answer["type"] == ("form" if case.button in {"comment", "note"} else "ok"), answer
    assert [entry["method"] for entry in written(world)] == ["PATCH"]
    assert state_of(world) != before


@every_action
def test_not_connected(world: World, agent: MattermostClient, case: Case) -> None:
    """
    The account was disconnected in the meantime: the answer links to connecting, and nothing is sent to ServiceNow.
    """
    form = open_form(agent, case)
    agent.command("disconnect")
    world.servicenow.clear_requests()
    answer = finish(agent, form, case)
    assert answer["type"] == "error"
    assert "oauth2/remote/connect" in answer["text"]
    assert world.asked() == []


@every_action
def test_the_record_is_deleted(world: World, agent: MattermostClient, case: Case) -> None:
    """It was deleted while the form was open: the answer says so."""
    form = open_form(agent, case)
    world.administer("DELETE", f"/api/now/table/incident/{row(world, NUMBER)['sys_id']}", {})
    answer = finish(agent, form, case)
    assert answer["type"] == "error"
    assert "no such record, or your account may not see it" in answer["text"]


@every_action
def test_servicenow_doesnt_answer(world: World, agent: MattermostClient, case: Case) -> None:
    """Nothing is saved; the form is unchanged and works later."""
    before = state_of(world)
    form = open_form(agent, case)
    world.servicenow.fault("hibernating", TABLE)
    answer = finish(agent, form, case)
    assert answer["type"] == "error"
    assert "asleep" in answer["text"]
    assert state_of(world) == before
    assert finish(agent, form, case)["type"] in {"ok", "form"}
    assert state_of(world) != before


@every_action
def test_a_rule_of_the_instance_rejects_it(world: World, agent: MattermostClient, case: Case) -> None:
    """The instance requires a column that the record lacks: the answer names its label, and nothing is saved."""
    form = open_form(agent, case)
    column = {"name": "incident", "element": "business_impact", "column_label": "Business impact", "mandatory": "true"}
    world.administer("POST", "/api/now/table/sys_dictionary", column)
    before = state_of(world)
    answer = finish(agent, form, case)
    assert answer["type"] == "error"
    assert "ServiceNow demands more: Business impact" in answer["text"]
    assert state_of(world) == before


@every_action
def test_the_record_was_changed_by_someone_else(world: World, agent: MattermostClient, case: Case) -> None:
    """An action that overwrites first shows the current values and saves when submitted again; one that adds, adds."""
    form = open_form(agent, case)
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
        # For all others the first request is a read, which is retried.
        *((case, "truncated") for case in CASES if case.button in {"comment", "note"}),
    ],
    ids=str,
)
def test_the_answer_to_a_write_is_lost(world: World, agent: MattermostClient, case: Case, kind: str) -> None:
    """It was saved: a lookup confirms it, and it isn't written twice."""
    form = open_form(agent, case)
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
def test_without_write_access(world: World, command: str, values: Json) -> None:
    """An approver can read the change but not write it: the answer gives ServiceNow's reason, and nothing is saved."""
    approver = world.connected("approver")
    before = row(world, "CHG0030002")
    answer = approver.command(command, {"record": "CHG0030002", **values})
    assert answer["type"] == "error"
    assert "your account may not" in answer["text"]
    assert row(world, "CHG0030002") == before


def test_an_error_is_shown_at_the_field_with_its_label(world: World, agent: MattermostClient) -> None:
    """This instance requires the group: the error is at the group."""
    form = open_form(agent, Case("assign"))
    column = {"name": "incident", "element": "assignment_group", "column_label": "Assignment group"}
    world.administer("POST", "/api/now/table/sys_dictionary", column | {"mandatory": "true"})
    answer = agent.submit(form, {"assigned_to": "me"})
    assert answer["data"]["errors"] == {"assignment_group": "ServiceNow demands this: Assignment group."}
    assert row(world, NUMBER)["assigned_to"] == ""


def test_a_forms_state_is_bound_to_one_person(world: World, agent: MattermostClient) -> None:
    """Submitted by someone else, or for another path, it is rejected, and nothing is done."""
    form = open_form(agent, CASES[2])
    other = world.connected("agent2")
    before = state_of(world)
    for person, path in ((other, "/record/state/submit"), (agent, "/record/assign/submit")):
        call = form["submit"] | {"path": path}
        answer = person.call(call, values={"state": {"label": "x", "value": "2"}, "assigned_to": "me"})
        assert answer["type"] == "error"
        assert "could not be verified" in answer["text"]
    assert state_of(world) == before
