"""The schema of a report: what is accepted, where the limits are, and the error for everything else."""

import copy
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from core.errors import InvalidInput
from core.notices import Actor, Change, Comment, Match, Report, ReportedRecord
from core.records import Cell
from notifications.schema import packed, read_report, unpacked

Json = dict[str, Any]

WHOLE: Json = {
    "event_id": "e" * 32,
    "occurred_at": "2026-11-24T13:00:00Z",
    "component": "3.0.0",
    "server_url": "https://app.example",
    "record": {
        "table": "incident",
        "sys_id": "a" * 32,
        "number": "INC0000001",
        "short_description": "It drips",
        "class_label": "Incident",
        "state": {"value": "2", "display_value": "In Progress"},
        "priority": {"value": "3", "display_value": "3 - Moderate"},
        "assigned_to": {"value": "b" * 32, "display_value": "Abel"},
        "assignment_group": {"value": "c" * 32, "display_value": "Desk"},
        "sys_mod_count": 7,
    },
    "events": ["state", "commented"],
    "changes": [
        {"field": "state", "label": "State", "old": "New", "new": "In Progress", "old_value": "1", "new_value": "2"}
    ],
    "comments": [{"kind": "comments", "text": "public"}, {"kind": "work_notes", "text": "private"}],
    "actor": {"sys_id": "d" * 32, "user_name": "aiko", "name": "Aiko Agent"},
    "subscriptions": [
        {
            "sys_id": "5" * 32,
            "channel_id": "c" * 26,
            "user_id": "o" * 26,
            "record_type": "task",
            "record_id": "a" * 32,
            "filter_digest": "0123456789abcdef" * 4,
            "events": ["state"],
            "options": ["hide_comment"],
            "created_by": "abel",
            "updated_by": "admin",
            "updated_on": "2026-11-24 12:00:00",
        }
    ],
    "test": "nonce",
}
READ = Report(
    event_id="e" * 32,
    occurred_at=datetime(2026, 11, 24, 13, tzinfo=UTC).timestamp(),
    component="3.0.0",
    server_url="https://app.example",
    record=ReportedRecord(
        table="incident",
        sys_id="a" * 32,
        number="INC0000001",
        short_description="It drips",
        class_label="Incident",
        state=Cell("2", "In Progress"),
        priority=Cell("3", "3 - Moderate"),
        assigned_to=Cell("b" * 32, "Abel"),
        assignment_group=Cell("c" * 32, "Desk"),
        sys_mod_count=7,
    ),
    events=("state", "commented"),
    changes=[Change("state", "State", "New", "In Progress", "1", "2")],
    comments=[Comment("comments", "public"), Comment("work_notes", "private")],
    actor=Actor("d" * 32, "aiko", "Aiko Agent"),
    matches=[
        Match(
            sys_id="5" * 32,
            channel_id="c" * 26,
            user_id="o" * 26,
            table="task",
            record_id="a" * 32,
            filter_digest="0123456789abcdef" * 4,
            events=("state",),
            options=("hide_comment",),
            created_by="abel",
            updated_by="admin",
            updated_on="2026-11-24 12:00:00",
        )
    ],
    test="nonce",
)
# What is missing, or null, in the shortest valid report.
SHORT: Json = {
    "event_id": "e-1",
    "occurred_at": "2026-11-24T14:00:00+01:00",
    "server_url": "https://app.example",
    "record": {"table": "incident", "sys_id": "a" * 32},
    "subscriptions": [{"sys_id": "5" * 32, "channel_id": "c" * 26, "record_type": "task"}],
    "changes": [{"field": "state"}],
    "comments": [{"kind": "comments"}],
}
SHORT_READ = Report(
    event_id="e-1",
    occurred_at=READ.occurred_at,
    component="",
    server_url="https://app.example",
    record=ReportedRecord(table="incident", sys_id="a" * 32, number=""),
    changes=[Change("state", "", "", "")],
    comments=[Comment("comments", "")],
    matches=[
        Match(
            sys_id="5" * 32,
            channel_id="c" * 26,
            user_id="",
            table="task",
            record_id="",
            filter_digest="",
            events=(),
            options=(),
            created_by="",
            updated_by="",
            updated_on="",
        )
    ],
)


def with_(path: str, value: Any) -> Json:
    """`WHOLE` with another value at *path*; ``...`` removes the key."""
    made = copy.deepcopy(WHOLE)
    *outer, last = path.split(".")
    at: Any = made
    for key in outer:
        at = at[int(key) if isinstance(at, list) else key]
    if value is ...:
        del at[last]
    else:
        at[last] = value
    return made


