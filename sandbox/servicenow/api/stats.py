"""`GET /api/now/stats/{table}`: counts and other aggregates, optionally grouped (API reference §9.2)."""

import operator as op
from collections.abc import Callable, Iterable
from typing import Any

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from sandbox.servicenow.auth.access_control import AccessControl, Caller
from sandbox.servicenow.queries.encoded_query import Unsupported
from sandbox.servicenow.queries.evaluator import sortable
from sandbox.servicenow.queries.record_queries import Forbidden, RecordQueries
from sandbox.servicenow.queries.serializer import RowSerializer
from sandbox.servicenow.records.store import Row, Store
from sandbox.servicenow.web import access, http

_OPERATIONS = ("avg", "min", "max", "sum")
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": op.eq, "!=": op.ne, ">": op.gt, "<": op.lt, ">=": op.ge, "<=": op.le,
}  # fmt: skip


class StatsApi:
    """The route."""

    def __init__(self, store: Store, access_control: AccessControl) -> None:
        self._store = store
        self._access_control = access_control
        self._queries = RecordQueries(store, access_control)

    def blueprint(self) -> Blueprint:
        """The route, with and without version."""
        blueprint = Blueprint("stats_api", __name__)
        for version in ("", "/v1", "/v2"):
            blueprint.add_url_rule(f"/api/now{version}/stats/<table>", f"stats{version}", self.stats)
        return blueprint

    def stats(self, table: str) -> ResponseReturnValue:
        """One object, or a list with one object per group. Numbers are strings. Row ACLs don't affect the counts."""
        caller = access.authorize_read(self._store, self._access_control, table)
        if not self._access_control.may_read_all(caller, table):
            return http.error(403, "Insufficient rights to query records", f"No permission to read table '{table}'")
        query = request.args.get("sysparm_query")
        parsed = self._queries.parse(table, self._queries.from_pairs(table, request.args) if query is None else query)
        try:
            rows = self._queries.select(caller, table, parsed)
        except Forbidden:
            return http.unreadable_filter()
        by = [name for name in _names("sysparm_group_by") if self._store.column(table, name)]
        having = [self._condition(table, text) for text in _names("sysparm_having")]
        if not by:
            if having or request.args.get("sysparm_order_by"):
                raise Unsupported("sysparm_having or sysparm_order_by without sysparm_group_by")
            return http.answer({"result": {"stats": self._figures(table, rows)}})
        groups: dict[tuple[str, ...], list[Row]] = {}
        for row in rows:
            groups.setdefault(tuple(self._store.value(table, row, name) for name in by), []).append(row)
        kept = [item for item in groups.items() if all(holds(item[1]) for holds in having)]
        ordered = sorted(kept, key=lambda item: [(one != "", sortable(one)) for one in item[0]])
        for text in reversed(_names("sysparm_order_by")):
            place, descending = self._order(table, by, text)
            ordered.sort(key=place, reverse=descending)
        return http.answer({"result": [self._group(caller, table, by, key, of) for key, of in ordered]})

    def _condition(self, table: str, text: str) -> Callable[[list[Row]], bool]:
        """A test of groups by ``aggregate^field^operator^value``. Raises Unsupported for another form."""
        operation, column, sign, wanted = (*text.split("^"), "", "", "", "")[:4]
        if text.count("^") != 3 or sign not in _COMPARISONS or operation.lower() not in {"count", *_OPERATIONS}:
            raise Unsupported(f"sysparm_having={text}")
        if not self._queries.known(table, column):
            raise Unsupported(f"sysparm_having={text}: an unknown column")
        compare = _COMPARISONS[sign]
        return lambda rows: compare(sortable(self._aggregate(table, operation.lower(), column, rows)), sortable(wanted))

    def _order(
        self, table: str, by: list[str], text: str
    ) -> tuple[Callable[[tuple[tuple[str, ...], list[Row]]], Any], bool]:
        """The sort key for ``field``, ``COUNT`` or ``AVG^field``, and whether ``^DESC`` follows. Raises Unsupported."""
        parts = text.split("^")
        descending = parts[-1] == "DESC"
        parts = parts[:-1] if descending else parts
        if parts == ["COUNT"]:
            return lambda item: len(item[1]), descending
        if len(parts) == 1 and parts[0] in by:
            place = by.index(parts[0])
            return lambda item: (item[0][place] != "", sortable(item[0][place])), descending
        if len(parts) == 2 and parts[0].lower() in {"count", *_OPERATIONS} and self._queries.known(table, parts[1]):
            operation, column = parts[0].lower(), parts[1]
            return lambda item: sortable(self._aggregate(table, operation, column, item[1])), descending
        raise Unsupported(f"sysparm_order_by={text}")

    def _aggregate(self, table: str, operation: str, column: str, rows: list[Row]) -> str:
        if operation == "count":
            return str(len(rows))
        return _figure(operation, [self._store.value(table, row, column) for row in rows])

    def _group(self, caller: Caller, table: str, by: list[str], key: tuple[str, ...], rows: list[Row]) -> Any:
        serializer = RowSerializer(self._store, self._access_control, caller, "", "true", False)
        mode = access.display_value_mode()
        fields = []
        for name, value in zip(by, key, strict=True):
            shown = serializer.text(table, rows[0], name)
            cell = {"value": shown if mode == "true" else value, "field": name}
            fields.append({"display_value": shown, **cell} if mode == "all" else cell)
        return {"stats": self._figures(table, rows), "groupby_fields": fields}

    def _figures(self, table: str, rows: list[Row]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if access.boolean_parameter("sysparm_count"):
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
    """A number as text. Averages have four decimals (recorded). "" if there are no values."""
    known = [value for value in values if value]
    if operation in {"min", "max"}:
        return (min if operation == "min" else max)(known, key=sortable, default="")
    numbers = [float(value) for value in known if sortable(value)[0] == 0]
    if operation == "avg":
        return f"{sum(numbers) / len(numbers):.4f}" if numbers else ""
    return f"{sum(numbers):.10g}"
