"""
Reads records with the permissions of subscription owners, many in one request.

ServiceNow's scripts read as the system. So nothing that they report is shown before it was read with the owner's token.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import structlog

from core.errors import NotConnected
from core.notices import Change, Report
from core.records import Column, Record
from core.subscriptions import Grant
from core.tables import as_its_class, table_of
from core.times import Clock, Deadline
from core.upstream_errors import AccessDenied, NotInstalled, ServiceNowError, Unanswered

if TYPE_CHECKING:
    from servicenow.client import ServiceNowClient

log = structlog.get_logger(__name__)

SECONDS = 8.0  # for one request and its retries; all notices wait for it
AT_ONCE = 4  # owners read as concurrently
COOLDOWN_SECONDS = 30.0  # after a table of an owner didn't answer
_TITLE = ("number", "short_description", "priority", "state", "assigned_to")

NO_TABLE = "ServiceNow does not let its owner read this table any more."
NO_RECORD = "ServiceNow has no such record any more, or its owner may not see it."
NOT_SHARED = "Records of its class are not shared here. An administrator can add it to `SHARED_TABLES`."
NO_RECORDS = "ServiceNow shows its owner no record of this table any more."

ServiceNowFor = Callable[[str, Deadline], "ServiceNowClient"]


@dataclass(frozen=True)
class NotReadable:
    """
    The owner can't read the record.

    ``reason`` is "" if that concerns only this record of a subscription to a whole table.
    """

    reason: str


@dataclass(frozen=True)
class Unconnected:
    """The owner's account is suspended or not connected, so nothing can be read."""


@dataclass(frozen=True)
class RetryLater:
    """ServiceNow didn't answer. Try again, at the earliest after *retry_after* seconds."""

    reason: str
    retry_after: float = 0.0


Answer = Record | NotReadable | Unconnected | RetryLater


class Cooldowns:
    """Owners' tables that didn't answer recently. They are skipped for a while, so that other notices don't wait."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until: dict[tuple[str, str], float] = {}

    def clear(self, place: tuple[str, str]) -> None:
        """End the cooldown: the table answered."""
        self._until.pop(place, None)

    def begin(self, place: tuple[str, str]) -> float:
        """Begin a cooldown and return its seconds."""
        self._until[place] = self._clock() + COOLDOWN_SECONDS
        return COOLDOWN_SECONDS

    def left(self, place: tuple[str, str]) -> float:
        """Seconds until the cooldown ends; 0.0 if no cooldown is active."""
        left = self._until.get(place, 0.0) - self._clock()
        return left if 0 < left <= COOLDOWN_SECONDS else 0.0


class RecordReader:
    """
    Reads records for one round of deliveries, each once per owner.

    Args:
        tables: Classes whose records can be posted.
    """

    def __init__(self, servicenow_for: ServiceNowFor, cooldowns: Cooldowns, tables: Collection[str]) -> None:
        self._servicenow_for = servicenow_for
        self._cooldowns = cooldowns
        self._tables = tables
        self._found: dict[tuple[str, str], Mapping[str, Record]] = {}
        self._failed: dict[tuple[str, str], Answer] = {}
        self._asked: dict[tuple[str, str], set[str]] = {}
        self._sees: dict[tuple[str, str], bool] = {}
        self._known: dict[tuple[str, str], Mapping[str, Column]] = {}

    def fetch(self, wanted: Iterable[tuple[str, Report]]) -> None:
        """
        Read the records of pairs of owner and report: one request per owner, table, and hundred records.

        Several owners are read as concurrently, because one can be slow.
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
        """The record of *report* as the owner of *grant* sees it now."""
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
            return RetryLater(error.log_message)

    def localized(self, owner_id: str, table: str, change: Change, record: Record) -> Change:
        """
        *change* in the owner's language, as far as the labels are known. The report uses the language of whoever saved.

        Columns are cached for 15 minutes, so this seldom sends a request.
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
                self._known[place] = {}  # then use the labels of the report
        return self._known[place]

    def _read(self, owner_id: str, table: str, reports: list[Report]) -> None:
        place = (owner_id, table)
        sys_ids = list(dict.fromkeys(one.record.sys_id for one in reports if one.record is not None))
        self._asked.setdefault(place, set()).update(sys_ids)
        if left := self._cooldowns.left(place):
            self._failed[place] = RetryLater("ServiceNow did not answer a moment ago", left)
            return
        try:
            servicenow = self._servicenow_for(owner_id, Deadline(SECONDS))
            found = servicenow.read_records(table, sys_ids, _columns(table, reports))
            self._found[place] = {**self._found.get(place, {}), **found}
            self._cooldowns.clear(place)
        except NotConnected:
            self._failed[place] = Unconnected()
        except (AccessDenied, NotInstalled):
            self._failed[place] = NotReadable(NO_TABLE)
        except Unanswered as error:
            self._failed[place] = RetryLater(error.log_message, self._cooldowns.begin(place))
        except ServiceNowError as error:
            self._failed[place] = RetryLater(error.log_message, error.retry_after or 0.0)
        except Exception as error:
            # Keep an error with these records from affecting other batches.
            log.error("records can't be read", table=table, exc_info=error)
            self._failed[place] = RetryLater(f"could not be read: {type(error).__name__}")

    def _sees_any(self, owner_id: str, table: str) -> bool:
        place = (owner_id, table)
        if place not in self._sees:
            self._sees[place] = self._servicenow_for(owner_id, Deadline(SECONDS)).sees_any(table)
        return self._sees[place]


def _columns(table: str, reports: Iterable[Report]) -> list[str]:
    """The columns of a card, those that changed, and journals that were written to."""
    known = table_of(table)
    named = dict.fromkeys(column for column in _TITLE if known.is_task or column in {"number", "short_description"})
    named.update(dict.fromkeys(column for column, _ in known.card))
    if known.is_task:
        named["sys_class_name"] = None
    for report in reports:
        named.update(dict.fromkeys(change.field for change in report.changes))
        named.update(dict.fromkeys(comment.kind for comment in report.comments))
    return list(named)
