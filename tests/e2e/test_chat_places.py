"""Channels, files and narrow screens on the chat page."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from sandbox.client import PASSWORD
from sandbox.mattermost import MattermostDouble
from tests.e2e.chat_page import ICON, Chat, RecorderApp, installed
from tests.e2e.walking import fits
from tests.integration import Integration

pytestmark = pytest.mark.browser

LONG = "A line of a long comment.\n" * 60


def act(chat: Chat, label: str) -> None:
    """Choose an entry in the open channel's menu."""
    chat.page.get_by_test_id("channel-menu").click()
    chat.page.get_by_role("menuitem", name=label).click()


def test_a_channel_can_be_archived_in_its_menu(chat: Chat) -> None:
    """The composer is replaced by a notice until an administrator unarchives it. Other people can't."""
    chat.sign_in("agent")
    page = chat.page
    act(chat, "Archive channel")
    expect(page.locator(".centre .composer-refused")).to_be_visible()
    act(chat, "Unarchive channel")
    expect(page.get_by_role("status")).to_contain_text("appropriate permissions")
    admin = chat.person("admin")
    admin.post(f"/api/v4/channels/{admin.channel('service-desk')}/restore", {})
    expect(page.get_by_test_id("composer")).to_be_visible()
    page.get_by_test_id("channel-town-square").click()
    page.get_by_text("Archived channels").click()
    page.get_by_test_id("channel-archive").click()
    expect(page.get_by_test_id("channel-title")).to_have_text("Archive")


def test_members_can_be_removed_and_added(chat: Chat) -> None:
    """An administrator does both in the members dialog."""
    chat.sign_in("admin")
    admin = chat.person("admin")
    agent, desk = chat.person("agent").id, admin.channel("service-desk")
    act(chat, "Members")
    members = chat.page.get_by_test_id("members")
    members.get_by_role("button", name="Remove agent", exact=True).click()
    expect(members.get_by_text("@agent", exact=True)).to_have_count(0)
    assert (desk, agent) not in chat.double.state.members
    chat.page.get_by_role("searchbox").fill("amir")
    members.get_by_role("button", name="Add agent").click()
    expect(members.get_by_role("button", name="Remove agent")).to_be_visible()
    assert (desk, agent) in chat.double.state.members


def test_leaving_a_channel_opens_the_default_channel(chat: Chat) -> None:
    """The channel is removed from the list."""
    chat.sign_in("agent")
    act(chat, "Leave channel")
    expect(chat.page.get_by_test_id("channel-title")).to_have_text("Town Square")
    expect(chat.page.get_by_test_id("channel-service-desk")).to_have_count(0)


def test_files_can_be_sent_with_a_message(chat: Chat, tmp_path: Path) -> None:
    """Chosen files can be removed, sent without a text and downloaded. Images are shown."""
    chat.sign_in("agent")
    page = chat.page
    log = tmp_path / "disk full.log"
    log.write_text("no space\n")
    page.get_by_test_id("composer-files").set_input_files([log, ICON])
    chosen = page.locator(".chosen-files li")
    expect(chosen).to_have_count(2)
    page.get_by_role("button", name="Remove icon.png").click()
    expect(chosen).to_have_count(1)
    page.get_by_role("button", name="Send", exact=True).click()
    file = page.get_by_role("article").last.locator(".file")
    expect(file).to_contain_text("disk full.log")
    expect(chosen).to_have_count(0)
    with page.expect_download() as download:
        file.click()
    assert download.value.path().read_text() == "no space\n"
    other = chat.person("requester")
    desk = other.channel("service-desk")
    picture = other.upload(desk, "icon.png", ICON.read_bytes())
    other.post("/api/v4/posts", {"channel_id": desk, "message": "see", "file_ids": [picture]})
    image = page.get_by_role("article").last.locator(".file-picture")
    expect(image).to_have_js_property("complete", True)
    assert image.evaluate("image => image.naturalWidth") > 0


def test_long_card_texts_can_be_expanded_and_collapsed(chat: Chat) -> None:
    """The buttons are *Show more* and *Show less*."""
    chat.sign_in("agent")
    other = chat.person("admin")
    given = {"channel_id": other.channel("service-desk"), "message": "", "props": {"attachments": [{"text": LONG}]}}
    other.post("/api/v4/posts", given)
    text = chat.page.locator(".long .markdown")
    expect(text).to_be_visible()
    cut = text.evaluate("node => node.clientHeight")
    chat.page.get_by_role("button", name="Show more").click()
    assert text.evaluate("node => node.clientHeight") > cut
    chat.page.get_by_role("button", name="Show less").click()
    assert text.evaluate("node => node.clientHeight") == cut


def test_a_phone_shows_cards_threads_and_dialogs_without_scrolling_sideways(
    browser: Browser, servers: tuple[MattermostDouble, RecorderApp]
) -> None:
    """At 390 pixels, a dialog fills the screen and its button is visible. A thread takes the full width."""
    context = browser.new_context(viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)
    chat = installed(servers, context.new_page())
    page = chat.page
    other = chat.person("admin")
    with Integration(chat.double.url) as app:
        element = {"name": "text", "display_name": "Text", "type": "textarea", "optional": True}
        app.answers["press"] = app.opens({"title": "Comment on INC0010001", "elements": [element]})
        fields = [{"title": "State", "value": "In Progress", "short": True}] * 4
        card = {"title": "INC0010001: " + "disk full " * 12, "text": LONG, "fields": fields}
        card["actions"] = [app.button(name, id=f"a{n}") for n, name in enumerate(("Comment", "State", "Assign to me"))]
        given = {"channel_id": other.channel("service-desk"), "message": "", "props": {"attachments": [card]}}
        root = other.post("/api/v4/posts", given)
        other.say("service-desk", "a reply", root["id"])
        page.goto(chat.double.url + "/sandbox/channels/service-desk")
        page.get_by_test_id("login-username").fill("agent")
        page.get_by_test_id("login-password").fill(PASSWORD)
        page.get_by_test_id("login-submit").tap()
        shown = page.get_by_test_id(f"post-{root['id']}")
        shown.get_by_role("button", name="Comment").tap()
        expect(page.get_by_test_id("modal-submit")).to_be_in_viewport()
        assert page.get_by_test_id("modal").bounding_box() == {"x": 0, "y": 0, "width": 390, "height": 844}
        page.get_by_test_id("modal-submit").tap()
        expect(page.get_by_test_id("modal")).to_have_count(0)
        assert fits(page)
        page.get_by_test_id(f"replies-{root['id']}").tap()
        expect(page.get_by_test_id("thread-panel")).to_contain_text("a reply")
        box = page.get_by_test_id("thread-panel").bounding_box()
        assert box is not None
        assert (box["x"], box["width"]) == (0, 390)
    context.close()
