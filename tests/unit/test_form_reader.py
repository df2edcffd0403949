"""`FormReader` checks each kind of field and reports all problems at once."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from core.calls import Call, Kind, Person, Value, Values
from core.errors import InvalidInput
from core.fields import Option
from handlers.context import Context
from handlers.form_reader import FormReader

SYS_ID = "a" * 32
ROWS = [Option("Ann Agent (ann)", SYS_ID, "ann"), Option("Anna Manager (anna)", "b" * 32, "anna")]


def reader(
    entered: dict[str, Value], *, state: dict[str, Any] | None = None, zone: str = "Europe/Berlin"
) -> FormReader:
    """A reader of *entered*, of a form that carries *state*; none for a command."""
    call = Call(kind=Kind.SUBMIT, path="a/b", person=Person(id="p"), values=Values(entered), state=state or {})
    return FormReader(call, cast(Context, SimpleNamespace(time_zone=zone)))


def find(words: str) -> list[Option]:
    """The rows whose label contains *words*."""
    return [row for row in ROWS if words.casefold() in row.label.casefold()]


@pytest.mark.parametrize(
    ("entered", "value", "problem"),
    [
        ("  two words ", "two words", ""),
        ("12345678901", "", "At most 10 characters fit here."),
        ("\u200b", "\u200b", "Say something."),
        ("", "", "Say something."),
    ],
)
def test_a_text_is_trimmed_limited_and_required(entered: str, value: str, problem: str) -> None:
    """Invisible characters don't fill a required field, and too long a text isn't cut."""
    form = reader({"text": entered})
    assert form.text("text", most=10, required="Say something.") == value
    assert form.problems == ({"text": problem} if problem else {})


def test_a_line_has_no_line_breaks() -> None:
    """All white space inside becomes one space; limits have a thousands separator."""
    form = reader({"line": " one\n two ", "long": "x" * 4001, "any": "x" * 4001})
    assert form.line("line", most=7) == "one two"
    assert form.line("long", most=4000) == ""
    assert form.text("any", most=0) == "x" * 4001
    assert form.problems == {"long": "At most 4,000 characters fit here."}


def test_a_choice_must_be_offered() -> None:
    """An option's value is returned. Without known options, ServiceNow decides."""
    options = [Option("One", "1"), Option("Two", "2")]
    form = reader({"good": options[1], "bad": "3", "unknown": "3"})
    assert form.choice("good", options) == "2"
    assert form.choice("bad", options) == ""
    assert form.choice("unknown", []) == "3"
    assert form.choice("missing", options, required="Choose one.") == ""
    assert form.problems == {"bad": "Choose one of the list.", "missing": "Choose one."}


def test_several_choices_come_back_in_the_order_offered() -> None:
    """One value that isn't offered is a problem of the whole field."""
    chosen = (Option("B", "b"), Option("A", "a"))
    form = reader({"good": chosen, "bad": (*chosen, Option("X", "x"))})
    assert form.choices("good", ["a", "b", "c"]) == ("a", "b")
    form.choices("bad", ["a", "b", "c"])
    form.choices("none", ["a"], required="Choose at least one.")
    assert form.problems == {"bad": "Choose from the list.", "none": "Choose at least one."}


@pytest.mark.parametrize(
    ("entered", "value", "problem"),
    [
        (Option("Whoever", SYS_ID), SYS_ID, ""),
        ("ann", SYS_ID, ""),
        ("Anna Manager (anna)", "b" * 32, ""),
        ("an", "", "Several match: Ann Agent (ann), Anna Manager (anna). Choose one from the list."),
        ("nobody", "", "Nothing in ServiceNow matches this. Type two letters and choose from the list."),
    ],
)
def test_a_reference_is_chosen_or_matches_one_row(entered: Value, value: str, problem: str) -> None:
    """A chosen row costs no lookup; a typed one must be a label, a user name or the only match."""
    form = reader({"person": entered})
    assert form.reference("person", find) == value
    assert form.problems == ({"person": problem} if problem else {})


def test_typed_references_are_shown_as_the_rows_they_name() -> None:
    """A form that opens from a command shows the rows; what matches none is left out and reported."""
    form = reader({"person": "ann", "other": "nobody", "text": "stays"})
    shown = form.resolved({"person": find, "other": find, "absent": find})
    assert dict(shown) == {"person": ROWS[0], "text": "stays"}
    assert list(form.problems) == ["other"]


def test_moments_days_and_numbers() -> None:
    """A moment is stored in UTC from the person's zone. What can't be read says how to write it."""
    form = reader({"at": "2026-07-24 16:30", "day": "2026-07-24T00:00", "count": "-1.5", "no": "soon"})
    assert form.moment("at") == "2026-07-24 14:30:00"
    assert form.day("day") == "2026-07-24"
    assert form.number("count") == "-1.5"
    assert (form.moment("none"), form.day("none"), form.number("none")) == ("", "", "")
    assert form.problems == {}
    for kind, problem in (
        ("moment", "Write day and time like 2026-11-24 16:30."),
        ("day", "Write a day like 2026-11-24."),
        ("number", "Write a number."),
    ):
        broken = reader({"no": "soon"})
        assert getattr(broken, kind)("no") == ""
        assert broken.problems == {"no": problem}


def test_a_switch_has_a_default_for_forms_without_it() -> None:
    """A form that shows the switch decides."""
    form = reader({"off": False, "on": "true"})
    assert form.flag("on")
    assert not form.flag("off", default=True)
    assert form.flag("absent", default=True)


@pytest.mark.parametrize("typed", [True, False])
def test_all_problems_are_raised_at_once(typed: bool) -> None:
    """Each at its field, the first one of a field. A command, which has no fields, gets one line."""
    form = reader({"text": "long"}, state={} if typed else {"form_id": "f"})
    form.text("text", most=1)
    form.refuse("text", "Another problem.")
    with form.collecting():
        raise InvalidInput({"query": "Unknown column."})
    with pytest.raises(InvalidInput) as refused:
        form.finish()
    assert refused.value.fields == {"text": "At most 1 characters fit here.", "query": "Unknown column."}
    line = "--text: At most 1 characters fit here. --query: Unknown column."
    assert refused.value.user_message == (line if typed else InvalidInput.user_message)


def test_a_refusal_of_no_field_is_not_collected() -> None:
    """It isn't about what was entered, so it can't wait for `finish`."""
    form = reader({})
    with pytest.raises(InvalidInput, match="the form"), form.collecting():
        raise InvalidInput({}, "This can't be done here.")
    form.finish()
