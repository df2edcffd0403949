"""Incidents, problems, changes, approvals and articles in the double: states, required fields, errors and ACLs."""

import pytest

from sandbox.servicenow import ServiceNowDouble
from sandbox.servicenow.seed.records import sys_id
from tests.contract.servicenow_tables.asking import Json, error, recorded, send
from tests.contract.servicenow_tables.browsing import Browser, refused

INCIDENT, PROBLEM, CHANGE = (f"/api/now/table/{name}" for name in ("incident", "problem", "change_request"))
APPROVAL, ARTICLE = "/api/now/table/sysapproval_approver", "/api/now/table/kb_knowledge"
POLICY = "Data Policy Exception: The following fields are mandatory: "


def insert(double: ServiceNowDouble, path: str, who: str = "agent", **body: str) -> Json:
    """Insert a row, which must succeed."""
    answer = send(double, "POST", path, {"short_description": "x"} | body, who)
    assert answer.status_code == 201, answer.text
    row: Json = answer.json()["result"]
    return row


def patch(double: ServiceNowDouble, path: str, row: Json, who: str = "agent", **body: str) -> Json:
    """Change a row, which must succeed."""
    answer = send(double, "PATCH", f"{path}/{row['sys_id']}", body, who)
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()["result"]
    return found


def refusal(double: ServiceNowDouble, path: str, row: Json, who: str = "agent", **body: str) -> str:
    """Try a change, which must get 403 and leave the row unchanged; returns the detail."""
    table = path.rpartition("/")[2]
    before = double.row(table, row["sys_id"])
    answer = send(double, "PATCH", f"{path}/{row['sys_id']}", body, who)
    assert answer.status_code == 403
    assert answer.json()["error"]["message"] == "Operation Failed"
    assert double.row(table, row["sys_id"]) == before
    return str(answer.json()["error"]["detail"])


def approvals(double: ServiceNowDouble, change: Json, state: str) -> list[Json]:
    """A change's approvals in this state."""
    rows = double.rows("sysapproval_approver")
    return [row for row in rows if (row["sysapproval"], row["state"]) == (change["sys_id"], state)]


# --- incident


def test_a_resolved_incident_in_progress_again_counts_as_reopened(double: ServiceNowDouble) -> None:
    """Resolving sets who and when, and keeps it active. Reopening clears both and increments the count."""
    row = insert(double, INCIDENT)
    solved = {"state": "6", "close_code": "Solution provided", "close_notes": "Done"}
    row = patch(double, INCIDENT, row, **solved)
    assert (row["resolved_by"]["value"], row["active"], row["closed_at"]) == (sys_id("user agent"), "true", "")
    assert row["incident_state"] == "6"
    row = patch(double, INCIDENT, row, state="2")
    assert (row["resolved_by"], row["resolved_at"], row["reopen_count"]) == ("", "", "1")
    assert row["reopened_by"]["value"] == sys_id("user agent")
    assert patch(double, INCIDENT, row, state="2")["reopen_count"] == "1"
    closed = patch(double, INCIDENT, row, **solved | {"state": "7"})
    assert (closed["active"], closed["closed_by"]["value"]) == ("false", sys_id("user agent"))


def test_a_caller_s_comment_resumes_an_incident_on_hold(double: ServiceNowDouble) -> None:
    """Over REST, the on hold reason is optional. Other people's comments leave the incident on hold."""
    row = insert(double, INCIDENT, caller_id=sys_id("user requester"))
    assert patch(double, INCIDENT, row, state="3")["state"] == "3"
    patch(double, INCIDENT, row, hold_reason="1")
    assert patch(double, INCIDENT, row, comments="Are you there?")["state"] == "3"
    assert patch(double, INCIDENT, row, "requester", comments="I am")["state"] == "2"


# --- problem


