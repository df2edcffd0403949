"""Business rules run around every save (update-set reference §4.5; API reference §11.2)."""

import pytest
import requests

from tests.contract.servicenow.conftest import Instance
from tests.contract.servicenow.update_set import SCOPE, UpdateSet, sys_id


def test_a_parents_rules_run_for_children_in_order(instance: Instance) -> None:
    """A rule on task runs for a facility incident, whose class `current` shows; the lowest order comes first."""
    update_set = UpdateSet()
    update_set.rule("incident", "gs.info('incident');", order="200")
    update_set.rule("task", "gs.info('task ' + current.sys_class_name);", order="100")
    update_set.rule("u_facility_incident", "gs.info('facility');", order="1000")
    update_set.rule("problem", "gs.info('problem');")
    update_set.rule("incident", "gs.info('inactive');", "inactive", active="false")
    instance.commit(update_set)
    instance.insert("u_facility_incident", {"short_description": "Door", "u_building": "A"}, "agent")
    assert instance.logged() == ["task u_facility_incident", "incident", "facility"]


def test_each_operation_has_its_rules(instance: Instance) -> None:
    """Insert, update and delete; an update without changes runs no rule."""
    update_set = UpdateSet()
    for operation in ("insert", "update", "delete"):
        flags = {f"action_{one}": str(one == operation).lower() for one in ("insert", "update", "delete")}
        script = f"gs.info('{operation} ' + current.operation() + ' ' + (previous === null));"
        update_set.rule("incident", script, operation, **flags)
    instance.commit(update_set)
    incident = instance.insert("incident", {"short_description": "Printer"}, "agent")
    instance.update("incident", incident["sys_id"], {"short_description": "Printer"}, "agent")
    assert instance.logged() == ["insert insert true"]
    instance.update("incident", incident["sys_id"], {"short_description": "Scanner"}, "agent")
    assert instance.send("DELETE", f"/api/now/table/incident/{incident['sys_id']}").status_code == 204
    assert instance.logged() == ["insert insert true", "update update false", "delete delete false"]


def test_a_rule_runs_only_if_its_conditions_hold(instance: Instance) -> None:
    """The filter and the condition script are both required; a condition that throws doesn't hold."""
    update_set = UpdateSet()
    update_set.rule("incident", "gs.info('urgent');", "1", filter_condition="urgency=1^EQ")
    update_set.rule("incident", "gs.info('calm');", "2", filter_condition="urgency=3")
    update_set.rule("incident", "gs.info('said');", "3", condition="current.short_description.indexOf === undefined")
    update_set.rule("incident", "gs.info('never');", "4", condition="current.urgency == 3")
    update_set.rule("incident", "gs.info('broken');", "5", condition="current.nothing.more")
    instance.commit(update_set)
    instance.insert("incident", {"short_description": "Printer", "urgency": "1"}, "agent")
    assert instance.logged() == ["urgent", "said"]


def test_before_rules_change_what_is_saved(instance: Instance) -> None:
    """Their values are in the answer, and the instance's own rules see them."""
    update_set = UpdateSet()
    script = "current.urgency = 1; current.setValue('impact', '1'); current.assigned_to.setDisplayValue('Aiko Agent');"
    update_set.rule("incident", script, when="before")
    instance.commit(update_set)
    row = instance.insert("incident", {"short_description": "Printer"}, "agent", sysparm_display_value="true")
    assert row["priority"] == "1 - Critical"
    assert row["assigned_to"]["display_value"] == "Aiko Agent"


