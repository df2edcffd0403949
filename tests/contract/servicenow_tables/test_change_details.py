"""A change's parts in the Change Management API: tasks, items, conflicts, free windows and approvals."""

import json

import pytest
import requests

from sandbox.servicenow import ServiceNowDouble
from sandbox.servicenow.seed.records import sys_id
from tests.contract.servicenow_tables.asking import Json, error, recorded, send
from tests.contract.servicenow_tables.test_change_api import API, in_state

TABLE = "/api/now/table/change_request"


def result(answer: requests.Response, status: int = 200) -> Json:
    """The result of an answer, which must have this status."""
    assert answer.status_code == status, answer.text
    found: Json = answer.json()["result"]
    return found


def done(double: ServiceNowDouble, worker: Json) -> Json:
    """Read a waiting job again, which must be complete."""
    assert worker["state"] == {"value": 1, "display_value": "Waiting"}
    assert "payload" not in worker
    link = worker["worker"]["link"].removeprefix(double.url)
    found = result(send(double, "GET", link))
    assert found["state"] == {"value": 3, "display_value": "Complete"}
    assert result(send(double, "GET", link)) == found
    return found


def planned(double: ServiceNowDouble, row: Json, start: str, end: str) -> str:
    """Plan a change; returns its path in the API."""
    dates = {"start_date": start, "end_date": end}
    assert send(double, "PATCH", f"{TABLE}/{row['sys_id']}", dates).status_code == 200
    return f"{API}/{row['sys_id']}"


# --- tasks and items


def test_tasks_can_be_listed_created_changed_and_deleted(double: ServiceNowDouble) -> None:
    """Cells have both values. Unknown fields are listed. A task isn't found below another change."""
    change, other = in_state(double, "-5"), in_state(double, "-1")
    path = f"{API}/{change['sys_id']}/task"
    assert [set(row) for row in send(double, "GET", path).json()["result"]] == [{"__meta"}]
    body = {"short_description": "Retire node", "assignment_group": "Network", "no_such_field": "1"}
    made = result(send(double, "POST", path, body))
    documented = recorded("change", "Task creation answers")["response"]["body"]["result"][0]
    assert set(documented) <= set(made)
    assert made["__meta"] == documented["__meta"]
    assert made["parent"] == {"display_value": change["number"], "value": change["sys_id"]}
    assert made["assignment_group"]["value"] == sys_id("group Network")
    task = made["sys_id"]["value"]
    listed = send(double, "GET", path, sysparm_query="active=true^ORDERBYnumber").json()["result"]
    assert [row["sys_id"]["value"] for row in listed[:-1]] == [task]
    changed = result(send(double, "PATCH", f"{path}/{task}", {"short_description": "Retire both nodes", "state": 2}))
    assert (changed["short_description"]["value"], changed["state"]["value"]) == ("Retire both nodes", 2.0)
    elsewhere = f"{API}/{other['sys_id']}/task/{task}"
    assert error(send(double, "PATCH", elsewhere, {"state": 3}))[:2] == (404, "No Record found")
    assert error(send(double, "DELETE", f"{path}/{task}"))[0] == 403
    gone = result(send(double, "DELETE", f"{path}/{task}", who="admin"))
    assert gone["short_description"]["value"] == "Retire both nodes"
    assert error(send(double, "PATCH", f"{path}/{task}", {"state": 3}))[0] == 404
    assert send(double, "GET", path, who="requester").status_code == 403


def test_affected_items_include_the_change_s_own(double: ServiceNowDouble) -> None:
    """It is added automatically. The association type is required."""
    change = in_state(double, "-5")
    path = f"{API}/{change['sys_id']}/ci"
    [item, _] = send(double, "GET", path, association_type="affected").json()["result"]
    assert item["ci_item"] == {"display_value": "Wi-Fi controller", "value": sys_id("ci Wi-Fi controller")}
    assert item["task"]["value"] == change["sys_id"]
    send(double, "PATCH", f"{TABLE}/{change['sys_id']}", {"cmdb_ci": sys_id("ci Intranet")})
    send(double, "PATCH", f"{TABLE}/{change['sys_id']}", {"cmdb_ci": sys_id("ci Wi-Fi controller")})
    items = send(double, "GET", path, association_type="affected").json()["result"][:-1]
    assert [one["ci_item"]["display_value"] for one in items] == ["Wi-Fi controller", "Intranet"]
    assert error(send(double, "GET", path))[0] == 400
    assert error(send(double, "GET", path, association_type="all"))[0] == 400
    for other in ("impacted", "offering"):
        refused = send(double, "GET", path, association_type=other)
        assert refused.status_code == 501
        assert path in refused.text


