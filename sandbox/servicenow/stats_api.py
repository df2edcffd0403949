"""`GET /api/now/stats/{table}`: counts and sums, grouped or not (API reference §9.2)."""

from collections.abc import Iterable
from typing import Any

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from sandbox.servicenow import entry, http
from sandbox.servicenow.evaluate import sortable
from sandbox.servicenow.lists import Forbidden, Lists
from sandbox.servicenow.people import Caller, People
from sandbox.servicenow.query import NotDone
from sandbox.servicenow.shapes import Shapes
from sandbox.servicenow.store import Row, Store

_NOT_DONE = ("sysparm_having", "sysparm_order_by")
_OPERATIONS = ("avg", "min", "max", "sum")


class StatsApi:
    """One route, over one store."""

    def __init__(self, store: Store, people: People) -> None:
        self._store = store
        self._people = people
        self._lists = Lists(store, people)

    def blueprint(self) -> Blueprint:
        """The route, versioned and not."""
        blueprint = Blueprint("stats_api", __name__)
        for version in ("", "/v1", "/v2"):
            blueprint.add_url_rule(f"/api/now{version}/stats/<table>", f"stats{version}", self.stats)
        return blueprint

    def stats(self, table: str) -> ResponseReturnValue:
        """An object, or a list of one object a group; every number is text. Rows are counted before row rights."""
        caller = entry.reader(self._store, self._people, table)
        if not self._people.may_read_all(caller, table):
            return http.error(403, "Insufficient rights to query records", f"No permission to read table '{table}'")
        for name in _NOT_DONE:
            if name in request.args:
                raise NotDone(name)
        parsed = self._lists.parse(table, request.args.get("sysparm_query", ""))
        try:
            rows = self._lists.select(caller, table, parsed)
        except Forbidden:
            return http.unreadable_filter()
        by = [name for name in _names("sysparm_group_by") if self._store.column(table, name)]
        if not by:
            return http.answer({"result": {"stats": self._figures(table, rows)}})
        groups: dict[tuple[str, ...], list[Row]] = {}
        for row in rows:
            groups.setdefault(tuple(self._store.value(table, row, name) for name in by), []).append(row)
        ordered = sorted(groups.items(), key=lambda item: [(one != "", sortable(one)) for one in item[0]])
        return http.answer({"result": [self._group(caller, table, by, key, of) for key, of in ordered]})

    def _group(self, caller: Caller, table: str, by: list[str], key: tuple[str, ...], rows: list[Row]) -> Any:
        shapes = Shapes(self._store, self._people, caller, "", "true", False)
        mode = entry.mode()
        fields = []
        for name, value in zip(by, key, strict=True):
            shown = shapes.text(table, rows[0], name)
            cell = {"value": shown if mode == "true" else value, "field": name}
            fields.append({"display_value": shown, **cell} if mode == "all" else cell)
        return {"stats": self._figures(table, rows), "groupby_fields": fields}

    def _figures(self, table: str, rows: list[Row]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if entry.switched("sysparm_count"):
            found["count"] = str(len(rows))
        for operation in _OPERATIONS:
            names = [name for name in _names(f"sysparm_{operation}_fields") if self._store.column(table, name)]
            values = {name: [self._store.value(table, row, name) for row in rows] for name in names}
            if names:
                found[operation] = {name: _figure(operation, of) for name, of in values.items()}
        return found


def _names(parameter: str) -> list[str]:
    return [name for name in request.args.get(parameter, "").split(",") if name]


def _figure(operation: str, values: Iterable[str]) -> str:
    """A number as text: averages with four decimals (recorded); "" of nothing."""
    known = [value for value in values if value]
    if operation in {"min", "max"}:
        return (min if operation == "min" else max)(known, key=sortable, default="")
    numbers = [float(value) for value in known if sortable(value)[0] == 0]
    if operation == "avg":
        return f"{sum(numbers) / len(numbers):.4f}" if numbers else ""
    return f"{sum(numbers):.10g}"