def test_before_rules_can_abort_a_save(instance: Instance) -> None:
    """403 with the rule's name, and nothing is saved, changed or deleted."""
    update_set = UpdateSet()
    script = "if (current.short_description == 'Bad' || current.operation() == 'delete') current.setAbortAction(true);"
    key = update_set.rule("incident", script, "No", when="before", action_delete="true")
    instance.commit(update_set)
    response = instance.send("POST", "/api/now/table/incident", {"short_description": "Bad"}, "agent")
    assert response.status_code == 403
    detail = f"Operation against file 'incident' was aborted by Business Rule 'No^{key}'. Business Rule Stack:No"
    assert response.json()["error"] == {"message": "Operation Failed", "detail": detail}
    incident = instance.insert("incident", {"short_description": "Good"}, "agent")
    path = f"/api/now/table/incident/{incident['sys_id']}"
    assert instance.send("PATCH", path, {"short_description": "Bad"}, "agent").status_code == 403
    assert instance.send("DELETE", path).status_code == 403
    assert instance.double.row("incident", incident["sys_id"])["short_description"] == "Good"


def test_a_rule_isnt_started_by_its_own_save(instance: Instance) -> None:
    """A rule that saves its record runs once; rules that start each other endlessly are stopped."""
    update_set = UpdateSet()
    update_set.rule("incident", "gs.info('once'); current.short_description = 'Twice'; current.update();")
    update_set.table("x_example_thing", {"name": "string"})
    script = "var g = new GlideRecord('x_example_thing'); g.name = current.name + 'x'; g.insert();"
    update_set.rule("x_example_thing", script)
    instance.commit(update_set)
    incident = instance.insert("incident", {"short_description": "Printer"}, "agent")
    assert incident["short_description"] == "Twice"
    assert instance.logged() == ["once"]
    instance.insert("x_example_thing", {"name": "a"})
    assert len(instance.double.rows("x_example_thing")) < 30
    assert any("Recursion" in message for message in instance.logged("2"))


def test_async_rules_run_later_without_changes(instance: Instance) -> None:
    """They have no previous, and `changes()` is false."""
    update_set = UpdateSet()
    script = "gs.info((previous === null) + ' ' + current.state.changes() + ' ' + current.state);"
    update_set.rule("incident", script, when="async")
    instance.commit(update_set)
    incident = instance.insert("incident", {"short_description": "Printer"}, "agent")
    instance.update("incident", incident["sys_id"], {"state": "2"}, "agent")
    instance.settle()
    assert instance.logged() == ["true false 1", "true false 2"]


def test_a_script_may_save_without_rules_in_its_own_tables_alone(instance: Instance) -> None:
    """`setWorkflow(false)` keeps rules of the own scope's table back, and does nothing for incidents."""
    update_set = UpdateSet()
    update_set.table("x_example_thing", {"name": "string"})
    update_set.rule("x_example_thing", "gs.info('thing ' + current.name);")
    update_set.rule("task", "gs.info('task ' + current.short_description);")
    script = """
        var a = new GlideRecord('x_example_thing'); a.name = 'loud'; a.insert();
        var b = new GlideRecord('x_example_thing'); b.name = 'quiet'; b.setWorkflow(false); b.insert();
        var c = new GlideRecord('task'); c.short_description = 'made'; c.setWorkflow(false); c.insert();
    """
    update_set.rule("incident", script, order="50")
    instance.commit(update_set)
    instance.insert("incident", {"short_description": "Printer"}, "agent")
    assert instance.logged() == ["thing loud", "task made", "task Printer"]


@pytest.mark.parametrize(
    "odd",
    [
        {"when": "display"},
        {"action_query": "true", "when": "before"},
        {"role_conditions": "itil"},
        {"template": "state=2"},
        {"abort_action": "true"},
        {"filter_condition": "stateVALCHANGES"},
    ],
)
def test_other_kinds_of_rules_are_rejected(instance: Instance, odd: dict[str, str]) -> None:
    """501 that names the rule, and nothing of the set is committed."""
    update_set = UpdateSet()
    update_set.include("Kept", "var Kept = 1;")
    update_set.rule("incident", "gs.info('x');", "odd", **odd)
    response = requests.post(f"{instance.url}/_sandbox/update-sets", data=update_set.xml(), timeout=10)
    assert response.status_code == 501
    assert "odd" in response.text
    assert instance.double.rows("sys_script_include") == []


