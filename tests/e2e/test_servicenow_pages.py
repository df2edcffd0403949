"""People change records on the ServiceNow double's pages in a browser."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from sandbox.client import PASSWORD
from sandbox.servicenow import ServiceNowDouble
from tests.e2e.walking import fits

pytestmark = pytest.mark.browser


@pytest.fixture
def double() -> Iterator[ServiceNowDouble]:
    """A new instance."""
    with ServiceNowDouble() as one:
        yield one


def sign_in(page: Page, double: ServiceNowDouble, path: str, who: str = "agent") -> None:
    """Sign in and open a page."""
    page.goto(double.url + path)
    page.get_by_label("User name").fill(who)
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Sign out")).to_be_visible()


def test_an_agent_resolves_an_incident(page: Page, double: ServiceNowDouble) -> None:
    """An error is shown and keeps the input. The second attempt resolves the incident."""
    sign_in(page, double, "/incident_list.do")
    page.get_by_role("link", name="INC0010003").click()
    page.get_by_label("State").select_option("Resolved")
    page.get_by_label("Assignment group").select_option("Network")
    page.get_by_label("Comments", exact=True).fill("Restarted the gateway")
    page.get_by_role("button", name="Update").click()
    expect(page.get_by_role("alert")).to_contain_text("mandatory: Resolution code, Close notes")
    expect(page.get_by_label("Comments", exact=True)).to_have_value("Restarted the gateway")
    page.get_by_label("Resolution code").select_option("Solution provided")
    page.get_by_label("Close notes").fill("Restarted")
    page.get_by_role("button", name="Update").click()
    expect(page.get_by_role("status")).to_have_text("The record was saved.")
    expect(page.locator("[data-field=state]")).to_have_text("Resolved")
    expect(page.locator("[data-field=assignment_group]")).to_have_text("Network")
    expect(page.locator("[data-field=comments_and_work_notes]")).to_contain_text("Restarted the gateway")


def test_a_change_is_created_and_approved(page: Page, double: ServiceNowDouble) -> None:
    """The form works with only the keyboard. The approval moves the change to the next state."""
    sign_in(page, double, "/change_request_list.do")
    page.get_by_role("link", name="New", exact=True).click()
    page.get_by_label("Short description").focus()
    page.keyboard.type("Move the <printer>")
    page.get_by_label("Assignment group").focus()
    page.keyboard.type("Hardware")
    page.get_by_role("button", name="Submit").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_be_visible()
    number = page.get_by_role("heading", level=1).inner_text()
    page.get_by_label("State").select_option("Assess")
    page.get_by_role("button", name="Update").click()
    expect(page.locator("[data-field=approval]")).to_have_text("Requested")
    page.get_by_role("link", name="Sign out").click()
    sign_in(page, double, "/sysapproval_approver_list.do", "approver")
    row = page.get_by_role("row").filter(has_text=number)
    expect(row).to_contain_text("Move the <printer>")
    row.get_by_role("link").click()
    page.get_by_label("State").select_option("Approved")
    page.get_by_role("button", name="Update").click()
    expect(page.get_by_role("status")).to_be_visible()
    page.goto(f"{double.url}/change_request.do?sysparm_query=number={number}")
    expect(page.locator("[data-field=state]")).to_have_text("Authorize")


def test_pages_fit_a_phone(page: Page, double: ServiceNowDouble) -> None:
    """The list, the form and the error are no wider than the window."""
    page.set_viewport_size({"width": 390, "height": 800})
    sign_in(page, double, "/change_request_list.do", "admin")
    expect(page.get_by_role("link", name="CHG0030004")).to_be_visible()
    assert fits(page)
    page.get_by_role("link", name="CHG0030004").click()
    expect(page.get_by_role("button", name="Update")).to_be_visible()
    assert fits(page)
    page.get_by_label("State").select_option("Review")
    page.get_by_role("button", name="Update").click()
    expect(page.get_by_role("alert")).to_contain_text("aborted by Business Rule")
    assert fits(page)
    page.get_by_text("Delete…").click()
    page.get_by_role("button", name="Delete this record").click()
    expect(page.get_by_role("link", name="CHG0030004")).to_have_count(0)
