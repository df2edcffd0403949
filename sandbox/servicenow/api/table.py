"""The Table API (API reference §1, §3.1)."""

import json
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import RequestURITooLarge

from sandbox.common import INNER, Faults
from sandbox.servicenow.auth.access_control import AccessControl, Caller
from sandbox.servicenow.queries.encoded_query import Unsupported
from sandbox.servicenow.queries.record_queries import Forbidden, RecordQueries
from sandbox.servicenow.queries.serializer import RowSerializer, instant
from sandbox.servicenow.records.store import Refusal, Row, Store
from sandbox.servicenow.web import access, http, xml_bodies
from sandbox.servicenow.web.pagination import link_header

_LONGEST_URL = 8192
_MOST_BODY = 10 * 1024 * 1024
_MOST_ROWS = 10_000
_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
_UPDATE_TABLES = {"sys_remote_update_set", "sys_update_xml", "sys_update_preview_problem"}
_OPERATIONS = {"POST": "create", "PUT": "write", "PATCH": "write", "DELETE": "delete"}
_STRIPPED = "correlation_id"  # omitted by the fault `strip_field`


class TableApi:
    """The routes."""

    def __init__(self, store: Store, access_control: AccessControl, faults: Faults) -> None:
        self._store = store
        self._access_control = access_control
        self._faults = faults
        self._queries = RecordQueries(store, access_control)

    def blueprint(self) -> Blueprint:
        """All routes, with and without version."""
        blueprint = Blueprint("table_api", __name__)
        for version in ("", "/v1", "/v2"):
            base = f"/api/now{version}/table/<table>"
            blueprint.add_url_rule(base, f"list{version}", self.collection, methods=_METHODS)
            blueprint.add_url_rule(f"{base}/<sys_id>", f"one{version}", self.one, methods=_METHODS)
        return blueprint

    def collection(self, table: str) -> ResponseReturnValue:
        """GET a list, or POST a row."""
        caller = access.authenticate(self._access_control)
        self._check(caller, table, request.method)
        match request.method:
            case "GET" | "HEAD":
                return self._list(caller, table)
            case "POST":
                return self._insert(caller, table)
            case method:
                return http.not_supported(method)

    def one(self, table: str, sys_id: str) -> ResponseReturnValue:
        """GET, PUT, PATCH or DELETE a row. POST works for those with `X-HTTP-Method-Override`."""
        caller = access.authenticate(self._access_control)
        method = request.method
        if method == "POST":
            method = request.headers.get("X-HTTP-Method-Override", "POST").upper()
        self._check(caller, table, method)
        if method not in {"GET", "HEAD", "PUT", "PATCH", "DELETE"}:
            return http.not_supported(method)
        row = self._store.find(table, sys_id)
        if row is None or not self._access_control.may_read(caller, table, row):
            return http.no_record()
        if method in {"GET", "HEAD"}:
            if self._faults.take(request.path, "empty_acl"):
                return http.no_record()
            return http.answer({"result": self._shaped(caller, table, [row])[0]})
        if method == "DELETE":
            if not self._access_control.may_delete(caller, table, row):
                return http.denied("Delete")
            try:
                self._store.delete(table, sys_id, caller.user_name, caller.sys_id)
            except Refusal as refusal:
                return http.error(403, refusal.message, refusal.detail)
            return http.without_body(204)
        if not self._access_control.may_write(caller, table, row):
            return http.denied("Update")
        own = row.get("sys_class_name", "")
        given, refused = self._given(caller, own if own in self._store.descendants(table) else table)
        if refused is not None:
            return refused
        try:
            row = self._store.update(table, sys_id, given, caller.user_name, caller.sys_id)
        except Refusal as refusal:
            return http.error(403, refusal.message, refusal.detail)
        except KeyError:  # deleted in the meantime
            return http.no_record()
        return self._written(caller, table, row, 200)

    # --- reads

    def _list(self, caller: Caller, table: str) -> Response:
        arguments = request.args
        if "sysparm_tiny" in arguments:
            raise Unsupported("sysparm_tiny")
        query = arguments.get("sysparm_query")
        parsed = self._queries.parse(table, self._queries.from_pairs(table, arguments) if query is None else query)
        if parsed.dropped and self._faults.take(request.path, "drop_unknown_terms"):
            parsed.queries = []  # as with glide.invalid_query.returns_no_rows=true
        if self._faults.take(request.path, "class_dropped"):
            parsed.queries = [
                [terms for terms in query if all(term.column != "sys_class_name" for term in terms)]
                for query in parsed.queries
            ]
        try:
            rows = self._queries.select(caller, table, parsed)
        except Forbidden:
            return http.unreadable_filter()
        limit, offset = (
            access.integer_parameter("sysparm_limit", _MOST_ROWS),
            access.integer_parameter("sysparm_offset", 0),
        )
        page = self._queries.visible(caller, table, rows[offset : offset + limit])
        if self._faults.take(request.path, "empty_acl"):
            page = []
        if self._faults.take(request.path, "short_page"):
            page = page[: len(page) // 2]
        if not rows and "/v1/" in request.path:
            missing = "Records matching query not found. Check query parameter or offset parameter"
            return http.error(404, "No Record found", missing)
        response = http.answer({"result": self._shaped(caller, table, page)})
        if not access.boolean_parameter("sysparm_no_count"):
            response.headers["X-Total-Count"] = str(len(rows))
            if len(rows) > limit > 0 and not access.boolean_parameter("sysparm_suppress_pagination_header"):
                response.headers["Link"] = link_header(request.url, limit, offset, len(rows))
        return response

    def _shaped(self, caller: Caller, table: str, rows: list[Row]) -> list[dict[str, Any]]:
        arguments = request.args
        fields = [name.strip() for name in arguments.get("sysparm_fields", "").split(",") if name.strip()]
        for name in fields:
            self._queries.known(table, name)
        stripped = _STRIPPED if self._faults.take(request.path, "strip_field") else ""
        base = request.host_url.rstrip("/") + request.path.partition("/table/")[0]
        links = not access.boolean_parameter("sysparm_exclude_reference_link")
        serializer = RowSerializer(self._store, self._access_control, caller, base, access.display_value_mode(), links)
        return [serializer.row(table, row, fields, stripped) for row in rows]

    # --- writes

    def _insert(self, caller: Caller, table: str) -> Response:
        if table in _UPDATE_TABLES:  # update sets are imported on their page, not as rows
            return http.error(400, "Exception while reading request", "The payload is not valid JSON.")
        if not self._access_control.may_insert(caller, table):
            return http.denied("Insert")
        given, refused = self._given(caller, table)
        if refused is not None:
            return refused
        try:
            row = self._store.insert(table, given, caller.user_name, caller.sys_id)
        except Refusal as refusal:
            return http.error(403, refusal.message, refusal.detail)
        return self._written(caller, table, row, 201)

    def _written(self, caller: Caller, table: str, row: Row, status: int) -> Response:
        if self._faults.take(request.path, "500_after_commit"):
            return http.cancelled()
        if status == 201 and self._faults.take(request.path, "403_after_insert"):
            return http.error(403, "Insufficient rights to query records", None)
        if request.headers.get("X-no-response-body", "").lower() == "true":
            response = http.without_body(status)
        else:
            response = http.answer({"result": self._shaped(caller, table, [row])[0]}, status)
        if status == 201:
            base = request.path.partition("/table/")[0]
            response.headers["Location"] = f"{request.host_url.rstrip('/')}{base}/table/{table}/{row['sys_id']}"
        return response

    def _given(self, caller: Caller, table: str) -> tuple[dict[str, str], Response | None]:
        """The raw values in the body, without those that the user can't write; or the error if it can't be read."""
        length = request.content_length or 0
        if length > _MOST_BODY:
            detail = f"Rejected large REST payload with content-length = {length} bytes."
            return {}, http.error(400, "Exception while reading request", f"{detail} Max allowed: {_MOST_BODY} bytes.")
        if not request.get_data():  # an empty write needs no content type (measured)
            return {}, None
        given, refused = self._parsed()
        if refused is not None:
            return {}, refused
        unwritable = self._access_control.unwritable(caller, table)
        texts = {name: _text(value) for name, value in given.items() if name not in unwritable}
        if access.boolean_parameter("sysparm_input_display_value"):
            return {name: self._from_display(caller, table, name, value) for name, value in texts.items()}, None
        # Encrypted columns accept only display values (documented), except the column of OAuth clients here.
        columns = self._store.columns(table) if table != "oauth_entity" else {}
        secret = {name for name, column in columns.items() if column.type == "password2"}
        return {name: value for name, value in texts.items() if name not in secret}, None

    def _parsed(self) -> tuple[dict[str, Any], Response | None]:
        content_type = request.headers.get("Content-Type", "")
        try:
            if "xml" in content_type:
                return xml_bodies.read(request.get_data()), None
            if "json" not in content_type:
                text = f"Invalid content-type. Supported request media types for this service are: {http.TYPES}"
                return {}, http.error(415, text)
            given = json.loads(request.get_data())
        except xml_bodies.Unreadable as problem:
            return {}, http.error(400, "Exception while reading request", str(problem))
        except ValueError:
            return {}, http.error(400, "Exception while reading request", "The payload is not valid JSON.")
        if not isinstance(given, dict):
            return {}, http.error(400, "Exception while reading request", "The payload is not an object.")
        return given, None

    def _from_display(self, caller: Caller, table: str, name: str, value: str) -> str:
        column = self._store.column(table, name)
        if column is None or column.type != "glide_date_time":
            return self._queries.raw(table, name, value)
        return instant(value, ZoneInfo(caller.time_zone))

    def _check(self, caller: Caller, table: str, method: str) -> None:
        if (
            len(request.full_path) > _LONGEST_URL and INNER not in request.environ
        ):  # the edge doesn't see the parts of a batch
            raise RequestURITooLarge
        access.check_table(self._store, self._access_control, caller, table, _OPERATIONS.get(method, "read"))


def _text(value: Any) -> str:
    """Values are strings. Other JSON is converted to text."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    return json.dumps(value)