def problem(body: Any) -> dict[str, str]:
    """The error for it."""
    with pytest.raises(InvalidInput) as caught:
        read_report(body)
    return dict(caught.value.fields)


def test_every_key_is_read() -> None:
    """Keys that later versions add are ignored, at every level."""
    assert read_report(WHOLE) == READ
    more = copy.deepcopy(WHOLE) | {"later": 1}
    for inner in (more["record"], more["record"]["state"], more["actor"], *more["changes"], *more["comments"]):
        inner["later"] = 1
    assert read_report(more) == READ


def test_a_missing_or_null_value_is_empty() -> None:
    """As an instance with an empty column sends it; a connection test can have no other."""
    assert read_report(SHORT) == SHORT_READ
    assert read_report(SHORT | {"events": None, "actor": None, "component": None, "test": None}) == SHORT_READ
    named = copy.deepcopy(SHORT)
    named["record"] |= {"state": {}, "priority": None, "number": None, "sys_mod_count": None}
    named["changes"][0]["old"] = named["subscriptions"][0]["events"] = None
    named["actor"] = {}
    assert read_report(named) == SHORT_READ
    bare = {key: value for key, value in SHORT.items() if key not in {"changes", "comments", "subscriptions"}}
    assert read_report(bare) == replace(SHORT_READ, changes=[], comments=[], matches=[])


def test_only_a_connection_test_has_no_record() -> None:
    """And then no subscription either."""
    way = SHORT | {"record": None, "subscriptions": [], "test": "nonce"}
    assert read_report(way) == replace(SHORT_READ, record=None, matches=[], test="nonce")
    missing = {"record": "Missing data for required field."}
    assert problem(way | {"test": ""}) == missing
    assert problem(way | {"subscriptions": SHORT["subscriptions"]}) == missing
    assert problem(way | {"subscriptions": SHORT["subscriptions"], "test": ""}) == missing


REQUIRED = [
    "event_id",
    "occurred_at",
    "server_url",
    "record.table",
    "record.sys_id",
    "changes.0.field",
    "comments.1.kind",
    "subscriptions.0.sys_id",
    "subscriptions.0.channel_id",
    "subscriptions.0.record_type",
]


@pytest.mark.parametrize("path", REQUIRED)
def test_a_missing_required_key_is_named(path: str) -> None:
    """Left out or null."""
    for nothing in (..., None):
        assert problem(with_(path, nothing)) == {path: "Missing data for required field."}


SYS_ID, TABLE, MATTERMOST = "Not a sys_id.", "Not a table's name.", "Not an id of Mattermost."
DIGEST, ID, FORM = "Not a SHA-256 in hex.", "1 to 64 letters, digits and hyphens.", "String does not match"
TEXT = "Not a valid string."
PATTERNS: list[tuple[str, list[Any], list[str], str]] = [
    # path, what is rejected, what is accepted, the error
    ("event_id", ["", "e" * 65, "a/b", "e\n"], ["e" * 64, "E-9"], ID),
    ("record.table", ["", "Incident", "1a", "a" * 81, "a;b", "a\n"], ["a" * 80, "u_1"], TABLE),
    ("record.sys_id", ["", "a" * 31, "A" * 32, "a" * 33, "a" * 32 + "\n"], ["0" * 32], SYS_ID),
    ("changes.0.field", ["", "State", "a" * 81, "a\n"], ["a" * 80], FORM),
    ("subscriptions.0.sys_id", ["", "x" * 32, "a" * 32 + "\n"], ["0" * 32], SYS_ID),
    ("subscriptions.0.channel_id", ["", "c" * 25, "C" * 26, "c" * 26 + "\n"], ["0" * 26], MATTERMOST),
    ("subscriptions.0.record_type", ["", "a;b"], ["a"], TABLE),
    ("subscriptions.0.record_id", ["a", "x" * 32, "a" * 32 + "\n"], ["", "0" * 32], SYS_ID),
    ("subscriptions.0.filter_digest", ["a", "x" * 64, "a" * 64 + "\n"], ["", "0" * 64], DIGEST),
]


@pytest.mark.parametrize("row", PATTERNS, ids=lambda row: str(row[0]))
def test_names_have_a_format(row: tuple[str, list[Any], list[str], str]) -> None:
    """Everything else is rejected, with what was expected and never with the value."""
    path, wrong, right, said = row
    for value in wrong:
        [(key, words)] = problem(with_(path, value)).items()
        assert (key, words.removesuffix(" expected pattern.")) == (path, said), value
    for value in right:
        read_report(with_(path, value))
    assert problem(with_(path, 5)) == {path: TEXT}


