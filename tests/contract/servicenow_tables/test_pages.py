"""The ServiceNow double's pages: lists, forms, their errors and their ACLs."""

import re

import pytest
import requests

from sandbox.servicenow import ServiceNowDouble
from sandbox.servicenow.seed.records import sys_id
from tests.contract.servicenow_tables.browsing import Browser, refused


def controls(page: str) -> set[str]:
    """The names of the controls on a page."""
    return set(re.findall(r'<(?:input|select|textarea)[^>]* name="(\w+)"', page))


def test_a_favicon_request_is_not_an_error(double: ServiceNowDouble) -> None:
    """The answer is empty."""
    assert requests.get(f"{double.url}/favicon.ico", timeout=10).status_code == 204


LISTS = (
    "incident", "problem", "change_request", "change_task", "cert_follow_on_task", "task", "kb_knowledge",
    "sysapproval_approver",
)  # fmt: skip


@pytest.mark.parametrize("table", LISTS)
def test_every_list_links_to_editable_records(double: ServiceNowDouble, table: str) -> None:
    """The first row opens as a form, and all of its controls have a label."""
    browser = Browser(double, "admin")
    listed = browser.get(f"/{table}_list.do").text
    address = re.search(rf'href="(/{table}\.do\?sys_id=\w+)"', listed)
    assert address is not None
    page = browser.get(address[1]).text
    assert "<form" in page
    for control in re.findall(r'<(?:input|select|textarea) id="([^"]+)"', page):
        assert f'<label for="{control}">' in page


def test_the_form_changes_a_record(double: ServiceNowDouble) -> None:
    """State, group, priority, comment and work note are saved in one update, and the page confirms it."""
    row = double.rows("incident")[0]
    browser = Browser(double)
    form = {"state": "2", "impact": "1", "assignment_group": sys_id("group Network"), "comments": "Seen\r\nagain"}
    page = browser.post(f"/incident.do?sys_id={row['sys_id']}", **form, work_notes="Only for us")
    assert "The record was saved." in page.text
    changed = double.row("incident", row["sys_id"])
    assert (changed["state"], changed["priority"], changed["sys_mod_count"]) == ("2", "2", "1")
    assert changed["assignment_group"] == sys_id("group Network")
    assert changed["sys_updated_by"] == "agent"
    entries = [(entry["element"], entry["value"]) for entry in double.rows("sys_journal_field")]
    assert entries == [("comments", "Seen\nagain"), ("work_notes", "Only for us")]
    assert "Only for us" in page.text


def test_a_form_saves_only_changed_fields(double: ServiceNowDouble) -> None:
    """A form that was opened before another person's change doesn't revert it."""
    row = double.rows("incident")[0]
    Browser(double, "agent2").post(f"/incident.do?sys_id={row['sys_id']}", state="2")
    sent = {"state": "1", "was.state": "1", "urgency": "3", "was.urgency": row["urgency"]}
    Browser(double).post(f"/incident.do?sys_id={row['sys_id']}", **sent)
    changed = double.row("incident", row["sys_id"])
    assert (changed["state"], changed["urgency"]) == ("2", "3")


def test_an_error_is_shown_on_the_page_and_keeps_the_input(double: ServiceNowDouble) -> None:
    """The errors are from the form's required fields, a data policy and a business rule."""
    browser, row = Browser(double), double.rows("incident")[0]
    address = f"/incident.do?sys_id={row['sys_id']}"
    held = browser.post(address, state="3", comments="Waiting")
    assert refused(held) == "The following mandatory fields are not filled in: On hold reason"
    assert "Waiting</textarea>" in held.text
    asked = browser.post(address, state="3", hold_reason="1")
    assert refused(asked) == "The following mandatory fields are not filled in: Comments"
    solved = browser.post(address, state="6", close_notes="Restarted")
    assert refused(solved) == "Data Policy Exception: The following fields are mandatory: Resolution code"
    assert "Restarted</textarea>" in solved.text
    assert double.row("incident", row["sys_id"]) == row
    [change] = [change for change in double.rows("change_request") if change["state"] == "-1"]
    ruled = browser.post(f"/change_request.do?sys_id={change['sys_id']}", state="0")
    assert "aborted by Business Rule" in refused(ruled)


def test_a_change_offers_only_the_next_states(double: ServiceNowDouble) -> None:
    """From New, these are Assess and Canceled."""
    row = next(row for row in double.rows("change_request") if row["state"] == "-5")
    page = Browser(double).get(f"/change_request.do?sys_id={row['sys_id']}").text
    select = page.partition('name="state"')[2].partition("</select>")[0]
    assert re.findall(r'value="(-?\d)"', select) == ["-5", "-4", "4"]


@pytest.mark.parametrize("table", ["incident", "problem", "change_request"])
def test_records_can_be_created_on_the_page(double: ServiceNowDouble, table: str) -> None:
    """The list links to an empty form. The short description is required. After saving, the record opens."""
    browser = Browser(double)
    assert f'href="/{table}.do?sys_id=-1"' in browser.get(f"/{table}_list.do").text
    form = controls(browser.get(f"/{table}.do?sys_id=-1").text)
    assert {"short_description", "description", "assignment_group", "work_notes"} <= form
    empty = browser.post(f"/{table}.do?sys_id=-1", description="x")
    assert refused(empty) == "The following mandatory fields are not filled in: Short description"
    made = browser.post(f"/{table}.do?sys_id=-1", short_description="Made by hand", comments="Hello")
    assert "The record was saved." in made.text
    row = double.rows(table)[-1]
    assert (row["short_description"], row["sys_created_by"], row["opened_by"]) == (
        "Made by hand",
        "agent",
        sys_id("user agent"),
    )


