"""The ServiceNow double as an instance: ACLs, tables, journals, display value input, pages and its process."""

import signal
import subprocess
import sys
from typing import Any

import pytest
import requests

from sandbox.servicenow import ServiceNowDouble
from sandbox.servicenow.seed.records import sys_id

Json = dict[str, Any]

TABLE = "/api/now/table/incident"


def send(
    double: ServiceNowDouble, method: str, path: str, body: Any = None, who: str = "admin", **params: str
) -> requests.Response:
    """A request with basic auth."""
    url, login = double.url + path, (who, "sandbox-1")
    return requests.request(method, url, json=body, params=params, auth=login, timeout=10, allow_redirects=False)


def browser(double: ServiceNowDouble, who: str = "agent") -> requests.Session:
    """A signed-in browser."""
    session = requests.Session()
    session.trust_env = False
    session.post(f"{double.url}/login.do", data={"user_name": who, "user_password": "sandbox-1"}, timeout=10)
    return session


def columns(double: ServiceNowDouble, who: str, table: str = "incident") -> Json:
    """The columns from `ui/meta`."""
    found: Json = send(double, "GET", f"/api/now/ui/meta/{table}", who=who).json()["result"]["columns"]
    return found


# --- ACLs


def test_acls_by_role_and_table(double: ServiceNowDouble) -> None:
    """As measured on an instance, each role gets rows, an empty list or an error."""
    measured = []
    for who in ("admin", "agent", "requester"):
        for table in ("sys_dictionary", "sys_db_object", "oauth_entity", "cmdb_ci", "incident"):
            answer = send(double, "GET", f"/api/now/table/{table}", who=who, sysparm_limit="500")
            rows = len(answer.json()["result"]) if answer.ok else 0
            measured.append((who, table, answer.status_code, rows > 0))
    assert [one for one in measured if one[0] == "admin"] == [
        ("admin", table, 200, table != "oauth_entity")
        for table in ("sys_dictionary", "sys_db_object", "oauth_entity", "cmdb_ci", "incident")
    ]
    assert [one[2:] for one in measured if one[0] == "agent"] == [
        (200, False), (200, True), (403, False), (200, True), (200, True),
    ]  # fmt: skip
    assert [one[2:] for one in measured if one[0] == "requester"] == [
        (200, False), (403, False), (403, False), (200, True), (200, True),
    ]  # fmt: skip


def test_an_unreadable_column_is_omitted_and_rejected_in_filters(double: ServiceNowDouble) -> None:
    """The key is missing, a write has no effect, and a filter gets 403. Agents can read only the labels of choices."""
    own = f"{TABLE}/{next(row['sys_id'] for row in double.rows('incident') if 'VPN' in row['short_description'])}"
    row = send(double, "PATCH", own, {"work_notes": "x", "urgency": "2"}, "requester").json()["result"]
    assert "work_notes" not in row
    assert row["urgency"] == "2"
    assert double.rows("sys_journal_field") == []
    assert send(double, "GET", TABLE, who="requester", sysparm_query="work_notesLIKEx").status_code == 403
    choice = send(double, "GET", "/api/now/table/sys_choice", who="agent", sysparm_limit="1").json()["result"][0]
    assert set(choice) == {"label"}


def test_people_without_roles_can_only_create_incidents(double: ServiceNowDouble) -> None:
    """They can change their own incidents. Other people's get 404. They can't delete any."""
    opened = send(double, "POST", TABLE, {"short_description": "x"}, "requester")
    assert opened.status_code == 201
    own = f"{TABLE}/{opened.json()['result']['sys_id']}"
    assert send(double, "PATCH", own, {"description": "more"}, "requester").status_code == 200
    refused = send(double, "DELETE", own, who="requester")
    assert refused.json()["error"]["detail"] == "ACL Exception Delete Failed due to security constraints"
    for path in ("/api/now/table/u_facility_incident", "/api/now/table/sys_user"):
        denied = send(double, "POST", path, {"name": "x"}, "requester")
        assert denied.status_code == 403
        assert denied.json()["error"]["detail"] == "ACL Exception Insert Failed due to security constraints"
    other = next(row for row in double.rows("incident") if row["caller_id"] == sys_id("user abel.tuter"))
    assert send(double, "PATCH", f"{TABLE}/{other['sys_id']}", {"urgency": "1"}, "requester").status_code == 404


def test_a_locked_account_gets_401(double: ServiceNowDouble) -> None:
    """It applies immediately."""
    path = f"/api/now/table/sys_user/{sys_id('user agent')}"
    assert send(double, "PATCH", path, {"locked_out": "true"}).status_code == 200
    assert send(double, "GET", TABLE, who="agent").status_code == 401


# --- tables


