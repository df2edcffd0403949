"""
Records read with the rights of subscriptions' owners, many in one request.

What ServiceNow's scripts report was read as the system; nothing of it is shown before the owner's own
token has shown it.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import structlog

from core.errors import NotConnected
from core.notices import Change, Report
from core.ports import Clock, ServiceNow
from core.records import Column, Record
from core.subscriptions import Grant
from core.tables import as_its_class, table_of
from core.times import Deadline
from core.upstream_errors import AccessDenied, NotInstalled, ServiceNowError, Unanswered

log = structlog.get_logger(__name__)

SECONDS = 8.0  # for one request and its repetitions; everybody's notices wait that long
AT_ONCE = 4  # owners that are read for at the same time
SILENCE = 30.0  # seconds for which an owner's table that did not answer is not asked again
_TITLE = ("number", "short_description", "priority", "state", "assigned_to")

NO_TABLE = "ServiceNow does not let its owner read this table any more."
NO_RECORD = "ServiceNow has no such record any more, or its owner may not see it."
NOT_SHARED = "Records of its class are not shared here. An administrator can add it to `SHARED_TABLES`."
NO_RECORDS = "ServiceNow shows its owner no record of this table any more."

ServiceNowFor = Callable[[str, Deadline], ServiceNow]


@dataclass(frozen=True)
class NotReadable:
    """
    The owner may not read the record.

    ``reason`` is "" where that concerns this record alone: it was deleted, or is one that a subscription
    to a whole table does not show to its owner.
    """

    reason: str


@dataclass(frozen=True)
class Unconnected:
    """The owner's account is suspended or not connected, so nothing can be read."""


@dataclass(frozen=True)
class Later:
    """ServiceNow did not answer; the same may work later, after *at_least* seconds."""

    reason: str
    at_least: float = 0.0


Answer = Record | NotReadable | Unconnected | Later