LENGTHS = {
    "component": 40,
    "server_url": 255,
    "test": 64,
    "record.number": 255,
    "record.short_description": 8000,
    "record.class_label": 255,
    "record.state.value": 8000,
    "record.state.display_value": 8000,
    "changes.0.label": 255,
    "changes.0.old": 70_000,
    "changes.0.new": 70_000,
    "changes.0.old_value": 70_000,
    "changes.0.new_value": 70_000,
    "comments.0.text": 262_144,
    "actor.sys_id": 32,
    "actor.user_name": 255,
    "actor.name": 255,
    "subscriptions.0.user_id": 64,
    "subscriptions.0.created_by": 255,
    "subscriptions.0.updated_by": 255,
    "subscriptions.0.updated_on": 40,
}


@pytest.mark.parametrize("path", LENGTHS)
def test_texts_have_a_limit(path: str) -> None:
    """Exactly that many characters are accepted; a number isn't a text."""
    most = LENGTHS[path]
    read_report(with_(path, "x" * most))
    assert problem(with_(path, "x" * (most + 1))) == {path: f"Longer than maximum length {most}."}
    assert problem(with_(path, 5)) == {path: TEXT}


LISTS: list[tuple[str, int, Any]] = [
    ("events", 50, "state"),
    ("changes", 500, WHOLE["changes"][0]),
    ("comments", 50, WHOLE["comments"][0]),
    ("subscriptions", 200, WHOLE["subscriptions"][0]),
    ("subscriptions.0.events", 50, "state"),
    ("subscriptions.0.options", 50, "state"),
]


@pytest.mark.parametrize(("path", "most", "entry"), LISTS)
def test_lists_have_a_limit(path: str, most: int, entry: Any) -> None:
    """Exactly that many entries are accepted; an object isn't a list, and an entry is limited like a short text."""
    read_report(with_(path, [entry] * most))
    assert problem(with_(path, [entry] * (most + 1))) == {path: f"Longer than maximum length {most}."}
    assert problem(with_(path, {})) == {path: "Not a valid list."}
    if entry == "state":
        read_report(with_(path, ["x" * 255]))
        assert problem(with_(path, ["x" * 256])) == {f"{path}.0": "Longer than maximum length 255."}


def test_times_and_counts_are_valid() -> None:
    """A time has its zone; a count isn't negative, and is at most what JSON represents exactly."""
    for time in ("2026-11-24T13:00:00", "yesterday", 5):
        assert list(problem(with_("occurred_at", time))) == ["occurred_at"]
    for count in (0, 2**53):
        read_report(with_("record.sys_mod_count", count))
    for wrong in (-1, 2**53 + 1, "many"):
        assert list(problem(with_("record.sys_mod_count", wrong))) == ["record.sys_mod_count"]


def test_half_a_character_becomes_a_question_mark() -> None:
    """A lone surrogate is valid in JSON, but neither the storage nor Mattermost takes it. Other characters stay."""
    read = read_report(with_("record.short_description", "Größe \ud83d 🚰"))
    assert read.record is not None
    assert read.record.short_description == "Größe ? 🚰"


def test_a_comment_is_public_or_a_work_note() -> None:
    """Any other kind is rejected, because it would be unknown who can read it."""
    assert problem(with_("comments.0.kind", "secret")) == {"comments.0.kind": "Must be one of: comments, work_notes."}


@pytest.mark.parametrize("path", ["record", "record.state", "actor", "changes.0", "comments.0", "subscriptions.0"])
def test_an_object_is_required_where_expected(path: str) -> None:
    """A list or a text is rejected with its path."""
    *outer, last = path.split(".")
    body = with_(path, "x") if not last.isdigit() else with_(outer[0], ["x"])
    [(key, words)] = problem(body).items()
    assert (key.startswith(path), words) == (True, "Invalid input type.")


def test_every_error_is_named() -> None:
    """Each with its path, and several about one value together."""
    wrong = with_("record.number", 5) | {"events": "state", "server_url": "x" * 256}
    assert problem(wrong) == {
        "record.number": TEXT,
        "events": "Not a valid list.",
        "server_url": "Longer than maximum length 255.",
    }


@pytest.mark.parametrize("report", [READ, SHORT_READ, replace(SHORT_READ, record=None, matches=[], test="n")])
def test_a_stored_report_reads_back_unchanged(report: Report) -> None:
    """Through JSON, as it is on disk."""
    assert unpacked(json.loads(json.dumps(packed(report)))) == report
