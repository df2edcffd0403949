"""The main tasks in a browser: connect, create an incident from a message, see its card and open the record."""

import pytest
from playwright.sync_api import Page, expect

from sandbox.client import PASSWORD
from tests.e2e.walking import choose, fits, picture, sign_in
from tests.world import World

pytestmark = pytest.mark.browser


def test_a_newcomer_connects(world: World, page: Page) -> None:
    """After the consent, the menus update without a reload, and a direct message explains what to do next."""
    sign_in(page, world, "newcomer")
    icon = page.get_by_test_id("app-bar-connect-to-servicenow")
    expect(icon).to_be_visible()
    with page.context.expect_page() as opened:
        icon.click()
    tab = opened.value
    tab.locator("#user_name").fill("newcomer")
    tab.locator("#user_password").fill(PASSWORD)
    tab.get_by_role("button", name="Sign in").click()
    expect(tab.get_by_text("Nora Newcomer")).to_be_visible()
    with tab.expect_event("close"):
        tab.get_by_role("button", name="Allow").click()

    expect(page.get_by_test_id("app-bar-servicenow")).to_be_visible()
    expect(icon).to_have_count(0)
    page.get_by_test_id("channel-servicenow").click()
    welcome = page.get_by_role("article").last
    expect(welcome).to_contain_text("Your ServiceNow account is connected")
    expect(welcome).to_contain_text("Nora Newcomer")
    expect(welcome).to_contain_text("Create ServiceNow incident")


def test_an_incident_from_a_message(world: World, page: Page) -> None:
    """The message menu opens a prefilled form. The card is in the thread and links to the record."""
    world.connected("agent")
    sign_in(page, world, "agent", "service-desk")
    page.get_by_test_id("composer").fill("The **VPN** drops every few minutes for everybody on the 3rd floor.")
    page.keyboard.press("Enter")
    message = page.get_by_role("article").last
    expect(message).to_contain_text("VPN drops")
    message.hover()
    message.get_by_label("Message actions").click()
    page.get_by_role("menuitem", name="Create ServiceNow incident").click()

    modal = page.get_by_test_id("modal")
    title = modal.locator("#field-short_description")
    expect(title).to_have_value("The VPN drops every few minutes for everybody on the 3rd floor.")
    expect(modal.locator("#field-description")).to_have_value(
        "The **VPN** drops every few minutes for everybody on the 3rd floor.\n\n"
        f"Mattermost message of @agent: {world.mattermost.url}/sandbox/pl/{message.get_attribute('data-post')}"
    )
    expect(modal.locator("#field-caller_id")).to_have_value("Amir Agent (agent)")
    choose(page, "urgency", "", "1 - High")
    choose(page, "category", "", "Network")
    expect(modal.get_by_test_id("field-subcategory")).to_be_visible()
    choose(page, "assignment_group", "ne", "Network")
    title.scroll_into_view_if_needed()
    picture(page, "create-incident")
    page.get_by_test_id("modal-submit").click()

    confirmation = page.get_by_test_id("ephemeral")
    expect(confirmation).to_contain_text("Created INC")
    expect(confirmation).to_contain_text("Only visible to you")
    page.get_by_text("1 reply").click()
    card = page.get_by_test_id("thread-panel").locator(".attachment")
    expect(card).to_contain_text("The VPN drops every few minutes")
    expect(card).to_contain_text("Network")
    expect(card).to_contain_text("New")
    picture(page, "incident-card")

    with page.context.expect_page() as opened:
        card.get_by_role("link").click()
    record = opened.value
    record.locator("#user_name").fill("agent")
    record.locator("#user_password").fill(PASSWORD)
    record.get_by_role("button", name="Sign in").click()
    expect(record.locator("[data-field=caller_id]")).to_have_text("Amir Agent")
    expect(record.locator("[data-field=description]")).to_contain_text("for everybody on the 3rd floor")
    record.locator("[data-field=description] a").click()
    expect(record.locator(".post.highlight")).to_contain_text("VPN drops")


def test_an_incident_by_command(world: World, page: Page) -> None:
    """Suggestions show the flags. If a required field is missing, a modal opens with the typed values."""
    world.connected("agent")
    sign_in(page, world, "agent")
    composer = page.get_by_test_id("composer")
    composer.press_sequentially("/serv")
    expect(page.get_by_test_id("suggestion").first).to_contain_text("servicenow")
    page.keyboard.press("Tab")
    expect(page.get_by_test_id("suggestions")).to_contain_text("incident")
    composer.press_sequentially("incident create --")
    expect(page.get_by_test_id("suggestions")).to_contain_text("--short_description")
    picture(page, "command")
    composer.fill('/servicenow incident create --short_description "Badge reader is dead" --urgency 2')
    page.keyboard.press("Control+Enter")
    expect(page.get_by_test_id("ephemeral")).to_contain_text("Created INC")
    expect(page.locator(".attachment")).to_contain_text("Badge reader is dead")

    composer.fill("/servicenow incident create --urgency 1 --description Something")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_test_id("modal").locator("#field-description")).to_have_value("Something")
    page.keyboard.press("Escape")


def test_an_incident_from_the_app_bar(world: World, page: Page) -> None:
    """The icon opens the menu. A form with errors keeps its input."""
    world.connected("requester")
    sign_in(page, world, "requester")
    page.get_by_test_id("app-bar-servicenow").click()
    expect(page.get_by_test_id("modal")).to_contain_text("Rosa Requester")
    picture(page, "app-bar-menu")
    page.get_by_test_id("modal-button-incident").click()
    modal = page.get_by_test_id("modal")
    modal.locator("#field-description").fill("It smells of smoke.")
    page.get_by_test_id("modal-submit").click()
    expect(modal.get_by_test_id("field-short_description")).to_contain_text("This field is required.")
    modal.locator("#field-short_description").fill("Smoke in the server room")
    world.servicenow.fault("hibernating", "/api/now")
    page.get_by_test_id("modal-submit").click()
    expect(page.get_by_test_id("form-error")).to_contain_text("asleep")
    expect(modal.locator("#field-description")).to_have_value("It smells of smoke.")
    page.get_by_test_id("modal-submit").click()
    expect(page.get_by_test_id("ephemeral")).to_contain_text("Created INC")
    assert [row["description"] for row in world.servicenow.rows("incident")].count("It smells of smoke.") == 1


def test_the_page_works_on_a_phone(world: World, page: Page) -> None:
    """Channels are behind a button, and the form fits the width."""
    world.connected("agent")
    page.set_viewport_size({"width": 390, "height": 844})
    sign_in(page, world, "agent")
    page.get_by_role("button", name="Channels").click()
    page.get_by_test_id("channel-service-desk").click()
    expect(page.get_by_role("heading", name="Service Desk")).to_be_visible()
    page.get_by_test_id("app-bar-servicenow").click()
    page.get_by_test_id("modal-button-incident").click()
    expect(page.get_by_test_id("modal").locator("#field-short_description")).to_be_visible()
    assert fits(page)
