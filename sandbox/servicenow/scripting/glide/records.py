"""Rows as scripts see them: no ACLs, case-insensitive queries, case-sensitive filters (update-set reference §4.5)."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from threading import local
from typing import Any
from zoneinfo import ZoneInfo

from sandbox.servicenow.auth.access_control import AccessControl, Caller
from sandbox.servicenow.queries.encoded_query import Parsed, Unsupported
from sandbox.servicenow.queries.record_queries import RecordQueries, evaluator
from sandbox.servicenow.queries.serializer import RowSerializer, instant
from sandbox.servicenow.records.store import Refusal, Row, Store
from sandbox.servicenow.scripting.glide.scopes import GLOBAL, Scope, Scopes

UNREADABLE = "\0"  # precedes what a script stored in a password2 column without encrypting it
_NO_ROWS = "glide.invalid_query.returns_no_rows"
Json = dict[str, Any]


class Records:
    """The records of an instance for scripts."""

    def __init__(self, store: Store, access_control: AccessControl) -> None:
        self._store = store
        self._access_control = access_control
        self._queries = RecordQueries(store, access_control)
        self._scopes = Scopes(store)
        self._quiet = local()

    # --- structure

    def columns(self, table: str) -> dict[str, Json] | None:
        """What scripts can read about columns, by name."""
        if table not in self._store.tables:
            return None
        return {
            name: {
                "type": column.type,
                "label": column.label,
                "reference": column.reference if column.reference in self._store.tables else "",
                "max_length": column.max_length,
            }
            for name, column in self._store.columns(table).items()
        }

    def label(self, table: str) -> str:
        """A table's label, or its name."""
        return self._store.tables[table].label if table in self._store.tables else table

    def hierarchy(self, table: str) -> dict[str, list[str]]:
        """The table with its ancestors, and with its descendants."""
        if table not in self._store.tables:
            return {"up": [table], "down": [table]}
        return {"up": self._store.ancestors(table), "down": self._store.descendants(table)}

    def refusal(self, scope: Scope, table: str, operation: str) -> str:
        """Why a scope can't do this, or ""."""
        return self._scopes.refusal(scope, table, operation)

    def owns(self, scope: Scope, table: str) -> bool:
        """Whether the table belongs to the scope."""
        rows = self._store.rows("sys_db_object")
        return scope == GLOBAL or any(row["name"] == table and row["sys_scope"] == scope.sys_id for row in rows)

    # --- reads

    def select(self, given: Json, session: Caller) -> list[Row]:
        """The rows that match every condition, sorted. Raises Unsupported."""
        table = given["table"]
        if table not in self._store.tables:
            return []
        rows = self._store.rows(table)
        applied = evaluator(self._store, table, session.sys_id)
        order: list[tuple[str, bool]] = []
        for condition in given["conditions"]:
            parsed = self.parse(table, condition)
            if parsed.dropped and self.property(_NO_ROWS) == "true":
                return []
            order += parsed.order
            parsed.order = []
            rows = applied.select(rows, parsed)
        known = self._store.columns(table)
        order += [(name, descending) for name, descending in given["order"] if name in known]
        rows = applied.select(rows, Parsed(queries=[[]], order=order))
        if given["window"]:
            first, last = given["window"]
            rows = rows[first:last]
        return rows if given["limit"] is None else rows[: given["limit"]]

    def get(self, table: str, name: str, value: str, session: Caller) -> Row | None:
        """Find by sys_id (then by display value), or the first row whose column has the value."""
        if table not in self._store.tables:
            return None
        if name and name in self._store.columns(table):
            query = f"{name}={value.replace('^', '^^')}"
            given = {"table": table, "conditions": [query], "order": [], "limit": 1, "window": None}
            return next(iter(self.select(given, session)), None)
        found = None if name else self._store.find(table, value)
        if found is None and not name and value:
            shown = (row for row in self._store.rows(table) if self._store.display(table, row["sys_id"]) == value)
            found = next(shown, None)
        return found

    def parse(self, table: str, query: str) -> Parsed:
        """Parse an encoded query. For booleans, ``1`` and ``0`` mean true and false. Raises Unsupported."""
        parsed = self._queries.parse(table, query)
        for term in (term for ands in parsed.queries for ors in ands for term in ors):
            column = self._store.column(table, term.column) if term.column else None
            if column is not None and column.type == "boolean":
                term.value = {"1": "true", "0": "false"}.get(term.value, term.value)
        return parsed

    def valid_query(self, table: str, query: str) -> bool:
        """Whether no term of the query would be dropped."""
        if table not in self._store.tables:
            return False
        try:
            return not self._queries.parse(table, query).dropped
        except Unsupported:
            return True

    def matches(self, given: Json, session: Caller) -> bool:
        """Whether values match a query. Case-sensitive; an empty value is less than any other. Raises Unsupported."""
        table = given["table"]
        parsed = self.parse(table, given["query"])
        if not given["all"]:
            parsed.queries = [[[term]] for ands in parsed.queries for ors in ands for term in ors] or [[]]
        applied = evaluator(self._store, table, session.sys_id, given["sensitive"])
        applied.empty_is_least = True
        return applied.matches(given["values"], parsed)

    def walk(self, table: str, values: Mapping[str, str], path: str) -> str:
        """The raw value of a dot-walked column."""
        return self._store.value(table, values, path)

    def display(self, table: str, values: Row, path: str, session: Caller) -> str:
        """The display value in the session's language and time zone."""
        if not path:
            column = self._store.tables[table].display
            path = column if column in self._store.columns(table) else "sys_id"
        column_of = self._store.column(table, path)
        if column_of is not None and column_of.type == "password2":
            return "********" if self._store.value(table, values, path) else ""
        return self._serializer(session).text(table, values, path)

    def local(self, value: str, session: Caller) -> str:
        """A time in the session's time zone."""
        return self._serializer(session).local(value)

    def journal(self, sys_id: str, element: str, which: int, session: Caller) -> str:
        """Entries newest first, each with a heading and an empty line. -1 returns all."""
        entries = self._store.journal(sys_id, element)
        serializer = self._serializer(session)
        return "".join(serializer.entry(entry) for entry in (entries if which < 0 else entries[:which]))

    def choices(self, table: str, element: str) -> list[str]:
        """The active values in order."""
        return [row["value"] for row in self._store.choices(table, element)]

    def decrypt(self, table: str, sys_id: str, column: str) -> str | None:
        """The text of a secret, or None if it isn't ciphertext."""
        row = self._store.find(table, sys_id) or {}
        value = row.get(column, "")
        return None if value.startswith(UNREADABLE) else value

    def name_of(self, caller: Caller) -> str:
        """The account's name."""
        row = self._store.find("sys_user", caller.sys_id)
        return row["name"] if row else caller.user_name.capitalize()

    def property(self, name: str) -> str | None:
        """A system property."""
        rows = self._store.rows("sys_properties")
        return next((row["value"] for row in rows if row["name"] == name), None)

    # --- writes

    def insert(self, given: Json, session: Caller, workflow: bool) -> Json:
        """Insert a row. Returns it, or the error."""
        if given["table"] not in self._store.tables:
            return {"row": None, "error": f"Table '{given['table']}' does not exist"}
        with self._rules(workflow):
            try:
                row = self._store.insert(given["table"], self._given(given), session.user_name, session.sys_id)
            except Refusal as refusal:
                return {"row": None, "error": f"{refusal.message}: {refusal.detail}"}
        return {"row": row, "error": ""}

    def update(self, given: Json, session: Caller, workflow: bool) -> Json:
        """Update a row. Returns it or the error, and nothing for a missing row."""
        table, sys_id = given["table"], given["sys_id"]
        with self._rules(workflow):
            try:
                row = self._store.update(table, sys_id, self._given(given), session.user_name, session.sys_id)
            except Refusal as refusal:
                return {"row": None, "error": f"{refusal.message}: {refusal.detail}"}
            except KeyError:
                return {"row": None, "error": f"No record {sys_id} in {table}"}
        return {"row": row, "error": ""}

    def delete(self, given: Json, session: Caller, workflow: bool) -> bool:
        """Delete a row, and return whether there was one."""
        if given["table"] not in self._store.tables:
            return False
        with self._rules(workflow):
            return self._store.delete(given["table"], given["sys_id"], session.user_name, session.sys_id)

    def defaults(self, table: str) -> Row:
        """The default values of a new row."""
        columns = self._store.columns(table) if table in self._store.tables else {}
        return {name: column.default for name, column in columns.items()}

    def from_display(self, table: str, name: str, value: str, session: Caller) -> str:
        """The raw value of a display value. Times are in the session's time zone."""
        column = self._store.column(table, name)
        if column is not None and column.type == "glide_date_time":
            return instant(value, ZoneInfo(session.time_zone))
        return self._queries.raw(table, name, value)

    def silenced(self) -> bool:
        """Whether this thread's writes skip business rules."""
        return bool(getattr(self._quiet, "on", False))

    @contextmanager
    def _rules(self, wanted: bool) -> Iterator[None]:
        before = self.silenced()
        self._quiet.on = before or not wanted
        try:
            yield
        finally:
            self._quiet.on = before

    def _given(self, given: Json) -> Row:
        """The values to save. A secret that was set as plain text is marked as unreadable."""
        columns = self._store.columns(given["table"])
        values = {
            name: UNREADABLE + value if columns[name].type == "password2" and value else value
            for name, value in given["values"].items()
        }
        for name, value in given["shown"].items():
            secret = columns[name].type == "password2"
            values[name] = value if secret else self._queries.raw(given["table"], name, value)
        return values

    def _serializer(self, session: Caller) -> RowSerializer:
        """Scripts ignore ACLs when they read."""
        everything = replace(session, roles=session.roles | {"admin"})
        return RowSerializer(self._store, self._access_control, everything, "", "true", False)
