"""Pressed cards and their dialogs in the chat page, as the clients of both versions handle them."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from playwright.sync_api import Locator, expect

from sandbox.mattermost import MattermostDouble
from tests.e2e.chat_page import Chat, RecorderApp
from tests.integration import Integration, Json

pytestmark = pytest.mark.browser

OLD, NEW = "9.11.0", "11.6.0"
OPTIONS = [{"text": "One", "value": "1"}, {"text": "Two", "value": "2"}]
EVERY: list[Json] = [
    {"name": "text", "display_name": "Text", "type": "text", "help_text": "help **bold**", "min_length": 2},
    {"name": "mail", "display_name": "Mail", "type": "text", "subtype": "email", "optional": True},
    {"name": "count", "display_name": "Count", "type": "text", "subtype": "number", "optional": True},
    {"name": "area", "display_name": "Area", "type": "textarea", "optional": True, "default": "as given"},
    {"name": "one", "display_name": "One", "type": "select", "optional": True, "options": OPTIONS, "default": "2"},
    {"name": "person", "display_name": "Person", "type": "select", "data_source": "users", "optional": True},
    {"name": "place", "display_name": "Place", "type": "select", "data_source": "channels", "optional": True},
    {"name": "found", "display_name": "Found", "type": "select", "data_source": "dynamic", "optional": True},
    {
        "name": "many",
        "display_name": "Many",
        "type": "select",
        "multiselect": True,
        "options": OPTIONS,
        "optional": True,
    },
    {"name": "on", "display_name": "On", "type": "bool", "placeholder": "Tick me", "optional": True},
    {"name": "colour", "display_name": "Colour", "type": "radio", "optional": True, "options": OPTIONS, "default": "2"},
    {"name": "day", "display_name": "Day", "type": "date", "optional": True},
    {"name": "when", "display_name": "When", "type": "datetime", "optional": True},
]


@pytest.fixture
def app(servers: tuple[MattermostDouble, RecorderApp]) -> Iterator[Integration]:
    """The integration behind the cards."""
    with Integration(servers[0].url) as integration:
        yield integration


def post_card(chat: Chat, app: Integration, *actions: Json, **more: Any) -> Locator:
    """Someone else's card in the open channel, once it is shown."""
    other = chat.person("admin")
    given = {"channel_id": other.channel("service-desk"), "message": "", "props": app.card(*actions)} | more
    post = other.post("/api/v4/posts", given)
    shown = chat.page.get_by_test_id(f"post-{post['id']}")
    expect(shown).to_be_visible()
    return shown


def at_version(chat: Chat, version: str) -> None:
    """Set the server's version and sign in."""
    body = {"version": version}
    requests.post(f"{chat.double.url}/_sandbox/version", json=body, timeout=10).raise_for_status()
    chat.sign_in()


def open_dialog(chat: Chat, app: Integration, version: str, **more: Any) -> Locator:
    """Press a card's button that opens a dialog with every element."""
    at_version(chat, version)
    elements = json.loads(json.dumps(EVERY))
    elements[7]["data_source_url"] = f"{app.url}/lookup"
    form = {"callback_id": "cb", "title": "Every element", "elements": elements, "submit_label": "Send it"}
    app.answers["press"] = app.opens(form | {"introduction_text": "An **introduction**", "state": "st"} | more)
    post_card(chat, app).get_by_role("button", name="Go").click()
    modal = chat.page.get_by_test_id("modal")
    expect(modal).to_be_visible()
    return modal


def sent(app: Integration, chat: Chat) -> Json:
    """The last submission, once the page has its answer."""
    expect(chat.page.get_by_test_id("modal")).to_have_count(0)
    return app.last("dialog")


def test_a_press_gets_a_private_answer_and_an_edited_card(chat: Chat, app: Integration) -> None:
    """The text comes from System and only this person sees it; the card changes for everyone."""
    at_version(chat, OLD)
    shown = post_card(chat, app)
    app.answers["press"] = {"update": {"message": "Done by @agent", "props": {}}, "ephemeral_text": "You did **it**"}
    shown.get_by_role("button", name="Go").click()
    private = chat.page.get_by_test_id("ephemeral")
    expect(private.locator("strong")).to_have_text("it")
    expect(private.locator(".post-author")).to_have_text("System")
    expect(shown.locator(".mention")).to_have_text("@agent")
    expect(shown).to_contain_text("(edited)")
    expect(shown.locator(".card")).to_have_count(0)
    assert app.last("press")["context"] == {"mac": "secret"}


