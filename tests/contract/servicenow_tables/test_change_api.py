"""The double's Change Management API: recorded formats, creation by type, next states and conflict checks."""

import json
from typing import Any

import pytest

from sandbox.servicenow import ServiceNowDouble
from sandbox.servicenow.seed.records import sys_id
from tests.contract.servicenow_tables.asking import Json, error, recorded, send

API = "/api/sn_chg_rest/change"
TABLE = "/api/now/table/change_request"


def in_state(double: ServiceNowDouble, state: str) -> Json:
    """The seeded change in this state."""
    [row] = [row for row in double.rows("change_request") if row["state"] == state]
    return row


def test_every_cell_has_a_typed_value_and_a_display_value(double: ServiceNowDouble) -> None:
    """Numbers are floats, Booleans are Booleans, references are IDs, and times have an internal display value."""
    row = in_state(double, "-2")
    cells = send(double, "GET", f"{API}/{row['sys_id']}").json()["result"]
    assert cells["state"] == {"display_value": "Scheduled", "value": -2.0}
    assert cells["on_hold"] == {"display_value": "false", "value": False}
    assert cells["assignment_group"] == {"display_value": "Service Desk", "value": sys_id("group Service Desk")}
    assert set(cells["start_date"]) == {"display_value", "value", "display_value_internal"}
    assert cells["sla_due"] == {"display_value": "UNKNOWN", "value": "", "display_value_internal": ""}
    assert send(double, "GET", f"{API}/normal/{row['sys_id']}").json()["result"] == cells
    assert error(send(double, "GET", f"{API}/emergency/{row['sys_id']}"))[:2] == (404, "No Record found")
    assert send(double, "GET", API, who="requester").status_code == 403


def test_a_list_ends_with_the_applied_query(double: ServiceNowDouble) -> None:
    """It names the applied and the ignored terms. Each type has its own list."""
    found = send(double, "GET", API, sysparm_query="short_descriptionLIKEmail^nosuch=1").json()["result"]
    assert [row.get("number", {}).get("value") for row in found] == ["CHG0030004", None]
    fields = {"applied": ["short_description"], "ignored": ["nosuch=1"]}
    assert found[-1] == {"__meta": {"encodedQuery": "short_descriptionLIKEmail^nosuch=1", "fields": fields}}
    normal = send(double, "GET", f"{API}/normal", order="number", sysparm_limit="2").json()["result"]
    assert [row["number"]["value"] for row in normal[:-1]] == ["CHG0030001", "CHG0030002"]
    assert len(send(double, "GET", f"{API}/standard").json()["result"]) == 1
    text = send(double, "GET", API, textSearch="certificate").json()["result"]
    assert [row["number"]["value"] for row in text[:-1]] == ["CHG0030003"]


@pytest.mark.parametrize("kind", ["normal", "emergency"])
def test_a_change_is_created_by_type(double: ServiceNowDouble, kind: str) -> None:
    """The answer is 200, not 201. References match by name. Unknown fields are listed."""
    body = {"short_description": "Move", "assignment_group": "Network", "nosuch": "1", "impact": 2}
    answer = send(double, "POST", f"{API}/{kind}", body)
    assert answer.status_code == 200
    made = answer.json()["result"]
    assert (made["type"]["value"], made["state"]["value"], made["impact"]["value"]) == (kind, -5.0, 2.0)
    assert made["assignment_group"]["value"] == sys_id("group Network")
    assert made["__meta"] == {"ignoredFields": ["nosuch"]}
    assert made["chg_model"]["display_value"] == kind.capitalize()
    assert send(double, "POST", f"{API}/{kind}", {}, "approver").status_code == 403


def test_a_change_is_created_by_model(double: ServiceNowDouble) -> None:
    """The model is a name or sys_id. Without one, the change is normal."""
    models = send(double, "GET", f"{API}/model").json()["result"]
    assert [model["name"]["value"] for model in models[:-1]] == ["Normal", "Emergency", "Standard"]
    for model in (models[1]["name"]["value"], models[1]["sys_id"]["value"]):
        made = send(double, "POST", API, {"chg_model": model, "short_description": "x"}).json()["result"]
        assert made["type"]["value"] == "emergency"
    assert send(double, "POST", API, {}).json()["result"]["type"]["value"] == "normal"
    one = send(double, "GET", f"{API}/model/{models[0]['sys_id']['value']}").json()["result"]
    assert one == models[0]


