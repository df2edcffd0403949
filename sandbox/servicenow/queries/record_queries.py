"""Queries with a user's access, for lists in the APIs and on pages (API reference §1.6, §2)."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sandbox.servicenow.auth.access_control import AccessControl, Caller
from sandbox.servicenow.queries.encoded_query import Parsed, Unsupported, parse
from sandbox.servicenow.queries.evaluator import Asking, Evaluator
from sandbox.servicenow.records.store import Row, Store


class Forbidden(Exception):
    """The filter has a column that the user can't read."""


class RecordQueries:
    """Selects rows by encoded query."""

    def __init__(self, store: Store, access_control: AccessControl) -> None:
        self._store = store
        self._access_control = access_control

    def parse(self, table: str, query: str) -> Parsed:
        """Parse a query, dropping terms on unknown columns. Raises Unsupported."""
        return parse(query, lambda column: self.known(table, column))

    def known(self, table: str, path: str) -> bool:
        """
        Whether a (dot-walked) column exists.

        Raises:
            Unsupported: The path leads through a stock table that isn't here.
        """
        at = table
        *walk, _ = path.split(".")
        for name in walk:
            column = self._store.columns(at).get(name)
            if column is None or not column.reference:
                break
            at = column.reference
            if at not in self._store.tables:
                raise Unsupported(f"{path} through table {at}")
        return self._store.column(table, path) is not None

    def select(self, caller: Caller, table: str, parsed: Parsed) -> list[Row]:
        """
        Every matching row. Row ACLs come later: as on real instances, paging and the count ignore them.

        Raises:
            Forbidden: A condition is on a column that the user can't read.
            Unsupported: A script that isn't implemented here.
        """
        hidden = self._access_control.hidden(caller, table)
        columns = {term.column for query in parsed.queries for group in query for term in group}
        if hidden & columns:
            raise Forbidden
        return evaluator(self._store, table, caller.sys_id).select(self._store.rows(table), parsed)

    def visible(self, caller: Caller, table: str, rows: list[Row]) -> list[Row]:
        """The rows that the user can read. Others are silently omitted."""
        return [row for row in rows if self._access_control.may_read(caller, table, row)]

    def from_pairs(self, table: str, arguments: Mapping[str, str]) -> str:
        """Convert ``field=value`` parameters to a query. Choices and references accept display values."""
        pairs = []
        for name, value in arguments.items():
            column = None if name.startswith("sysparm_") else self._store.column(table, name)
            if column is not None:
                pairs.append(f"{name}={self.raw(table, name, value).replace('^', '^^')}")
        return "^".join(pairs)

    def raw(self, table: str, name: str, value: str) -> str:
        """The raw value of a display value: the sys_id of a reference, or the value of a choice."""
        column = self._store.column(table, name)
        if column and column.reference in self._store.tables and value:
            target = column.reference
            if self._store.find(target, value):
                return value
            rows = self._store.rows(target)
            named = (row["sys_id"] for row in rows if self._store.display(target, row["sys_id"]) == value)
            return next(named, value)
        if column and column.choices and value:
            found = self._store.choices(table, name)
            labels = {choice["label"].casefold(): choice["value"] for choice in found}
            return labels.get(value.casefold(), value)
        return value


def matches(store: Store, table: str, row: Row, query: str, me: str = "", *, case_sensitive: bool = False) -> bool:
    """
    Whether one row matches an encoded query. As in lists, terms on unknown columns are dropped.

    Args:
        table: The row's class, or one that it extends.
        me: The sys_id for ``javascript:gs.getUserID()``.

    Raises:
        Unsupported: An operator or script that isn't implemented here.
    """
    parsed = parse(query, lambda column: store.column(table, column) is not None)
    return evaluator(store, table, me, case_sensitive).matches(row, parsed)


def evaluator(store: Store, table: str, me: str, case_sensitive: bool = False) -> Evaluator:
    """An evaluator for the rows of a table. *me* and *case_sensitive* are as for `matches`."""
    references = {name for name, column in store.columns(table).items() if column.reference}

    def value(row: Any, path: str) -> str:
        return store.value(table, row, path) if "." in path else row.get(path, "")

    def reference(path: str) -> str:
        if "." not in path:
            return store.columns(table)[path].reference if path in references else ""
        column = store.column(table, path)
        return column.reference if column else ""

    def display(row: Any, path: str) -> str:
        raw, target = value(row, path), reference(path)
        return store.display(target, raw) if target and raw else raw

    def classes(name: str) -> list[str]:
        return store.descendants(name) if name in store.tables else []

    user = store.find("sys_user", me) or {}
    now = datetime.strptime(store.now(), "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    asking = Asking(me, now, ZoneInfo(user.get("time_zone") or "UTC"))
    return Evaluator(value, display, lambda path: bool(reference(path)), classes, asking, case_sensitive)
