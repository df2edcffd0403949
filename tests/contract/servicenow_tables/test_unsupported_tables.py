"""Tables of a standard instance: supported, unsupported and newly created ones."""

from typing import Any

import pytest

from sandbox.servicenow import ServiceNowDouble
from sandbox.servicenow.seed.records import sys_id
from tests.contract.servicenow_tables.asking import Json, error, recorded, send

TABLE = "/api/now/table"


def insert(double: ServiceNowDouble, table: str, who: str = "admin", **body: Any) -> Json:
    """Insert a row, which must succeed."""
    answer = send(double, "POST", f"{TABLE}/{table}", body, who)
    assert answer.status_code == 201, answer.text
    row: Json = answer.json()["result"]
    return row


# --- unsupported


@pytest.mark.parametrize(
    "table",
    [
        "sys_audit", "sys_email", "cmdb_ci_server", "cmdb_rel_ci", "cmn_location", "cmn_department", "core_company",
        "task_sla", "sc_cart_item", "sc_cat_item_guide", "wf_context", "kb_use", "ast_contract", "sys_user_preference",
        "sn_si_incident", "metric_instance", "sys_hub_flow", "sysapproval_group", "sys_number", "interaction",
    ],
)  # fmt: skip
def test_an_unsupported_table_answers_501(double: ServiceNowDouble, table: str) -> None:
    """Every API does this, instead of `Invalid table` or an empty list."""
    row = f"{TABLE}/{table}/{'0' * 32}"
    for method, path in (
        ("GET", f"{TABLE}/{table}"), ("POST", f"{TABLE}/{table}"), ("GET", row), ("PATCH", row), ("DELETE", row),
        ("GET", f"/api/now/v1/stats/{table}"), ("GET", f"/api/now/ui/meta/{table}"),
    ):  # fmt: skip
        answer = send(double, method, path, {} if method in {"POST", "PATCH"} else None, "admin")
        assert (method, answer.status_code) == (method, 501)
        assert path in answer.text
    where = {"table_name": table, "table_sys_id": "0" * 32, "file_name": "a.txt"}
    assert send(double, "POST", "/api/now/attachment/file", {}, "admin", **where).status_code == 501


def test_a_nonexistent_table_answers_400(double: ServiceNowDouble) -> None:
    """The message is as recorded. This includes misspelled names of standard tables."""
    for table in ("nosuch", "u_nosuch", "x_example_nosuch", "sys_nonexistent", "incidents", "sys_user_list"):
        assert error(send(double, "GET", f"{TABLE}/{table}"))[:2] == (400, f"Invalid table {table}")
        assert error(send(double, "GET", f"/api/now/ui/meta/{table}"))[:2] == (400, f"Invalid table {table}")


@pytest.mark.parametrize("table", ["sys_store_app", "sys_plugins", "sys_package", "sys_index"])
def test_a_table_closed_to_web_services_answers_403(double: ServiceNowDouble, table: str) -> None:
    """This holds for administrators too."""
    wanted = recorded("table_errors", "Table closed at API level")["response"]["body"]
    answer = send(double, "GET", f"{TABLE}/{table}", who="admin")
    assert (answer.status_code, answer.json()) == (403, wanted)


@pytest.mark.parametrize(
    "path",
    [
        "/api/now/cmdb/instance/cmdb_ci_server", "/api/now/v1/cmdb/meta/cmdb_ci", "/api/now/identifyreconcile",
        "/api/now/tinyurl", "/api/now/import/imp_user", "/api/now/v1/email", "/api/now/doc/services",
        "/api/now/ui/user/current_user", "/api/now/graphql", "/api/sn_sc/servicecatalog/items",
        "/api/sn_km_api/knowledge/articles/featured", "/api/sn_cicd/app/install", "/api/global/user_role_inheritance",
        "/api/now/pa/scorecards", "/api/now/interaction",
    ],
)  # fmt: skip
def test_an_unsupported_api_answers_501(double: ServiceNowDouble, path: str) -> None:
    """The answer has the path."""
    for method in ("GET", "POST"):
        answer = send(double, method, path, {} if method == "POST" else None, "admin")
        assert answer.status_code == 501
        assert path in answer.text


