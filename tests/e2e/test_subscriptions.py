"""Notifications in a browser: subscribe, change the record as another person and see it in the channel."""

import pytest
from playwright.sync_api import Page, expect

from core.notices import WebhookKey
from tests.acts import change
from tests.e2e.walking import (
    choose,
    open_from_app_bar,
    picture,
    save_at_servicenow,
    sign_in,
    sign_in_at_servicenow,
    submit,
)
from tests.reports import KEY_ID, SECRET, pass_time
from tests.scenarios.subscriptions.subscribing import install_component, make_key, rows, subscribe
from tests.world import World

pytestmark = pytest.mark.browser

GATHERED = 20.0  # seconds in which a record's later changes are batched into one notice


@pytest.fixture
def following(world: World) -> World:
    """The component is installed and signs reports. `agent` is connected and can subscribe."""
    install_component(world, "agent")
    make_key(world)
    world.restart(webhook_keys=(WebhookKey(key_id=KEY_ID, secret=SECRET, from_environment=True),))
    world.connected("agent")
    return world


def test_changes_of_a_record_are_posted_and_can_be_answered(following: World, page: Page) -> None:
    """The notice has the old and new state. A comment from its thread is added to the record."""
    sign_in(page, following, "agent", "service-desk")
    modal = open_from_app_bar(page, "subscribe")
    expect(modal.locator("#field-channel")).to_have_value("Service Desk")
    choose(page, "kind", "", "One record")
    expect(page.get_by_test_id("field-priority")).to_have_count(0)
    record = page.get_by_test_id("field-record")
    record.locator("input").fill("INC0010003")
    record.get_by_role("option").click()
    modal.locator("#field-name").fill("The VPN")
    picture(page, "subscribe")
    page.get_by_test_id("modal-button-save").click()
    expect(page.get_by_test_id("ephemeral")).to_contain_text("INC0010003")

    servicenow = page.context.new_page()
    sign_in_at_servicenow(servicenow, following, "newcomer", "/incident.do?sysparm_query=number=INC0010003")
    servicenow.get_by_label("State").select_option("In Progress")
    save_at_servicenow(servicenow)
    notice = page.get_by_role("article").filter(has_text="New → In Progress")
    expect(notice).to_be_visible(timeout=5_000)
    expect(notice).to_contain_text("Nora Newcomer")

    servicenow.get_by_label("Comments", exact=True).fill("Restarted the *gateway*")
    save_at_servicenow(servicenow)
    following.servicenow.settle()
    pass_time(following, GATHERED)
    notice.get_by_text("1 reply").click()
    thread = page.get_by_test_id("thread-panel")
    reply = thread.get_by_role("article").last
    expect(reply).to_contain_text("Restarted the *gateway*")
    picture(page, "notice")

    page.bring_to_front()  # a background page is rendered once a second
    thread.get_by_role("button", name="Comment").click()
    modal.locator("#field-comments").fill("Thank you!")
    submit(page)
    expect(thread.get_by_role("article").filter(has_text="added a comment")).to_be_visible()
    page.get_by_test_id("thread-close").click()
    servicenow.reload()
    expect(servicenow.locator("[data-field=comments_and_work_notes]")).to_contain_text("Thank you!")


def test_a_subscription_can_be_paused_resumed_and_deleted(following: World, page: Page) -> None:
    """Deleting needs a confirmation. Changes during the pause aren't posted."""
    subscribe(following.person("agent"), {"name": "All incidents"})
    sign_in(page, following, "agent", "service-desk")
    modal = open_from_app_bar(page, "subscriptions")
    choose(page, "pick", "", "1. All incidents")
    picture(page, "subscriptions")
    page.get_by_test_id("modal-button-open").click()
    page.get_by_test_id("modal-button-pause").click()
    expect(modal).to_contain_text("Status: paused")
    [incident, *_] = following.servicenow.rows("incident")
    change(following, "incident", incident["sys_id"], state="2")
    following.servicenow.settle()
    pass_time(following, GATHERED)
    page.get_by_test_id("modal-button-resume").click()
    expect(modal).to_contain_text("Status: active")
    page.get_by_test_id("modal-button-delete").click()
    expect(modal).to_contain_text("Delete this subscription?")
    page.get_by_test_id("modal-button-keep").click()
    expect(page.get_by_test_id("ephemeral")).to_contain_text("stays as it is")

    modal = open_from_app_bar(page, "subscriptions")
    choose(page, "pick", "", "1. All incidents")
    page.get_by_test_id("modal-button-open").click()
    page.get_by_test_id("modal-button-delete").click()
    page.get_by_test_id("modal-button-delete").click()
    expect(page.get_by_role("article").filter(has_text="removed a subscription")).to_be_visible()
    assert rows(following) == []
    expect(page.get_by_text("New → In Progress")).to_have_count(0)
