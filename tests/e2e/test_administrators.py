"""An administrator in a browser: the instance, the update set, a key, a test report, the status."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.walking import picture, sign_in, sign_in_at_servicenow
from tests.world import CLIENT_ID, CLIENT_SECRET, World

pytestmark = pytest.mark.browser


def run(page: Page, line: str) -> None:
    """Type a command and send it."""
    composer = page.get_by_test_id("composer")
    composer.fill(line)
    expect(page.get_by_test_id("suggestions")).to_have_attribute("data-line", line)
    composer.press("Escape")
    composer.press("Enter")


def import_update_set(page: Page, file: Path) -> None:
    """Upload, preview and commit, starting at the list of retrieved update sets."""
    page.get_by_role("link", name="Import Update Set from XML").click()
    page.get_by_label("Step 1: Choose file to upload").set_input_files(file)
    page.get_by_role("button", name="Upload", exact=True).click()
    expect(page.get_by_role("heading", name="ServiceNow for Mattermost Notifications")).to_be_visible()
    page.get_by_role("button", name="Preview Update Set").click()
    expect(page.get_by_role("status")).to_have_text("The preview found no problems.")
    page.get_by_role("button", name="Commit Update Set").click()
    expect(page.locator("[data-field=state]")).to_have_text("Committed")


def test_an_administrator_completes_the_setup(world: World, page: Page, tmp_path: Path) -> None:
    """From an empty environment and a bare instance to a test report that came back, without a restart."""
    world.restart(servicenow_url="", servicenow_client_id="", servicenow_client_secret="")
    sign_in(page, world, "admin")

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
    expect(modal).to_contain_text("it is not installed")
    with page.expect_download() as download:
        modal.get_by_role("link", name="the update set").click()
    file = tmp_path / download.value.suggested_filename
    download.value.save_as(file)
    tab = page.context.new_page()
    sign_in_at_servicenow(tab, world, "admin", "/sys_remote_update_set_list.do")
    import_update_set(tab, file)
    page.bring_to_front()
    modal.get_by_role("button", name="Check again").click()
    expect(modal).to_contain_text("there is none yet")
    modal.get_by_role("button", name="New key").click()
    expect(modal).to_contain_text("signs with the new key")
    modal.get_by_role("button", name="Send a test").click()
    expect(modal).to_contain_text("The test came back")
    picture(page, "setup")
    page.keyboard.press("Escape")

    run(page, "/servicenow status")
    expect(page.get_by_role("article").last).to_contain_text("Its last try: HTTP 202")


def test_other_people_dont_see_it(world: World, page: Page) -> None:
    """The commands aren't among an ordinary person's suggestions."""
    world.connected("agent")
    sign_in(page, world, "agent")
    page.get_by_test_id("composer").fill("/servicenow ")
    shown = page.get_by_test_id("suggestions")
    expect(shown).to_contain_text("incident")
    for word in ("configure", "setup", "status"):
        expect(shown).not_to_contain_text(word)