def test_a_private_card_is_pressed_with_its_cookie(chat: Chat, app: Integration) -> None:
    """The page sends back what the server doesn't store."""
    at_version(chat, OLD)
    admin = chat.person("admin")
    post = {"channel_id": admin.channel("service-desk"), "message": "For you", "props": app.card()}
    admin.post("/api/v4/posts/ephemeral", {"user_id": chat.person("agent").id, "post": post})
    app.answers["press"] = {"ephemeral_text": "Done"}
    private = chat.page.get_by_test_id("ephemeral")
    private.get_by_role("button", name="Go").click()
    expect(private.last).to_contain_text("Done")
    assert app.last("press")["context"] == {"mac": "secret"}


@pytest.mark.parametrize(("version", "text"), [(OLD, ""), (NEW, "Action integration error.")])
def test_a_failing_press_is_silent_before_11_5(chat: Chat, app: Integration, version: str, text: str) -> None:
    """Later clients show the error below the buttons."""
    at_version(chat, version)
    gone = {"id": "go", "name": "Go", "type": "button", "integration": {"url": "http://127.0.0.1:9/x"}}
    shown = post_card(chat, app, gone)
    with chat.page.expect_response("**/actions/go") as answered:
        shown.get_by_role("button", name="Go").click()
    assert answered.value.status == 400
    expect(shown.get_by_test_id("card-error")).to_have_text(text)


def test_selects_of_a_card_send_the_choice(chat: Chat, app: Integration) -> None:
    """Options, people including bots, and channels; the choice is in the context."""
    at_version(chat, OLD)
    actions = [
        app.button("Fixed", id="fixed", type="select", options=OPTIONS),
        app.button("Who", id="who", type="select", data_source="users"),
        app.button("Where", id="where", type="select", data_source="channels"),
    ]
    shown = post_card(chat, app, *actions)
    with chat.page.expect_response("**/actions/fixed"):
        shown.get_by_test_id("card-select-fixed").select_option("2")
    assert app.last("press")["context"]["selected_option"] == "2"
    for name, typed, value in (
        ("who", "agent2", chat.person("agent2").id),
        ("where", "town", chat.person("agent").channel("town-square")),
    ):
        box = shown.get_by_test_id(f"card-select-{name}")
        box.locator("input").click()
        box.locator("input").press_sequentially(typed)
        with chat.page.expect_response(f"**/actions/{name}"):
            box.get_by_role("option").first.click()
        assert app.last("press")["context"]["selected_option"] == value


def test_every_element_is_shown_and_sent_as_in_9_11(chat: Chat, app: Integration) -> None:
    """
    Untouched: "", false, defaults; numbers are JSON numbers; lists and dates aren't supported; help is plain text.
    """
    modal = open_dialog(chat, app, OLD)
    page = chat.page
    expect(modal.locator(".modal-intro strong")).to_have_text("introduction")
    expect(page.get_by_test_id("field-text").locator(".field-help")).to_have_text("help **bold**")
    expect(page.get_by_test_id("field-text").locator(".required")).to_have_text(" *")
    for name in ("day", "when"):
        expect(page.get_by_test_id(f"field-{name}")).to_have_count(0)
    page.locator("#field-text").fill("written")
    page.locator("#field-count").fill("12.5")
    page.locator("#field-on").check()
    chat.choose("person", "@agent2 - Aiko Agent", "agent2")
    chat.choose("many", "One")
    chat.submit()
    person = chat.person("agent2").id
    assert sent(app, chat)["submission"] == {
        "text": "written", "mail": "", "count": 12.5, "area": "as given", "one": "2", "person": person, "place": "",
        "found": "", "many": "1", "on": True, "colour": "2", "day": "", "when": "",
    }  # fmt: skip


