"""The Table API and `ui/meta` (API reference §1, §3.1, §9.9)."""

import json
from typing import Any

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import RequestURITooLarge

from sandbox.common import Faults
from sandbox.servicenow import http
from sandbox.servicenow.paging import link_header
from sandbox.servicenow.people import Caller, People
from sandbox.servicenow.query import Evaluator, Parsed, parse
from sandbox.servicenow.shapes import Shapes
from sandbox.servicenow.store import Refusal, Row, Store

_LONGEST_URL = 8192
_MOST_BODY = 10 * 1024 * 1024
_TYPES = "[application/json, application/xml, text/xml]"


class TableApi:
    """The routes, over one store."""

    def __init__(self, store: Store, people: People, faults: Faults) -> None:
        self._store = store
        self._people = people
        self._faults = faults

    def blueprint(self) -> Blueprint:
        """All routes, versioned and not."""
        blueprint = Blueprint("table_api", __name__)
        methods = ["GET", "POST", "PUT", "PATCH", "DELETE"]
        for version in ("", "/v1", "/v2"):
            base = f"/api/now{version}"
            blueprint.add_url_rule(f"{base}/table/<table>", f"list{version}", self.collection, methods=methods)
            blueprint.add_url_rule(f"{base}/table/<table>/<sys_id>", f"one{version}", self.one, methods=methods)
            blueprint.add_url_rule(f"{base}/ui/meta/<table>", f"meta{version}", self.meta)
        return blueprint

    def collection(self, table: str) -> ResponseReturnValue:
        """GET a list, POST a row."""
        if len(request.full_path) > _LONGEST_URL:
            raise RequestURITooLarge
        caller = self._people.authenticate(request.headers.get("Authorization", ""))
        if caller is None:
            return http.unauthenticated()
        if refused := self._closed(caller, table):
            return refused
        match request.method:
            case "GET":
                return self._list(caller, table)
            case "POST":
                return self._insert(caller, table)
            case method:
                return http.error(405, "Method not Supported", f"{method} method not supported for API")

    def one(self, table: str, sys_id: str) -> ResponseReturnValue:
        """GET, PUT, PATCH or DELETE a row."""
        caller = self._people.authenticate(request.headers.get("Authorization", ""))
        if caller is None:
            return http.unauthenticated()
        if refused := self._closed(caller, table):
            return refused
        row = self._store.find(table, sys_id)
        if row is None or not self._people.may_read(caller, table, row):
            return http.no_record()
        if request.method == "GET":
            return http.answer({"result": self._shape(caller, table, row)})
        if not self._people.may_write(caller, table, row):
            verb = "Delete" if request.method == "DELETE" else "Update"
            return http.error(403, "Operation Failed", f"ACL Exception {verb} Failed due to security constraints")
        if request.method == "DELETE":
            self._store.delete(table, sys_id)
            return http.logged_in(Response(status=204))
        if request.method == "POST":
            return http.error(405, "Method not Supported", "POST method not supported for API")
        given, refused = self._body()
        if refused is not None:
            return refused
        try:
            row = self._store.update(table, sys_id, self._raw(table, given), caller.user_name)
        except Refusal as refusal:
            return http.error(403, refusal.message, refusal.detail)
        return self._written(caller, table, row, 200)

    def meta(self, table: str) -> ResponseReturnValue:
        """Columns with their choices, in the language of whoever asks."""
        caller = self._people.authenticate(request.headers.get("Authorization", ""))
        if caller is None:
            return http.unauthenticated()
        if self._faults.take(request.path, "meta_refused"):
            return http.error(403, "User Not Authorized", "Failed API level ACL Validation")
        if table not in self._store.tables:
            return http.error(400, f"Invalid table {table}")
        columns: dict[str, Any] = {}
        for name, column in self._store.columns(table).items():
            about: dict[str, Any] = {
                "label": column.label,
                "type": "choice" if column.choices else column.type,
                "mandatory": column.mandatory,
                "read_only": False,
                "max_length": column.max_length,
            }
            if column.reference:
                about["reference"] = column.reference
            if column.choices:
                choices = self._store.choices(table, name, caller.language)
                about["choices"] = [{"value": c["value"], "label": c["label"]} for c in choices]
            columns[name] = about
        return http.answer({"result": {"columns": columns}})

    # --- lists

    def _list(self, caller: Caller, table: str) -> Response:
        arguments = request.args
        parsed = parse(self._query(table), lambda column: self._store.column(table, column) is not None)
        if parsed.dropped and self._faults.take(request.path, "drop_unknown_terms"):
            parsed.queries = []  # glide.invalid_query.returns_no_rows=true
        if not caller.admin and self._hidden_filter(table, parsed):
            detail = "Field(s) present in the query do not have permission to be read"
            return http.error(403, "Insufficient rights to query records", detail)
        rows = self._evaluator(caller, table).select(self._store.rows(table), parsed)
        total = len(rows)
        limit, offset = int(arguments.get("sysparm_limit", 10000)), int(arguments.get("sysparm_offset", 0))
        page = [row for row in rows[offset : offset + limit] if self._people.may_read(caller, table, row)]
        if self._faults.take(request.path, "empty_acl"):
            page = []
        if self._faults.take(request.path, "short_page"):
            page = page[: len(page) // 2]
        if not rows and "/v1/" in request.path:
            missing = "Records matching query not found. Check query parameter or offset parameter"
            return http.error(404, "No Record found", missing)
        body = {"result": [self._shape(caller, table, row) for row in page]}
        response = http.answer(body)
        if arguments.get("sysparm_no_count") != "true":
            response.headers["X-Total-Count"] = str(total)
            if total > limit and arguments.get("sysparm_suppress_pagination_header") != "true":
                response.headers["Link"] = link_header(request.url, limit, offset, total)
        if self._faults.take(request.path, "truncated"):
            response.set_data(response.get_data()[: len(response.get_data()) // 2])
        return response

    def _query(self, table: str) -> str:
        if "sysparm_query" in request.args:
            return request.args["sysparm_query"]
        pairs = [
            f"{name}={value}"
            for name, value in request.args.items()
            if not name.startswith("sysparm_") and self._store.column(table, name)
        ]
        return "^".join(pairs)

    @staticmethod
    def _hidden_filter(table: str, parsed: Parsed) -> bool:
        """Ordinary people may not filter `sys_choice` (recorded of every non-administrator)."""
        columns = {term.column for query in parsed.queries for group in query for term in group}
        return table == "sys_choice" and bool(columns & {"name", "element"})

    def _evaluator(self, caller: Caller, table: str) -> Evaluator:
        def display(row: Any, path: str) -> str:
            column = self._store.column(table, path)
            value = self._store.value(table, row, path)
            return self._store.display(column.reference, value) if column and column.reference and value else value

        def is_reference(path: str) -> bool:
            column = self._store.column(table, path)
            return bool(column and column.reference)

        return Evaluator(
            lambda row, path: self._store.value(table, row, path),
            display,
            is_reference,
            lambda name: self._store.descendants(name) if name in self._store.tables else set(),
            caller.sys_id,
        )

    # --- writes

    def _insert(self, caller: Caller, table: str) -> Response:
        if not self._people.may_insert(caller, table):
            return http.error(403, "Operation Failed", "ACL Exception Insert Failed due to security constraints")
        given, refused = self._body()
        if refused is not None:
            return refused
        try:
            row = self._store.insert(table, self._raw(table, given), caller.user_name, caller.sys_id)
        except Refusal as refusal:
            return http.error(403, refusal.message, refusal.detail)
        return self._written(caller, table, row, 201)

    def _written(self, caller: Caller, table: str, row: Row, status: int) -> Response:
        if self._faults.take(request.path, "500_after_commit"):
            return http.error(500, "Transaction cancelled: maximum execution time exceeded", "")
        if status == 201 and self._faults.take(request.path, "403_after_insert"):
            return http.error(403, "Insufficient rights to query records", None)
        if request.headers.get("X-no-response-body") == "true":
            response = http.logged_in(Response(status=status))
            del response.headers["Content-Type"]
        else:
            response = http.answer({"result": self._shape(caller, table, row)}, status)
        if status == 201:
            base = request.path.partition("/table/")[0]
            response.headers["Location"] = f"{request.host_url.rstrip('/')}{base}/table/{table}/{row['sys_id']}"
        if self._faults.take(request.path, "truncated"):
            response.set_data(response.get_data()[: len(response.get_data()) // 2])
        return response

    def _body(self) -> tuple[dict[str, str], Response | None]:
        length = request.content_length or 0
        if length > _MOST_BODY:
            detail = (
                f"Rejected large REST payload with content-length = {length} bytes. Max allowed: {_MOST_BODY} bytes."
            )
            return {}, http.error(400, "Exception while reading request", detail)
        if "json" not in request.headers.get("Content-Type", ""):
            text = f"Invalid content-type. Supported request media types for this service are: {_TYPES}"
            return {}, http.error(415, text)
        try:
            given = json.loads(request.get_data())
        except ValueError:
            return {}, http.error(400, "Exception while reading request", "The payload is not valid JSON.")
        if not isinstance(given, dict):
            return {}, http.error(400, "Exception while reading request", "The payload is not an object.")
        return {name: _text(value) for name, value in given.items()}, None

    def _raw(self, table: str, given: dict[str, str]) -> dict[str, str]:
        """Display values as input are resolved: references by what stands for a row, choices by label."""
        if request.args.get("sysparm_input_display_value") != "true":
            return given
        raw = dict(given)
        for name, value in given.items():
            column = self._store.column(table, name)
            if column and column.reference:
                rows = self._store.rows(column.reference)
                found = [r["sys_id"] for r in rows if self._store.display(column.reference, r["sys_id"]) == value]
                raw[name] = found[0] if found else value
            elif column and column.choices:
                labels = {c["label"]: c["value"] for c in self._store.choices(table, name)}
                raw[name] = labels.get(value, value)
        return raw

    def _closed(self, caller: Caller, table: str) -> Response | None:
        if table not in self._store.tables:
            return http.error(400, f"Invalid table {table}")
        if not self._people.may_open(caller, table):
            return http.error(403, "User Not Authorized", "Failed API level ACL Validation")
        return None

    def _shape(self, caller: Caller, table: str, row: Row) -> dict[str, Any]:
        arguments = request.args
        fields = [name.strip() for name in arguments.get("sysparm_fields", "").split(",") if name.strip()]
        stripped = ""
        if self._faults.take(request.path, "strip_field"):
            stripped = "correlation_id"
        shapes = Shapes(
            self._store,
            caller,
            request.host_url.rstrip("/") + request.path.partition("/table/")[0],
            arguments.get("sysparm_display_value", "false"),
            arguments.get("sysparm_exclude_reference_link") != "true",
        )
        return shapes.row(table, row, fields, stripped)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
