"""Searches, reads and updates records of the shared tables (API reference §1, §2)."""

import re
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from cachetools import TTLCache

from core.fields import Option, distinct_options
from core.records import Record
from core.tables import as_its_class, as_number, table_of, table_of_number
from core.times import Clock
from core.upstream_errors import AccessDenied, NotFound, NotInstalled, ServiceNowError
from servicenow.queries import Query, Term, contains, equals, one_of, starts_with, text_matches
from servicenow.table_api import TableApi, record_from

MOST_FOUND = 20
FOUND_SECONDS = 300.0
_LIKE_A_NUMBER = re.compile(r"[A-Za-z]{2,10}\d{1,15}")
_NOT_HERE = (AccessDenied, NotFound, NotInstalled)

# The display column of tables where it isn't the name.
_DISPLAY = {"kb_knowledge_base": "title", "kb_category": "label", "cmn_location": "name", "core_company": "name"}


class FoundRecords:
    """Keeps each person's search results for some minutes, so that showing one needs no request."""

    def __init__(self, clock: Clock) -> None:
        self._found: TTLCache[tuple[str, str, str], Record] = TTLCache(maxsize=5000, ttl=FOUND_SECONDS, timer=clock)
        self._lock = threading.Lock()

    def remember(self, person_id: str, records: Sequence[Record]) -> None:
        with self._lock:
            for record in records:
                self._found[person_id, record.table, record.sys_id] = record

    def get(self, person_id: str, table: str, sys_id: str) -> Record | None:
        with self._lock:
            return self._found.get((person_id, table, sys_id))


class RecordsClient:
    """Searches, reads and updates with one person's permissions. Raises the errors of `ServiceNowClient`."""

    def __init__(self, api: TableApi, found: FoundRecords, person_id: str) -> None:
        self._api = api
        self._found = found
        self._person_id = person_id

    def search(self, words: str, tables: Sequence[str]) -> Sequence[Record]:
        """
        Records by number or words, at most 20: exact number first, active before inactive, newest first.

        *tables* are exact classes. All tasks take one request, articles another. If the words look like a number, the
        table with that prefix is asked first, and alone if it has a match. Words are looked up in the text index, then
        within short descriptions. Tables that the person can't read are skipped, unless that is all of them. `found`
        has the results for a few minutes.
        """
        words = " ".join(words.split())
        found: list[Record] = []
        if _LIKE_A_NUMBER.fullmatch(words):
            named = table_of_number(words)
            found = self._each([named] if named in tables else tables, starts_with("number", words.upper()))
        # Words may look like a number, as names of products do.
        found = found or self._each(tables, text_matches(words))
        found = found or self._each(tables, contains("short_description", words))
        best = _best_first(found, words)[:MOST_FOUND]
        self._found.remember(self._person_id, best)
        return best

    def found(self, table: str, sys_id: str) -> Record | None:
        """A recent search result of the same person. Never makes a request."""
        return self._found.get(self._person_id, table, sys_id)

    def with_number(self, number: str, tables: Sequence[str]) -> Sequence[Record]:
        """Records with exactly this number, with a card's columns. One request if its prefix is known."""
        exact = as_number(number)
        named = table_of_number(exact)
        found = self._each([named] if named in tables else tables, equals("number", exact)) if exact else []
        return [record for record in found if record.number.upper() == exact]  # a dropped term finds others

    def read(self, table: str, sys_id: str, columns: Sequence[str]) -> Record:
        """One record, raw and displayed. One request. Its ``table`` is its class. Raises NotFound."""
        return as_its_class(self._api.row(table, sys_id, columns))

    def update(self, table: str, sys_id: str, columns: Mapping[str, str], wanted: Sequence[str]) -> Record:
        """
        Write raw values and return *wanted*. One request.

        Success doesn't prove that a value was kept (API reference §1.5): compare the returned columns.
        """
        return as_its_class(self._api.update(table, sys_id, columns, wanted))

    def find(self, table: str, query: str) -> Sequence[Option]:
        """Rows of any table by their display value (name, number or title). At most 20."""
        shown = "number" if table_of(table).prefix else _DISPLAY.get(table, "name")
        wanted = Query().where(contains(shown, query)).order_by(shown)
        rows = self._api.rows(table, wanted, ("sys_id", shown), MOST_FOUND)
        return distinct_options(Option(str(row.get(shown) or ""), str(row.get("sys_id") or "")) for row in rows)

    def _each(self, tables: Sequence[str], term: Term) -> list[Record]:
        """One request for all tasks and one for articles. Tables that the person can't read are skipped."""
        tasks = [name for name in tables if table_of(name).is_task]
        refusal: ServiceNowError | None = None
        found: list[Record] = []
        answered = False
        for asked, classes in self._groups(tables, tasks):
            try:
                found += self._ask(asked, classes, term)
                answered = True
            except _NOT_HERE as error:
                refusal = error
        if refusal is not None and not answered:
            raise refusal
        return found

    @staticmethod
    def _groups(tables: Sequence[str], tasks: Sequence[str]) -> list[tuple[str, Sequence[str]]]:
        """The classes to request from each table. Articles have a class per template."""
        groups: list[tuple[str, Sequence[str]]] = []
        if tasks:
            groups.append((tasks[0] if len(tasks) == 1 else "task", tasks))
        groups += [(name, ()) for name in tables if not table_of(name).is_task]
        return groups

    def _ask(self, table: str, classes: Sequence[str], term: Term) -> list[Record]:
        query = Query().where(term)
        if classes:
            query = query.where(one_of("sys_class_name", classes))
        query = query.order_by("active", descending=True).order_by("sys_created_on", descending=True)
        columns = (*table_of(table).card_columns, "sys_created_on")
        rows = self._api.rows(table, query, columns, MOST_FOUND + 1, display="all")
        records = [as_its_class(record_from(table, row)) for row in rows]
        # A dropped class term would bring rows of classes that are not shared.
        return [record for record in records if not classes or record.table in classes]


def _best_first(found: Sequence[Record], words: str) -> list[Record]:
    newest = sorted(found, key=lambda record: record.value("sys_created_on"), reverse=True)
    number = words.upper()

    def rank(record: Record) -> Any:
        return (record.number.upper() != number, record.value("active") == "false")

    return sorted(newest, key=rank)
