"""Shared steps of the browser tests: sign in to both doubles, use forms and cards, and take screenshots."""

import os
from pathlib import Path

import requests
from playwright.sync_api import Locator, Page, ViewportSize, expect

from sandbox.client import PASSWORD
from tests.world import World

IMAGES = Path(__file__).parent.parent.parent / "docs" / "images"
PHONE: ViewportSize = {"width": 390, "height": 844}


def picture(page: Page, name: str) -> None:
    """Take a screenshot for the docs, only on request, so that test runs don't change the repository."""
    if os.environ.get("RENEW_IMAGES"):
        page.mouse.move(0, 0)  # no hover effects
        page.screenshot(path=IMAGES / f"{name}.png", animations="disabled")


def sign_in(page: Page, world: World, username: str, channel: str = "town-square") -> None:
    """Sign in to the chat page and wait for the apps' menus."""
    page.goto(world.mattermost.url + f"/sandbox/channels/{channel}")
    page.get_by_test_id("login-username").fill(username)
    page.get_by_test_id("login-password").fill(PASSWORD)
    page.get_by_test_id("login-submit").click()
    expect(page.locator("html[data-menus]")).to_have_count(1)


def sign_in_at_servicenow(page: Page, world: World, username: str, address: str) -> None:
    """Sign in to ServiceNow and open one of its pages."""
    page.goto(world.servicenow.url + address)
    page.get_by_label("User name").fill(username)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("link", name="Sign out")).to_be_visible()


def save_at_servicenow(page: Page) -> None:
    """Save the record, which must succeed."""
    page.get_by_role("button", name="Update").click()
    expect(page.get_by_role("status")).to_have_text("The record was saved.")


def as_version(world: World, version: str) -> None:
    """Set Mattermost's version. Call it before the app first reads the version."""
    given = {"version": version}
    requests.post(f"{world.mattermost.url}/_sandbox/version", json=given, timeout=10).raise_for_status()


def open_from_app_bar(page: Page, action: str) -> Locator:
    """Open a form with a button of the app bar's menu."""
    page.get_by_test_id("app-bar-servicenow").click()
    page.get_by_test_id(f"modal-button-{action}").click()
    expect(page.get_by_test_id(f"modal-button-{action}")).to_have_count(0)
    return page.get_by_test_id("modal")


def open_from_message(message: Locator, entry: str) -> Locator:
    """Open a form with an entry of a message's menu."""
    message.hover()
    message.get_by_label("Message actions").click()
    message.page.get_by_role("menuitem", name=entry).click()
    modal = message.page.get_by_test_id("modal")
    expect(modal).to_be_visible()
    return modal


def choose(page: Page, field: str, typed: str, option: str) -> None:
    """Open a picker, type, and choose an option by its exact text."""
    box = page.get_by_test_id(f"field-{field}")
    box.locator("input").click()
    if typed:
        box.locator("input").fill(typed)
    box.get_by_role("option", name=option, exact=True).click()


def submit(page: Page) -> None:
    """Submit the form, which must close."""
    page.get_by_test_id("modal-submit").click()
    expect(page.get_by_test_id("modal")).to_have_count(0)


def fits(page: Page) -> bool:
    """
    Whether nothing is wider than the window.

    Expect something of the page first: a press returns once the next page's address counts. The document has
    no root yet then, for which a script of the page would not wait, and nothing in it that could be too wide.
    """
    page.wait_for_load_state()
    return bool(page.locator("html").evaluate("root => root.scrollWidth <= innerWidth"))
