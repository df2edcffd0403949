"""The form of a record: what a user can change, and which fields it requires (API reference §5.4)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from sandbox.servicenow.auth.access_control import AccessControl, Caller
from sandbox.servicenow.records.store import Row, Store
from sandbox.servicenow.records.task_rules import NEW, next_states
from sandbox.servicenow.tables.schema import Column

_WORK = (
    "short_description", "state", "priority", "impact", "urgency", "category", "subcategory", "cmdb_ci",
    "assignment_group", "assigned_to",
)  # fmt: skip
_SAID = ("comments", "work_notes")
_CLOSING = ("close_code", "close_notes")
_CHANGE = ("on_hold", "on_hold_reason", "start_date", "end_date")
EDITED = {
    "incident": (*_WORK, "hold_reason", *_CLOSING, *_SAID),
    "problem": (*_WORK, "resolution_code", "cause_notes", "fix_notes", "close_notes", *_SAID),
    "change_request": (*_WORK, "risk", *_CHANGE, *_CLOSING, *_SAID),
    "change_task": (*_WORK, "close_code", "close_notes", *_SAID),
    "task": (*_WORK, "close_notes", *_SAID),
    "kb_knowledge": ("short_description", "workflow_state", "kb_knowledge_base", "kb_category", "text"),
    "sysapproval_approver": ("state", "comments"),
    "sys_user": ("active", "locked_out"),
}
_ON_INSERT = {
    "incident": ("caller_id", "short_description", "description"),
    "problem": ("short_description", "description"),
    "change_request": ("type", "short_description", "description"),
}
CREATED = frozenset(_ON_INSERT)
_BY_EVERYBODY = {"caller_id", "short_description", "description", "urgency", "category", "subcategory", "comments"}
_COMPUTED = {"incident": "priority", "problem": "priority"}
_LONG = 1000


@dataclass
class Field:
    """One control. ``options`` are groups of (label, [(value, label)])."""

    name: str
    label: str
    kind: str
    value: str
    options: list[tuple[str, list[tuple[str, str]]]] = field(default_factory=list)


class RecordForm:
    """The form of a row for one user. A row without `sys_id` is new."""

    def __init__(self, store: Store, access_control: AccessControl, caller: Caller, table: str, row: Row) -> None:
        self._store = store
        self._caller = caller
        self._table = table
        self._row = row
        self._hidden = access_control.hidden(caller, table)
        if row.get("sys_id"):
            self._may = access_control.may_write(caller, table, row)
        else:
            self._may = table in CREATED and access_control.may_insert(caller, table)

    def fields(self, typed: Mapping[str, str] | None = None) -> list[Field]:
        """The controls in order, with the rejected input if there is any. Empty if nothing can be changed."""
        row = self._row | dict(typed or {})
        return [self._field(column, row.get(column.name, "")) for column in self._columns()]

    def given(self, form: Mapping[str, str]) -> dict[str, str]:
        """The changed columns: those that differ from what the page showed, which the form sends as ``was.…``."""
        found = {}
        for column in self._columns():
            name = column.name
            if column.type == "boolean":
                value = "true" if name in form else "false"
            else:
                value = form.get(name, self._row.get(name, "")).replace("\r\n", "\n")
            before = "" if name in _SAID else form.get(f"was.{name}", self._row.get(name, "")).replace("\r\n", "\n")
            if value != before or not self._row.get("sys_id"):
                found[name] = value
        return found

    def missing(self, given: Mapping[str, str]) -> list[str]:
        """Labels of empty fields that only the form requires. REST doesn't (measured)."""
        row = self._row | dict(given)
        columns = self._store.columns(self._table)
        wanted = []
        if self._is("incident") and row["state"] == "3":
            wanted.append("hold_reason")
            if row["hold_reason"] == "1" and self._row.get("hold_reason") != "1":
                wanted.append("comments")
        if self._table == "sysapproval_approver" and given.get("state") == "rejected":
            wanted.append("comments")
        if self._is("task") and not row.get("short_description", "").strip():
            wanted.append("short_description")
        return [columns[name].label for name in wanted if not row.get(name, "").strip()]

    def _columns(self) -> Iterator[Column]:
        if not self._may:
            return
        columns = self._store.columns(self._table)
        computed = {_COMPUTED[name] for name in self._store.ancestors(self._table) if name in _COMPUTED}
        names = next((EDITED[name] for name in self._store.ancestors(self._table) if name in EDITED), ())
        if not self._row.get("sys_id"):
            names = (*_ON_INSERT[self._table], *names)
        own = [name for name in columns if name.startswith("u_")]
        for name in dict.fromkeys((*names, *own)):
            allowed = self._caller.itil or name in _BY_EVERYBODY or name in own or not self._is("task")
            if name in columns and allowed and name not in computed | self._hidden:
                yield columns[name]

    def _field(self, column: Column, value: str) -> Field:
        kind, options = "text", []
        if column.choices:
            kind, options = "select", self._choices(column)
        elif column.reference in self._store.tables:
            kind, options = "select", [("", self._rows(column.reference))]
        elif column.type == "boolean":
            kind = "checkbox"
        elif column.max_length >= _LONG:
            kind = "textarea"
        if column.name in _SAID and value == self._row.get(column.name):
            value = ""
        if kind == "select" and value and value not in {one for _, group in options for one, _ in group}:
            options.append(("", [(value, value)]))
        return Field(column.name, column.label, kind, value, options)

    def _choices(self, column: Column) -> list[tuple[str, list[tuple[str, str]]]]:
        rows = self._store.choices(self._table, column.name, self._caller.language)
        if column.name == "state" and self._is("change_request"):
            rows = [row for row in rows if row["value"] in self._changes_to()]
        groups: dict[str, list[tuple[str, str]]] = {}
        for row in rows:
            groups.setdefault(row["dependent_value"], []).append((row["value"], row["label"]))
        return list(groups.items())

    def _changes_to(self) -> set[str]:
        """The current state and those that a user can choose next."""
        if not self._row.get("sys_id"):
            return {NEW}
        moves = next_states(self._row, self._store.open_tasks(self._row["sys_id"]))
        return {self._row["state"], *(state for state, _, by_approval, _ in moves if not by_approval)}

    def _rows(self, table: str) -> list[tuple[str, str]]:
        rows = [row["sys_id"] for row in self._store.rows(table) if row.get("active") != "false"]
        return sorted(((one, self._store.display(table, one)) for one in rows), key=lambda pair: pair[1].casefold())

    def _is(self, table: str) -> bool:
        return table in self._store.ancestors(self._table)