@pytest.mark.parametrize("who", ["agent", "admin"])
def test_the_table_api_does_not_change_a_problem_s_state(double: ServiceNowDouble, who: str) -> None:
    """The answer is 200, but neither column changes the state, even through `task`. Other columns are saved."""
    row = insert(double, PROBLEM, who, assigned_to=sys_id("user agent"), urgency="1", impact="1", state="102")
    assert (row["state"], row["problem_state"], row["priority"]) == ("101", "101", "1")
    assert row["number"].startswith("PRB004")
    for column in ("state", "problem_state"):
        for path in (PROBLEM, "/api/now/table/task"):
            same = patch(double, path, row, who, **{column: "102"})
            assert (same["state"], same["sys_mod_count"]) == ("101", "0")
    other = patch(double, PROBLEM, row, who, state="102", cause_notes="Old firmware")
    assert (other["state"], other["cause_notes"], other["sys_mod_count"]) == ("101", "Old firmware", "1")


def test_the_form_changes_a_problem_s_state(double: ServiceNowDouble) -> None:
    """It allows only the next states. After New, an assignee is required. Resolving needs a code and notes."""
    row = insert(double, PROBLEM)
    browser = Browser(double)

    def move(**form: str) -> str:
        page = browser.post(f"/problem.do?sys_id={row['sys_id']}", **form)
        return refused(page) or double.row("problem", row["sys_id"])["state"]

    assert move(state="104") == "101"
    assert move(state="102") == f"{POLICY}Assigned to"
    assert move(state="102", assigned_to=sys_id("user agent")) == "102"
    assert double.row("problem", row["sys_id"])["problem_state"] == "102"
    assert move(state="106") == f"{POLICY}Resolution code, Cause notes, Fix notes"
    notes = {"resolution_code": "fix_applied", "cause_notes": "Old firmware", "fix_notes": "New firmware"}
    assert move(state="106", **notes) == "106"
    assert double.row("problem", row["sys_id"])["resolved_by"] == sys_id("user agent")
    assert move(state="107") == "107"
    assert double.row("problem", row["sys_id"])["active"] == "false"


# --- change request


def test_a_change_starts_in_new_with_the_model_of_its_type(double: ServiceNowDouble) -> None:
    """A state in the request is ignored. A standard change without a template becomes a normal one."""
    row = insert(double, CHANGE, state="-1", type="emergency")
    assert (row["state"], row["type"], row["phase"], row["priority"]) == ("-5", "emergency", "requested", "4")
    assert row["chg_model"]["value"] == "62d10fa1c303101035ae3f52c1d3aec1"
    assert row["requested_by"]["value"] == sys_id("user agent")
    assert insert(double, CHANGE, type="standard")["type"] == "normal"


def test_a_normal_change_needs_two_approvals(double: ServiceNowDouble) -> None:
    """Only approvals move it on from Assess and Authorize. The error names the rule and its ID."""
    row = insert(double, CHANGE)
    assert refusal(double, CHANGE, row, state="-4") == f"{POLICY}Assignment group"
    row = patch(double, CHANGE, row, state="-4", assignment_group=sys_id("group Network"))
    assert row["approval"] == "requested"
    told = refusal(double, CHANGE, row, state="-3")
    rule = "Change Model: Check State Transition"
    assert told.startswith(f"Operation against file 'change_request' was aborted by Business Rule '{rule}^")
    assert told.endswith(f"'. Business Rule Stack:{rule}")
    for state in ("-3", "-2"):
        [asked] = approvals(double, row, "requested")
        assert asked["approver"] == sys_id("user approver")
        patch(double, APPROVAL, asked, "approver", state="approved")
        assert double.row("change_request", row["sys_id"])["state"] == state
    assert double.row("change_request", row["sys_id"])["approval"] == "approved"
    assert refusal(double, CHANGE, row, state="3").endswith(rule)


