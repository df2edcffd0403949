"""Buttons prove which card they belong to; forms keep their content through a dialog."""

from typing import Any

import pytest

from core.calls import Values
from core.errors import InvalidInput, NotVerified
from core.fields import (
    ChannelField,
    DateField,
    Form,
    LookupField,
    MarkdownField,
    MultiSelectField,
    Option,
    SelectField,
    SwitchField,
    TextAreaField,
    TextField,
)
from core.menus import ALL, COMMENT, MOST_BUTTONS, NOTE, CardKey
from core.signing import Signer
from core.tables import table_of
from mattermost.card_buttons import CardButtons
from mattermost.plain_forms import write_dialog
from mattermost.plain_shapes import Abilities, shape_of
from mattermost.plain_values import ForeignForm, read_submission

CARD = CardKey("incident", "a" * 32, "INC0010001", "c" * 26)
BUTTONS = CardButtons(Signer([b"k" * 32]), "https://app.example.org/plain/press")
OLD, NEW = Abilities.of((9, 11)), Abilities.of((11, 1))
TABLES = ("incident", "problem", "change_request", "task", "change_task", "cert_follow_on_task", "kb_knowledge")


def context_of(action_id: str) -> dict[str, Any]:
    """What Mattermost sends back for a button."""
    [action] = [one for one in BUTTONS.write(CARD, table_of("incident").offer("1")) if one["id"] == action_id]
    context: dict[str, Any] = action["integration"]["context"]
    return context


# As this version's first release wrote it into channels, where it remains for years.
OLD_TOKEN = (
    "eyJjIjp7ImFjdGlvbnMiOlsiY29tbWVudCJdLCJjYXJkIjp7InRhYmxlIjoiaW5jaWRlbnQiLCJzeXNfaWQiOiJhYWFhYWFhYWFhYWFhYWFhYWFhYWFh"
    "YWFhYWFhYWFhYSIsIm51bWJlciI6IklOQzAwMTAwMDEiLCJjaGFubmVsX2lkIjoiY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2MifX0sInUiOiIiLCJw"
    "IjoiY2FyZCIsImUiOjkwMDcxOTkyNTQ3NDA5OTJ9.tobBU2lDdLqoa80k9R_jNUT-uqUeTOKSqFTnaCAVfo8"
)


def test_cards_of_earlier_versions_can_be_pressed() -> None:
    """A change of what is signed would break every card ever posted."""
    pressed = BUTTONS.read({"card": OLD_TOKEN})
    assert (pressed.action, pressed.card) == (COMMENT, CARD)


def test_buttons_are_written_as_mattermost_reads_them() -> None:
    """Three buttons and a select for the rest, each with its ID, name and URL."""
    *buttons, more = BUTTONS.write(CARD, table_of("incident").offer("1"))
    assert [(one["id"], one["type"], one["name"]) for one in buttons] == [
        ("comment", "button", "Comment"),
        ("state", "button", "State"),
        ("mine", "button", "Assign to me"),
    ]
    assert (more["id"], more["type"], more["name"]) == ("more", "select", "More…")
    assert {"text": "Work note", "value": "note"} in more["options"]
    assert {one["integration"]["url"] for one in (*buttons, more)} == {"https://app.example.org/plain/press"}


@pytest.mark.parametrize(
    ("content", "path", "reason"),
    [
        ({"actions": ["gone", "note"], "card": vars(CARD)}, "card", "not among those offered"),
        ({"actions": ["note"], "card": vars(CARD)}, "incident/create", "another person or path"),
    ],
)
def test_other_signed_data_isnt_a_button(content: dict[str, Any], path: str, reason: str) -> None:
    """An action that a later version dropped, and a form's state, which is signed with the same key."""
    token = Signer([b"k" * 32]).sign(content, person="", path=path, expires_at=2.0**53)
    with pytest.raises(NotVerified, match=reason):
        BUTTONS.read({"card": token, "selected_option": "gone"})


def test_a_button_names_its_action_and_card() -> None:
    """A press returns what was written, and for the select, what was chosen."""
    assert BUTTONS.read(context_of("comment")).action == COMMENT
    pressed = BUTTONS.read(context_of("more") | {"selected_option": "note"})
    assert (pressed.action, pressed.card) == (NOTE, CARD)