def test_a_child_record_is_visible_through_its_parent_table(double: ServiceNowDouble) -> None:
    """The child has its own number and mandatory column. `task` has only base columns and the child's class."""
    child = "/api/now/table/u_facility_incident"
    refused = send(double, "POST", child, {"short_description": "Lift"}, "agent")
    assert refused.status_code == 403
    assert refused.json()["error"]["detail"] == "Data Policy Exception: The following fields are mandatory: Building"
    row = send(double, "POST", child, {"short_description": "Lift", "u_building": "B2"}, "agent").json()["result"]
    assert row["number"] == "FAC0010001"
    base = send(double, "GET", f"/api/now/table/task/{row['sys_id']}", who="agent").json()["result"]
    assert base["sys_class_name"] == "u_facility_incident"
    assert {"u_building", "caller_id", "category"}.isdisjoint(base)
    exact = send(double, "GET", "/api/now/table/task", sysparm_query="sys_class_name=incident").json()["result"]
    assert row["sys_id"] not in {one["sys_id"] for one in exact}


def test_a_column_can_be_added_over_rest(double: ServiceNowDouble) -> None:
    """A mandatory column is required by label, in the metadata and truncated to its length, and can be deleted."""
    column = {"name": "incident", "element": "u_floor", "column_label": "Floor", "mandatory": "true", "max_length": "3"}
    entry = send(double, "POST", "/api/now/table/sys_dictionary", column | {"internal_type": "string"}).json()["result"]
    refused = send(double, "POST", TABLE, {"short_description": "x"}, "agent")
    assert refused.json()["error"]["detail"] == "Data Policy Exception: The following fields are mandatory: Floor"
    about = columns(double, "agent")["u_floor"]
    assert (about["label"], about["mandatory"], about["max_length"]) == ("Floor", True, 3)
    row = send(double, "POST", TABLE, {"short_description": "x", "u_floor": "12345"}, "agent").json()["result"]
    assert row["u_floor"] == "123"
    path = f"/api/now/table/sys_dictionary/{entry['sys_id']}"
    send(double, "PATCH", path, {"mandatory": "false"})
    assert send(double, "POST", TABLE, {"short_description": "x"}, "agent").status_code == 201
    send(double, "DELETE", path)
    assert "u_floor" not in columns(double, "agent")


def test_metadata_is_in_the_person_s_language(double: ServiceNowDouble) -> None:
    """Labels and choices are in English or German. References have their table. Dependent values aren't marked."""
    english, german = columns(double, "agent"), columns(double, "agent2")
    assert english["urgency"]["choices"][0] == {"value": "1", "label": "1 - High"}
    assert german["urgency"]["choices"][0] == {"value": "1", "label": "1 - Hoch"}
    assert (english["short_description"]["label"], german["short_description"]["label"]) == (
        "Short description",
        "Kurzbeschreibung",
    )
    assert english["caller_id"]["reference"] == "sys_user"
    assert english["short_description"]["max_length"] == 160
    assert "choices" not in english["caller_id"]
    assert {"value": "dns", "label": "DNS"} in english["subcategory"]["choices"]
    assert send(double, "GET", "/api/now/ui/meta/nosuch").status_code == 400


# --- writes


def test_comments_are_journal_entries(double: ServiceNowDouble) -> None:
    """Raw values are empty. Display values are the entries, newest first, each with a heading and an empty line."""
    path = f"{TABLE}/{double.rows('incident')[0]['sys_id']}"
    raw = send(double, "PATCH", path, {"comments": "First\n\nwith a gap"}, "agent").json()["result"]
    assert (raw["comments"], raw["sys_mod_count"]) == ("", "1")
    double.advance(60)
    shown = send(double, "PATCH", path, {"work_notes": "Second"}, "agent2", sysparm_display_value="true")
    text = shown.json()["result"]["comments_and_work_notes"]
    first, second = text.index("Aiko Agent (Work notes)\nSecond\n\n"), text.index("Amir Agent (Comments)\nFirst\n\n")
    assert first < second
    assert text.endswith("with a gap\n\n")


def test_display_values_can_be_written(double: ServiceNowDouble) -> None:
    """References match by display value, choices by label. Without the parameter, the text is stored as is."""
    body = {"short_description": "x", "assignment_group": "Network", "urgency": "1 - High"}
    row = send(double, "POST", TABLE, body, "agent", sysparm_input_display_value="true").json()["result"]
    assert row["assignment_group"]["value"] == sys_id("group Network")
    assert (row["urgency"], row["priority"]) == ("1", "3")
    junk = send(double, "POST", TABLE, {"assignment_group": "n" * 40}, "agent").json()["result"]
    assert junk["assignment_group"]["value"] == "n" * 32


def test_http_details(double: ServiceNowDouble) -> None:
    """These are HEAD, a suppressed body, an overridden method, `field=value` filters and a hidden secret."""
    path = f"{TABLE}/{double.rows('incident')[0]['sys_id']}"
    head = send(double, "HEAD", TABLE)
    assert (head.status_code, head.headers["X-Total-Count"], head.content) == (200, "3", b"")
    url, login = double.url, ("admin", "sandbox-1")
    silent = requests.post(url + TABLE, json={}, auth=login, headers={"X-no-response-body": "true"}, timeout=10)
    assert (silent.status_code, silent.content) == (201, b"")
    assert silent.headers["Location"].startswith(url + TABLE)
    override = {"X-HTTP-Method-Override": "PATCH"}
    assert requests.post(url + path, json={"urgency": "1"}, auth=login, headers=override, timeout=10).status_code == 200
    assert double.row("incident", path.rpartition("/")[2])["urgency"] == "1"
    pairs = send(double, "GET", TABLE, caller_id="Rosa Requester", state="New").json()["result"]
    assert [row["number"] for row in pairs] == ["INC0010003"]
    client = {"name": "x", "client_id": "c", "client_secret": "secret"}
    assert "secret" not in str(send(double, "POST", "/api/now/table/oauth_entity", client).json()["result"].values())


