"""The chat page in a browser: messages, threads, cards, URLs, app bar and message menu."""

import json

import pytest
from playwright.sync_api import expect

from sandbox.client import PASSWORD
from tests.e2e.chat_page import Chat, Json
from tests.e2e.walking import fits
from tests.markdown_oracle import drawn

pytestmark = pytest.mark.browser


def test_sign_in_reports_a_wrong_password_and_opens_the_channel_of_the_url(chat: Chat) -> None:
    """The sign-in form shows the server's message. After sign-in, the page opens the requested URL."""
    page = chat.page
    page.goto(chat.double.url + "/sandbox/channels/service-desk")
    page.get_by_test_id("login-username").fill("agent")
    page.get_by_test_id("login-password").fill("wrong")
    page.get_by_test_id("login-submit").click()
    expect(page.get_by_test_id("login-error")).to_have_text("Enter a valid email or username and/or password.")
    page.get_by_test_id("login-password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("channel-title")).to_have_text("Service Desk")
    page.get_by_test_id("channel-town-square").click()
    expect(page).to_have_url(chat.double.url + "/sandbox/channels/town-square")
    page.go_back()
    expect(page.get_by_test_id("channel-title")).to_have_text("Service Desk")
    expect(page.get_by_test_id("channel-operations")).to_have_count(0)


def test_messages_are_rendered_as_markdown_but_not_html(chat: Chat) -> None:
    """Emphasis, code, lists, tables and links are rendered. Tags, scripts and escaped characters remain text."""
    chat.sign_in()
    written = (
        "**bold** _soft_ ~~gone~~ `a*b` [site](https://example.com/x) @agent ~town-square\n"
        "<img src=x onerror=alert(1)> \\*stars\\* [bad](javascript:alert(1)) @\u200bagent\n\n"
        "- one\n- two\n\n| A | B |\n|:--|--:|\n| 1 | 2 |\n\n> said\n\n```\nx < y\n```"
    )
    chat.person("requester").say("service-desk", written)
    post = chat.page.get_by_role("article").last
    expect(post.locator("strong")).to_have_text("bold")
    expect(post.locator("em")).to_have_text("soft")
    expect(post.locator("del")).to_have_text("gone")
    expect(post.locator("p code")).to_have_text("a*b")
    expect(post.get_by_role("link", name="site")).to_have_attribute("href", "https://example.com/x")
    expect(post.locator(".mention")).to_have_text("@agent")
    expect(post.get_by_role("link", name="~Town Square")).to_be_visible()
    expect(post).to_contain_text("<img src=x onerror=alert(1)> *stars* bad @\u200bagent")
    expect(post.get_by_role("link", name="bad")).to_have_count(0)
    expect(post.locator("li")).to_have_text(["one", "two"])
    expect(post.locator("td")).to_have_text(["1", "2"])
    expect(post.locator("blockquote")).to_have_text("said")
    expect(post.locator("pre")).to_have_text("x < y")


WRITTEN = (
    r"17\:38 \< \= \@agent",
    r"\\ \\\\ \\a \* C:\Windows \_x",
    r"\#tag and \#1",
    r"http\://evil",
    "\\@all",
    "&commat;all &lt;b&gt;",
    "US$5, AT&T &amp;lt; &#36;6",
    "see https://x.example.",
    ":smile: <3 :) 17:38",
    "x <b>y</b>",
    "~\u200btown-square #\u200btag",
    "&lt;http:\u200b//x\\|y\\>",
    r"1\. \- \+ \(a\) \[b\]\(c\) \!\[ \{d\}",
)
MEANINGS = {"a": "link", "em": "em", "strong": "strong", ".mention": "mention", ".hashtag": "hashtag"}
MEANINGS |= {"[role=img]": "face"}


def test_text_is_rendered_by_mattermosts_rules(chat: Chat) -> None:
    """Backslashes, references, hashtags, emoji, and mentions are rendered as in `tests.markdown_oracle`."""
    chat.sign_in()
    script = """async (text) => {
        const node = (await import("/static/js/markdown.js")).markdown(text);
        const kinds = %s.filter((one) => node.querySelector(one));
        for (const one of node.querySelectorAll("[role=img]")) one.textContent = one.getAttribute("aria-label");
        return [node.textContent, kinds];
    }""" % json.dumps(list(MEANINGS))  # noqa: UP031
    for text in WRITTEN:
        shown, kinds = chat.page.evaluate(script, text)
        found = drawn(text)
        assert shown == found.text.replace(":smile:", "smile"), text
        faces = {"emoji": "face", "emoticon": "face"}
        expected = {faces.get(one, one) for one in found.meanings} - {"reference"}
        assert {MEANINGS[one] for one in kinds} - ({"link"} if "hashtag" in expected else set()) == expected, text


def test_messages_update_without_a_reload(chat: Chat) -> None:
    """The page shows new, edited and deleted messages. Other channels are marked as unread."""
    chat.sign_in()
    other = chat.person("requester")
    post = other.say("service-desk", "first words")
    shown = chat.page.get_by_test_id(f"post-{post['id']}")
    expect(shown).to_contain_text("first words")
    other.browser.put(
        f"{other.url}/api/v4/posts/{post['id']}/patch", json={"message": "second words"}
    ).raise_for_status()
    expect(shown).to_contain_text("second words")
    expect(shown).to_contain_text("(edited)")
    other.browser.delete(f"{other.url}/api/v4/posts/{post['id']}").raise_for_status()
    expect(shown).to_have_count(0)
    other.say("town-square", "elsewhere")
    expect(chat.page.get_by_role("link", name="Town Square, 1 unread")).to_be_visible()
    chat.page.get_by_test_id("channel-town-square").click()
    expect(chat.page.get_by_role("article").last).to_contain_text("elsewhere")
    expect(chat.page.get_by_role("link", name="Town Square, 1 unread")).to_have_count(0)


def test_a_thread_has_its_own_panel_and_composer(chat: Chat) -> None:
    """A reply is shown in the thread, and the number of replies under the root."""
    chat.sign_in()
    root = chat.person("requester").say("service-desk", "Who can help?")
    post = chat.page.get_by_test_id(f"post-{root['id']}")
    post.hover()
    chat.page.get_by_test_id(f"reply-{root['id']}").click()
    chat.page.get_by_test_id("thread-composer").fill("I can")
    chat.page.keyboard.press("Enter")
    panel = chat.page.get_by_test_id("thread-panel")
    expect(panel.get_by_role("article")).to_contain_text(["Who can help?", "I can"])
    expect(chat.page.get_by_test_id(f"replies-{root['id']}")).to_contain_text("1 reply")
    [stored] = [one for one in chat.double.posts_in("service-desk") if one["root_id"]]
    assert (stored["root_id"], stored["message"]) == (root["id"], "I can")
    chat.page.keyboard.press("Escape")
    expect(panel).to_be_hidden()


def test_a_permalink_opens_its_message_even_in_a_thread(chat: Chat) -> None:
    """The message is highlighted. A reply's thread is open."""
    other = chat.person("requester")
    root = other.say("service-desk", "root")
    reply = other.say("service-desk", "reply", root["id"])
    for number in range(40):
        other.say("service-desk", f"later {number}")
    chat.sign_in(path=f"/sandbox/pl/{reply['id']}")
    marked = chat.page.get_by_test_id("thread-panel").locator("[aria-current=true]")
    expect(marked).to_contain_text("reply")
    chat.page.goto(f"{chat.double.url}/sandbox/pl/{root['id']}")
    expect(chat.page.get_by_test_id(f"post-{root['id']}")).to_be_in_viewport()


def test_a_card_is_rendered_with_its_fields_and_buttons(chat: Chat) -> None:
    """An attachment shows its pretext, linked title, fields, footer and buttons."""
    chat.sign_in()
    card = {
        "color": "#d24b4e", "pretext": "Look at **this**", "title": "INC1: Disk",
        "title_link": "https://example.com/i", "text": "on `db01`", "footer": "Incident",
        "actions": [{"id": "a", "name": "Comment", "style": "primary"}],
        "fields": [{"title": "State", "value": "New", "short": True}, {"title": "Note", "value": "*x*"}],
    }  # fmt: skip
    other = chat.person("requester")
    body = {"channel_id": other.channel("service-desk"), "message": "", "props": {"attachments": [card]}}
    other.post("/api/v4/posts", body)
    shown = chat.page.locator(".attachment")
    expect(shown.locator("strong")).to_have_text("this")
    expect(shown.get_by_role("link", name="INC1: Disk")).to_have_attribute("href", "https://example.com/i")
    expect(shown.locator("dt")).to_have_text(["State", "Note"])
    expect(shown.get_by_role("button", name="Comment")).to_be_visible()
    expect(shown.locator(".card-footer")).to_have_text("Incident")


def test_direct_messages_have_urls_by_username(chat: Chat) -> None:
    """A person's URL opens the direct message channel with them and creates it if needed."""
    chat.sign_in(path="/sandbox/messages/@requester")
    expect(chat.page.get_by_test_id("channel-title")).to_have_text("Rosa Requester")
    chat.page.get_by_test_id("composer").fill("hello you")
    chat.page.keyboard.press("Enter")
    expect(chat.page.get_by_role("article")).to_contain_text("hello you")
    expect(chat.page.get_by_test_id("channel-rosa-requester")).to_be_visible()


# --- app bar, message menu, private messages


def test_the_app_bar_shows_icons_in_order_and_answers_privately(chat: Chat) -> None:
    """Entries without an icon are omitted. Answers are ephemeral posts of the bot and disappear after a reload."""
    entry: Json = {"icon": "icon.png", "submit": {"path": "/say", "expand": {"channel": "summary"}, "state": {"k": 1}}}
    nested = {
        "location": "n",
        "label": "Nested",
        "icon": "icon.png",
        "bindings": [entry | {"location": "x", "label": "X"}],
    }
    chat.offer(
        "/channel_header",
        entry | {"location": "b", "label": "Second"}, entry | {"location": "a", "label": "First one"},
        {"location": "bare", "label": "No icon", "submit": {"path": "/say"}}, nested,
    )  # fmt: skip
    chat.app.answers["/say"] = {"type": "ok", "text": "Said **so**."}
    chat.sign_in()
    icons = chat.page.locator("#app-bar button")
    expect(icons).to_have_count(3)
    assert [one.get_attribute("aria-label") for one in icons.all()] == ["Second", "First one", "Nested"]
    chat.page.get_by_test_id("app-bar-first-one").click()
    private = chat.page.get_by_test_id("ephemeral")
    expect(private).to_contain_text("recorder")
    expect(private).to_contain_text("BOT")
    expect(private).to_contain_text("(Only visible to you)")
    expect(private.locator("strong")).to_have_text("so")
    channel, team = chat.person("agent").channel("service-desk"), chat.person("agent").team_id
    context: Json = {"app_id": "recorder", "location": "/channel_header/a", "channel_id": channel, "team_id": team}
    context |= {"track_as_submit": True, "user_agent": "webapp"}
    assert chat.sent == [{**entry["submit"], "context": context}]
    chat.app.answers["/say"] = {"type": "error", "text": "Could *not*."}
    chat.page.get_by_test_id("app-bar-second").click()
    expect(private.last).to_contain_text("Could not.")
    chat.page.get_by_test_id("app-bar-nested").click()
    expect(private.last).to_contain_text("This binding is not properly formed. Contact the App developer.")
    assert len(chat.sent) == 2
    chat.page.reload()
    expect(icons).to_have_count(3)
    expect(private).to_have_count(0)


def test_the_message_menu_sends_its_message(chat: Chat) -> None:
    """The context has the post and root. In a thread, the location's prefix is repeated, as in the real client."""
    chat.offer("/post_menu", {"location": "add", "label": "Add to record", "submit": {"path": "/add"}})
    chat.sign_in()
    other = chat.person("requester")
    root = other.say("service-desk", "root")
    reply = other.say("service-desk", "reply", root["id"])
    chat.page.get_by_test_id(f"post-{root['id']}").hover()
    chat.page.get_by_test_id(f"post-menu-{root['id']}").click()
    chat.page.keyboard.press("Enter")  # the first entry has the focus
    chat.app.wait("/add")
    assert chat.sent[0]["context"]["post_id"] == root["id"]
    assert (chat.sent[0]["context"]["root_id"], chat.sent[0]["context"]["location"]) == ("", "/post_menu/add")
    chat.page.get_by_test_id(f"replies-{root['id']}").click()
    panel = chat.page.get_by_test_id("thread-panel")
    expect(panel.get_by_test_id("ephemeral")).to_contain_text("Done.")
    panel.get_by_test_id(f"post-{reply['id']}").hover()
    panel.get_by_test_id(f"post-menu-{reply['id']}").click()
    chat.page.get_by_role("menuitem", name="Add to record").click()
    chat.app.wait("/add", 2)
    assert chat.sent[1]["context"]["post_id"] == reply["id"]
    assert chat.sent[1]["context"]["root_id"] == root["id"]
    assert chat.sent[1]["context"]["location"] == "/post_menu//post_menu/add"


def test_menus_change_without_a_reload_and_navigate_opens_a_tab(chat: Chat) -> None:
    """`refresh_bindings` and channel switches reload menus. Links to other hosts and plugins open in a new tab."""
    chat.offer("/channel_header", {"location": "go", "label": "Go", "icon": "icon.png", "submit": {"path": "/go"}})
    chat.app.answers["/go"] = {"type": "navigate", "navigate_to_url": f"{chat.app.url}/manifest.json"}
    chat.sign_in()
    with chat.page.context.expect_page() as opened:
        chat.page.get_by_test_id("app-bar-go").click()
    expect(opened.value).to_have_url(f"{chat.app.url}/manifest.json")
    opened.value.close()
    chat.app.answers["/go"] = {"type": "ok", "text": "", "refresh_bindings": True}
    chat.offer("/channel_header", {"location": "new", "label": "New", "icon": "icon.png", "submit": {"path": "/go"}})
    chat.page.get_by_test_id("app-bar-go").click()
    expect(chat.page.get_by_test_id("app-bar-new")).to_be_visible()
    inside = f"{chat.double.url}/sandbox/channels/town-square"
    chat.app.answers["/go"] = {"type": "navigate", "navigate_to_url": inside}
    chat.offer("/channel_header")
    chat.page.get_by_test_id("app-bar-new").click()
    expect(chat.page.get_by_test_id("channel-title")).to_have_text("Town Square")
    expect(chat.page.locator("#app-bar button")).to_have_count(0)


def test_the_page_fits_a_phone(chat: Chat) -> None:
    """Nothing is wider than the screen. The list of channels opens over the page."""
    chat.page.set_viewport_size({"width": 390, "height": 844})
    chat.sign_in()
    chat.person("requester").say("service-desk", "a_very_long_word" * 20)
    expect(chat.page.get_by_role("article")).to_be_visible()
    assert fits(chat.page)
    chat.page.get_by_role("button", name="Channels").click()
    chat.page.get_by_test_id("channel-town-square").click()
    expect(chat.page.get_by_test_id("channel-title")).to_have_text("Town Square")
    expect(chat.page.get_by_test_id("channel-town-square")).not_to_be_in_viewport()


def test_arrow_keys_move_between_messages(chat: Chat) -> None:
    """Tab then moves to the toolbar of the focused message, and Enter uses it."""
    chat.sign_in()
    other = chat.person("requester")
    first = other.say("service-desk", "the first")
    second = other.say("service-desk", "the second")
    expect(chat.page.get_by_test_id(f"post-{second['id']}")).to_be_visible()
    chat.page.get_by_role("log", name="Messages", exact=True).focus()
    chat.page.keyboard.press("ArrowUp")
    expect(chat.page.get_by_test_id(f"post-{second['id']}")).to_be_focused()
    chat.page.keyboard.press("ArrowUp")
    expect(chat.page.get_by_test_id(f"post-{first['id']}")).to_be_focused()
    chat.page.keyboard.press("Tab")
    chat.page.keyboard.press("Tab")
    expect(chat.page.get_by_test_id(f"reply-{first['id']}")).to_be_focused()
    chat.page.keyboard.press("Enter")
    expect(chat.page.get_by_test_id("thread-composer")).to_be_focused()


def test_signing_out_and_an_expired_session_show_the_sign_in_form(chat: Chat) -> None:
    """The next person can then sign in."""
    chat.sign_in()
    chat.page.get_by_test_id("sign-out").click()
    expect(chat.page.get_by_test_id("login-submit")).to_be_visible()
    chat.sign_in("requester")
    expect(chat.page.get_by_text("The beginning of Service Desk.")).to_be_visible()
    chat.double.state.sessions.clear()
    # The page's own requests may find the expired session first and remove the link.
    chat.page.evaluate("document.querySelector('[data-testid=channel-town-square]')?.click()")
    expect(chat.page.get_by_test_id("login-submit")).to_be_visible()


def test_a_lost_connection_is_shown_and_missed_messages_are_loaded(chat: Chat) -> None:
    """A line is shown while the WebSocket is disconnected. After it reconnects, missed messages are shown."""
    chat.sign_in()
    expect(chat.page.locator("html[data-online]")).to_have_count(1)
    chat.page.context.set_offline(True)
    chat.double.hub.close()
    expect(chat.page.get_by_text("No connection to the server. Trying again…")).to_be_visible()
    chat.person("requester").say("service-desk", "said meanwhile")
    chat.page.context.set_offline(False)
    expect(chat.page.get_by_role("article").last).to_contain_text("said meanwhile")
    expect(chat.page.get_by_text("No connection to the server. Trying again…")).to_be_hidden()


def test_an_archived_channel_is_read_only(chat: Chat) -> None:
    """Its URL opens it, with a notice in place of the composer."""
    chat.page.goto(chat.double.url + "/sandbox/channels/archive")
    chat.page.get_by_test_id("login-username").fill("agent")
    chat.page.get_by_test_id("login-password").fill(PASSWORD)
    chat.page.get_by_test_id("login-submit").click()
    expect(chat.page.get_by_text("This channel is archived. Nothing new can be written in it.")).to_be_visible()
    expect(chat.page.get_by_test_id("composer")).to_be_hidden()