def test_later_clients_show_dates_lists_and_lookups(chat: Chat, app: Integration) -> None:
    """
    Lists are lists, dates ISO, date-times UTC; a lookup is sent through the server at every key; help is Markdown.
    """
    modal = open_dialog(chat, app, NEW)
    page = chat.page
    app.answers["lookup"] = lambda body: {
        "items": [{"text": f"Found {body['submission'].get('query', '')}", "value": "f"}]
    }
    expect(modal.locator(".field-help strong")).to_have_text("bold")
    page.locator("#field-text").fill("written")
    chat.choose("found", "Found ab", "ab")
    chat.choose("many", "One")
    chat.choose("many", "Two")
    page.locator("#field-day").fill("2026-12-24")
    page.locator("#field-when").fill("2026-12-24T18:00")
    utc = page.evaluate("new Date('2026-12-24T18:00').toISOString().slice(0, 19) + 'Z'")
    chat.submit()
    got = sent(app, chat)["submission"]
    assert (got["found"], got["many"], got["day"], got["when"]) == ("f", ["1", "2"], "2026-12-24", utc)
    assert {body["submission"].get("query", "") for body in app.wait("lookup", 3)} == {"", "a", "ab"}
    # One when it opens, and one after each change of any element.
    assert [body for body in app.wait("lookup", 6) if body["submission"].get("text") == "written"]


def test_missing_values_are_reported_at_their_field_and_nothing_is_sent(chat: Chat, app: Integration) -> None:
    """Required and minimum length, with the client's messages."""
    open_dialog(chat, app, OLD)
    error = chat.page.get_by_test_id("field-error-text")
    chat.submit()
    expect(error).to_have_text("This field is required.")
    chat.page.locator("#field-text").fill("x")
    chat.submit()
    expect(error).to_have_text("Minimum input length is 2.")
    assert all(path != "dialog" for path, _ in app.got)


@pytest.mark.parametrize(("version", "shown"), [(OLD, "Too **vague**"), (NEW, "Too vague")])
def test_the_integrations_errors_are_shown_in_their_place(
    chat: Chat, app: Integration, version: str, shown: str
) -> None:
    """At the field and above the buttons; plain in 9.11, Markdown later; typed values are kept."""
    open_dialog(chat, app, version)
    app.answers["dialog"] = {"errors": {"text": "Too **vague**"}, "error": "Not saved"}
    chat.page.locator("#field-text").fill("written")
    chat.submit()
    expect(chat.page.get_by_test_id("field-error-text")).to_have_text(shown)
    expect(chat.page.get_by_test_id("form-error")).to_have_text("Not saved")
    expect(chat.page.locator("#field-text")).to_have_value("written")
    app.answers["dialog"] = {}
    chat.submit()
    expect(chat.page.get_by_test_id("modal")).to_have_count(0)


@pytest.mark.parametrize("answer", [{"errors": {"nosuch": "x"}}, {"type": "form", "form": {"title": "Next"}}])
def test_9_11_closes_on_an_unknown_answer(chat: Chat, app: Integration, answer: Json) -> None:
    """As if it had succeeded (recorded)."""
    open_dialog(chat, app, OLD)
    app.answers["dialog"] = answer
    chat.page.locator("#field-text").fill("written")
    chat.submit()
    expect(chat.page.get_by_test_id("modal")).to_have_count(0)


def test_a_next_form_is_shown_and_all_values_are_sent_again(chat: Chat, app: Integration) -> None:
    """Since 11.1; the first callback ID is sent until the end. Escape closes the next form too."""
    open_dialog(chat, app, NEW)
    more = {"name": "more", "display_name": "More", "type": "text"}
    form = {"callback_id": "second", "title": "Second step", "state": "s2", "elements": [more]}
    app.answers["dialog"] = {"type": "form", "form": form}
    chat.page.locator("#field-text").fill("written")
    chat.submit()
    expect(chat.page.get_by_test_id("modal").get_by_role("heading")).to_have_text("Second step")
    app.answers["dialog"] = {}
    chat.page.locator("#field-more").fill("then")
    chat.submit()
    got = sent(app, chat)
    assert (got["callback_id"], got["state"]) == ("cb", "s2")
    assert (got["submission"]["text"], got["submission"]["more"]) == ("written", "then")
    app.answers["dialog"] = {"type": "form", "form": form}
    post_card(chat, app).get_by_role("button", name="Go").click()
    chat.page.locator("#field-text").fill("written")
    chat.submit()
    expect(chat.page.get_by_test_id("modal").get_by_role("heading")).to_have_text("Second step")
    chat.page.keyboard.press("Escape")
    expect(chat.page.get_by_test_id("modal")).to_have_count(0)


