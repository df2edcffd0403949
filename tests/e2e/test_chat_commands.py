"""Commands in the chat page: suggestions, execution and errors as recorded from the real client."""

import pytest
from playwright.sync_api import expect

from tests.e2e.chat_page import Chat, text

pytestmark = pytest.mark.browser


def commands(chat: Chat) -> None:
    """`/rec` with a leaf that has a form, one that has none, and a group."""
    fields = [
        text("title", label="title", position=1, is_required=True, description="One **line**."),
        {"name": "urgency", "type": "static_select", "label": "urgency", "hint": "How soon",
         "options": [{"label": "1 - High", "value": "1"}, {"label": "2 - Low", "value": "2"}]},
        {"name": "record", "type": "dynamic_select", "label": "record", "lookup": {"path": "/lookup"}},
        {"name": "caller", "type": "user", "label": "who"},
        {"name": "place", "type": "channel", "label": "place"},
        {"name": "watch", "type": "bool", "label": "watch"},
        {"name": "tags", "type": "static_select", "label": "tags", "multiselect": True,
         "options": [{"label": "Red", "value": "red"}, {"label": "Blue sky", "value": "blue sky"}]},
    ]  # fmt: skip
    create = {"location": "create", "label": "create", "hint": "[title]", "description": "Create one",
              "form": {"title": "Create", "submit": {"path": "/create"}, "fields": fields}}  # fmt: skip
    say = {"location": "say", "label": "say", "description": "Say so", "submit": {"path": "/say"}}
    root = {"location": "rec", "label": "rec", "hint": "[create|say]", "description": "Recorder", "icon": "icon.png"}
    chat.offer("/command", root | {"bindings": [create, say]})
    items = [{"label": "INC1 - Disk full", "value": "a1"}, {"label": "INC2 - VPN", "value": "a2"}]
    chat.app.answers["/lookup"] = {"type": "ok", "data": {"items": items}}
    chat.sign_in()


MODAL = "Open in modal | Select this option to open the current command in a modal."
RUN = "Execute Current Command | Select this option or use Ctrl+Enter to execute the current command."


def test_commands_are_suggested_like_in_the_real_client(chat: Chat) -> None:
    """Words by prefix, the next positional field, flags after two hyphens, values by type, parse errors."""
    commands(chat)
    line = "/rec create "
    assert chat.suggestions("/re") == ["rec [create|say] | Recorder"]
    assert chat.suggestions("/rec ") == ["create [title] | Create one", "say | Say so"]
    assert chat.suggestions("/rec s") == ["say | Say so"]
    assert chat.suggestions("/rec say ") == [RUN]
    assert chat.suggestions("/rec nothing") == ["No matching suggestions."]
    assert chat.suggestions(line) == ['Title: "" | One **line**.', MODAL]
    flags = ["--title | One **line**.", "--urgency How soon", "--record", "--who", "--place", "--watch", "--tags"]
    assert chat.suggestions(line + "--") == [*flags, MODAL]
    assert chat.suggestions(line + "--urgency ") == ["1 - High How soon", "2 - Low How soon", MODAL]
    assert chat.suggestions(line + "--watch ") == ["true", "false", MODAL]
    assert chat.suggestions(line + "--record ") == ["a1 | INC1 - Disk full", "a2 | INC2 - VPN", MODAL]
    assert chat.suggestions(line + "--who @req") == ["@requester | Rosa Requester", MODAL]
    assert chat.suggestions(line + "--place ~town") == ["Town Square | ~town-square", MODAL]
    assert chat.suggestions(line + "x y") == ["Parsing error | Unable to identify argument.", MODAL]
    lookup = chat.app.wait("/lookup")[0]
    assert (lookup["selected_field"], lookup["raw_command"]) == ("record", line + "--record ")


