"""What must never reach a client of the plain host: a malformed answer, a form that exceeds a limit."""

from typing import Any, cast

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from core.calls import Values
from core.fields import LABEL_BYTES, TEXT_DEFAULT_BYTES, Option, TextAreaField
from core.records import Column
from forms.records.state import STATE, StateOptions, state_form
from mattermost.apps_framework import write_error
from mattermost.markdown import harmless, plain_text
from web.errors import answer_errors
from web.plain import DIALOG_PATH, PRESS_PATH, PlainHost, plain_blueprint


class _Failing:
    """A host with a bug."""

    def press(self, _body: Any) -> Any:
        raise ZeroDivisionError("a mistake of ours")

    dialog = press


@pytest.mark.parametrize(("path", "key"), [(PRESS_PATH, "ephemeral_text"), (DIALOG_PATH, "error")])
def test_our_own_error_is_reported(path: str, key: str) -> None:
    """Any other answer closes a dialog as if it had succeeded, and leaves a press without an answer."""
    app = Flask(__name__)
    app.register_blueprint(plain_blueprint(cast(PlainHost, _Failing())))
    answer = app.test_client().post(path, json={})
    assert answer.status_code == 200
    assert list(answer.json or {}) == [key]
    assert "Something went wrong" in answer.text
    assert "mistake" not in answer.text


@pytest.mark.parametrize(("path", "key"), [(PRESS_PATH, "ephemeral_text"), (DIALOG_PATH, "error")])
def test_a_request_that_is_too_large_is_answered_in_the_hosts_format(path: str, key: str) -> None:
    """The whole application's limit answers in the framework's format, which a press or dialog can't show."""
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = 1000
    answer_errors(app, write_error)
    app.register_blueprint(plain_blueprint(cast(PlainHost, _Failing())))
    answer = app.test_client().post(path, json={"context": "x" * 2000})
    assert list(answer.json or {}) == [key]
    assert "at most 1 MiB" in answer.text


def about(table: str, columns: dict[str, Column], states: list[Option]) -> StateOptions:
    """A form's subject."""
    return StateOptions(path=STATE, table=table, number="INC0010001", states=states, columns=columns)


@given(st.lists(st.text("状態保留中解決済みé ab", min_size=1, max_size=60), min_size=3, max_size=3, unique=True))
def test_state_hints_fit_an_old_servers_dialog(labels: list[str]) -> None:
    """Hints that name states are cut to a dialog's limit, in bytes."""
    states = [Option(label.strip() or "-", value) for label, value in zip(labels, ("1", "6", "7"), strict=True)]
    states = list({option.label: option for option in states}.values())
    form = state_form(about("incident", {}, states), Values({"state": "1"}), state="", steps=False)
    hints = [field.hint for field in form.fields if isinstance(field, TextAreaField)]
    assert all(len(hint.encode()) <= TEXT_DEFAULT_BYTES for hint in hints)


def test_columns_with_the_same_label_stay_distinct() -> None:
    """Clients would drop the second, so it is numbered."""
    columns = {name: Column(name, "State", "string") for name in ("cause_notes", "fix_notes")}
    form = state_form(
        about("problem", columns, [Option("New", "101")]), Values({"state": "101"}), state="", steps=False
    )
    labels = [field.label for field in form.fields]
    assert len(set(labels)) == len(labels)
    assert {"State", "State 2", "State 3"} <= set(labels)
    assert all(len(label.encode()) <= LABEL_BYTES for label in labels)


@given(st.text(max_size=200) | st.text("[](@all)~*_`<>#|!:.www/ \n", max_size=60))
def test_candidates_are_escaped(text: str) -> None:
    """Whatever a record is called, inside our sentence it is text."""
    sentence = f"Several match: {harmless(text, 100)}, and more."
    tokens = [one for block in MarkdownIt("commonmark").parse(sentence) for one in (block, *(block.children or []))]
    assert {one.type for one in tokens} <= {"paragraph_open", "inline", "text", "text_special", "paragraph_close"}
    for sign in "@~":
        assert all(part.startswith("\u200b") for part in sentence.split(sign)[1:])


def test_an_ordinary_name_isnt_escaped() -> None:
    """Brackets, dots and dashes of names need no backslash, which a place without Markdown would show."""
    assert (
        harmless("INC0010003: VPN (Berlin-Mitte) drops, 2.4 GHz", 100)
        == "INC0010003: VPN (Berlin-Mitte) drops, 2.4 GHz"
    )


def test_our_text_without_markdown() -> None:
    """Emphasis and escapes are removed, links keep their address."""
    text = "**admin** changed INC\\-1. [Connect it](https://example.com/x), then `try` again."
    assert plain_text(text) == "admin changed INC-1. Connect it (https://example.com/x), then try again."
