"""Modals in the chat page: every field type, lookups, refresh, errors, steps and keys."""

import threading

import pytest
from playwright.sync_api import expect

from tests.e2e.chat_page import Chat, Json, option, text

pytestmark = pytest.mark.browser


EVERY: list[Json] = [
    text("line", hint="a hint", description="with **help**"),
    text("area", subtype="textarea"),
    text("number", subtype="number"),
    text("email", subtype="email"),
    text("tel", subtype="tel"),
    text("url", subtype="url"),
    text("secret", subtype="password"),
    text("fixed", value="as it is", readonly=True),
    {"name": "one", "type": "static_select", "options": [option("One", "1"), option("Two", "2")]},
    {
        "name": "many",
        "type": "static_select",
        "multiselect": True,
        "options": [option("Red", "r"), option("Green", "g")],
    },
    {"name": "found", "type": "dynamic_select", "lookup": {"path": "/lookup", "state": "s"}},
    {"name": "person", "type": "user"},
    {"name": "people", "type": "user", "multiselect": True},
    {"name": "place", "type": "channel"},
    {"name": "on", "type": "bool", "hint": "Tick me"},
    {"name": "off", "type": "bool", "value": True},
    {"name": "note", "type": "markdown", "description": "A _note_"},
    {"name": "string", "type": "static_select", "value": "2", "options": [option("One", "1"), option("Two", "2")]},
]


def every_form() -> Json:
    """A form with every type."""
    return {
        "title": "All types",
        "header": "With **header**",
        "icon": "icon.png",
        "submit": {"path": "/submit"},
        "fields": EVERY,
    }


def test_an_untouched_form_sends_nulls_and_defaults(chat: Chat) -> None:
    """Every type is shown; untouched values are null, false, or the given default."""
    chat.app.answers["/lookup"] = {"type": "ok", "data": {"items": []}}
    chat.open_form(every_form())
    modal = chat.page.get_by_test_id("modal")
    expect(modal.get_by_role("heading", name="All types")).to_be_visible()
    expect(modal.locator(".modal-intro strong")).to_have_text("header")
    expect(modal.locator("label", has_text="Line")).to_contain_text("(optional)")
    expect(modal.locator("#field-line")).to_be_focused()
    expect(modal.locator("#field-line")).to_have_attribute("maxlength", "150")
    expect(modal.locator("#field-area")).to_have_attribute("maxlength", "3000")
    expect(modal.locator("#field-fixed")).to_be_disabled()
    expect(modal.locator("#field-string")).to_have_value("")
    expect(modal.locator(".field-markdown em")).to_have_text("note")
    chat.submit()
    [call] = chat.app.wait("/submit")
    named = {one["name"]: None for one in EVERY}
    assert call["values"] == named | {"fixed": "as it is", "on": False, "off": True, "string": "2"}
    expect(modal).to_have_count(0)
    expect(chat.page.get_by_test_id("ephemeral")).to_contain_text("Done.")