def test_a_standard_change_is_created_from_a_template(double: ServiceNowDouble) -> None:
    """It is already approved and has the template's texts. A business rule rejects changes to them."""
    [template, _] = send(double, "GET", f"{API}/standard/template").json()["result"]
    path = f"{API}/standard/{template['sys_id']['value']}"
    made = send(double, "POST", path, {"short_description": "Restart it"}).json()["result"]
    assert (made["type"]["value"], made["approval"]["value"], made["state"]["value"]) == ("standard", "approved", -5.0)
    assert (made["short_description"]["value"], made["chg_model"]["value"]) == ("Restart it", "")
    assert made["description"]["value"] == template["description"]["value"]
    assert made["std_change_producer_version"]["display_value"] == "Reboot a server - 1"
    change = f"{API}/standard/{made['sys_id']['value']}"
    status, message, detail = error(send(double, "PATCH", change, {"description": "Other"}))
    assert (status, detail) == (403, "")
    told = "Change Request record could not be updated. Operation against file 'change_request' was aborted by "
    rule = "Restrict fields from Standard Change"
    assert message.startswith(f"{told}Business Rule '{rule}^")
    assert message.endswith(f"'. Business Rule Stack:{rule}")
    moved = send(double, "PATCH", change, {"state": "-2", "assignment_group": "Network"}).json()["result"]
    assert (moved["state"]["value"], moved["__meta"]) == (-2.0, {"ignoredFields": []})
    assert error(send(double, "POST", f"{API}/standard/{'0' * 32}"))[0] == 404


def test_next_states_have_their_unmet_conditions(double: ServiceNowDouble) -> None:
    """With an open task, a change in Implement can't move to Review. Without one, states are as documented."""
    row = in_state(double, "-1")
    path = f"/api/sn_chg_rest/v1/change/{row['sys_id']}/nextstates"
    found = send(double, "GET", path).json()["result"]
    assert found["available_states"] == ["4", "-1"]
    [review], [canceled] = found["state_transitions"]
    assert [(one["passed"], one["condition"]["name"]) for one in review["conditions"]] == [
        (False, "No active Change Tasks")
    ]
    assert canceled["conditions"] == []
    [task] = double.rows("change_task")
    send(double, "PATCH", f"/api/now/table/change_task/{task['sys_id']}", {"state": "3"})
    found = send(double, "GET", path).json()["result"]
    assert found["available_states"] == ["0", "4", "-1"]
    assert found["state_label"] == {"0": "Review", "4": "Canceled", "-1": "Implement"}
    review = found["state_transitions"][0][0]
    assert (review["display_value"], review["from_state"], review["to_state"]) == ("Implement to Review", "-1", "0")
    assert (review["transition_available"], review["automatic_transition"]) == (True, False)
    assert review["conditions"][0]["condition"]["name"] == "Not On hold"


def test_a_state_after_an_approval_is_not_available(double: ServiceNowDouble) -> None:
    """The transition from Assess is automatic and not available."""
    found = send(double, "GET", f"{API}/{in_state(double, '-4')['sys_id']}/nextstates").json()["result"]
    assert found["available_states"] == ["-5", "4", "-4"]
    automatic = [one for moves in found["state_transitions"] for one in moves if one["automatic_transition"]]
    assert [(one["to_state"], one["transition_available"]) for one in automatic] == [("-3", False)]


def test_next_states_have_the_documented_format(double: ServiceNowDouble) -> None:
    """Keys and types are equal at every level."""
    entry = recorded("change", "Next states of a change in Implement")
    ours = send(double, "GET", f"{API}/{in_state(double, '-1')['sys_id']}/nextstates").json()
    assert shape(ours) == shape(entry["response"]["body"])