def test_a_rejected_change_returns_to_new(double: ServiceNowDouble) -> None:
    """No approval remains requested. A manual return to New cancels the requested approvals."""
    row = insert(double, CHANGE, type="emergency", assignment_group=sys_id("group Network"))
    patch(double, CHANGE, row, state="-3")
    [asked] = approvals(double, row, "requested")
    patch(double, APPROVAL, asked, "approver", state="rejected", comments="Not in December")
    rejected = double.row("change_request", row["sys_id"])
    assert (rejected["state"], rejected["approval"]) == ("-5", "rejected")
    patch(double, CHANGE, row, state="-3")
    patch(double, CHANGE, row, state="-5")
    assert double.row("change_request", row["sys_id"])["approval"] == "not requested"
    assert len(approvals(double, row, "cancelled")) == 1
    assert not approvals(double, row, "requested")


def test_review_needs_closed_tasks_and_closing_needs_code_and_notes(double: ServiceNowDouble) -> None:
    """An open task or being on hold blocks Review. A closed change is inactive."""
    [row] = [row for row in double.rows("change_request") if row["state"] == "-1"]
    [task] = [task for task in double.rows("change_task") if task["change_request"] == row["sys_id"]]
    assert task["parent"] == row["sys_id"]
    assert "Check State Transition" in refusal(double, CHANGE, row, state="0")
    assert patch(double, "/api/now/table/change_task", task, state="3")["active"] == "false"
    assert refusal(double, CHANGE, row, on_hold="true") == f"{POLICY}On hold reason"
    patch(double, CHANGE, row, on_hold="true", on_hold_reason="Parts are missing")
    assert "Check State Transition" in refusal(double, CHANGE, row, state="0")
    patch(double, CHANGE, row, on_hold="false")
    patch(double, CHANGE, row, state="0")
    assert refusal(double, CHANGE, row, state="3") == f"{POLICY}Close code, Close notes"
    assert refusal(double, CHANGE, row, state="3", close_code="nonsense", close_notes="x") == f"{POLICY}Close code"
    closed = patch(double, CHANGE, row, state="3", close_code="successful", close_notes="Well")
    assert (closed["active"], closed["closed_by"]["value"]) == ("false", sys_id("user agent"))


# --- ACLs


def test_an_approver_sees_own_approvals_and_their_changes(double: ServiceNowDouble) -> None:
    """They can't edit the change. Other people don't see these approvals or can't change them."""
    [asked] = [row for row in double.rows("sysapproval_approver") if row["state"] == "requested"]
    mine = send(double, "GET", APPROVAL, who="approver", sysparm_query="state=requested").json()["result"]
    assert [row["sys_id"] for row in mine] == [asked["sys_id"]]
    about = f"{CHANGE}/{asked['sysapproval']}"
    assert send(double, "GET", about, who="approver").status_code == 200
    assert send(double, "PATCH", about, {"short_description": "y"}, "approver").status_code == 403
    assert send(double, "GET", about, who="requester").status_code == 404
    assert send(double, "GET", APPROVAL, who="requester").json()["result"] == []
    assert send(double, "PATCH", f"{APPROVAL}/{asked['sys_id']}", {"state": "approved"}, "agent").status_code == 403
    assert send(double, "POST", APPROVAL, {"state": "requested"}, "agent").status_code == 403


def test_people_without_roles_can_read_published_articles(double: ServiceNowDouble) -> None:
    """Only agents see drafts and can publish them. Only agents see problems and changes."""
    counts = {}
    for who in ("agent", "requester"):
        for path in (ARTICLE, PROBLEM, CHANGE, "/api/now/table/task"):
            counts[who, path] = len(send(double, "GET", path, who=who).json()["result"])
    assert counts["agent", ARTICLE] == counts["requester", ARTICLE] + 1 == 3
    assert (counts["requester", PROBLEM], counts["requester", CHANGE]) == (0, 0)
    assert counts["agent", "/api/now/table/task"] > counts["requester", "/api/now/table/task"] == 1
    [draft] = [row for row in double.rows("kb_knowledge") if row["workflow_state"] == "draft"]
    assert (
        send(double, "PATCH", f"{ARTICLE}/{draft['sys_id']}", {"workflow_state": "x"}, "requester").status_code == 404
    )
    published = patch(double, ARTICLE, draft, workflow_state="published")
    assert published["number"] in published["display_number"]
    assert send(double, "POST", PROBLEM, {"short_description": "x"}, "requester").status_code == 403