def test_an_element_refreshes_the_form(chat: Chat, app: Integration) -> None:
    """The request has the choice and all values; the answer replaces the form."""
    state = {"name": "state", "display_name": "State", "type": "select", "options": OPTIONS, "refresh": True}
    open_dialog(chat, app, NEW, elements=[state], source_url=f"{app.url}/dialog")
    code = {"name": "code", "display_name": "Close code", "type": "text", "optional": True}
    form = {"callback_id": "cb", "title": "Every element", "elements": [state | {"default": "2"}, code]}
    app.answers["dialog"] = {"type": "form", "form": form}
    chat.choose("state", "Two")
    expect(chat.page.locator("#field-code")).to_be_visible()
    got = app.last("dialog")
    assert (got["type"], got["submission"]) == ("refresh", {"state": "2"})
    chat.page.locator("#field-code").fill("written")
    chat.choose("state", "One")
    assert app.wait("dialog", 2)[-1]["submission"] == {"state": "1", "code": "written"}
    chat.page.locator("#field-code").fill("")
    app.answers["dialog"] = {}
    chat.submit()
    assert sent(app, chat)["submission"]["code"] == "written"  # a cleared value is sent unchanged (recorded)


def test_a_failed_lookup_is_retried_until_the_dialog_closes(chat: Chat, app: Integration) -> None:
    """As in 11.6 (recorded), with a visible count; an answer with items ends it."""
    app.answers["lookup"] = {"items": ["no object"]}
    open_dialog(chat, app, NEW)
    error = chat.page.get_by_test_id("field-error-found")
    expect(error).to_contain_text(re.compile(r"asked (\d{2,}) times"))
    assert len(app.wait("lookup", 10)) >= 10
    app.answers["lookup"] = {"items": []}
    chat.page.get_by_test_id("modal-cancel").click()
    expect(chat.page.get_by_test_id("modal")).to_have_count(0)


def test_a_newer_dialog_gets_the_values_of_the_one_on_the_screen(chat: Chat, app: Integration) -> None:
    """In 11.6 the older one's values and state are sent to the newer one's integration (recorded)."""
    open_dialog(chat, app, NEW, elements=[{"name": "a", "display_name": "A", "type": "text"}])
    chat.page.locator("#field-a").fill("typed in A")
    agent_id = next(one["id"] for one in chat.double.state.users.values() if one["username"] == "agent")
    trigger_id = chat.double.trigger_ids.create(agent_id)[1]
    newer = {"callback_id": "cb-B", "title": "B", "state": "state-B", "elements": []}
    asked = {"trigger_id": trigger_id, "url": f"{app.url}/other", "dialog": newer}
    requests.post(f"{app.mattermost}/api/v4/actions/dialogs/open", json=asked, timeout=10).raise_for_status()
    chat.page.wait_for_function("() => document.querySelector('[data-testid=modal]') !== null")
    chat.submit()
    expect(chat.page.get_by_test_id("modal")).to_have_count(0)
    got = app.wait("other", 1)[0]
    assert (got["state"], got["callback_id"], got["submission"]) == ("st", "cb-B", {"a": "typed in A"})


@pytest.mark.parametrize("how", ["cancel", "escape", "cross"])
def test_canceling_notifies_an_integration_that_asked_for_it(chat: Chat, app: Integration, how: str) -> None:
    """Once, without values."""
    open_dialog(chat, app, OLD, notify_on_cancel=True)
    with chat.page.expect_response("**/dialogs/submit"):
        if how == "escape":
            chat.page.keyboard.press("Escape")
        else:
            chat.page.get_by_test_id("modal-cancel" if how == "cancel" else "modal-close").click()
    got = sent(app, chat)
    assert (got["cancelled"], got["submission"]) == (True, {})


def test_a_newer_press_drops_an_older_dialog(chat: Chat, app: Integration) -> None:
    """A dialog for the first press that arrives after the second was answered doesn't open; the second's does."""
    at_version(chat, OLD)
    shown = post_card(chat, app, app.button("One", id="one"), app.button("Two", id="two"))
    for name in ("One", "Two"):
        with chat.page.expect_response(f"**/actions/{name.lower()}"):
            shown.get_by_role("button", name=name).click()
    first, second = (body["trigger_id"] for path, body in app.got if path == "press")
    app.opens({"title": "The first"})({"trigger_id": first})
    app.opens({"title": "The second"})({"trigger_id": second})
    expect(chat.page.get_by_test_id("modal").get_by_role("heading")).to_have_text("The second")
