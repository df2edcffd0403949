"""What owners can see of reported records: one request for many, and what each answer means."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from core.errors import NotConnected
from core.notices import Change, Comment, Report, ReportedRecord
from core.records import Cell, Choice, Column, Record
from core.times import Deadline
from core.upstream_errors import AccessDenied, Busy, NotInstalled, Unanswered, Unreachable
from notifications.record_reader import Cooldowns, NotReadable, RecordReader, RetryLater, Unconnected
from servicenow.client import ServiceNowClient
from tests.unit.noticing import GRANT, NOW, OWNER, RECORD, REPORT, ManualClock

OTHER = "f" * 32
TASK_COLUMNS = ["number", "short_description", "priority", "state", "assigned_to", "assignment_group", "sys_class_name"]
NO_TABLE = "ServiceNow does not let its owner read this table any more."
NO_RECORD = "ServiceNow has no such record any more, or its owner may not see it."
NOT_SHARED = "Records of its class are not shared here. An administrator can add it to `SHARED_TABLES`."
NO_RECORDS = "ServiceNow shows its owner no record of this table any more."


@dataclass
class Instance:
    """ServiceNow in memory: records by sys_id, all visible to each owner."""

    records: dict[str, Record] = field(default_factory=dict)
    fails: Exception | None = None
    fails_any: Exception | None = None
    sees: bool = True
    known: Mapping[str, Column] = field(default_factory=dict)
    reads: list[tuple[str, str, list[str], list[str]]] = field(default_factory=list)
    looks: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    together: threading.Barrier | None = None

    def servicenow_for(self, person_id: str, deadline: Deadline) -> ServiceNowClient:
        """ServiceNow with a person's rights."""
        self.seconds.append(deadline.left())
        return cast("ServiceNowClient", _As(self, person_id))


@dataclass
class _As:
    of: Instance
    person_id: str

    def read_records(self, table: str, sys_ids: Sequence[str], columns: Sequence[str]) -> Mapping[str, Record]:
        self.of.reads.append((self.person_id, table, list(sys_ids), list(columns)))
        if self.of.together is not None:
            self.of.together.wait(20)
        if self.of.fails is not None:
            raise self.of.fails
        return {one: replace(self.of.records[one], table=table) for one in sys_ids if one in self.of.records}

    def sees_any(self, table: str) -> bool:
        self.of.looks.append(f"any {table}")
        if self.of.fails_any is not None:
            raise self.of.fails_any
        return self.of.sees

    def columns(self, table: str) -> Mapping[str, Column]:
        self.of.looks.append(f"columns {table}")
        if self.of.fails is not None:
            raise self.of.fails
        return self.of.known


def record(sys_class_name: str = "incident", **more: Cell) -> Record:
    """The reported record."""
    return Record("incident", RECORD, {"sys_class_name": Cell(sys_class_name), **more})


def reader(instance: Instance, cooldowns: Cooldowns | None = None) -> RecordReader:
    """A round's reader; incidents and articles are shared."""
    return RecordReader(instance.servicenow_for, cooldowns or Cooldowns(ManualClock()), ("incident", "kb_knowledge"))


def report_of(sys_id: str, table: str = "incident", **more: Any) -> Report:
    """A report about a record."""
    return replace(REPORT, record=ReportedRecord(table=table, sys_id=sys_id, number=""), **more)


ONE = replace(GRANT, record_id=RECORD)


def test_a_visible_record_is_returned() -> None:
    """It is read once, however often it is requested, with a limit of eight seconds."""
    instance = Instance({RECORD: record()})
    asked = reader(instance)
    for _ in range(2):
        assert asked.answer(GRANT, REPORT) == record()
    assert instance.reads == [(OWNER, "incident", [RECORD], TASK_COLUMNS)]
    assert all(7 < seconds <= 8 for seconds in instance.seconds)
    assert asked.answer(GRANT, report_of(OTHER)) == NotReadable("")
    assert asked.answer(GRANT, REPORT) == record()
    assert [sys_ids for _, _, sys_ids, _ in instance.reads] == [[RECORD], [OTHER]]