def test_a_command_is_completed_executed_and_sent_as_recorded(chat: Chat) -> None:
    """Enter completes, then executes; values are encoded by type, missing ones are left out."""
    commands(chat)
    composer = chat.page.get_by_test_id("composer")
    composer.press_sequentially("/rec sa")
    expect(chat.page.get_by_test_id("suggestion").first).to_contain_text("say")
    chat.page.keyboard.press("Enter")
    expect(composer).to_have_value("/rec say ")
    expect(chat.page.get_by_test_id("suggestion").first).to_contain_text("Execute Current Command")
    chat.page.keyboard.press("Enter")
    expect(chat.page.get_by_test_id("ephemeral")).to_contain_text("Done.")
    expect(composer).to_have_value("")
    assert (chat.sent[0]["values"], chat.sent[0]["raw_command"]) == ({}, "/rec say")
    assert chat.sent[0]["context"]["location"] == "/command/rec/say"
    composer.fill(
        '/REC Create "Disk full" --urgency 2 --record a1 --who @requester '
        '--place ~town-square --watch --tags [red, "blue sky"]'
    )
    chat.page.keyboard.press("Control+Enter")
    [call] = chat.app.wait("/create")
    person = chat.person("agent")
    rosa = person.get("/api/v4/users/username/requester")
    assert call["values"] == {
        "title": "Disk full",
        "urgency": {"label": "2 - Low", "value": "2"},
        "record": {"label": "a1", "value": "a1"},
        "caller": {"label": "requester", "value": rosa["id"]},
        "place": {"label": "Town Square", "value": person.channel("town-square")},
        "watch": True,
        "tags": [{"label": "Red", "value": "red"}, {"label": "Blue sky", "value": "blue sky"}],
    }
    assert call["raw_command"].startswith("/rec Create ")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("/rec", "Parsing error: You must select a subcommand."),
        ("/rec create --urgency 1", "Required fields missing: `title`."),
        ("/rec create x --nosuch 1", "Parsing error: Command does not accept flag `nosuch`."),
        ('/rec create "x', "Parsing error: Matching double quote expected before end of input."),
        ("/rec create x --urgency 9", "Unknown option for field `urgency`: `9`."),
        ("/rec create x --who @nobody", "Unknown user for field `caller`: `nobody`."),
        ("/rec say", "It did **not** work"),
        ("/nosuch", "Command with a trigger of '/nosuch' not found. Click here to send as a message."),
    ],
)
def test_a_failed_command_keeps_its_draft_and_shows_plain_text(chat: Chat, line: str, problem: str) -> None:
    """One line below the composer, without Markdown; the draft is kept."""
    chat.app.answers["/say"] = {"type": "error", "text": "It did **not** work"}
    commands(chat)
    composer = chat.page.get_by_test_id("composer")
    composer.fill(line)
    chat.page.keyboard.press("Control+Enter")
    expect(chat.page.get_by_test_id("composer-error")).to_have_text(problem)
    expect(composer).to_have_value(line)


def test_open_in_modal_keeps_the_typed_values(chat: Chat) -> None:
    """The command's form opens with them."""
    commands(chat)
    chat.page.get_by_test_id("composer").fill("/rec create Broken --urgency 1 ")
    chat.page.get_by_test_id("suggestion").filter(has_text="Open in modal").click()
    expect(chat.page.locator("#field-title")).to_have_value("Broken")
    expect(chat.page.locator("#field-urgency")).to_have_value("1 - High")
    expect(chat.page.get_by_test_id("composer")).to_have_value("")


def test_an_administrator_disables_and_enables_an_app_by_command(chat: Chat) -> None:
    """
    `/apps disable`, `enable` and `uninstall` take an app's ID as typed; its commands disappear and return with it.
    """
    chat.offer("/command", {"location": "rec", "label": "rec", "submit": {"path": "/say"}})
    chat.sign_in("admin")
    composer = chat.page.get_by_test_id("composer")
    for word, told, there in (
        ("disable", "Disabled", False),
        ("enable", "Enabled", True),
        ("uninstall", "Uninstalled", False),
    ):
        with chat.page.expect_response("**/api/v1/bindings?*"):
            composer.fill(f"/apps {word} recorder")
            chat.page.keyboard.press("Control+Enter")
        expect(chat.page.get_by_test_id("ephemeral").last).to_contain_text(f"{told} ")
        assert any("rec" in one.split() for one in chat.suggestions("/")) is there, word