def test_a_new_record_is_prefilled_from_its_url(double: ServiceNowDouble) -> None:
    """The parameter is `sysparm_query=column=value^…`. Unknown columns are ignored."""
    page = Browser(double).get("/incident.do?sys_id=-1&sysparm_query=short_description=VPN <b>^urgency=1^nosuch=1").text
    assert 'value="VPN &lt;b&gt;"' in page
    assert "nosuch" not in page


def test_people_without_roles_can_change_only_some_fields(double: ServiceNowDouble) -> None:
    """These are texts, urgency and comments of their own incidents. They can't create other records."""
    own = next(row for row in double.rows("incident") if row["caller_id"] == sys_id("user requester"))
    browser = Browser(double, "requester")
    address = f"/incident.do?sys_id={own['sys_id']}"
    assert controls(browser.get(address).text) == {
        "short_description", "urgency", "category", "subcategory", "comments",
    }  # fmt: skip
    browser.post(address, state="7", urgency="2", work_notes="x")
    changed = double.row("incident", own["sys_id"])
    assert (changed["state"], changed["urgency"]) == ("1", "2")
    assert double.rows("sys_journal_field") == []
    assert browser.get("/problem.do?sys_id=-1").status_code == 404
    assert browser.post("/problem.do?sys_id=-1", short_description="x").status_code == 404
    assert "New</a>" not in browser.get("/change_request_list.do").text


def test_an_approver_can_decide_on_the_page(double: ServiceNowDouble) -> None:
    """Other people can't. A rejection needs a comment and updates the change."""
    [asked] = [row for row in double.rows("sysapproval_approver") if row["state"] == "requested"]
    address = f"/sysapproval_approver.do?sys_id={asked['sys_id']}"
    assert "<form" not in Browser(double, "agent").get(address).text
    assert "security constraints" in refused(Browser(double, "agent").post(address, state="approved"))
    browser = Browser(double, "approver")
    assert "Comments" in refused(browser.post(address, state="rejected"))
    assert "The record was saved." in browser.post(address, state="rejected", comments="Too early").text
    assert "Too early" in browser.get(address).text
    assert double.row("change_request", asked["sysapproval"])["approval"] == "rejected"


def test_only_administrators_can_delete(double: ServiceNowDouble) -> None:
    """Other people don't see the button, and their requests are rejected."""
    row = double.rows("problem")[0]
    address = f"/problem.do?sys_id={row['sys_id']}"
    assert "Delete this record" not in Browser(double).get(address).text
    assert "security constraints" in refused(Browser(double).post(address, delete="yes"))
    browser = Browser(double, "admin")
    assert "Delete this record" in browser.get(address).text
    browser.post(address, delete="yes")
    assert row["sys_id"] not in {one["sys_id"] for one in double.rows("problem")}
    assert browser.get(address).status_code == 404


def test_administrators_can_view_every_table(double: ServiceNowDouble) -> None:
    """This includes tables without their own page. Secrets are hidden. Other people get 404."""
    client = {"name": "Client", "client_id": "c" * 32, "client_secret": "very secret", "redirect_url": "http://x"}
    row = double.store.insert("oauth_entity", client, "admin")
    browser = Browser(double, "admin")
    for address in ("/oauth_entity_list.do", f"/oauth_entity.do?sys_id={row['sys_id']}"):
        page = browser.get(address)
        assert page.status_code == 200
        assert "c" * 32 in page.text
        assert "very secret" not in page.text
        assert Browser(double).get(address).status_code == 404
    assert browser.get("/nosuch_list.do").status_code == 404
    assert browser.get("/nosuch.do?sys_id=1").status_code == 404


def test_administrators_can_lock_accounts(double: ServiceNowDouble) -> None:
    """They do this on the user's page, which agents can only read."""
    address = f"/sys_user.do?sys_id={sys_id('user newcomer')}"
    assert "<form" not in Browser(double).get(address).text
    browser = Browser(double, "admin")
    assert controls(browser.get(address).text) == {"active", "locked_out"}
    browser.post(address, active="true", locked_out="true")
    assert double.row("sys_user", sys_id("user newcomer"))["locked_out"] == "true"
    assert (
        "not right" in Browser(double, "admin").post("/login.do", user_name="newcomer", user_password="sandbox-1").text
    )


def test_hostile_text_is_escaped(double: ServiceNowDouble) -> None:
    """This holds for titles, controls, hidden fields, journals and lists."""
    browser, hostile = Browser(double), '"><script>alert(1)</script>'
    page = browser.post("/incident.do?sys_id=-1", short_description=hostile, description=hostile, comments=hostile)
    assert "The record was saved." in page.text
    for text in (page.text, browser.get("/incident_list.do").text):
        assert "<script>" not in text
        assert "&lt;script&gt;" in text


def test_nothing_is_saved_without_a_session(double: ServiceNowDouble) -> None:
    """The answer is the login form."""
    row = double.rows("incident")[0]
    answer = requests.post(f"{double.url}/incident.do?sys_id={row['sys_id']}", data={"state": "2"}, timeout=10)
    assert 'name="user_password"' in answer.text
    assert double.row("incident", row["sys_id"]) == row