def test_a_report_without_a_record_shows_nothing() -> None:
    """No request is sent."""
    instance = Instance()
    assert reader(instance).answer(GRANT, replace(REPORT, record=None)) == NotReadable("")
    assert instance.reads == []


@pytest.mark.parametrize("sys_class_name", ["sn_hr_core_case", ""])
def test_a_record_of_a_class_that_isnt_shared_is_rejected(sys_class_name: str) -> None:
    """A subscription to that one record learns why; one to the table isn't affected."""
    instance = Instance({RECORD: record(sys_class_name)})
    assert reader(instance).answer(ONE, REPORT) == NotReadable(NOT_SHARED)
    assert reader(instance).answer(GRANT, REPORT) == NotReadable("")


def test_a_hidden_record_is_rejected() -> None:
    """
    A subscription to it learns why; one to the table continues if its owner sees any record of it, which is checked
    once.
    """
    instance = Instance()
    asked = reader(instance)
    assert asked.answer(ONE, REPORT) == NotReadable(NO_RECORD)
    assert instance.looks == []
    assert [asked.answer(GRANT, REPORT) for _ in range(2)] == [NotReadable("")] * 2
    assert instance.looks == ["any incident"]
    instance.sees = False
    assert reader(instance).answer(GRANT, REPORT) == NotReadable(NO_RECORDS)
    instance.fails_any = Unreachable("down")
    assert reader(instance).answer(GRANT, REPORT) == RetryLater("down")


ANSWERS: list[tuple[Exception, object]] = [
    (NotConnected("no account", "https://app.example"), Unconnected()),
    (AccessDenied("403"), NotReadable(NO_TABLE)),
    (NotInstalled("400"), NotReadable(NO_TABLE)),
    (Unreachable("down"), RetryLater("down", 0.0)),
    (Unanswered("late"), RetryLater("late", 30.0)),
    (KeyError("a mistake of ours"), RetryLater("could not be read: KeyError", 0.0)),
]


@pytest.mark.parametrize(("error", "answer"), ANSWERS, ids=lambda one: type(one).__name__)
def test_each_failure_has_its_result(error: Exception, answer: object) -> None:
    """For all records of that owner's table in the round; requested once."""
    instance = Instance(fails=error)
    asked = reader(instance)
    assert [asked.answer(GRANT, REPORT) for _ in range(2)] == [answer] * 2
    assert len(instance.reads) == 1


def test_a_busy_servicenow_says_how_long_to_wait() -> None:
    """No request is sent until then."""
    busy = Busy("later")
    busy.retry_after = 7.0
    assert reader(Instance(fails=busy)).answer(GRANT, REPORT) == RetryLater("later", 7.0)


def test_after_a_timeout_nothing_is_requested_for_thirty_seconds() -> None:
    """For that owner and table; once it answers, or the clock is set back, requests resume."""
    moment = ManualClock()
    cooldowns, instance = Cooldowns(moment), Instance({RECORD: record()}, fails=Unanswered("late"))
    assert reader(instance, cooldowns).answer(GRANT, REPORT) == RetryLater("late", 30.0)
    instance.fails = None
    moment.now = NOW + 29.5
    assert reader(instance, cooldowns).answer(GRANT, REPORT) == RetryLater(
        "ServiceNow did not answer a moment ago", 0.5
    )
    assert reader(instance, cooldowns).answer(replace(GRANT, owner_id="b"), REPORT) == record()
    moment.now = NOW - 0.5
    assert reader(instance, cooldowns).answer(GRANT, REPORT) == record()
    moment.now = NOW + 1
    assert reader(instance, cooldowns).answer(GRANT, REPORT) == record()
    cooldowns.begin(("b", "incident"))
    assert (cooldowns.left(("b", "incident")), cooldowns.left(("c", "incident"))) == (30.0, 0.0)
    moment.now = NOW + 31
    assert reader(instance, cooldowns).answer(replace(GRANT, owner_id="b"), REPORT) == record()