def test_unsupported_apis_and_operators_answer_501(double: ServiceNowDouble) -> None:
    """The answer names the path, so that an unsupported feature never looks like an empty list."""
    for method, path, query in (
        ("GET", "/api/now/import/x", ""),
        ("GET", "/api/now/stats/incident?sysparm_having=count>1&sysparm_group_by=state", ""),
        ("GET", "/api/sn_sc/servicecatalog/items", ""),
        ("GET", TABLE, "opened_atMORETHANdue_date@day@before@1"),
        ("GET", TABLE, "caller_id=javascript:gs.getUserName()"),
        ("GET", TABLE, "active=true^GROUPBYstate"),
    ):
        answer = send(double, method, path, sysparm_query=query)
        assert answer.status_code == 501
        assert path.partition("?")[0] in answer.text


def test_a_long_url_is_rejected(double: ServiceNowDouble) -> None:
    """Beyond 8 KiB, the answer is 414, as measured."""
    assert send(double, "GET", TABLE, sysparm_query="sys_idIN" + "a" * 8000).status_code == 200
    assert send(double, "GET", TABLE, sysparm_query="sys_idIN" + "a" * 8200).status_code == 414


# --- pages


def test_a_record_opens_at_every_url(double: ServiceNowDouble) -> None:
    """The classic frame, the form, its number, Next Experience and `task.do` all show its text and links."""
    permalink = "http://127.0.0.1:8065/sandbox/pl/abc"
    body = {
        "short_description": "Printer <b>",
        "description": f"As said in {permalink}",
        "caller_id": sys_id("user agent2"),
    }
    row = send(double, "POST", TABLE, body, "agent").json()["result"]
    session = browser(double)
    for address in (
        f"/nav_to.do?uri=incident.do%3Fsys_id%3D{row['sys_id']}",
        f"/nav_to.do?uri=incident.do%3Fsysparm_query%3Dnumber%3D{row['number']}",
        f"/incident.do?sys_id={row['sys_id']}",
        f"/now/nav/ui/classic/params/target/incident.do%3Fsys_id%3D{row['sys_id']}",
        f"/task.do?sys_id={row['sys_id']}",
    ):
        page = session.get(double.url + address, timeout=10)
        assert page.status_code == 200
        assert row["number"] in page.text
        assert "Aiko Agent" in page.text
        assert f'<a href="{permalink}">' in page.text
        assert "Printer &lt;b&gt;" in page.text
    assert (
        browser(double, "requester").get(f"{double.url}/incident.do?sys_id={row['sys_id']}", timeout=10).status_code
        == 404
    )


def test_a_list_page_shows_the_rows_of_its_query(double: ServiceNowDouble) -> None:
    """It takes the same encoded queries and applies the person's ACLs. Before sign-in, it shows the login form."""
    session = browser(double)
    address = f"{double.url}/nav_to.do?uri=incident_list.do%3Fsysparm_query%3Dshort_descriptionLIKEvpn"
    page = session.get(address, timeout=10).text
    assert "VPN drops every hour" in page
    assert "Badge reader" not in page
    assert "Badge reader" in session.get(f"{double.url}/incident_list.do", timeout=10).text
    assert "Badge reader" not in browser(double, "requester").get(f"{double.url}/incident_list.do", timeout=10).text
    assert 'name="user_password"' in requests.get(address, timeout=10).text


def test_frame_and_login_do_not_redirect_to_other_hosts(double: ServiceNowDouble) -> None:
    """The frame answers 404 for a target on another host. The login redirects to the home page instead."""
    session = browser(double)
    assert session.get(f"{double.url}/nav_to.do?uri=//evil.example", timeout=10).status_code == 404
    form = {"user_name": "agent", "user_password": "sandbox-1"}
    answer = requests.post(f"{double.url}/login.do?to=//evil.example", data=form, timeout=10, allow_redirects=False)
    assert answer.headers["Location"] == "/"
    wrong = requests.post(f"{double.url}/login.do", data=form | {"user_password": "x"}, timeout=10)
    assert (wrong.status_code, 'role="alert"' in wrong.text) == (200, True)


# --- its process


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_runs_as_a_process(how: signal.Signals) -> None:
    """`python -m sandbox.servicenow` prints its URL and stops cleanly on a signal."""
    command = [sys.executable, "-m", "sandbox.servicenow", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        assert requests.get(f"{url}{TABLE}", auth=("agent", "sandbox-1"), timeout=10).status_code == 200
        process.send_signal(how)
        _, errors = process.communicate(timeout=10)
    assert (process.returncode, errors) == (0, "")
