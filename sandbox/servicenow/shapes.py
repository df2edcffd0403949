"""Rows as the Table API writes them: raw, display, or both (API reference §1.3)."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sandbox.servicenow.people import Caller
from sandbox.servicenow.schema import Column
from sandbox.servicenow.store import Row, Store


class Shapes:
    """
    Args:
        base: Origin and versioned path of links, such as ``http://127.0.0.1:8081/api/now/v2``.
        mode: ``false``, ``true`` or ``all``.
    """

    def __init__(self, store: Store, caller: Caller, base: str, mode: str, links: bool) -> None:
        self._store = store
        self._caller = caller
        self._base = base
        self._mode = mode
        self._links = links

    def row(self, table: str, row: Row, fields: list[str], stripped: str = "") -> dict[str, Any]:
        """The row with *fields* (all, when empty); unknown ones are dropped, *stripped* is left out."""
        names = fields or list(self._store.columns(row.get("sys_class_name", table)))
        shaped = {}
        for name in names:
            column = self._store.column(table, name)
            if column is None and "." not in name:
                column = self._store.column(row.get("sys_class_name", "") or table, name)
            if column is not None and name != stripped:
                shaped[name] = self._cell(column, self._store.value(table, row, name), row)
        return shaped

    def _cell(self, column: Column, value: str, row: Row) -> Any:
        if column.type == "reference" and value:
            return self._reference(column, value)
        shown = self.display(column, value, row)
        if self._mode == "false":
            return value
        if self._mode == "true":
            return shown
        return {"display_value": shown, "value": value}

    def _reference(self, column: Column, value: str) -> Any:
        link = f"{self._base}/table/{column.reference}/{value}"
        shown = self._store.display(column.reference, value)
        if self._mode == "false":
            return {"link": link, "value": value} if self._links else value
        if self._mode == "true":
            return {"display_value": shown, "link": link} if self._links else shown
        if self._links:
            return {"display_value": shown, "link": link, "value": value}
        return {"display_value": shown, "value": value}

    def display(self, column: Column, value: str, row: Row) -> str | None:
        """What a person reads; an empty choice is null."""
        if column.choices:
            table = row.get("sys_class_name") or column.choices
            choices = self._store.choices(table, column.name, self._caller.language)
            found = next((choice["label"] for choice in choices if choice["value"] == value), value)
            return found or None
        if column.type == "glide_date_time" and value:
            return self._local(value)
        if column.type == "sys_class_name" and value in self._store.tables:
            return self._store.tables[value].label
        if column.type == "integer" and value.isdigit():
            return f"{int(value):,}"
        return value

    def _local(self, value: str) -> str:
        user = self._store.find("sys_user", self._caller.sys_id)
        zone = ZoneInfo((user or {}).get("time_zone") or "UTC")
        moment = datetime.strptime(value, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
        return moment.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")
