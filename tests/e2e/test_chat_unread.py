"""Unread counts on the chat page: channels, mentions and the Threads entry with its badge."""

import pytest
from playwright.sync_api import expect

from tests.e2e.chat_page import Chat

pytestmark = pytest.mark.browser


def test_mentions_and_threads_show_until_they_are_read(chat: Chat) -> None:
    """The server counts them, so earlier messages are included and read ones remain read after a reload."""
    agent, other = chat.person("agent"), chat.person("requester")
    root = agent.say("service-desk", "Who can help?")
    other.say("town-square", "for all")
    other.say("town-square", "@agent and you")
    chat.sign_in()
    page = chat.page
    square = page.get_by_test_id("channel-town-square")
    expect(square).to_have_attribute("aria-label", "Town Square, 2 unread, 1 mention")
    expect(square.locator(".count")).to_have_text("1")
    threads = page.get_by_test_id("threads")
    expect(threads).to_have_attribute("aria-label", "Threads")

    other.say("service-desk", "I can", root["id"])
    expect(threads).to_have_attribute("aria-label", "Threads, 1 unread")
    expect(threads.locator(".dot")).to_be_visible()
    other.say("service-desk", "@agent, look", root["id"])
    expect(threads).to_have_attribute("aria-label", "Threads, 1 unread, 1 mention")
    expect(threads.locator(".count")).to_have_text("1")

    square.click()
    expect(square).to_have_attribute("aria-label", "Town Square")
    threads.click()
    entry = page.get_by_test_id("followed-threads").get_by_role("button")
    expect(entry).to_have_text("Who can help?Service Desk · 2 unread · 1 mention")
    entry.click()
    expect(page.get_by_test_id("thread-panel").get_by_role("article").last).to_contain_text("@agent, look")
    expect(page.get_by_test_id("channel-title")).to_have_text("Service Desk")
    expect(threads).to_have_attribute("aria-label", "Threads")
    with page.expect_response("**/threads/*/read/*"):  # a message in an open thread is marked as read
        other.say("service-desk", "@agent, again", root["id"])
    expect(threads).to_have_attribute("aria-label", "Threads")
    page.reload()
    expect(square).to_have_attribute("aria-label", "Town Square")
    expect(threads).to_have_attribute("aria-label", "Threads")
