"""A journal's text is split only at its headings; times are read in the instance's format."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from core.records import Cell, Identity, Record
from core.upstream_errors import NotSaved
from servicenow.journal import JournalClient, split, split_columns
from servicenow.table_api import TableApi

COMMENTS = """2026-07-28 23:46:48 - Abel Tuter (Additional comments)
text, with

blank lines

2026-07-28 22:10:03 - System Administrator (Additional comments)
older

"""
NOTES = "2026-07-28 23:00:00 - Beth Anglin (Work notes)\nbetween\n\n"


def test_blank_lines_are_part_of_an_entry() -> None:
    """Two entries remain two, however many empty lines they contain."""
    first, second = split(COMMENTS, "comments")
    assert (first.author, first.text) == ("Abel Tuter", "text, with\n\nblank lines")
    assert (second.author, second.text) == ("System Administrator", "older")


def test_the_column_gives_the_kind_and_time_the_order() -> None:
    """Comments and work notes are merged, newest first; headings don't decide the kind."""
    merged = split_columns({"comments": COMMENTS, "work_notes": NOTES})
    assert [(e.element, e.at) for e in merged] == [
        ("comments", "2026-07-28 23:46"),
        ("work_notes", "2026-07-28 23:00"),
        ("comments", "2026-07-28 22:10"),
    ]


@pytest.mark.parametrize(
    ("first", "second", "shown"),
    [
        ("28/07/2026 23:46:48", "27/07/2026 22:10:03", "2026-07-28 23:46"),
        ("07/28/2026 11:46:48 PM", "07/27/2026 10:10:03 PM", "2026-07-28 23:46"),
        ("28.07.2026 23:46", "27.07.2026 22:10", "2026-07-28 23:46"),
        (
            "05/07/2026 10:00:00",
            "04/12/2026 10:00:00",
            "2026-05-07 10:00",
        ),  # newest first, so the month comes before the day
    ],
)
def test_times_are_read_in_the_instances_format(first: str, second: str, shown: str) -> None:
    """Of the formats that fit, the one in which entries are newest first is used."""
    text = f"{first} - A B (Comments)\none\n\n{second} - A B (Comments)\ntwo\n\n"
    assert split_columns({"comments": text})[0].at == shown


def test_a_fake_heading_inside_an_entry_is_text() -> None:
    """With another label, or without an empty line before it, it is part of the entry."""
    text = (
        "2026-07-28 23:46:48 - Abel Tuter (Comments)\n"
        "they wrote:\n2026-07-01 10:00:00 - Boss (Comments)\nyes\n\n2026-07-01 10:00:00 - Boss (Work notes)\nno\n\n"
    )
    [entry] = split(text, "comments")
    assert entry.text.endswith("no")


def test_an_unknown_format_is_shown_unchanged() -> None:
    """Nothing is guessed and nothing lost: one column follows the other."""
    text = "31-31-2026 23:46:48 - A B (Comments)\none\n\n"
    assert [e.at for e in split_columns({"comments": text, "work_notes": NOTES})] == [
        "31-31-2026 23:46:48",
        "2026-07-28 23:00:00",
    ]
    [whole] = split("no heading at all", "comments")
    assert (whole.author, whole.at, whole.text) == ("", "", "no heading at all")
    assert split("", "comments") == []


@dataclass
class FakeServiceNow:
    """ServiceNow, which answers a write with the journal column."""

    column: str

    def update(self, table: str, sys_id: str, *_: Any) -> Record:
        """Succeed, and return the column as it is."""
        return Record(table, sys_id, {"comments": Cell("", self.column)})


@pytest.mark.parametrize(
    ("heading", "kept"),
    [
        ("2026-11-24 13:00:10 - Ann Agent", True),
        ("2026-11-24 12:56:00 - ann", True),  # the instance's clock may be behind ours
        ("2026-11-24 12:54:00 - Ann Agent", False),
        ("2026-11-24 13:00:10 - Bo Agent", False),
    ],
)
def test_only_ones_own_entry_of_that_time_is_proof(heading: str, kept: bool) -> None:
    """Ten newer ones hide it; the same text from someone else, or from earlier, says nothing about this write."""
    newer = "2026-11-24 13:00:20 - Bo Agent (Comments)\nMeanwhile\n\n" * 10
    answering = cast(TableApi, FakeServiceNow(f"{newer}{heading} (Comments)\nDone\n\n"))
    ann = Identity(sys_id="a" * 32, user_name="ann", name="Ann Agent")
    began = datetime(2026, 11, 24, 13, 0, 0, tzinfo=UTC).timestamp()
    journal = JournalClient(answering, "UTC", ann)

    def add() -> Record:
        return journal.add("incident", "b" * 32, "comments", "Done", ("number",), began)

    if kept:
        assert add().sys_id == "b" * 32
    else:
        with pytest.raises(NotSaved):
            add()
