"""An administrator in a browser: choose the instance, make a key, send a test, look at the status."""

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.test_walk import sign_in
from tests.scenarios.subscribing import install_component
from tests.world import CLIENT_ID, CLIENT_SECRET, World

pytestmark = pytest.mark.browser


def run(page: Page, line: str) -> None:
    """Type a command and send it."""
    composer = page.get_by_test_id("composer")
    composer.fill(line)
    expect(page.get_by_test_id("suggestions")).to_have_attribute("data-line", line)
    composer.press("Escape")
    composer.press("Enter")


def test_an_administrator_sets_everything_up(world: World, page: Page) -> None:
    """From an empty environment to a report that came back, without a restart."""
    world.restart(servicenow_url="", servicenow_client_id="", servicenow_client_secret="")
    install_component(world)
    page.goto(world.mattermost.url + "/sandbox/channels/town-square")
    page.get_by_test_id("login-username").fill("admin")
    page.get_by_test_id("login-password").fill("sandbox-1")
    page.get_by_test_id("login-submit").click()
    expect(page.get_by_test_id("composer")).to_be_visible()

    run(page, "/servicenow configure")
    modal = page.get_by_test_id("modal")
    expect(modal).to_contain_text("/oauth2/remote/complete")
    for name, value in (("url", world.servicenow.url), ("client_id", CLIENT_ID), ("client_secret", CLIENT_SECRET)):
        page.get_by_test_id(f"field-{name}").locator("input").fill(value)
    assert page.get_by_test_id("field-client_secret").locator("input").get_attribute("type") == "password"
    page.get_by_test_id("modal-submit").click()
    expect(page.get_by_role("article").last).to_contain_text("The instance answers")

    world.connected("admin")
    run(page, "/servicenow setup")
    expect(modal).to_contain_text("there is none yet")
    modal.get_by_role("button", name="New key").click()
    expect(modal).to_contain_text("signs with the new key")
    modal.get_by_role("button", name="Send a test").click()
    expect(modal).to_contain_text("The test came back")
    page.keyboard.press("Escape")

    run(page, "/servicenow status")
    expect(page.get_by_role("article").last).to_contain_text("Its last try: HTTP 202")


def test_others_see_none_of_it(world: World, page: Page) -> None:
    """The commands are not among an ordinary person's suggestions."""
    world.connected("agent")
    sign_in(page, world, "agent")
    page.get_by_test_id("composer").fill("/servicenow ")
    shown = page.get_by_test_id("suggestions")
    expect(shown).to_contain_text("incident")
    for word in ("configure", "setup", "status"):
        expect(shown).not_to_contain_text(word)