def test_a_rule_created_over_rest_aborts_matching_saves(instance: Instance) -> None:
    """It has no script; the error shows the rule's name, not its message. A rule that would never run is rejected."""
    rule = {
        "name": "No test files", "collection": "incident", "active": True, "when": "before", "order": 100,
        "action_insert": True, "action_update": True, "abort_action": True, "add_message": True,
        "message": "Not here", "filter_condition": "short_descriptionLIKEEICAR^EQ",
    }  # fmt: skip
    made = instance.insert("sys_script", rule)
    kept = instance.insert("incident", {"short_description": "Printer"}, "agent")
    refused = [
        instance.send("POST", "/api/now/table/incident", {"short_description": "EICAR"}, "agent"),
        instance.send("PATCH", f"/api/now/table/incident/{kept['sys_id']}", {"short_description": "EICAR"}, "agent"),
    ]
    told = f"was aborted by Business Rule 'No test files^{made['sys_id']}'. Business Rule Stack:No test files"
    for answer in refused:
        assert (answer.status_code, answer.json()["error"]["message"]) == (403, "Operation Failed")
        assert answer.json()["error"]["detail"] == f"Operation against file 'incident' {told}"
    assert instance.double.row("incident", kept["sys_id"])["short_description"] == "Printer"
    for odd in ({"when": "display"}, {"when": "after"}, {"template": "state=2"}):
        answer = instance.send("POST", "/api/now/table/sys_script", rule | odd)
        assert answer.status_code == 501
        assert "No test files" in answer.text
    assert len(instance.double.rows("sys_script")) == 1


def test_scopes_in_tracking_mode(instance: Instance) -> None:
    """A first access to another scope's table is allowed and recorded once; a table without access rejects it."""
    other = UpdateSet("Other", scope="x_other")
    other.table("x_other_open", {"name": "string"})
    other.table("x_other_closed", {"name": "string"}, flags={"read_access": "false"})
    instance.commit(other)
    for table in ("x_other_open", "x_other_closed"):
        instance.insert(table, {"name": "one"})
    script = """
        ['x_other_open', 'x_other_closed'].forEach(function (table) {
          var g = new GlideRecord(table); g.query(); g.query(); var n = g.getRowCount();
          gs.info(table + ' ' + n + ' ' + g.insert());
        });
    """
    assert instance.says(script) == ["x_other_open 1 null", "x_other_closed 0 null"]
    rows = instance.double.rows("sys_scope_privilege")
    assert [(row["target_name"], row["operation"], row["status"]) for row in rows] == [
        ("x_other_open", "read", "allowed")
    ]
    assert rows[0]["source_scope"] == sys_id(f"app {SCOPE}")
    assert len(instance.logged("2")) == 4


def test_scopes_in_enforcing_mode(instance: Instance) -> None:
    """Only the set's own access is allowed; other access is rejected and recorded as a request."""
    update_set = UpdateSet(tracking="enforcing")
    allowed = {"source_scope": update_set.application, "target_scope": "global", "target_name": "sys_choice"}
    update_set.record("sys_scope_privilege", sys_id("p"), allowed | {"operation": "read", "status": "allowed"})
    script = """
        var g = new GlideRecord('sys_choice'); g.query(); var h = new GlideRecord('sys_user'); h.query();
        gs.info((g.getRowCount() > 0) + ' ' + h.getRowCount());
    """
    update_set.rule("incident", script)
    instance.commit(update_set)
    instance.insert("incident", {"short_description": "Printer"}, "agent")
    assert instance.logged() == ["true 0"]
    [asked] = [row for row in instance.double.rows("sys_scope_privilege") if row["target_name"] == "sys_user"]
    assert asked["status"] == "requested"