# --- conflicts and windows


def test_the_last_conflict_check_can_be_read(double: ServiceNowDouble) -> None:
    """Its status is not run, no conflict or conflict, with the conflicting change and the documented keys."""
    row = in_state(double, "-5")
    path = planned(double, row, "2027-01-01 10:00:00", "2027-01-01 12:00:00")
    nothing = {"last_run": "", "record_count": "0", "job_status": "", "conflicts": []}
    assert result(send(double, "GET", f"{path}/conflict")) == {"status": "Not Run"} | nothing
    done(double, result(send(double, "POST", f"{path}/conflict")))
    none = result(send(double, "GET", f"{path}/conflict"))
    assert (none["status"], none["conflicts"], none["record_count"]) == ("No Conflict", [], "0")
    assert none["last_run"]
    twin = {"cmdb_ci": row["cmdb_ci"], "start_date": "2027-01-01 11:00:00", "end_date": "2027-01-01 13:00:00"}
    other = send(double, "POST", TABLE, twin | {"short_description": "Twin"}).json()["result"]
    done(double, result(send(double, "POST", f"{path}/conflict")))
    found = result(send(double, "GET", f"{path}/conflict"))
    assert (found["status"], found["record_count"], found["job_status"]) == ("Conflict", "1", "2")
    [conflict] = found["conflicts"]
    assert conflict["change"] == {"display_value": row["number"], "value": row["sys_id"]}
    assert conflict["conflicting_change"]["value"] == other["sys_id"]
    assert conflict["type"] == {"display_value": "CI Already Scheduled", "value": "ci_already_scheduled"}


def test_free_windows_are_found_around_other_changes(double: ServiceNowDouble) -> None:
    """They have the change's length and the reader's zone, and don't overlap other changes of the item."""
    row = in_state(double, "-5")
    path = planned(double, row, "2027-01-01 10:00:00", "2027-01-01 12:00:00")
    busy = {"cmdb_ci": row["cmdb_ci"], "start_date": "2027-01-01 12:30:00", "end_date": "2027-01-01 13:00:00"}
    send(double, "POST", TABLE, busy | {"short_description": "Other"})
    agent = double.row("sys_user", sys_id("user agent"))
    double.store.put("sys_user", agent | {"time_zone": "America/Los_Angeles"})
    worker = result(send(double, "GET", f"{path}/schedule"), 202)
    assert (worker["type"], json.loads(worker["request"])) == (
        "schedule",
        {"change_sys_id": row["sys_id"], "timezone": "America/Los_Angeles"},
    )
    spans = done(double, worker)["payload"]["spans"]
    assert [(span["start"]["value"][11:16], span["end"]["value"][11:16]) for span in spans[:3]] == [
        ("10:00", "12:00"), ("13:00", "15:00"), ("15:00", "17:00"),
    ]  # fmt: skip
    assert spans[0]["start"]["display_value"] == "2027-01-01 02:00:00"
    item = f"{API}/ci/{row['cmdb_ci']}/schedule"
    asked = {"duration_in_seconds": "1800", "planned_start_time": "2027-01-01 12:15:00"}
    spans = done(double, result(send(double, "GET", item, **asked), 202))["payload"]["spans"]
    assert spans[0]["start"]["value"] == "2027-01-01 13:00:00"
    assert error(send(double, "GET", item))[0] == 400
    assert error(send(double, "GET", f"{API}/ci/nosuch/schedule", duration_in_seconds="60"))[0] == 400
    send(double, "PATCH", f"{TABLE}/{row['sys_id']}", {"end_date": ""})
    assert error(send(double, "GET", f"{path}/schedule"))[0] == 400


