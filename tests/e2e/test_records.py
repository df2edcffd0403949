"""Records in a browser on old and new servers: share one, use its card, create a change and add a message."""

from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.acts import change, row
from tests.e2e.walking import (
    PHONE,
    as_version,
    choose,
    fits,
    open_from_app_bar,
    open_from_message,
    picture,
    sign_in,
    sign_in_at_servicenow,
    submit,
)
from tests.world import World

pytestmark = pytest.mark.browser

NUMBER = "INC0010001"
SHARED = f"{NUMBER}: Email is slow in the morning"


@pytest.fixture
def agent(world: World, page: Page) -> Page:
    """A page for `agent`, whose ServiceNow account is connected."""
    world.connected("agent")
    return page


def share(page: Page) -> Locator:
    """Search for a record, check the preview and share it; returns the post with its card."""
    modal = open_from_app_bar(page, "share")
    expect(modal).to_contain_text("Share a record")
    choose(page, "record", "email is", SHARED)
    expect(modal.locator(".field-markdown")).to_contain_text("Priority: 4 - Low")
    modal.locator("#field-note").fill("Please have a look.")
    if page.viewport_size != PHONE:
        picture(page, "share-record")
    page.get_by_test_id("modal-submit").click()
    expect(page.get_by_test_id("ephemeral")).to_contain_text(f"Shared {NUMBER}")
    post = page.get_by_role("article").filter(has_text="Amir Agent shared").last
    expect(post).to_contain_text(SHARED)
    return post


def submit_refused(page: Page, field: str) -> None:
    """Submit the form, which must stay open with an error at *field*."""
    page.get_by_test_id("modal-submit").click()
    expect(page.get_by_test_id(f"field-error-{field}")).not_to_be_empty()


def test_share_comment_hold_and_resolve(world: World, agent: Page) -> None:
    """On a new server, the card and its thread show every step."""
    as_version(world, "11.6.0")
    page = agent
    sign_in(page, world, "agent", "service-desk")
    post = share(page)
    modal = page.get_by_test_id("modal")

    post.get_by_test_id("card-button-comment").click()
    modal.locator("#field-comments").fill("We are on it.")
    submit(page)
    expect(post).to_contain_text("1 reply")

    post.get_by_test_id("card-button-state").click()
    expect(modal).to_contain_text(f"State of {NUMBER}")
    choose(page, "state", "", "On Hold")
    choose(page, "hold_reason", "", "Awaiting Vendor")
    picture(page, "state")
    submit(page)
    expect(post).to_contain_text("On Hold")

    post.get_by_label("More…").select_option("resolve")
    choose(page, "close_code", "", "Duplicate")
    modal.locator("#field-close_notes").fill("The same as yesterday.")
    submit(page)
    expect(post).to_contain_text("Resolved")
    expect(post.get_by_role("button", name="Reopen")).to_be_visible()
    post.get_by_text("3 replies").click()
    thread = page.get_by_test_id("thread-panel")
    expect(thread).to_contain_text("added a comment")
    expect(thread).to_contain_text("set State On Hold → Resolved")
    picture(page, "record-thread")
    saved = row(world, NUMBER)
    assert (saved["state"], saved["close_code"], saved["hold_reason"]) == ("6", "Duplicate", "4")


def test_an_old_server_on_a_phone(world: World, agent: Page) -> None:
    """Forms have every field that a state can require. Each dialog closes, and the card is updated."""
    as_version(world, "9.11.0")
    page = agent
    page.set_viewport_size(PHONE)
    sign_in(page, world, "agent", "service-desk")
    post = share(page)
    modal = page.get_by_test_id("modal")

    post.get_by_role("button", name="Comment").click()
    modal.locator("#field-comments").fill("We are on it.")
    submit(page)
    expect(post).to_contain_text("1 reply")

    post.get_by_role("button", name="State").click()
    choose(page, "state", "", "On Hold")
    submit_refused(page, "hold_reason")
    choose(page, "hold_reason", "", "Awaiting Vendor")
    assert fits(page)
    submit(page)
    expect(post).to_contain_text("On Hold")

    post.get_by_label("More…").select_option("resolve")
    choose(page, "close_code", "", "Duplicate")
    modal.locator("#field-close_notes").fill("The same as yesterday.")
    submit(page)
    expect(post).to_contain_text("Resolved")
    post.get_by_text("3 replies").click()
    thread = page.get_by_test_id("thread-panel")
    expect(thread).to_contain_text("set State On Hold → Resolved")
    picture(page, "phone-thread")
    assert fits(page)
    saved = row(world, NUMBER)
    assert (saved["state"], saved["close_notes"], saved["hold_reason"]) == ("6", "The same as yesterday.", "4")