def test_a_filled_form_sends_every_type_like_the_real_client(chat: Chat) -> None:
    """Integers, option objects, lists, IDs; lookups are sent at every key."""
    items = [option("INC1 - Disk full", "a1"), option("INC2 - VPN", "a2")]
    chat.app.answers["/lookup"] = {"type": "ok", "data": {"items": items}}
    chat.open_form(every_form())
    page = chat.page
    for name, value in (
        ("line", "x"), ("area", "two\nlines"), ("number", "12.5"), ("email", "a@example.com"), ("tel", "1"),
        ("url", "https://example.com"), ("secret", "pw"),
    ):  # fmt: skip
        page.locator(f"#field-{name}").fill(value)
    chat.choose("one", "Two")
    chat.choose("many", "Red")
    chat.choose("many", "Green")
    chat.choose("found", "INC2 - VPN", "vp")
    chat.choose("person", "@requester - Rosa Requester", "ros")
    chat.choose("people", "@admin - Ada Admin", "ada")
    chat.choose("place", "Town Square (~town-square)", "town")
    page.locator("#field-on").check()
    page.locator("#field-off").uncheck()
    chat.submit()
    [call] = chat.app.wait("/submit")
    person = chat.person("agent")
    ids = {name: person.get(f"/api/v4/users/username/{name}")["id"] for name in ("requester", "admin")}
    assert call["values"] == {
        "line": "x", "area": "two\nlines", "number": 12, "email": "a@example.com", "tel": "1",
        "url": "https://example.com", "secret": "pw", "fixed": "as it is", "one": option("Two", "2"),
        "many": [option("Red", "r"), option("Green", "g")], "found": option("INC2 - VPN", "a2"),
        "person": option("requester", ids["requester"]), "people": [option("admin", ids["admin"])],
        "place": option("Town Square", person.channel("town-square")), "on": True, "off": False, "note": None,
        "string": "2",
    }  # fmt: skip
    asked = [body for body in chat.sent if body["path"] == "/lookup"]
    assert [body["query"] for body in asked] == ["", "v", "vp"]
    assert {body["selected_field"] for body in asked} == {"found"}
    assert not any(body["context"]["track_as_submit"] for body in asked)
    assert asked[-1]["values"]["one"] == option("Two", "2")


def test_cleared_fields_are_empty_text_null_and_empty_list(chat: Chat) -> None:
    """A cleared field differs from an untouched one."""
    fields = [EVERY[0], EVERY[8], EVERY[9]]
    chat.open_form({"title": "Clear", "submit": {"path": "/submit"}, "fields": fields})
    chat.page.locator("#field-line").fill("x")
    chat.page.locator("#field-line").fill("")
    chat.choose("one", "One")
    chat.page.get_by_role("button", name="Clear one").click()
    chat.choose("many", "Red")
    chat.page.locator("#field-many").press("Backspace")
    chat.submit()
    assert chat.app.wait("/submit")[0]["values"] == {"line": "", "one": None, "many": []}


def test_a_failed_lookup_is_shown_at_its_field_in_plain_text(chat: Chat) -> None:
    """The empty query's error is shown when the form opens; the list has no options."""
    chat.app.answers["/lookup"] = {"type": "error", "text": "It **failed**"}
    chat.open_form({"title": "Look up", "submit": {"path": "/submit"}, "fields": [EVERY[10]]})
    expect(chat.page.get_by_test_id("field-error-found")).to_have_text("It **failed**")
    chat.page.locator("#field-found").click()
    expect(chat.page.get_by_test_id("field-found")).to_contain_text("No options")


def test_a_slow_lookup_says_so_and_an_outdated_answer_is_dropped(chat: Chat) -> None:
    """The list shows “Loading…”; the answer to an older query never replaces that to a newer one."""
    go_on = threading.Event()

    def answer(body: Json) -> Json:
        query = body.get("query", "")
        if query == "a":
            assert go_on.wait(10)
        return {"type": "ok", "data": {"items": [option(f"Found for {query}", f"v{query}")]}}

    chat.app.answers["/lookup"] = answer
    chat.open_form({"title": "Look up", "submit": {"path": "/submit"}, "fields": [EVERY[10]]})
    chat.page.locator("#field-found").press_sequentially("a")
    expect(chat.page.get_by_test_id("field-found")).to_contain_text("Loading…")
    chat.page.locator("#field-found").press_sequentially("b")
    expect(chat.page.get_by_test_id("option")).to_have_text("Found for ab")
    with chat.page.expect_response(lambda response: '"query":"a"' in (response.request.post_data or "")):
        go_on.set()
    expect(chat.page.get_by_test_id("option")).to_have_text("Found for ab")
    chat.page.keyboard.press("Enter")
    expect(chat.page.locator("#field-found")).to_have_value("Found for ab")


