"""
Rows in memory, and what an instance does on save: IDs, numbers, defaults, rules (API reference §5).

A saved row is never changed in place, so readers always see a complete one.
"""

import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sandbox.common import Clock
from sandbox.servicenow.records import task_rules
from sandbox.servicenow.records.column_types import stored
from sandbox.servicenow.records.hooks import Save, WriteHooks
from sandbox.servicenow.records.task_rules import Refusal, Row, Saving
from sandbox.servicenow.tables.base import make_tables
from sandbox.servicenow.tables.metadata import METADATA, METADATA_ROOT
from sandbox.servicenow.tables.schema import Column, Table, audit

__all__ = ["Refusal", "Row", "Store"]

_JOURNALS = ("comments", "work_notes")
_UNIQUE = {"sys_user": "user_name", "sys_db_object": "name"}
_NOT_SETTABLE = {
    "sys_id", "sys_class_name", "sys_created_on", "sys_created_by", "sys_updated_on", "sys_updated_by",
    "sys_mod_count", "comments_and_work_notes", "task_effective_number",
}  # fmt: skip

FollowUp = Callable[["Store", str, Row, Mapping[str, str]], None]  # table, row, previous row


class Store:
    """
    All tables of the instance. Rows of a child table also appear in its parents.

    Args:
        follow_ups: What the platform does after each write.
    """

    def __init__(self, clock: Clock, follow_ups: Sequence[FollowUp] = ()) -> None:
        self._clock = clock
        self._follow_ups = follow_ups
        self.hooks: WriteHooks | None = None
        self.lock = threading.RLock()
        self._approving = threading.local()
        self._restore(make_tables(), {}, {}, {})

    # --- snapshots

    def snapshot(self) -> tuple[Any, ...]:
        """The complete current state, for `load`."""
        with self.lock:
            tables = {name: replace(table, columns=dict(table.columns)) for name, table in self.tables.items()}
            rows = {name: dict(of) for name, of in self._rows.items()}
            return tables, rows, dict(self._counters), {key: list(of) for key, of in self._journal.items()}

    def load(self, snapshot: tuple[Any, ...]) -> None:
        """Restore a snapshot, which can be used again."""
        with self.lock:
            self._restore(*snapshot)
            self._restore(*self.snapshot())

    def _restore(self, tables: dict[str, Table], rows: Any, counters: Any, journal: Any) -> None:
        self.tables = tables
        self._rows: dict[str, dict[str, Row]] = {name: rows.get(name, {}) for name in tables}
        self._counters: dict[str, int] = counters
        self._journal: dict[str, list[Row]] = journal
        self.revision = getattr(self, "revision", 0) + 1  # counts metadata changes
        self._columns: dict[str, dict[str, Column]] = {}
        self._descendants: dict[str, list[str]] = {}

    # --- structure

    def columns(self, table: str) -> dict[str, Column]:
        """Own and inherited columns. A child's columns override its parent's."""
        found = self._columns.get(table)
        if found is None:
            definition = self.tables[table]
            inherited = self.columns(definition.extends) if definition.extends else {}
            found = self._columns[table] = inherited | definition.columns
        return found

    def descendants(self, table: str) -> list[str]:
        """The table and everything that extends it."""
        found = self._descendants.get(table)
        if found is None:
            found = [table]
            for parent in found:
                found += [one.name for one in self.tables.values() if one.extends == parent]
            self._descendants[table] = found
        return found

    def ancestors(self, table: str) -> list[str]:
        """The table and everything that it extends."""
        names = [table]
        while self.tables[names[-1]].extends:
            names.append(self.tables[names[-1]].extends)
        return names

    def column(self, table: str, path: str) -> Column | None:
        """The column at the end of a dot-walk, or None."""
        name, _, rest = path.partition(".")
        column = self.columns(table).get(name) if table in self.tables else None
        if not rest or column is None:
            return column
        return self.column(column.reference, rest) if column.reference else None

    def referred_to(self) -> frozenset[str]:
        """Every table that a column refers to."""
        return frozenset(one.reference for table in self.tables.values() for one in table.columns.values())

    def define(self, table: Table) -> None:
        """Add a table without rows."""
        with self.lock:
            self.tables[table.name] = table
            self._rows.setdefault(table.name, {})
            self._columns.clear()
            self._descendants.clear()

    def set_column(self, table: str, column: Column) -> None:
        """Add or change a column. Existing rows get an empty value."""
        with self.lock:
            self.tables[table].columns[column.name] = column
            self._columns.clear()
            for name in self.descendants(table):
                self._rows[name] = {key: {column.name: ""} | row for key, row in self._rows[name].items()}

    def drop_column(self, table: str, name: str) -> None:
        """Remove a column and its values."""
        with self.lock:
            self.tables[table].columns.pop(name, None)
            self._columns.clear()
            for one in self.descendants(table):
                rows = self._rows[one].items()
                self._rows[one] = {key: {n: v for n, v in row.items() if n != name} for key, row in rows}

    # --- reading

    def rows(self, table: str) -> list[Row]:
        """Every row of the table and its children, by class, oldest first."""
        with self.lock:
            return [row for name in self.descendants(table) for row in self._rows[name].values()]

    def find(self, table: str, sys_id: str) -> Row | None:
        """Find one row, whatever its class."""
        with self.lock:
            for name in self.descendants(table) if table in self.tables else ():
                if (row := self._rows[name].get(sys_id)) is not None:
                    return row
        return None

    def value(self, table: str, row: Mapping[str, str], path: str) -> str:
        """The raw value of a dot-walked column. "" if a reference on the way is empty."""
        name, _, rest = path.partition(".")
        value = row.get(name, "")
        if not rest:
            return value
        column = self.columns(table).get(name)
        target = self.find(column.reference, value) if column and column.reference and value else None
        return self.value(column.reference, target, rest) if column and target else ""

    def display(self, table: str, sys_id: str) -> str:
        """The display value of a referenced row, or the ID itself if there is none."""
        row = self.find(table, sys_id) if table in self.tables else None
        if row is None:
            return sys_id
        column = self.tables[table].display
        target = self.columns(table)[column].reference
        return (self.display(target, row[column]) if target else row[column]) or sys_id

    def choices(self, table: str, element: str, language: str = "en") -> list[Row]:
        """
        Active choices in order, from the table or its nearest parent that has any. English if there are none in
        *language*.
        """
        names = self.ancestors(table) if table in self.tables else [table]
        rows = [
            row
            for row in self._rows["sys_choice"].values()
            if row["element"] == element and row["name"] in names and row["inactive"] != "true"
        ]
        for name in names:
            mine = [row for row in rows if row["name"] == name]
            spoken = [row for row in mine if row["language"] == language]
            if found := spoken or [row for row in mine if row["language"] == "en"]:
                return sorted(found, key=lambda row: int(row["sequence"] or 0))
        return []

    def journal(self, sys_id: str, *elements: str) -> list[Row]:
        """Comments and work notes of a record, newest first."""
        with self.lock:
            return [entry for entry in reversed(self._journal.get(sys_id, ())) if entry["element"] in elements]

    # --- writing

    def insert(self, table: str, given: Mapping[str, str], user: str, user_id: str = "") -> Row:
        """Insert a row with everything that the instance adds. Raises Refusal."""
        with self.lock:
            save = self._insert(table, given, user, user_id)
        return self._saved(save)

    def _insert(self, table: str, given: Mapping[str, str], user: str, user_id: str) -> Save:
        row = {name: column.default for name, column in self.columns(table).items()}
        row |= self._accepted(table, given)
        row["sys_id"] = given.get("sys_id") or uuid.uuid4().hex
        if self.find(table, row["sys_id"]):
            shown = given.get("number") or self.display(table, row["sys_id"])
            raise Refusal("Operation Failed", f"Error during insert of {table} ({shown})")
        now = self.now()
        row |= {"sys_created_on": now, "sys_updated_on": now, "sys_mod_count": "0"}
        row |= {"sys_created_by": user, "sys_updated_by": user}
        if "task" in self.ancestors(table):
            row["sys_class_name"] = table
            row["opened_at"] = row["opened_at"] or now
            row["opened_by"] = row["opened_by"] or user_id
            if table == "change_request" and row["type"] == "standard":
                self._from_template(row)
        elif table == "sys_user":
            row["name"] = row["name"] or f"{row['first_name']} {row['last_name']}".strip()
        self._unique(table, row, "insert")
        save = Save("insert", table, row, {}, self._journals(table, given), user, user_id)
        self._begun(save)
        self._rules(table, row, {}, given, user_id)
        if "number" in row:
            row["number"] = row["task_effective_number"] = row["number"] or self._number(table)
        if METADATA_ROOT in self.ancestors(table):
            shown = row.get(self.tables[table].display, "")
            row |= {"sys_name": row["sys_name"] or shown, "sys_update_name": f"{table}_{row['sys_id']}"}
        if table == "kb_knowledge":
            row |= {"article_id": row["sys_id"], "display_number": f"{row['number']} v1.0"}
        self._rows[table][row["sys_id"]] = row
        self._write_journal(save)
        self._structure(table, row)
        return save

    def update(self, table: str, sys_id: str, given: Mapping[str, str], user: str, user_id: str = "") -> Row:
        """Update a row. Without any actual change, its update count stays. Raises Refusal, KeyError."""
        with self.lock:
            row = self.find(table, sys_id)
            if row is None:
                raise KeyError(sys_id)
            real = self._class(table, sys_id)
            changed = row | self._accepted(real, given)
            self._unique(real, changed, "update")
            save = Save("update", real, changed, row, self._journals(real, given), user, user_id)
            self._begun(save)
            self._rules(real, changed, row, given, user_id)
            if "number" in changed:
                changed["task_effective_number"] = changed["number"]
            if not save.journals and changed == row:
                return row
            self._write_journal(save)
            changed["sys_mod_count"] = str(int(row["sys_mod_count"] or 0) + 1)
            changed |= {"sys_updated_on": self.now(), "sys_updated_by": user}
            self._rows[real][sys_id] = changed
            self._structure(real, changed)
        return self._saved(save)

    def put(self, table: str, row: Mapping[str, str]) -> None:
        """Store a row unchanged, without rules, such as a recorded one."""
        with self.lock:
            self._rows[table][row["sys_id"]] = dict.fromkeys(self.columns(table), "") | dict(row)
            self.revision += table in METADATA

    def keep_newest(self, table: str, most: int) -> None:
        """Remove the oldest rows of a log."""
        with self.lock:
            rows = self._rows[table]
            if len(rows) > most:
                for sys_id in list(rows)[: len(rows) - most]:
                    del rows[sys_id]

    def delete(self, table: str, sys_id: str, user: str = "system", user_id: str = "") -> bool:
        """Delete a row, and return whether there was one. Raises Refusal."""
        with self.lock:
            row = self.find(table, sys_id)
            if row is None:
                return False
            real = self._class(table, sys_id)
            save = Save("delete", real, row, row, {}, user, user_id)
            self._begun(save)
            del self._rows[real][sys_id]
            self._structure(real, row | {"active": "false"}, gone=True)
        self._saved(save)
        return True

    def _from_template(self, change: Row) -> None:
        """Copy a template's texts to its standard change. Without a template, the change becomes normal."""
        template = self.find("std_change_producer_version", change["std_change_producer_version"])
        if template is None:
            change["std_change_producer_version"] = ""
            return
        change |= {name: template[name] for name in task_rules.TEMPLATE_TEXTS}
        change["short_description"] = change["short_description"] or template["short_description"]

    def _unique(self, table: str, row: Row, operation: str) -> None:
        """Reject a second row with the same value in a unique column."""
        name = _UNIQUE.get(table, "")
        if name and row[name]:
            rows = self._rows[table].values()
            if any(other[name] == row[name] and other["sys_id"] != row["sys_id"] for other in rows):
                raise Refusal("Operation Failed", f"Error during {operation} of {table} ({row[name]})")

    def _begun(self, save: Save) -> None:
        if self.hooks is not None:
            self.hooks.before(save)

    def _saved(self, save: Save) -> Row:
        """The row after everything that reacts to the write, which may have changed it again."""
        if self.hooks is not None:
            self.hooks.after(save)
        for follow_up in self._follow_ups:
            follow_up(self, save.table, save.row, save.previous)
        return self.find(save.table, save.row["sys_id"]) or save.row

    @contextmanager
    def approving(self) -> Iterator[None]:
        """Writes inside ``with`` count as made by the approval engine."""
        before = getattr(self._approving, "now", False)
        self._approving.now = True
        try:
            yield
        finally:
            self._approving.now = before

    def now(self) -> str:
        """The instance's current time, raw."""
        return datetime.fromtimestamp(self._clock.now(), UTC).strftime("%Y-%m-%d %H:%M:%S")

    def _class(self, table: str, sys_id: str) -> str:
        return next(name for name in self.descendants(table) if sys_id in self._rows[name])

    def _number(self, table: str) -> str:
        self._counters[table] = self._counters.get(table, self.tables[table].counter) + 1
        return f"{self.tables[table].prefix}{self._counters[table]:07d}"

    def _accepted(self, table: str, given: Mapping[str, str]) -> Row:
        """
        The part of *given* that is saved: known columns, values that their type allows, listed choices where required.
        """
        columns = self.columns(table)
        accepted: Row = {}
        for name, value in given.items():
            column = columns.get(name)
            if column is None or name in _NOT_SETTABLE or name in _JOURNALS or column.type == "password":
                continue
            if name == "close_code" and value and value not in {c["value"] for c in self.choices(table, name)}:
                continue  # an unlisted value is dropped, and then the data policy rejects the row
            kept = stored(column, value)
            if kept is not None:
                accepted[name] = kept
        return accepted

    def _rules(self, table: str, row: Row, before: Mapping[str, str], given: Mapping[str, str], user_id: str) -> None:
        approving, open_tasks = getattr(self._approving, "now", False), self.open_tasks(row["sys_id"])
        saving = Saving(self.now(), user_id, approving, bool(given.get("comments")), open_tasks)
        task_rules.save(self.ancestors(table), row, before, saving)
        task_rules.mandatory(self.columns(table).values(), row)

    def open_tasks(self, change: str) -> bool:
        """Whether a change has open tasks."""
        return any(t["change_request"] == change and t["active"] == "true" for t in self._rows["change_task"].values())

    def _journals(self, table: str, given: Mapping[str, str]) -> Row:
        return {name: given[name] for name in _JOURNALS if given.get(name) and name in self.columns(table)}

    def _write_journal(self, save: Save) -> None:
        for element, text in save.journals.items():
            sys_id = save.row["sys_id"]
            entry = {"name": save.table, "element": element, "element_id": sys_id, "value": text}
            self._journal.setdefault(sys_id, []).append(self.insert("sys_journal_field", entry, save.user))

    def _table(self, row: Row, gone: bool) -> None:
        name = row["name"]
        if gone and name.startswith(("u_", "x_")):
            for one in self.descendants(name) if name in self.tables else ():
                del self.tables[one], self._rows[one]
        elif not gone and name and name not in self.tables:
            parent = (self.find("sys_db_object", row["super_class"]) or {}).get("name", "")
            columns = {} if parent else audit()
            display = self.tables[parent].display if parent else "sys_created_on"
            self.define(Table(name, row["label"] or name, parent, display=display, columns=columns))
        self._columns.clear()
        self._descendants.clear()

    def _structure(self, table: str, row: Row, gone: bool = False) -> None:
        """A row of `sys_db_object` creates a table, a row of `sys_dictionary` a column. Deleting it removes them."""
        self.revision += table in METADATA
        if table == "sys_db_object":
            self._table(row, gone)
        if table != "sys_dictionary" or row["name"] not in self.tables or not row["element"]:
            return
        definition = self.tables[row["name"]]
        element = row["element"]
        known = self.columns(row["name"]).get(element)
        self._columns.clear()
        if row["active"] == "false":
            if element.startswith("u_"):
                definition.columns.pop(element, None)
            return
        made = known or Column(element, element, row["internal_type"], row["reference"])
        definition.columns[element] = replace(
            made,
            label=row["column_label"] or made.label,
            max_length=int(row["max_length"] or made.max_length),
            default=row["default_value"],
            mandatory=row["mandatory"] == "true",
        )