def test_states_are_shown_by_class(double: ServiceNowDouble) -> None:
    """In `task`, the label of a state is from the row's class."""
    rows = send(double, "GET", "/api/now/table/task", sysparm_display_value="true").json()["result"]
    shown = {(row["sys_class_name"], row["state"]) for row in rows}
    assert {
        ("Incident", "New"), ("Problem", "Assess"), ("Change Request", "Implement"), ("Change Task", "Open"),
        ("Follow On Task", "Open"),
    } <= shown  # fmt: skip


# --- journals, metadata and faults


def test_journal_rows_are_as_recorded(double: ServiceNowDouble) -> None:
    """Administrators read them, without update columns. Other people can't read any."""
    entry = recorded("journal", "Journal rows read as admin")
    rows = [
        row | {"sys_id": row["sys_id"].replace("<sys_id>", "0" * 32)} for row in entry["response"]["body"]["result"]
    ]
    for row in rows:
        double.store.put("sys_journal_field", row)
    asked = entry["request"]
    assert send(double, "GET", asked["path"], who="admin", **asked["query"]).json()["result"] == rows
    hidden = send(double, "GET", asked["path"], who="agent", **asked["query"])
    assert (hidden.json()["result"], hidden.headers["X-Total-Count"]) == ([], "2")


def test_every_table_has_its_columns_and_choices_in_the_metadata(double: ServiceNowDouble) -> None:
    """States are those of the class, in the reader's language. Added mandatory columns are included."""

    def about(table: str, who: str = "agent") -> Json:
        found: Json = send(double, "GET", f"/api/now/ui/meta/{table}", who=who).json()["result"]["columns"]
        return found

    states = {table: [one["value"] for one in about(table)["state"]["choices"]] for table in STATES}
    assert states == STATES
    assert about("change_request", "agent2")["state"]["choices"][1]["label"] == "Bewerten"
    assert about("problem")["resolution_code"]["choices"][0]["label"] == "Fix Applied"
    article = about("kb_knowledge")
    assert "state" not in article
    assert [one["value"] for one in article["workflow_state"]["choices"]][:3] == ["draft", "review", "published"]
    column = {"name": "change_request", "element": "u_site", "column_label": "Site", "mandatory": "true"}
    send(double, "POST", "/api/now/table/sys_dictionary", column | {"internal_type": "string"}, "admin")
    assert about("change_request")["u_site"]["mandatory"] is True
    refused = send(double, "POST", CHANGE, {"short_description": "x"})
    assert error(refused) == (403, "Operation Failed", f"{POLICY}Site")


STATES = {
    "problem": ["101", "102", "103", "104", "106", "107"],
    "change_request": ["-5", "-4", "-3", "-2", "-1", "0", "3", "4"],
    "change_task": ["-5", "1", "2", "3", "4"],
    "cert_follow_on_task": ["-5", "1", "2", "3", "4", "7"],
}


def test_a_save_can_answer_500(double: ServiceNowDouble) -> None:
    """The fault after a commit works for the Change Management API and for files too."""
    for path in ("/api/sn_chg_rest/change/normal", "/api/now/attachment/file"):
        double.fault("500_after_commit", path)
    assert send(double, "POST", "/api/sn_chg_rest/change/normal", {"short_description": "Once"}).status_code == 500
    assert double.rows("change_request")[-1]["short_description"] == "Once"
    where = {"table_name": "incident", "table_sys_id": double.rows("incident")[0]["sys_id"], "file_name": "x"}
    assert send(double, "POST", "/api/now/attachment/file", {}, **where).status_code == 500
    assert len(double.rows("sys_attachment")) == 1
    assert double.armed() == 0
