"""A real Chromium; without one the tests are skipped."""

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from sandbox.mattermost import MattermostDouble
from tests.e2e.chat_page import Chat, RecorderApp, installed, serving

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]

PATIENCE = 15_000.0  # milliseconds; a busy machine is no failure
expect.set_options(timeout=PATIENCE)


def _chromium() -> str:
    names = ("chromium", "chromium-browser", "google-chrome")
    return os.environ.get("SANDBOX_CHROMIUM") or next((path for name in names if (path := shutil.which(name))), "")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One browser for the run."""
    path = _chromium()
    if not path:
        pytest.skip("no Chromium is installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A new window; an error in the page's scripts fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, locale="en")
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert not errors


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[MattermostDouble, RecorderApp]]:
    """The double, which serves the chat page, and an app of the framework, for one file."""
    with serving() as both:
        yield both


@pytest.fixture
def chat(servers: tuple[MattermostDouble, RecorderApp], page: Page) -> Chat:
    """A new server with the app installed, and a window."""
    return installed(servers, page)
