"""Shared by all Change Management routes: access checks and the format of records (API reference §6.1)."""

from typing import Any

from flask import Response, request

from sandbox.common import Faults
from sandbox.servicenow.auth.access_control import AccessControl, Caller
from sandbox.servicenow.queries.encoded_query import TEXT, Parsed, Unsupported
from sandbox.servicenow.queries.record_queries import Forbidden, RecordQueries
from sandbox.servicenow.queries.serializer import RowSerializer
from sandbox.servicenow.records.store import Row, Store
from sandbox.servicenow.web import access, http

CHANGE = "change_request"
TYPES = ("normal", "emergency", "standard")


class ChangeBase:
    """Reads and writes records as this API does."""

    def __init__(self, store: Store, access_control: AccessControl, faults: Faults) -> None:
        self._store = store
        self._access_control = access_control
        self._faults = faults
        self._queries = RecordQueries(store, access_control)

    def _caller(self) -> Caller:
        caller = access.authorize_read(self._store, self._access_control, CHANGE)
        if not caller.itil:
            raise http.Refused(http.error(403, "User Not Authorized", "Failed API level ACL Validation"))
        return caller

    def _kind(self) -> str:
        """The change type in the URL."""
        parts = request.path.partition("/change")[2].split("/")
        return next((part for part in parts[1:2] if part in TYPES), "")

    def _find(self, caller: Caller, sys_id: str) -> Row:
        row = self._store.find(CHANGE, sys_id)
        if (
            row is None
            or not self._access_control.may_read(caller, CHANGE, row)
            or self._kind() not in {"", row["type"]}
        ):
            raise http.Refused(http.no_record())
        return row

    def _body(self) -> dict[str, Any]:
        if "xml" in request.headers.get("Content-Type", ""):
            raise Unsupported("XML bodies of changes")
        body = request.get_json(force=True, silent=True)
        return body if isinstance(body, dict) else {}

    def _given(self, table: str = CHANGE) -> tuple[dict[str, str], list[str]]:
        """
        The column values from the query string and the body, which takes precedence, and the names that are ignored.
        Display values are accepted.
        """
        sent = {**request.args.to_dict(), **self._body()}
        fields = {name: str(value) for name, value in sent.items() if not name.startswith("sysparm_")}
        known = self._store.columns(table)
        values = {name: self._queries.raw(table, name, value) for name, value in fields.items() if name in known}
        return values, [name for name in fields if name not in known]

    def _list(self, caller: Caller, table: str, fixed: str) -> Response:
        """The records, followed by one element that lists the applied terms."""
        arguments = request.args
        query = arguments.get("sysparm_query")
        if query is None:
            query = self._queries.from_pairs(table, {n: v for n, v in arguments.items() if n not in {"order"}})
        terms = [fixed, f"{TEXT}={arguments['textSearch']}" if "textSearch" in arguments else "", query]
        terms.append(f"ORDERBY{arguments['order']}" if "order" in arguments else "")
        try:
            rows = self._queries.select(caller, table, self._queries.parse(table, "^".join(t for t in terms if t)))
        except Forbidden:
            return http.unreadable_filter()
        offset, limit = access.integer_parameter("sysparm_offset", 0), access.integer_parameter("sysparm_limit", 10_000)
        page = self._queries.visible(caller, table, rows[offset : offset + limit])
        parsed = self._queries.parse(table, query)
        fields = {"applied": _columns(parsed), "ignored": parsed.dropped}
        meta = {"__meta": {"encodedQuery": query, "fields": fields}}
        return http.answer({"result": [*(self._shaped(caller, table, row) for row in page), meta]})

    def _shaped(self, caller: Caller, table: str, row: Row) -> dict[str, Any]:
        """Every column with display value and value. Numbers and booleans have JSON types."""
        serializer = RowSerializer(self._store, self._access_control, caller, "", "true", False)
        hidden = self._access_control.hidden(caller, table)
        shaped: dict[str, Any] = {}
        for name, column in self._store.columns(table).items():
            if name in hidden:
                continue
            shown, value = serializer.text(table, row, name), row.get(name, "")
            cell: dict[str, Any] = {"display_value": shown, "value": value}
            if column.type == "integer" and value:
                cell["value"] = float(value)
            elif column.type == "boolean" and value:
                cell["value"] = value == "true"
            elif column.type in {"glide_date_time", "due_date"}:
                cell["display_value_internal"] = shown if value else ""
            shaped[name] = cell
        if table == CHANGE:
            shaped["variables"] = {"display_value": "variable_pool", "value": "variable_pool"}
        return shaped


def _columns(parsed: Parsed) -> list[str]:
    return list(dict.fromkeys(term.column for query in parsed.queries for group in query for term in group))