def test_a_nonexistent_api_answers_400(double: ServiceNowDouble) -> None:
    """The error is as recorded. A longer name is a different API."""
    for path in ("/api/now/nosuch", "/api/now/documents", "/api/sn_devops/devops/security/result", "/api/x_y/z"):
        wanted = (400, "Requested URI does not represent any resource", None)
        assert error(send(double, "GET", path)) == wanted


def test_dot_walking_through_an_unsupported_table_answers_501(double: ServiceNowDouble) -> None:
    """This holds for filters, sorting, fields and counts. Dropping the term would return too many rows."""
    path = f"{TABLE}/incident"
    for query in ("location.name=Paris", "active=true^ORcompany.nameLIKEx", "ORDERBYcmdb_ci.location.name"):
        answer = send(double, "GET", path, sysparm_query=query)
        assert answer.status_code == 501
        assert "through table cmn_location" in answer.text or "through table core_company" in answer.text
    assert send(double, "GET", path, sysparm_fields="number,company.name").status_code == 501
    assert send(double, "GET", "/api/now/stats/incident", sysparm_query="location.city=Paris").status_code == 501
    assert send(double, "GET", path, sysparm_query="caller_id.nosuch=x").status_code == 200


# --- created


def test_inserting_its_row_creates_a_table(double: ServiceNowDouble) -> None:
    """It has the standard columns or its parent's. Columns can be added. Deleting the row deletes the table."""
    made = insert(double, "sys_db_object", name="u_loan", label="Loan")
    column = {"name": "u_loan", "element": "u_item", "column_label": "Item", "internal_type": "string"}
    insert(double, "sys_dictionary", **column)
    row = insert(double, "u_loan", u_item="Projector")
    assert set(row) == {
        "sys_id", "sys_created_on", "sys_created_by", "sys_updated_on", "sys_updated_by", "sys_mod_count", "u_item",
    }  # fmt: skip
    assert send(double, "GET", f"{TABLE}/u_loan").json()["result"] == [row]
    child = insert(double, "sys_db_object", name="u_task", label="Chore", super_class=sys_id("table task"))
    chore = insert(double, "u_task", short_description="Sweep")
    shown = send(double, "GET", f"{TABLE}/task/{chore['sys_id']}", sysparm_display_value="true").json()["result"]
    assert (shown["sys_class_name"], shown["short_description"]) == ("Chore", "Sweep")
    again = send(double, "POST", f"{TABLE}/sys_db_object", {"name": "u_loan"}, "admin")
    assert error(again) == (403, "Operation Failed", "Error during insert of sys_db_object (u_loan)")
    for one in (made, child):
        assert send(double, "DELETE", f"{TABLE}/sys_db_object/{one['sys_id']}", who="admin").status_code == 204
    assert error(send(double, "GET", f"{TABLE}/u_loan"))[:2] == (400, "Invalid table u_loan")
    assert send(double, "GET", f"{TABLE}/task/{chore['sys_id']}").status_code == 404
    double.reset()
    assert insert(double, "sys_db_object", name="u_loan", label="Loan")["name"] == "u_loan"


def test_application_files_share_a_parent_table(double: ServiceNowDouble) -> None:
    """`sys_metadata` lists and counts rows of every child table with class, name and update name."""
    rule = insert(double, "sys_script", name="Notify", collection="incident", when="after", script="")
    assert (rule["sys_class_name"], rule["sys_name"]) == ("sys_script", "Notify")
    assert rule["sys_update_name"] == f"sys_script_{rule['sys_id']}"
    shown = send(double, "GET", f"{TABLE}/sys_metadata/{rule['sys_id']}", who="admin").json()["result"]
    assert shown["sys_class_name"] == "sys_script"
    assert {"sys_name", "sys_package", "sys_policy", "sys_scope", "sys_update_name"} <= set(shown)
    assert "collection" not in shown
    query = {"sysparm_query": "sys_nameINNotify^sys_class_name=sys_script", "sysparm_count": "true"}
    counted = send(double, "GET", "/api/now/stats/sys_metadata", who="admin", **query).json()
    assert counted == {"result": {"stats": {"count": "1"}}}
    assert send(double, "GET", f"{TABLE}/sys_metadata", who="agent").json()["result"] == []