def test_view_and_its_buttons(world: World, agent: Page) -> None:
    """A command opens the record in a modal. A button opens its form in the same modal."""
    page = agent
    sign_in(page, world, "agent", "service-desk")
    page.get_by_test_id("composer").fill(f"/servicenow view {NUMBER}")
    page.keyboard.press("Control+Enter")
    modal = page.get_by_test_id("modal")
    expect(modal).to_contain_text("Assignment group: N/A")
    picture(page, "view-record")
    page.get_by_test_id("modal-button-assign").click()
    choose(page, "assigned_to", "aiko", "Aiko Agent (agent2)")
    page.get_by_test_id("modal-submit").click()
    expect(page.get_by_test_id("ephemeral")).to_contain_text("N/A → Aiko Agent")
    assert world.servicenow.store.display("sys_user", row(world, NUMBER)["assigned_to"]) == "Aiko Agent"


def test_comments_by_command_and_in_the_form_that_remains_open(world: World, agent: Page) -> None:
    """A command adds a comment. The form shows it, adds a work note and remains open."""
    page = agent
    sign_in(page, world, "agent", "service-desk")
    composer = page.get_by_test_id("composer")
    composer.fill(f"/servicenow comment {NUMBER} First of all")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_test_id("ephemeral")).to_contain_text("Added a comment")
    composer.fill(f"/servicenow comment {NUMBER}")
    page.keyboard.press("Control+Enter")
    modal = page.get_by_test_id("modal")
    expect(modal).to_contain_text("First of all")
    choose(page, "element", "", "Work note")
    modal.locator("#field-comments").fill("Between us")
    page.get_by_test_id("modal-submit").click()
    expect(modal).to_contain_text("Added a work note")
    expect(modal.locator("blockquote", has_text="Between us")).to_be_visible()
    expect(modal.locator("#field-comments")).to_have_value("")
    sys_id = row(world, NUMBER)["sys_id"]
    assert [one["value"] for one in world.servicenow.store.journal(sys_id, "work_notes")] == ["Between us"]


def test_a_change_with_dates(world: World, page: Page) -> None:
    """Errors are shown at their fields. People enter times in their own zone. The card has UTC."""
    person = next(one["sys_id"] for one in world.servicenow.rows("sys_user") if one["user_name"] == "agent")
    change(world, "sys_user", person, time_zone="Europe/Berlin")
    world.connected("agent")
    sign_in(page, world, "agent", "service-desk")
    modal = open_from_app_bar(page, "change")
    modal.locator("#field-short_description").fill("Replace the router")
    modal.locator("#field-start_date").fill("2027-03-01 22:00")
    modal.locator("#field-end_date").fill("2027-03-01 23:30")
    choose(page, "assignment_group", "net", "Network")
    choose(page, "risk", "", "Moderate")
    picture(page, "create-change")
    modal.locator("#field-end_date").fill("2027-03-01 20:00")
    submit_refused(page, "end_date")
    expect(page.get_by_test_id("field-error-end_date")).to_contain_text("after the start")
    modal.locator("#field-end_date").fill("2027-03-01 23:30")
    page.get_by_test_id("modal-submit").click()
    expect(page.get_by_test_id("ephemeral")).to_contain_text("Created CHG")
    card = page.get_by_role("article").filter(has_text="Planned end").last
    expect(card).to_contain_text("2027-03-01 22:30 UTC")
    expect(card).to_contain_text("Network")


def test_a_message_and_its_file_are_added_to_a_record(world: World, page: Page, tmp_path: Path) -> None:
    """The record in the message is preselected. The note has the message's text, and the record gets the file."""
    world.connected("agent")
    sign_in(page, world, "agent", "service-desk")
    log = tmp_path / "vpn.log"
    log.write_text("tunnel down")
    page.get_by_test_id("composer-files").set_input_files(log)
    page.get_by_test_id("composer").fill("The gateway's log for INC0010003")
    page.get_by_role("button", name="Send", exact=True).click()
    message = page.get_by_role("article").filter(has=page.locator(".file"))
    modal = open_from_message(message, "Add to ServiceNow record")
    expect(modal.locator("#field-record")).to_have_value("INC0010003")
    expect(modal.locator("#field-files")).to_be_checked()
    submit(page)
    expect(page.get_by_test_id("ephemeral")).to_contain_text("INC0010003")
    tab = page.context.new_page()
    sign_in_at_servicenow(tab, world, "agent", "/incident.do?sysparm_query=number=INC0010003")
    expect(tab.locator("[data-field=attachment]")).to_contain_text("vpn.log")
    expect(tab.locator("[data-field=comments_and_work_notes]")).to_contain_text("The gateway's log")