def test_required_fields_and_emails_are_checked_before_sending(chat: Chat) -> None:
    """Empty required fields are named, a required switch must be on, and the browser rejects an invalid email."""
    fields = [
        text("must", is_required=True),
        {"name": "agree", "type": "bool", "is_required": True},
        text("mail", subtype="email"),
    ]
    chat.open_form({"title": "Checks", "submit": {"path": "/submit"}, "fields": fields})
    chat.submit()
    expect(chat.page.get_by_test_id("field-error-must")).to_have_text("This field is required.")
    expect(chat.page.get_by_test_id("field-error-agree")).to_have_text("This field is required.")
    expect(chat.page.get_by_test_id("form-error")).to_have_text("Please fix all field errors")
    chat.page.locator("#field-must").fill("x")
    chat.page.locator("#field-agree").check()
    chat.page.locator("#field-mail").fill("no address")
    chat.submit()
    assert not chat.page.evaluate("document.querySelector('#field-mail').checkValidity()")
    assert not chat.sent
    chat.page.locator("#field-mail").fill("a@example.com")
    chat.page.locator("#field-must").press("Enter")
    assert chat.app.wait("/submit")[0]["values"] == {"must": "x", "agree": True, "mail": "a@example.com"}


@pytest.mark.parametrize(
    ("answer", "at_field", "at_form"),
    [
        ({"type": "error", "text": "Top **one**", "data": {"errors": {"line": "Is _wrong_"}}}, "Is wrong", "Top one"),
        ({"type": "error", "data": {"errors": {"other": "Lost"}}}, "",
         "Received an error for an unknown field. Field name: other. Error: Lost"),
        ({"type": "ok_then"}, "", "App response type not supported. Response type: ok_then."),
        ({"type": "navigate"}, "", "Response type is navigate, but no url was included in response."),
    ],
)  # fmt: skip
def test_failed_submits_keep_the_form_and_its_values(chat: Chat, answer: Json, at_field: str, at_form: str) -> None:
    """Errors are at their field and in the footer, as Markdown; a second try works."""
    chat.open_form({"title": "Errors", "submit": {"path": "/submit"}, "fields": [text("line")]})
    chat.app.answers["/submit"] = answer
    chat.page.locator("#field-line").fill("kept")
    chat.submit()
    expect(chat.page.get_by_test_id("form-error")).to_have_text(at_form)
    expect(chat.page.get_by_test_id("field-error-line")).to_have_text(at_field)
    expect(chat.page.locator("#field-line")).to_have_value("kept")
    chat.app.answers["/submit"] = {"type": "error"}  # an empty answer closes the form as if it had succeeded (recorded)
    chat.submit()
    expect(chat.page.get_by_test_id("modal")).to_have_count(0)
    expect(chat.page.get_by_test_id("ephemeral")).to_have_count(0)


def test_a_slow_submit_says_so_and_is_sent_once(chat: Chat) -> None:
    """The button shows "Submitting…" and a second press does nothing."""
    go_on = threading.Event()
    chat.open_form({"title": "Slow", "submit": {"path": "/submit"}, "fields": [text("line")]})
    chat.app.answers["/submit"] = lambda _: {"type": "ok", "text": "slow done"} if go_on.wait(10) else {}
    chat.submit()
    expect(chat.page.get_by_test_id("modal-submit")).to_have_text("Submitting…")
    expect(chat.page.get_by_test_id("modal-submit")).to_be_disabled()
    chat.page.locator("#field-line").press("Enter")
    go_on.set()
    expect(chat.page.get_by_test_id("ephemeral")).to_contain_text("slow done")
    assert len(chat.sent) == 1