class Silences:
    """Which owners' tables went unanswered a moment ago: the others' notices do not wait for them at every round."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until: dict[tuple[str, str], float] = {}

    def heard(self, place: tuple[str, str]) -> None:
        """It answered."""
        self._until.pop(place, None)

    def unanswered(self, place: tuple[str, str]) -> float:
        """It did not; how many seconds it is left alone."""
        self._until[place] = self._clock() + SILENCE
        return SILENCE

    def left(self, place: tuple[str, str]) -> float:
        """Seconds for which it is still left alone, 0.0 for none."""
        left = self._until.get(place, 0.0) - self._clock()
        return left if 0 < left <= SILENCE else 0.0


class Readings:
    """
    What one round of deliveries reads; each record once per owner.

    Args:
        tables: Classes whose records may be posted.
    """

    def __init__(self, servicenow_for: ServiceNowFor, silences: Silences, tables: Collection[str]) -> None:
        self._servicenow_for = servicenow_for
        self._silences = silences
        self._tables = tables
        self._found: dict[tuple[str, str], Mapping[str, Record]] = {}
        self._failed: dict[tuple[str, str], Answer] = {}
        self._asked: dict[tuple[str, str], set[str]] = {}
        self._sees: dict[tuple[str, str], bool] = {}
        self._known: dict[tuple[str, str], Mapping[str, Column]] = {}

    def fetch(self, wanted: Iterable[tuple[str, Report]]) -> None:
        """
        Read records ahead: of pairs of owner and report, one request per owner, table and hundred records;
        some owners at the same time, for one may be slow.
        """
        groups: dict[tuple[str, str], list[Report]] = {}
        for owner_id, report in wanted:
            if report.record is not None:
                groups.setdefault((owner_id, report.record.table), []).append(report)
        if len(groups) < 2:
            for (owner_id, table), reports in groups.items():
                self._read(owner_id, table, reports)
            return
        with ThreadPoolExecutor(min(AT_ONCE, len(groups)), "notices-read") as pool:
            for (owner_id, table), reports in groups.items():
                pool.submit(self._read, owner_id, table, reports)

    def answer(self, grant: Grant, report: Report) -> Answer:
        """What *grant*'s owner may see of *report*'s record now."""
        record = report.record
        if record is None:
            return NotReadable("")
        place = (grant.owner_id, record.table)
        if record.sys_id not in self._asked.get(place, ()):
            self._read(*place, [report])
        if place in self._failed:
            return self._failed[place]
        found = self._found.get(place, {}).get(record.sys_id)
        if found is not None:
            found = as_its_class(found)
            return found if found.table in self._tables else NotReadable(NOT_SHARED if grant.record_id else "")
        if grant.record_id:
            return NotReadable(NO_RECORD)
        try:
            return NotReadable("" if self._sees_any(*place) else NO_RECORDS)
        except ServiceNowError as error:
            return Later(error.log_message)

    def in_words(self, owner_id: str, table: str, change: Change, record: Record) -> Change:
        """
        *change* in the language of the owner, as far as it is known: the report is in that of who saved.

        Columns are remembered for 15 minutes, so this seldom asks.
        """
        if not change.old_value and not change.new_value:
            return change
        column = self._columns(owner_id, table).get(change.field)
        words = {choice.value: choice.label for choice in column.choices} if column is not None else {}
        new = words.get(change.new_value, change.new)
        if change.new_value == record.value(change.field):
            new = record.display(change.field)
        return replace(
            change,
            label=(column.label if column is not None else "") or change.label,
            old=words.get(change.old_value, change.old),
            new=new,
        )

    def _columns(self, owner_id: str, table: str) -> Mapping[str, Column]:
        place = (owner_id, table)
        if place not in self._known:
            try:
                self._known[place] = self._servicenow_for(owner_id, Deadline(SECONDS)).columns(table)
            except (NotConnected, ServiceNowError):
                self._known[place] = {}  # then in the words of the report
        return self._known[place]

    def _read(self, owner_id: str, table: str, reports: list[Report]) -> None:
        place = (owner_id, table)
        sys_ids = list(dict.fromkeys(one.record.sys_id for one in reports if one.record is not None))
        self._asked.setdefault(place, set()).update(sys_ids)
        if left := self._silences.left(place):
            self._failed[place] = Later("ServiceNow did not answer a moment ago", left)
            return
        try:
            servicenow = self._servicenow_for(owner_id, Deadline(SECONDS))
            found = servicenow.read_records(table, sys_ids, _columns(table, reports))
            self._found[place] = {**self._found.get(place, {}), **found}
            self._silences.heard(place)
        except NotConnected:
            self._failed[place] = Unconnected()
        except (AccessDenied, NotInstalled):
            self._failed[place] = NotReadable(NO_TABLE)
        except Unanswered as error:
            self._failed[place] = Later(error.log_message, self._silences.unanswered(place))
        except ServiceNowError as error:
            self._failed[place] = Later(error.log_message, error.retry_after or 0.0)
        except Exception as error:
            # Whatever is wrong with these records: it concerns their batches alone.
            log.error("records can't be read", table=table, exc_info=error)
            self._failed[place] = Later(f"could not be read: {type(error).__name__}")

    def _sees_any(self, owner_id: str, table: str) -> bool:
        place = (owner_id, table)
        if place not in self._sees:
            self._sees[place] = self._servicenow_for(owner_id, Deadline(SECONDS)).sees_any(table)
        return self._sees[place]


def _columns(table: str, reports: Iterable[Report]) -> list[str]:
    """A card's columns, those that changed, and journals that were written to: whether they may be read decides."""
    known = table_of(table)
    named = dict.fromkeys(column for column in _TITLE if known.is_task or column in {"number", "short_description"})
    named.update(dict.fromkeys(column for column, _ in known.card))
    if known.is_task:
        named["sys_class_name"] = None
    for report in reports:
        named.update(dict.fromkeys(change.field for change in report.changes))
        named.update(dict.fromkeys(comment.kind for comment in report.comments))
    return list(named)