def test_tasks_of_problems(double: ServiceNowDouble) -> None:
    """They have numbers, their own states and the problem as their parent. Closed ones are inactive."""
    problem = double.rows("problem")[0]["sys_id"]
    row = insert(double, "problem_task", "agent", short_description="Ask the vendor", problem=problem)
    assert row["number"] == "PTASK0010001"
    assert (row["state"], row["problem_task_type"], row["parent"]["value"]) == ("151", "general", problem)
    shown = send(double, "GET", f"{TABLE}/problem_task/{row['sys_id']}", sysparm_display_value="true").json()["result"]
    assert (shown["state"], shown["sys_class_name"]) == ("New", "Problem Task")
    path = f"{TABLE}/problem_task/{row['sys_id']}"
    closed = send(double, "PATCH", path, {"state": "157", "close_code": "completed"}).json()["result"]
    assert (closed["state"], closed["active"], closed["closed_by"]["value"]) == ("157", "false", sys_id("user agent"))


def test_orders_follow_their_tasks(double: ServiceNowDouble) -> None:
    """An item closes with its last task, a request with its last item. Any incomplete one makes it incomplete."""
    person = sys_id("user requester")
    request = insert(double, "sc_request", requested_for=person)
    assert (request["number"], request["request_state"], request["price"]) == ("REQ0010001", "draft", "0")
    items = [insert(double, "sc_req_item", request=request["sys_id"], price="1,100") for _ in range(2)]
    assert (items[0]["number"], items[0]["price"], items[0]["quantity"]) == ("RITM0010001", "1100", "1")
    tasks = [
        insert(double, "sc_task", "agent", request_item=item["sys_id"], request=request["sys_id"])
        for item in (items[0], items[0], items[1])
    ]
    assert tasks[0]["number"] == "SCTASK0010001"

    def close(task: Json, state: str) -> list[str]:
        send(double, "PATCH", f"{TABLE}/sc_task/{task['sys_id']}", {"state": state})
        rows = [double.row("sc_req_item", item["sys_id"]) for item in items]
        return [*(row["state"] for row in rows), double.row("sc_request", request["sys_id"])["request_state"]]

    assert close(tasks[0], "3") == ["1", "1", "draft"]
    assert close(tasks[1], "4") == ["4", "1", "draft"]
    assert close(tasks[2], "3") == ["4", "3", "closed_incomplete"]
    ended = double.row("sc_request", request["sys_id"])
    assert (ended["state"], ended["active"]) == ("4", "false")
    price = send(double, "GET", f"{TABLE}/sc_req_item", sysparm_display_value="true").json()["result"][0]["price"]
    assert price == "$1,100.00"


def test_acls_of_orders(double: ServiceNowDouble) -> None:
    """Agents can't insert requests, as recorded. The recipient and agents can read them. Everyone can read items."""
    wanted = recorded("table_errors", "Table ACL refuses an insert: sc_request")["response"]["body"]
    refused = send(double, "POST", f"{TABLE}/sc_request", {"short_description": "x"}, "agent")
    assert (refused.status_code, refused.json()) == (403, wanted)
    row = insert(double, "sc_request", requested_for=sys_id("user requester"))
    seen = [
        bool(send(double, "GET", f"{TABLE}/sc_request", who=who).json()["result"])
        for who in ("requester", "agent", "approver")
    ]
    assert (seen, row["sys_class_name"]) == ([True, True, False], "sc_request")
    item = insert(double, "sc_cat_item", name="Laptop", price="1100", category="")
    shown = send(double, "GET", f"{TABLE}/sc_cat_item", who="requester").json()["result"]
    assert [one["sys_id"] for one in shown] == [item["sys_id"]]
    assert item["sys_name"] == "Laptop"
