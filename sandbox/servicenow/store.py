"""Rows in memory, and what an instance does to them: numbers, defaults, priority, rules (reference §5)."""

import threading
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime

from sandbox.common import Clock
from sandbox.servicenow.schema import Column, Table, make_tables

Row = dict[str, str]

# impact, urgency: priority (API reference §5.2)
_PRIORITY = {
    ("1", "1"): "1", ("1", "2"): "2", ("1", "3"): "3",
    ("2", "1"): "2", ("2", "2"): "3", ("2", "3"): "4",
    ("3", "1"): "3", ("3", "2"): "4", ("3", "3"): "5",
}  # fmt: skip
_SYSTEM_COLUMNS = {"sys_created_on", "sys_created_by", "sys_updated_on", "sys_updated_by", "sys_mod_count"}


class Refusal(Exception):
    """A write that is not done: message and detail of the 403 (API reference §3.1)."""

    def __init__(self, message: str, detail: str) -> None:
        super().__init__(detail)
        self.message = message
        self.detail = detail


class Store:
    """All tables of the instance. A child's rows are seen through its parents."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.lock = threading.RLock()
        self.tables: dict[str, Table] = {}
        self._rows: dict[str, dict[str, Row]] = {}
        self._counters: dict[str, int] = {}
        self.clear()

    def clear(self) -> None:
        """An empty instance."""
        with self.lock:
            self.tables = make_tables()
            self._rows = {name: {} for name in self.tables}
            self._counters = dict.fromkeys(self.tables, 10000)

    # --- structure

    def columns(self, table: str) -> dict[str, Column]:
        """Own and inherited columns; a child's override its parent's."""
        definition = self.tables[table]
        inherited = self.columns(definition.extends) if definition.extends else {}
        return inherited | definition.columns

    def descendants(self, table: str) -> set[str]:
        """The table and everything that extends it."""
        found = {table}
        while more := {t.name for t in self.tables.values() if t.extends in found} - found:
            found |= more
        return found

    def column(self, table: str, path: str) -> Column | None:
        """The column at the end of a dot-walk, or None."""
        name, _, rest = path.partition(".")
        column = self.columns(table).get(name) if table in self.tables else None
        if not rest or column is None:
            return column
        return self.column(column.reference, rest) if column.reference else None

    # --- reading

    def rows(self, table: str) -> list[Row]:
        """Every row of the table and its children, oldest first."""
        with self.lock:
            names = self.descendants(table)
            return [row for name in self.tables if name in names for row in self._rows[name].values()]

    def find(self, table: str, sys_id: str) -> Row | None:
        """One row, in whichever class it is."""
        with self.lock:
            for name in self.descendants(table):
                if (row := self._rows[name].get(sys_id)) is not None:
                    return row
        return None

    def value(self, table: str, row: Mapping[str, str], path: str) -> str:
        """The raw value at the end of a dot-walk; "" where a reference on the way is empty."""
        name, _, rest = path.partition(".")
        value = row.get(name, "")
        if not rest:
            return value
        column = self.columns(table).get(name)
        target = self.find(column.reference, value) if column and column.reference and value else None
        return self.value(column.reference, target, rest) if column and target else ""

    def display(self, table: str, sys_id: str) -> str:
        """What stands for a row that is referred to; "" for none, the id itself for junk."""
        row = self.find(table, sys_id) if table in self.tables else None
        if row is None:
            return sys_id
        return self.value(table, row, self.tables[table].display) or sys_id

    def choices(self, table: str, element: str, language: str = "en") -> list[Row]:
        """Active choices in order, of the table or the nearest parent that has some."""
        name: str = table
        while name:
            rows = [
                row
                for row in self._rows["sys_choice"].values()
                if row["name"] == name and row["element"] == element and row["inactive"] != "true"
            ]
            mine = [row for row in rows if row["language"] == language] or [
                row for row in rows if row["language"] == "en"
            ]
            if mine:
                return sorted(mine, key=lambda row: int(row["sequence"] or 0))
            name = self.tables[name].extends if name in self.tables else ""
        return []

    # --- writing

    def insert(self, table: str, given: Mapping[str, str], user: str, user_id: str = "") -> Row:
        """A new row, with everything that the instance adds. Raises Refusal."""
        with self.lock:
            columns = self.columns(table)
            row = {name: column.default for name, column in columns.items()}
            row |= self._accepted(table, given)
            row["sys_id"] = given.get("sys_id") or uuid.uuid4().hex
            if self.find(table, row["sys_id"]):
                shown = self.display(table, row["sys_id"])
                raise Refusal("Operation Failed", f"Error during insert of {table} ({shown})")
            now = self.now()
            row |= {"sys_created_on": now, "sys_updated_on": now, "sys_mod_count": "0"}
            row |= {"sys_created_by": user, "sys_updated_by": user}
            if "task" in self._ancestors(table):
                row["sys_class_name"] = table
                row["opened_at"] = row.get("opened_at") or now
                row["opened_by"] = row.get("opened_by") or user_id
                row["number"] = given.get("number") or self._number(table)
            self._rules(table, row, {})
            self._demand(table, row)
            self._rows[table][row["sys_id"]] = row
            self._structure(table, row)
            return row

    def update(self, table: str, sys_id: str, given: Mapping[str, str], user: str) -> Row:
        """Change what is given; counts only what changes something. Raises Refusal, KeyError."""
        with self.lock:
            row = self.find(table, sys_id)
            if row is None:
                raise KeyError(sys_id)
            real = row.get("sys_class_name", table) if table in {"task", "incident"} else table
            changed = dict(row) | self._accepted(real, given)
            self._rules(real, changed, row)
            self._demand(real, changed)
            if changed != row:
                changed["sys_mod_count"] = str(int(row["sys_mod_count"] or 0) + 1)
                changed |= {"sys_updated_on": self.now(), "sys_updated_by": user}
                row.clear()
                row.update(changed)
            return row

    def delete(self, table: str, sys_id: str) -> bool:
        """Whether there was such a row."""
        with self.lock:
            return any(self._rows[name].pop(sys_id, None) for name in self.descendants(table))

    def now(self) -> str:
        """The instance's time, raw."""
        return datetime.fromtimestamp(self._clock.now(), UTC).strftime("%Y-%m-%d %H:%M:%S")

    def _ancestors(self, table: str) -> list[str]:
        names = [table]
        while self.tables[names[-1]].extends:
            names.append(self.tables[names[-1]].extends)
        return names

    def _number(self, table: str) -> str:
        self._counters[table] = self._counters.get(table, 10000) + 1
        return f"{self.tables[table].prefix}{self._counters[table]:07d}"

    def _accepted(self, table: str, given: Mapping[str, str]) -> Row:
        """What of *given* sticks: known columns, cut to their length, listed choices where it matters."""
        columns = self.columns(table)
        accepted: Row = {}
        for name, value in given.items():
            column = columns.get(name)
            if column is None or name in _SYSTEM_COLUMNS or name == "sys_id" or column.type == "password":
                continue
            text = value[: column.max_length] if column.type in {"string", "reference"} else value
            if name == "close_code" and text not in {c["value"] for c in self.choices(table, name)}:
                continue  # an unlisted value is dropped; the data policy then complains
            accepted[name] = text
        return accepted

    def _rules(self, table: str, row: Row, before: Mapping[str, str]) -> None:
        """Business rules and data policies of incident (reference §5.2, §5.4)."""
        if "incident" not in self._ancestors(table):
            return
        row["priority"] = _PRIORITY.get((row["impact"], row["urgency"]), "5")
        if row["incident_state"] != before.get("incident_state") and row["state"] == before.get("state", "1"):
            row["state"] = row["incident_state"]
        row["incident_state"] = row["state"]
        if row["state"] in {"6", "7"}:
            missing = [
                label
                for name, label in (("close_code", "Resolution code"), ("close_notes", "Close notes"))
                if not row[name]
            ]
            if missing:
                raise _mandatory(missing)
            row["resolved_at"] = row["resolved_at"] or self.now()
        row["active"] = "false" if row["state"] in {"7", "8"} else "true"

    def _demand(self, table: str, row: Row) -> None:
        missing = [c.label for c in self.columns(table).values() if c.mandatory and not row.get(c.name)]
        if missing:
            raise _mandatory(missing)

    def _structure(self, table: str, row: Row) -> None:
        """A dictionary entry makes a column."""
        if table == "sys_dictionary" and row["name"] in self.tables and row["element"]:
            self.tables[row["name"]].columns[row["element"]] = Column(
                row["element"],
                row["column_label"] or row["element"],
                row["internal_type"],
                row["reference"],
                int(row["max_length"] or 40),
                row["mandatory"] == "true",
            )


def _mandatory(labels: list[str]) -> Refusal:
    return Refusal(
        "Operation Failed",
        f"Data Policy Exception: The following fields are mandatory: {', '.join(labels)}",
    )