@pytest.mark.parametrize("chosen", [None, "", "comment", "nonsense", 5, ["note"]])
def test_a_choice_that_wasnt_offered_is_rejected(chosen: Any) -> None:
    """The client says what was chosen; only what the card offered counts."""
    with pytest.raises(NotVerified, match="not among those offered"):
        BUTTONS.read(context_of("more") | {"selected_option": chosen})


@pytest.mark.parametrize(
    ("forged", "reason"),
    [
        (None, "no token"),
        ([], "no token"),
        ("x", "no token"),
        ({}, "no token"),
        ({"card": None}, "no token"),
        ({"card": "x"}, "bad signature"),
        ({"card": "a.b"}, "bad signature"),
    ],
)
def test_a_forged_context_is_rejected(forged: Any, reason: str) -> None:
    """Without our token there is no card."""
    with pytest.raises(NotVerified, match=reason):
        BUTTONS.read(forged)


def test_a_removed_action_is_rejected() -> None:
    """A card of an earlier version may offer an action that this one doesn't know."""
    content = {"actions": ["gone"], "card": vars(CARD)}
    token = Signer([b"k" * 32]).sign(content, person="", path="card", expires_at=9e9)
    with pytest.raises(NotVerified, match="not among those offered"):
        BUTTONS.read({"card": token})


def test_another_key_or_a_changed_token_is_rejected() -> None:
    """A token of another service, and one of ours with another record."""
    with pytest.raises(NotVerified, match="bad signature"):
        CardButtons(Signer([b"x" * 32]), "").read(context_of("comment"))
    token = context_of("comment")["card"]
    with pytest.raises(NotVerified, match="bad signature"):
        BUTTONS.read({"card": token.replace(token[10:14], "AAAA")})


def test_a_form_state_isnt_a_button() -> None:
    """Clients see form tokens, which open no card."""
    state = Signer([b"k" * 32]).sign({"actions": ["comment"]}, person="p", path="record/comment", expires_at=9e9)
    with pytest.raises(NotVerified, match="another person or path"):
        BUTTONS.read({"card": state})


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("state", ["", "-5", "1", "3", "6", "7", "106", "107"])
def test_every_card_fits_a_phone(table: str, state: str) -> None:
    """It has at most four buttons, IDs of letters only, and no duplicates."""
    offered = table_of(table).offer(state)
    words = [action.word for action in (*offered.buttons, *offered.more)]
    assert 1 <= len(offered.buttons) <= MOST_BUTTONS
    assert len(set(words)) == len(words)
    assert all(word.isalpha() for word in words)


def test_action_words_and_labels_are_unique() -> None:
    """A word is an ID; a label is what people choose by."""
    assert len({action.word for action in ALL}) == len({action.label for action in ALL}) == len(ALL)


FORM = Form(
    path="record/state",
    title="State",
    header="INC0010001",
    state="inner",
    fields=[
        MarkdownField(name="text", label="Text", text="Last: **a**"),
        TextField(name="short_description", label="Short description", max_length=160, value="x", required=True),
        TextField(name="number", label="Number", max_length=40, value="INC1", readonly=True),
        TextField(name="count", label="Count", max_length=5, subtype="number"),
        TextAreaField(name="comments", label="Comment", max_length=4000),
        SelectField(name="state", label="State", options=[Option("New", "1"), Option("Done", "6")], refresh=True),
        MultiSelectField(
            name="events", label="Events", options=[Option("State", "state"), Option("Note", "work_notes")],
            value=("state",),
        ),
        LookupField(name="assigned_to", label="Assigned to", value=Option("Abel Tuter (abel)", "b" * 32)),
        ChannelField(name="channel", label="Channel", value=Option("Town", "t" * 26)),
        SwitchField(name="subscribe", label="Subscribe", value=True),
        DateField(name="start_date", label="Start", time=True),
    ],
)  # fmt: skip


