"""The ServiceNow double as an instance: rights, structure, journals, input by display value, pages, its own process."""

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
    """A browser that has signed in."""
    session = requests.Session()
    session.trust_env = False
    session.post(f"{double.url}/login.do", data={"user_name": who, "user_password": "sandbox-1"}, timeout=10)
    return session


def columns(double: ServiceNowDouble, who: str, table: str = "incident") -> Json:
    """What `ui/meta` says."""
    found: Json = send(double, "GET", f"/api/now/ui/meta/{table}", who=who).json()["result"]["columns"]
    return found


# --- rights


def test_rights_by_role_and_table(double: ServiceNowDouble) -> None:
    """Who gets rows, nothing or a refusal, and what the count says: as measured on an instance."""
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


def test_a_column_without_right_is_left_out_and_refused_in_filters(double: ServiceNowDouble) -> None:
    """The key is missing, a write of it does nothing, a filter by it is a 403; of choices only labels are read."""
    own = f"{TABLE}/{next(row['sys_id'] for row in double.rows('incident') if 'VPN' in row['short_description'])}"
    row = send(double, "PATCH", own, {"work_notes": "x", "urgency": "2"}, "requester").json()["result"]
    assert "work_notes" not in row
    assert row["urgency"] == "2"
    assert double.rows("sys_journal_field") == []
    assert send(double, "GET", TABLE, who="requester", sysparm_query="work_notesLIKEx").status_code == 403
    choice = send(double, "GET", "/api/now/table/sys_choice", who="agent", sysparm_limit="1").json()["result"][0]
    assert set(choice) == {"label"}


def test_people_without_role_open_incidents_and_nothing_else(double: ServiceNowDouble) -> None:
    """Their own may be changed, others' are not there, deleting is the administrator's."""
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


def test_a_locked_account_cannot_do_anything(double: ServiceNowDouble) -> None:
    """401 like any other cause, at once."""
    path = f"/api/now/table/sys_user/{sys_id('user agent')}"
    assert send(double, "PATCH", path, {"locked_out": "true"}).status_code == 200
    assert send(double, "GET", TABLE, who="agent").status_code == 401


# --- structure


def test_a_child_is_seen_through_its_parents(double: ServiceNowDouble) -> None:
    """Its own number and mandatory column; `task` shows base columns only, and the real class."""
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


def test_a_column_can_be_added_by_rest(double: ServiceNowDouble) -> None:
    """A mandatory one is demanded by its label, is in the metadata, is stored to its length, and can go again."""
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


def test_metadata_speaks_the_person_s_language(double: ServiceNowDouble) -> None:
    """Labels and choices in English and in German; references with their table; no word of dependence."""
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


def test_comments_are_a_journal(double: ServiceNowDouble) -> None:
    """Raw answers show nothing; display values the text, newest first, each entry with heading and empty line."""
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
    """References by what stands for them, choices by label; without the switch the same text is junk, and kept."""
    body = {"short_description": "x", "assignment_group": "Network", "urgency": "1 - High"}
    row = send(double, "POST", TABLE, body, "agent", sysparm_input_display_value="true").json()["result"]
    assert row["assignment_group"]["value"] == sys_id("group Network")
    assert (row["urgency"], row["priority"]) == ("1", "3")
    junk = send(double, "POST", TABLE, {"assignment_group": "n" * 40}, "agent").json()["result"]
    assert junk["assignment_group"]["value"] == "n" * 32


def test_small_things_of_the_protocol(double: ServiceNowDouble) -> None:
    """HEAD, a suppressed body, an overridden method, `field=value` filters, a hidden secret."""
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


def test_what_is_not_here_is_refused_loudly(double: ServiceNowDouble) -> None:
    """501 with the path for parts of an instance and operators that are real; never an empty 200."""
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


def test_a_long_address_is_refused(double: ServiceNowDouble) -> None:
    """414 beyond 8 KiB, as measured."""
    assert send(double, "GET", TABLE, sysparm_query="sys_idIN" + "a" * 8000).status_code == 200
    assert send(double, "GET", TABLE, sysparm_query="sys_idIN" + "a" * 8200).status_code == 414


# --- pages


def test_a_record_opens_by_every_address(double: ServiceNowDouble) -> None:
    """Classic frame, bare form, by number, Next Experience, `task.do`: the record with its text and links."""
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


def test_a_list_shows_what_its_query_asks_for(double: ServiceNowDouble) -> None:
    """The same encoded queries, with the person's rights; nothing before signing in."""
    session = browser(double)
    address = f"{double.url}/nav_to.do?uri=incident_list.do%3Fsysparm_query%3Dshort_descriptionLIKEvpn"
    page = session.get(address, timeout=10).text
    assert "VPN drops every hour" in page
    assert "Badge reader" not in page
    assert "Badge reader" in session.get(f"{double.url}/incident_list.do", timeout=10).text
    assert "Badge reader" not in browser(double, "requester").get(f"{double.url}/incident_list.do", timeout=10).text
    assert 'name="user_password"' in requests.get(address, timeout=10).text


def test_the_frame_leads_nowhere_else(double: ServiceNowDouble) -> None:
    """A target on another host is no page of the instance, nor is a place to go after signing in."""
    session = browser(double)
    assert session.get(f"{double.url}/nav_to.do?uri=//evil.example", timeout=10).status_code == 404
    form = {"user_name": "agent", "user_password": "sandbox-1"}
    answer = requests.post(f"{double.url}/login.do?to=//evil.example", data=form, timeout=10, allow_redirects=False)
    assert answer.headers["Location"] == "/"
    wrong = requests.post(f"{double.url}/login.do", data=form | {"user_password": "x"}, timeout=10)
    assert (wrong.status_code, 'role="alert"' in wrong.text) == (200, True)


# --- a process of its own


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_runs_as_a_process(how: signal.Signals) -> None:
    """`python -m sandbox.servicenow` says where it serves, and ends quietly when told to."""
    command = [sys.executable, "-m", "sandbox.servicenow", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        assert requests.get(f"{url}{TABLE}", auth=("agent", "sandbox-1"), timeout=10).status_code == 200
        process.send_signal(how)
        _, errors = process.communicate(timeout=10)
    assert (process.returncode, errors) == (0, "")