def test_a_change_can_be_planned_in_the_first_free_window(double: ServiceNowDouble) -> None:
    """A worker with the documented format does this. The duration is required."""
    row = in_state(double, "-5")
    path = f"{API}/{row['sys_id']}/schedule/first_available"
    body = {"duration_in_seconds": 10800, "planned_start_time": "2027-02-01 08:00:00"}
    worker = result(send(double, "PATCH", path, body), 202)
    documented = recorded("change", "PATCH schedule/first_available")["response"]["body"]["result"]
    assert set(worker) == set(documented)
    assert set(json.loads(worker["request"])) == set(json.loads(documented["request"]))
    assert {name: worker[name] for name in ("state", "type", "messages")} == {
        name: documented[name] for name in ("state", "type", "messages")
    }
    done(double, worker)
    now = double.row("change_request", row["sys_id"])
    assert (now["start_date"], now["end_date"]) == ("2027-02-01 08:00:00", "2027-02-01 11:00:00")
    for wrong in ({}, {"duration_in_seconds": "soon"}, {"duration_in_seconds": 60, "planned_start_time": "soon"}):
        assert error(send(double, "PATCH", path, wrong))[0] == 400


# --- approvals


def asked_of(double: ServiceNowDouble, user_name: str) -> str:
    """Request a change's approval from this person; returns the change's path."""
    change = in_state(double, "-4")
    [row] = [
        one
        for one in double.rows("sysapproval_approver")
        if one["sysapproval"] == change["sys_id"] and one["state"] == "requested"
    ]
    double.store.put("sysapproval_approver", row | {"approver": sys_id(f"user {user_name}")})
    return f"{API}/{change['sys_id']}"


def test_people_can_decide_only_their_own_approvals(double: ServiceNowDouble) -> None:
    """The answer is the updated change. A second decision gets 400."""
    path = asked_of(double, "agent")
    refused = send(double, "PATCH", f"{path}/approvals", {"state": "approved"}, "agent2")
    assert error(refused)[0] == 400
    decided = result(send(double, "PATCH", f"{path}/approvals", {"state": "approved"}))
    assert decided["state"] == {"display_value": "Authorize", "value": -3.0}
    assert decided["sys_id"]["value"] == path.rpartition("/")[2]
    assert error(send(double, "PATCH", f"{path}/approvals", {"state": "approved"}))[0] == 400


def test_a_rejection_needs_a_reason(double: ServiceNowDouble) -> None:
    """The approval stores it, and the change returns to New."""
    path = asked_of(double, "agent")
    for wrong in ({"state": "rejected"}, {"state": "cancelled"}, {}):
        assert error(send(double, "PATCH", f"{path}/approvals", wrong))[0] == 400
    body = {"state": "rejected", "comments": "Not this week"}
    decided = result(send(double, "PATCH", f"{path}/approvals", body))
    assert (decided["state"]["value"], decided["approval"]["value"]) == (-5.0, "rejected")
    [row] = [one for one in double.rows("sysapproval_approver") if one["state"] == "rejected"]
    assert double.store.journal(row["sys_id"], "comments")[0]["value"] == "Not this week"


def test_the_api_needs_a_role(double: ServiceNowDouble) -> None:
    """As documented, an approver without a role can't use this API."""
    path = asked_of(double, "approver")
    answer = send(double, "PATCH", f"{path}/approvals", {"state": "approved"}, "approver")
    assert error(answer) == (403, "User Not Authorized", "Failed API level ACL Validation")


# --- the Table API


def test_a_standard_change_over_the_table_api_copies_its_template(double: ServiceNowDouble) -> None:
    """It has the template's four texts, and its title by default. Without a valid template, it is normal."""
    template = double.rows("std_change_producer_version")[0]
    body = {"type": "standard", "std_change_producer_version": template["sys_id"], "description": "mine"}
    row = send(double, "POST", TABLE, body).json()["result"]
    assert (row["type"], row["short_description"]) == ("standard", "Reboot a server")
    owned = ("description", "implementation_plan", "backout_plan", "test_plan")
    assert {name: row[name] for name in owned} == {name: template[name] for name in owned}
    titled = send(double, "POST", TABLE, body | {"short_description": "Restart it"}).json()["result"]
    assert titled["short_description"] == "Restart it"
    unknown = send(double, "POST", TABLE, body | {"std_change_producer_version": "0" * 32}).json()["result"]
    assert (unknown["type"], unknown["description"]) == ("normal", "mine")


@pytest.mark.parametrize("path", ["/task", "/ci", "/conflict", "/schedule", "/approvals"])
def test_an_unknown_change_is_not_found(double: ServiceNowDouble, path: str) -> None:
    """Each route answers 404."""
    method = "PATCH" if path == "/approvals" else "GET"
    assert error(send(double, method, f"{API}/{'0' * 32}{path}", {}))[:2] == (404, "No Record found")