def test_records_are_read_ahead_in_one_request_per_owner_and_table() -> None:
    """Each record once, with everything that any of its reports shows; owners at the same time."""
    instance = Instance({RECORD: record()}, together=threading.Barrier(2))
    asked = reader(instance)
    told = report_of(RECORD, changes=[Change("u_room", "", "", "")], comments=[Comment("work_notes", "")])
    wanted = [
        ("a", told),
        ("a", report_of(OTHER)),
        ("a", told),
        ("b", report_of(RECORD)),
        ("b", replace(REPORT, record=None)),
    ]
    asked.fetch(wanted)
    assert sorted(instance.reads) == [
        ("a", "incident", [RECORD, OTHER], [*TASK_COLUMNS, "u_room", "work_notes"]),
        ("b", "incident", [RECORD], TASK_COLUMNS),
    ]
    assert asked.answer(replace(GRANT, owner_id="a"), told) == record()
    assert asked.answer(replace(GRANT, owner_id="b"), report_of(RECORD)) == record()
    assert len(instance.reads) == 2


def test_one_owner_needs_no_threads() -> None:
    """A round without owners sends no request."""
    instance = Instance({RECORD: record()})
    asked = reader(instance)
    asked.fetch([])
    asked.fetch([(OWNER, REPORT)])
    assert asked.answer(GRANT, REPORT) == record()
    assert len(instance.reads) == 1


def test_an_articles_own_columns_are_read() -> None:
    """It has no state, no priority and no class of its own."""
    instance = Instance()
    reader(instance).fetch([(OWNER, report_of(RECORD, "kb_knowledge"))])
    [(_, _, _, columns)] = instance.reads
    assert columns == [
        "number", "short_description", "kb_knowledge_base", "workflow_state", "kb_category", "author"
    ]  # fmt: skip


STATE = Change("state", "Etat", "Nouveau", "En cours", "1", "2")
KNOWN = {"state": Column("state", "State", choices=[Choice("New", "1"), Choice("Open", "2"), Choice("Held", "3")])}


def texts(change: Change, of_record: Record | None = None, **more: Any) -> Change:
    """A change with the owner's labels and values."""
    return reader(Instance(**({"known": KNOWN} | more))).localized(OWNER, "incident", change, of_record or record())


def test_a_change_has_its_readers_labels_and_values() -> None:
    """The newest value as the owner reads it, others from the choices; unknown ones as in the report."""
    assert texts(STATE) == replace(STATE, label="State", old="New", new="Open")
    assert texts(STATE, record(state=Cell("2", "Offen"))) == replace(STATE, label="State", old="New", new="Offen")
    assert texts(STATE, record(state=Cell("3", "Halt"))) == replace(STATE, label="State", old="New", new="Open")
    odd = replace(STATE, old_value="8", new_value="9")
    assert texts(odd) == replace(odd, label="State")
    assert texts(STATE, known={}) == STATE
    assert texts(STATE, known={"state": Column("state", "")}) == STATE
    assert texts(STATE, fails=Unreachable("down")) == STATE
    assert texts(STATE, fails=NotConnected("no", "x")) == STATE


def test_a_report_without_values_is_shown_unchanged() -> None:
    """Older components send only text; a column that was or became empty has one value."""
    bare = replace(STATE, old_value="", new_value="")
    instance = Instance(known=KNOWN)
    assert reader(instance).localized(OWNER, "incident", bare, record()) == bare
    assert instance.looks == []
    filled, emptied = replace(STATE, old="", old_value=""), replace(STATE, new="", new_value="")
    assert texts(filled) == replace(filled, label="State", new="Open")
    assert texts(emptied) == replace(emptied, label="State", old="New")


def test_columns_are_requested_once_per_round() -> None:
    """For each owner and table."""
    instance = Instance(known=KNOWN)
    asked = reader(instance)
    for person in ("a", "a", "b"):
        asked.localized(person, "incident", STATE, record())
    assert instance.looks == ["columns incident"] * 2