def shape(value: Any) -> Any:
    """Only names and types; a list is represented by its first element."""
    if isinstance(value, dict):
        if set(value) == {"0", "4", "-1"} or set(value) == {"4", "-1"}:
            return "labels"
        return {name: shape(one) for name, one in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


SAMPLES = (
    "Change API list with one match", "Change API single record", "Change API POST normal", "Change API POST emergency",
    "Change API POST (2020)",
)  # fmt: skip
# Columns that depend on the sample's account, or that the sample read before the state changed.
_DIFFERENT = {"requested_by", "approval_history", "variables"}


@pytest.mark.parametrize("what", SAMPLES)
def test_cells_are_as_recorded(double: ServiceNowDouble, what: str) -> None:
    """The double returns each cell of a stored change as recorded, for a reader in the same zone."""
    body = recorded("change", what)["response"]["body"]["result"]
    cells = body[0] if isinstance(body, list) else body
    [admin] = [row for row in double.rows("sys_user") if row["user_name"] == "admin"]
    double.store.put("sys_user", admin | {"time_zone": "America/Los_Angeles"})
    row = {name: text(cell["value"]) for name, cell in cells.items() if not name.startswith("__")}
    double.store.put("change_request", row | {"sys_class_name": "change_request"})
    group = cells["assignment_group"]
    if group["value"]:
        double.store.put("sys_user_group", {"sys_id": group["value"], "name": group["display_value"]})
    ours = send(double, "GET", f"{API}/{row['sys_id']}", who="admin").json()["result"]
    for name, cell in cells.items():
        if name in _DIFFERENT or name.startswith("__") or (name == "state" and what.endswith("record")):
            continue
        assert (name, ours[name]) == (name, cell)
    assert ours["variables"] == cells["variables"]


def text(value: Any) -> str:
    """A recorded value as a row stores it."""
    if isinstance(value, float):
        return str(int(value))
    return json.dumps(value) if isinstance(value, bool) else str(value)


def test_a_conflict_check_runs_as_a_job(double: ServiceNowDouble) -> None:
    """It is first waiting, then complete. The change has a conflict if another of the same item overlaps it."""
    row = in_state(double, "-5")
    started = send(double, "POST", f"{API}/{row['sys_id']}/conflict").json()["result"]
    assert started["state"] == {"value": 1, "display_value": "Waiting"}
    assert double.row("change_request", row["sys_id"])["conflict_status"] == "Not Run"
    worker = started["worker"]["link"].removeprefix(double.url)
    assert send(double, "GET", worker).json()["result"]["state"] == {"value": 3, "display_value": "Complete"}
    checked = double.row("change_request", row["sys_id"])
    assert checked["conflict_status"] == "No Conflict"
    assert checked["conflict_last_run"]
    twin = {name: row[name] for name in ("cmdb_ci", "start_date", "end_date", "short_description")}
    send(double, "POST", TABLE, twin)
    again = send(double, "POST", f"{API}/{row['sys_id']}/conflict").json()["result"]["worker"]["sysId"]
    send(double, "GET", f"{API}/worker/{again}")
    assert double.row("change_request", row["sys_id"])["conflict_status"] == "Conflict"
    send(double, "PATCH", f"{TABLE}/{row['sys_id']}", {"cmdb_ci": ""})
    assert send(double, "POST", f"{API}/{row['sys_id']}/conflict").status_code == 400
    assert send(double, "GET", f"{API}/worker/nosuch").status_code == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", ""),
        ("POST", "/ci"),
        ("DELETE", "/conflict"),
        ("POST", "/refresh_impacted_services"),
        ("PATCH", "/risk"),
    ],
)
def test_unsupported_requests_answer_501(double: ServiceNowDouble, method: str, path: str) -> None:
    """The answer has the path."""
    path = f"{API}/{in_state(double, '-4')['sys_id']}{path}"
    answer = send(double, method, path, {"state": "approved"}, "approver")
    assert answer.status_code == 501
    assert path in answer.text
