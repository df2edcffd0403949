"""The shape of a report: what is taken, where the limits are, and what is said of everything else."""

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
# What is left out, or null, of the shortest report that is taken.
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
    """`WHOLE` with another value where *path* leads; ``...`` takes the key out."""
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


def refused(body: Any) -> dict[str, str]:
    """What is said to be wrong with it."""
    with pytest.raises(InvalidInput) as caught:
        read_report(body)
    return dict(caught.value.fields)


def test_every_key_is_read_to_its_place() -> None:
    """And keys that later versions add are passed over, at every level."""
    assert read_report(WHOLE) == READ
    more = copy.deepcopy(WHOLE) | {"later": 1}
    for inner in (more["record"], more["record"]["state"], more["actor"], *more["changes"], *more["comments"]):
        inner["later"] = 1
    assert read_report(more) == READ


def test_what_is_left_out_or_null_is_empty() -> None:
    """As the component of an instance with an empty column sends it; and nothing else may be in a test of the way."""
    assert read_report(SHORT) == SHORT_READ
    assert read_report(SHORT | {"events": None, "actor": None, "component": None, "test": None}) == SHORT_READ
    named = copy.deepcopy(SHORT)
    named["record"] |= {"state": {}, "priority": None, "number": None, "sys_mod_count": None}
    named["changes"][0]["old"] = named["subscriptions"][0]["events"] = None
    named["actor"] = {}
    assert read_report(named) == SHORT_READ
    bare = {key: value for key, value in SHORT.items() if key not in {"changes", "comments", "subscriptions"}}
    assert read_report(bare) == replace(SHORT_READ, changes=[], comments=[], matches=[])


def test_only_a_test_of_the_way_has_no_record() -> None:
    """And then no subscription either."""
    way = SHORT | {"record": None, "subscriptions": [], "test": "nonce"}
    assert read_report(way) == replace(SHORT_READ, record=None, matches=[], test="nonce")
    missing = {"record": "Missing data for required field."}
    assert refused(way | {"test": ""}) == missing
    assert refused(way | {"subscriptions": SHORT["subscriptions"]}) == missing
    assert refused(way | {"subscriptions": SHORT["subscriptions"], "test": ""}) == missing


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
def test_what_is_needed_is_named_where_it_is_missing(path: str) -> None:
    """Left out or null."""
    for nothing in (..., None):
        assert refused(with_(path, nothing)) == {path: "Missing data for required field."}


SYS_ID, TABLE, MATTERMOST = "Not a sys_id.", "Not a table's name.", "Not an id of Mattermost."
DIGEST, ID, FORM = "Not a SHA-256 in hex.", "1 to 64 letters, digits and hyphens.", "String does not match"
TEXT = "Not a valid string."
PATTERNS: list[tuple[str, list[Any], list[str], str]] = [
    # where, what is refused, what is taken, what is said
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
def test_names_have_their_form(row: tuple[str, list[Any], list[str], str]) -> None:
    """Everything else is refused, with what was expected and never with what came."""
    path, wrong, right, said = row
    for value in wrong:
        [(key, words)] = refused(with_(path, value)).items()
        assert (key, words.removesuffix(" expected pattern.")) == (path, said), value
    for value in right:
        read_report(with_(path, value))
    assert refused(with_(path, 5)) == {path: TEXT}


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
    """Exactly that many characters are taken; a number is no text."""
    most = LENGTHS[path]
    read_report(with_(path, "x" * most))
    assert refused(with_(path, "x" * (most + 1))) == {path: f"Longer than maximum length {most}."}
    assert refused(with_(path, 5)) == {path: TEXT}


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
    """Exactly that many entries are taken; an object is no list, and a token no longer than a short text."""
    read_report(with_(path, [entry] * most))
    assert refused(with_(path, [entry] * (most + 1))) == {path: f"Longer than maximum length {most}."}
    assert refused(with_(path, {})) == {path: "Not a valid list."}
    if entry == "state":
        read_report(with_(path, ["x" * 255]))
        assert refused(with_(path, ["x" * 256])) == {f"{path}.0": "Longer than maximum length 255."}


def test_times_and_counts_are_what_they_should_be() -> None:
    """A time has its zone; a count is not below zero, and no more than JSON can tell exactly."""
    for time in ("2026-11-24T13:00:00", "yesterday", 5):
        assert list(refused(with_("occurred_at", time))) == ["occurred_at"]
    for count in (0, 2**53):
        read_report(with_("record.sys_mod_count", count))
    for wrong in (-1, 2**53 + 1, "many"):
        assert list(refused(with_("record.sys_mod_count", wrong))) == ["record.sys_mod_count"]


def test_half_a_character_becomes_a_question_mark() -> None:
    """A lone surrogate is valid in JSON, but neither the storage nor Mattermost takes it. Other characters stay."""
    read = read_report(with_("record.short_description", "Größe \ud83d 🚰"))
    assert read.record is not None
    assert read.record.short_description == "Größe ? 🚰"


def test_a_comment_is_public_or_a_work_note() -> None:
    """No other kind is taken: who may read it would not be known."""
    assert refused(with_("comments.0.kind", "secret")) == {"comments.0.kind": "Must be one of: comments, work_notes."}


@pytest.mark.parametrize("path", ["record", "record.state", "actor", "changes.0", "comments.0", "subscriptions.0"])
def test_what_should_be_an_object_is_one(path: str) -> None:
    """A list or a text is refused with the place."""
    *outer, last = path.split(".")
    body = with_(path, "x") if not last.isdigit() else with_(outer[0], ["x"])
    [(key, words)] = refused(body).items()
    assert (key.startswith(path), words) == (True, "Invalid input type.")


def test_everything_that_is_wrong_is_named() -> None:
    """Each with its place, and several sentences of one as one."""
    wrong = with_("record.number", 5) | {"events": "state", "server_url": "x" * 256}
    assert refused(wrong) == {
        "record.number": TEXT,
        "events": "Not a valid list.",
        "server_url": "Longer than maximum length 255.",
    }


@pytest.mark.parametrize("report", [READ, SHORT_READ, replace(SHORT_READ, record=None, matches=[], test="n")])
def test_what_is_stored_is_read_again_as_it_was(report: Report) -> None:
    """Through JSON, as it is on disk."""
    assert unpacked(json.loads(json.dumps(packed(report)))) == report