def elements(abilities: Abilities) -> dict[str, dict[str, Any]]:
    """The dialog's elements by name."""
    dialog = write_dialog(FORM, abilities, state="outer", url="https://app/plain/dialog")
    return {element["name"]: element for element in dialog["elements"]}


def test_an_old_server_gets_only_supported_elements() -> None:
    """Lookup, multiselect, date and refresh are replaced."""
    dialog = write_dialog(FORM, OLD, state="outer", url="https://app/plain/dialog")
    drawn = elements(OLD)
    assert {element["type"] for element in drawn.values()} == {"text", "textarea", "select", "bool"}
    assert "source_url" not in dialog
    assert not any("refresh" in element or "multiselect" in element for element in drawn.values())
    assert drawn["events__state"]["default"] == "true"
    assert drawn["events__work_notes"]["default"] == "false"
    assert drawn["assigned_to"]["default"] == "Abel Tuter (abel)"
    assert drawn["start_date"]["placeholder"] == "2026-11-24 16:30"
    assert dialog["introduction_text"] == "INC0010001\n\nLast: **a**\n\n**Number**: INC1"
    assert "number" not in drawn


def test_a_new_server_gets_all_elements() -> None:
    """Lookups, multiselects, dates and refresh, with the URLs that they need."""
    dialog = write_dialog(FORM, NEW, state="outer", url="https://app/plain/dialog")
    drawn = elements(NEW)
    assert dialog["source_url"] == drawn["assigned_to"]["data_source_url"] == "https://app/plain/dialog"
    assert drawn["state"]["refresh"] is True
    assert (drawn["events"]["multiselect"], drawn["events"]["default"]) == (True, "state")
    assert drawn["start_date"]["type"] == "datetime"


WEB = {
    "short_description": "x", "count": 5, "comments": "", "state": "6", "events": ["state", "work_notes"],
    "assigned_to": "Abel Tuter (abel)", "channel": "t" * 26, "subscribe": True, "start_date": "2026-11-24T13:00Z",
}  # fmt: skip
MOBILE = WEB | {"count": "5", "comments": None, "events": "state, work_notes", "subscribe": "true"}
NINE = {key: value for key, value in WEB.items() if key != "events"} | {
    "events__state": True, "events__work_notes": "true", "unset": None,
}  # fmt: skip


@pytest.mark.parametrize(("sent", "abilities"), [(WEB, NEW), (MOBILE, NEW), (NINE, OLD)])
def test_every_client_means_the_same(sent: dict[str, Any], abilities: Abilities) -> None:
    """Web, mobile and an old server encode values differently; a handler sees no difference."""
    assert read_submission(sent, shape_of(FORM, abilities)) == Values(
        {
            "short_description": "x",
            "count": "5",
            "state": "6",
            "events": (Option("state", "state"), Option("work_notes", "work_notes")),
            "assigned_to": Option("Abel Tuter (abel)", "b" * 32),
            "channel": "t" * 26,
            "subscribe": True if sent["subscribe"] is True else "true",
            "start_date": "2026-11-24T13:00Z",
        }
    )


def test_values_of_unknown_elements_are_ignored() -> None:
    """Names that we didn't send, and values of read-only fields."""
    sent = {"number": "INC9", "sys_id": "x", "comments": "y", "channel": ""}
    assert dict(read_submission(sent, shape_of(FORM, NEW))) == {"comments": "y"}


def test_values_of_another_form_are_rejected() -> None:
    """None of the names is ours: a client sent what was on its screen to the URL of the newest dialog."""
    with pytest.raises(ForeignForm):
        read_submission({"a": "typed in A"}, shape_of(FORM, NEW))
    assert dict(read_submission({"a": "of step one"}, shape_of(FORM, NEW, {"a"}))) != {}  # the defaults


@pytest.mark.parametrize("value", [{"a": 1}, ["x"], "y" * 100_001])
def test_values_of_the_wrong_type_are_rejected_at_their_field(value: Any) -> None:
    """An object, a list for a single value, an endless text."""
    with pytest.raises(InvalidInput) as refused:
        read_submission({"comments": value}, shape_of(FORM, NEW))
    assert list(refused.value.fields) == ["comments"]
