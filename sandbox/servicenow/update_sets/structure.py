"""Creates tables, columns, labels and choices from an update set (update-set reference §1.8, §3.1)."""

import uuid
from collections.abc import Callable

from sandbox.servicenow.records.store import Row, Store
from sandbox.servicenow.tables.schema import Column, Table, audit
from sandbox.servicenow.update_sets.payload import DELETE, Payload


class Structure:
    """
    Applies structural updates.

    Args:
        log: Adds an entry to the commit log.
    """

    def __init__(self, store: Store, log: Callable[[str], None]) -> None:
        self._store = store
        self._log = log
        self._touched: set[str] = set()

    def column(self, payload: Payload, record: Row, existing: Row | None) -> bool:
        """
        Apply a dictionary row of a table or a column, and return whether the row can be stored.

        Only a canonical payload (the handler's format, a canonical name, and a row for the table itself) creates
        storage. Any other row is stored without effect.
        """
        table, element = record.get("name", ""), record.get("element", "")
        if not payload.canonical:
            return True
        if not element:
            if record.get("internal_type") == "collection" and table not in self._store.tables:
                self._create(table)
            return True
        if table not in self._store.tables:
            return True
        wanted = _column(table, record)
        known = self._store.tables[table].columns.get(element)
        if known is not None and self._keeps(table, known, wanted):
            return False
        self._store.set_column(table, wanted)
        self._touched.add(table)
        return True

    def label(self, record: Row) -> None:
        """Set the English label of a table or column."""
        table = self._store.tables.get(record.get("name", ""))
        if table is None or record.get("language") != "en" or not record.get("label"):
            return
        column = table.columns.get(record.get("element", ""))
        if not record.get("element"):
            table.label = record["label"]
        elif column is not None:
            column.label = record["label"]

    def choices(self, payload: Payload) -> str:
        """Replace all choices of a column."""
        table, element = payload.attributes.get("table", ""), payload.attributes.get("field", "")
        for row in self._store.rows("sys_choice"):
            if row["name"] == table and row["element"] == element:
                self._store.delete("sys_choice", row["sys_id"])
        if payload.action == DELETE:
            return "deleted"
        for record in payload.records:
            known = self._store.columns("sys_choice")
            row = {name: value for name, value in record.items() if name in known}
            self._store.put("sys_choice", {"sys_id": uuid.uuid4().hex, "language": "en", "inactive": "false"} | row)
        column = self._store.tables[table].columns.get(element) if table in self._store.tables else None
        if column is not None:
            column.choices = table
        return "inserted"

    def deleted(self, payload: Payload, existing: Row) -> None:
        """Delete a column with its values. Sets never delete tables."""
        table, element = existing.get("name", ""), existing.get("element", "")
        if payload.table == "sys_dictionary" and element and table in self._store.tables:
            self._store.drop_column(table, element)

    def finish(self) -> None:
        """Determine the display columns, now that all columns exist."""
        for name in self._touched:
            columns = self._store.columns(name)
            rows = self._store.rows("sys_dictionary")
            marked = (row["element"] for row in rows if row["name"] == name and row.get("display") == "true")
            usual = (one for one in ("name", "number") if one in columns)
            self._store.tables[name].display = next(
                (one for one in marked if one in columns), next(usual, "sys_created_on")
            )

    def _create(self, table: str) -> None:
        about = next((row for row in self._store.rows("sys_db_object") if row["name"] == table), None)
        if about is None:  # a table without its own row gets no storage
            return
        parent = self._store.find("sys_db_object", about["super_class"])
        extends = parent["name"] if parent and parent["name"] in self._store.tables else ""
        columns = {} if extends else audit()
        self._store.define(Table(table, about["label"] or table, extends, display="sys_created_on", columns=columns))
        self._touched.add(table)
        self._log(f"Creating table {table}")

    def _keeps(self, table: str, known: Column, wanted: Column) -> bool:
        """Whether to keep the column as it is, because the change would lose data."""
        used = any(row.get(known.name) for row in self._store.rows(table))
        if not used:
            return False
        if known.type != wanted.type:
            self._log(f"Skipped: type of {table}.{known.name} stays {known.type}, not {wanted.type}: there is data")
            return True
        if wanted.max_length < known.max_length:
            lengths = f"{known.max_length}, not {wanted.max_length}"
            self._log(f"Skipped: length of {table}.{known.name} stays {lengths}: there is data")
            return True
        return False


def _column(table: str, record: Row) -> Column:
    length = record.get("max_length", "")
    return Column(
        record["element"],
        record.get("column_label") or record["element"],
        record.get("internal_type") or "string",
        record.get("reference", ""),
        int(length) if length.isdigit() else 40,
        record.get("mandatory") == "true",
        record.get("default_value", ""),
        table if record.get("choice", "") in {"1", "2", "3"} else "",
    )
