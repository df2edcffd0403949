"""Records in a browser: share one, act on its card, create a change; as people do it, on old and new servers."""

import pytest
import requests
from playwright.sync_api import Locator, Page, expect

from tests.acts import row
from tests.e2e.test_walk import choose, picture, sign_in
from tests.world import World

pytestmark = pytest.mark.browser

NUMBER = "INC0010001"
SHARED = f"{NUMBER}: Email is slow in the morning"


@pytest.fixture
def agent(world: World, page: Page) -> Page:
    """`agent` at the chat page, in service-desk, connected."""
    world.connected("agent")
    return page


def at_version(world: World, version: str) -> None:
    """The server is of that version."""
    answer = requests.post(f"{world.mattermost.url}/_sandbox/version", json={"version": version}, timeout=10)
    answer.raise_for_status()


def from_app_bar(page: Page, button: str) -> Locator:
    """The icon, one of its buttons, the modal."""
    page.get_by_test_id("app-bar-servicenow").click()
    page.get_by_test_id("modal").get_by_role("button", name=button, exact=True).click()
    return page.get_by_test_id("modal")


def share(page: Page) -> Locator:
    """Search, look at the preview, share; the card."""
    modal = from_app_bar(page, "Search and share")
    expect(modal).to_contain_text("Share a record")
    choose(page, "record", "email is", SHARED)
    expect(modal.locator(".field-markdown")).to_contain_text("Priority: 4 - Low")
    modal.locator("#field-note").fill("Please have a look.")
    picture(page, "share-record")
    page.get_by_test_id("modal-submit").click()
    expect(page.get_by_test_id("ephemeral")).to_contain_text(f"Shared {NUMBER}")
    post = page.get_by_role("article").filter(has_text="Shared by @agent").last
    expect(post).to_contain_text(SHARED)
    return post


def test_share_comment_hold_and_resolve(world: World, agent: Page) -> None:
    """The whole of a record's day on a new server: every step is seen on the card and in its thread."""
    at_version(world, "11.6.0")
    page = agent
    sign_in(page, world, "agent", "service-desk")
    post = share(page)
    modal = page.get_by_test_id("modal")

    post.get_by_test_id("card-button-comment").click()
    modal.locator("#field-comments").fill("We are on it.")
    page.get_by_test_id("modal-submit").click()
    expect(modal).to_contain_text("We are on it.")  # the form stays, with what was added
    page.get_by_test_id("modal-close").click()
    expect(post).to_contain_text("1 reply")

    post.get_by_test_id("card-button-state").click()
    expect(modal).to_contain_text(f"State of {NUMBER}")
    choose(page, "state", "", "On Hold")
    choose(page, "hold_reason", "", "Awaiting Vendor")
    page.get_by_test_id("modal-submit").click()
    expect(modal).to_have_count(0)
    expect(post).to_contain_text("On Hold")

    post.get_by_label("More…").select_option("resolve")
    choose(page, "close_code", "", "Duplicate")
    modal.locator("#field-close_notes").fill("The same as yesterday.")
    page.get_by_test_id("modal-submit").click()
    expect(modal).to_have_count(0)
    expect(post).to_contain_text("Resolved")
    expect(post.get_by_role("button", name="Reopen")).to_be_visible()
    post.get_by_text("3 replies").click()
    thread = page.get_by_test_id("thread-panel")
    expect(thread).to_contain_text("added a comment")
    expect(thread).to_contain_text("set State On Hold → Resolved")
    picture(page, "record-thread")
    saved = row(world, NUMBER)
    assert (saved["state"], saved["close_code"], saved["hold_reason"]) == ("6", "Duplicate", "4")


def test_view_and_its_buttons(world: World, agent: Page) -> None:
    """By command, for the asker alone; a button leads to the form in the same modal."""
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


def test_a_comment_by_command_and_the_form_that_stays(world: World, agent: Page) -> None:
    """Typed in one line; then read, added to, and left open."""
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
    expect(modal.locator("blockquote").first).to_contain_text("Between us")
    expect(modal.locator("#field-comments")).to_have_value("")
    sys_id = row(world, NUMBER)["sys_id"]
    assert [one["value"] for one in world.servicenow.store.journal(sys_id, "work_notes")] == ["Between us"]


def test_a_change_with_dates(world: World, agent: Page) -> None:
    """From the app bar: what is wrong stands at its field, then the change's card stands in the channel."""
    page = agent
    sign_in(page, world, "agent", "service-desk")
    modal = from_app_bar(page, "Create change request")
    modal.locator("#field-short_description").fill("Replace the router")
    modal.locator("#field-start_date").fill("2027-03-01 22:00")
    modal.locator("#field-end_date").fill("2027-03-01 20:00")
    choose(page, "assignment_group", "net", "Network")
    page.get_by_test_id("modal-submit").click()
    expect(page.get_by_test_id("field-error-end_date")).to_contain_text("after the start")
    modal.locator("#field-end_date").fill("2027-03-01 23:30")
    picture(page, "create-change")
    page.get_by_test_id("modal-submit").click()
    expect(page.get_by_test_id("ephemeral")).to_contain_text("Created CHG")
    card = page.get_by_role("article").filter(has_text="Planned end").last
    expect(card).to_contain_text("2027-03-01 23:30 UTC")
    expect(card).to_contain_text("Network")