def test_a_choice_refreshes_the_form_through_its_source(chat: Chat) -> None:
    """All values are sent to the source; missing ones are cleared, and errors keep the form."""

    def form(category: Json | None, *more: Json) -> Json:
        options = [option("Hardware", "hw"), option("Closed", "x")]
        choice = {"name": "category", "type": "static_select", "refresh": True, "options": options, "value": category}
        return {"title": "Refresh", "source": {"path": "/refresh"}, "submit": {"path": "/submit"},
                "fields": [text("kept", value="k"), text("lost"), choice, *more]}  # fmt: skip

    def source(body: Json) -> Json:
        chosen = (body.get("values") or {}).get("category")
        if chosen and chosen["value"] == "x":
            return {"type": "error", "data": {"errors": {"category": "It is closed"}}}
        return {"type": "form", "form": form(chosen, *([text("sub")] if chosen else []))}

    chat.app.answers["/refresh"] = source
    chat.open_form(form(None))
    chat.page.locator("#field-lost").fill("typed")
    chat.choose("category", "Hardware")
    expect(chat.page.locator("#field-sub")).to_be_visible()
    expect(chat.page.locator("#field-lost")).to_have_value("")
    expect(chat.page.locator("#field-category")).to_be_focused()
    refreshes = [body for body in chat.sent if "selected_field" in body]
    assert refreshes[0]["values"] == {"kept": "k", "lost": "typed", "category": option("Hardware", "hw")}
    chat.choose("category", "Closed")
    expect(chat.page.get_by_test_id("field-error-category")).to_have_text("It is closed")
    expect(chat.page.locator("#field-sub")).to_be_visible()
    chat.page.get_by_role("button", name="Clear category").click()
    expect(chat.page.locator("#field-sub")).to_have_count(0)
    expect(chat.page.get_by_test_id("field-error-category")).to_have_text("It is closed")
    chat.submit()
    assert chat.app.wait("/submit")[0]["values"] == {"kept": "k", "lost": None, "category": None}


def test_steps_follow_each_other_and_submit_buttons_send_their_value(chat: Chat) -> None:
    """A form as answer replaces the form and sends only its own values; a button's value is a plain string."""
    decision = {
        "name": "decision",
        "type": "static_select",
        "options": [option("Approve", "yes"), option("Reject", "no")],
    }
    second = {"title": "Step 2", "submit": {"path": "/two", "state": {"so": "far"}}, "submit_buttons": "decision",
              "fields": [text("why"), decision]}  # fmt: skip
    chat.app.answers["/one"] = {"type": "form", "form": second}
    chat.open_form({"title": "Step 1", "submit": {"path": "/one"}, "fields": [text("line", value="1")]})
    chat.submit()
    modal = chat.page.get_by_test_id("modal")
    expect(modal.get_by_role("heading", name="Step 2")).to_be_visible()
    expect(modal.get_by_test_id("modal-submit")).to_have_count(0)
    modal.get_by_role("button", name="Reject").click()
    [call] = chat.app.wait("/two")
    assert (call["values"], call["state"]) == ({"why": None, "decision": "no"}, {"so": "far"})


def test_a_modal_keeps_the_focus_and_closes_only_by_escape(chat: Chat) -> None:
    """Tab cycles inside; a click outside changes nothing; Escape closes an open list first; nothing is sent."""
    chat.open_form({"title": "Keys", "submit": {"path": "/submit"}, "fields": [EVERY[8]]})
    modal = chat.page.get_by_test_id("modal")
    for _ in range(7):
        chat.page.keyboard.press("Tab")
        assert chat.page.evaluate("document.querySelector('[data-testid=modal]').contains(document.activeElement)")
    chat.page.mouse.click(5, 5)
    expect(modal).to_be_visible()
    chat.page.locator("#field-one").focus()
    chat.page.keyboard.press("ArrowDown")
    chat.page.keyboard.press("ArrowDown")
    chat.page.keyboard.press("Enter")
    expect(chat.page.locator("#field-one")).to_have_value("Two")
    chat.page.keyboard.press("ArrowDown")
    expect(chat.page.get_by_role("listbox", name="one")).to_be_visible()
    chat.page.keyboard.press("Escape")
    expect(chat.page.get_by_role("listbox", name="one")).to_be_hidden()
    chat.page.keyboard.press("Escape")
    expect(modal).to_have_count(0)
    expect(chat.page.get_by_test_id("app-bar-form")).to_be_focused()
    assert not chat.sent
