"""Subscribing in a browser: from the app bar to the notice, and looking after it in the list."""

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.test_walk import choose, sign_in
from tests.reports import Component, pass_time
from tests.scenarios.subscribing import install_component, make_key, rows
from tests.world import World

pytestmark = pytest.mark.browser


@pytest.fixture
def subscriber(world: World, component: Component, page: Page) -> Page:
    """`agent` at the chat page, in service-desk, at an instance with the component."""
    install_component(world, "agent")
    make_key(world)
    world.connected("agent")
    sign_in(page, world, "agent", "service-desk")
    return page


def open_from_app_bar(page: Page, button: str) -> None:
    """The ServiceNow icon, then one of its buttons."""
    page.get_by_test_id("app-bar-servicenow").click()
    page.get_by_test_id("modal").get_by_role("button", name=button).click()


def test_subscribing_and_seeing_a_change(world: World, subscriber: Page) -> None:
    """Choose one record, subscribe, save it in ServiceNow: the notice stands in the channel, from what to what."""
    page = subscriber
    open_from_app_bar(page, "Add subscription")
    modal = page.get_by_test_id("modal")
    expect(modal).to_contain_text("Add subscription")
    choose(page, "kind", "", "One record")
    expect(modal.locator("#field-record")).to_be_visible()
    record = next(row for row in world.servicenow.rows("incident") if row["number"] == "INC0010001")
    choose(page, "record", "INC0010001", f"INC0010001: {record['short_description']}")
    modal.get_by_role("button", name="Subscribe", exact=True).click()
    expect(modal).to_have_count(0)
    expect(page.get_by_role("article").filter(has_text="agent subscribed this channel").last).to_be_visible()
    world.administer("PATCH", f"/api/now/table/incident/{record['sys_id']}", {"state": "2"})
    world.servicenow.settle()
    pass_time(world, 3)
    expect(page.get_by_role("article").last).to_contain_text("New → In Progress")
    open_from_app_bar(page, "Subscriptions")
    choose(page, "pick", "", "1. Incident INC0010001")
    modal.get_by_role("button", name="Open", exact=True).click()
    expect(modal).to_contain_text("Status: active")
    modal.get_by_role("button", name="Pause", exact=True).click()
    expect(modal).to_contain_text("Status: paused")
    modal.get_by_role("button", name="Delete", exact=True).click()
    expect(modal).to_contain_text("Delete this subscription?")
    modal.get_by_role("button", name="Delete", exact=True).click()
    expect(modal).to_have_count(0)
    assert rows(world) == []
