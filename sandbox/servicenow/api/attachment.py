"""The Attachment API: upload, metadata, download, delete (recorded; API reference §9.4)."""

import json
import re
from typing import Any
from urllib.parse import quote

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from sandbox.common import Faults
from sandbox.servicenow.auth.access_control import AccessControl, Caller
from sandbox.servicenow.queries.record_queries import RecordQueries
from sandbox.servicenow.records.attachments import TABLE, Attachments, TooLarge
from sandbox.servicenow.records.store import Refusal, Row, Store
from sandbox.servicenow.web import access, http

_MOST = 1000


class AttachmentApi:
    """The routes."""

    def __init__(self, store: Store, access_control: AccessControl, attachments: Attachments, faults: Faults) -> None:
        self._store = store
        self._access_control = access_control
        self._attachments = attachments
        self._faults = faults
        self._queries = RecordQueries(store, access_control)

    def blueprint(self) -> Blueprint:
        """All routes, with and without version."""
        blueprint = Blueprint("attachment_api", __name__)
        for version in ("", "/v1"):
            base = f"/api/now{version}/attachment"
            blueprint.add_url_rule(base, f"list{version}", self.list)
            blueprint.add_url_rule(f"{base}/<sys_id>", f"one{version}", self.one, methods=["GET", "DELETE"])
            blueprint.add_url_rule(f"{base}/<sys_id>/file", f"file{version}", self.file)
            blueprint.add_url_rule(f"{base}/file", f"binary{version}", self.binary, methods=["POST"])
            blueprint.add_url_rule(f"{base}/upload", f"upload{version}", self.upload, methods=["POST"])
        return blueprint

    def list(self) -> ResponseReturnValue:
        """List metadata. Every response has the total count."""
        caller = access.authenticate(self._access_control)
        self._attachments.settle()
        parsed = self._queries.parse(TABLE, request.args.get("sysparm_query", ""))
        rows = self._queries.select(caller, TABLE, parsed)
        offset, limit = access.integer_parameter("sysparm_offset", 0), access.integer_parameter("sysparm_limit", _MOST)
        page = self._queries.visible(caller, TABLE, rows[offset : offset + limit])
        response = http.answer({"result": [self._about(row) for row in page]})
        response.headers["X-Total-Count"] = str(len(rows))
        return response

    def one(self, sys_id: str) -> ResponseReturnValue:
        """Read an attachment's metadata, or delete it with write access to its record."""
        caller = access.authenticate(self._access_control)
        row = self._find(caller, sys_id)
        if request.method != "DELETE":
            return http.answer({"result": self._about(row)})
        if not self._writes(caller, row["table_name"], row["table_sys_id"]):
            return http.denied("Delete")
        self._store.delete(TABLE, sys_id, caller.user_name, caller.sys_id)
        return http.without_body(204)

    def file(self, sys_id: str) -> ResponseReturnValue:
        """The content, with the metadata in headers."""
        row = self._find(access.authenticate(self._access_control), sys_id)
        return download(row, self._attachments.content(sys_id))

    def binary(self) -> ResponseReturnValue:
        """Upload the raw body. Query parameters name the record."""
        caller = access.authenticate(self._access_control)
        content_type = request.headers.get("Content-Type", "")
        arguments = request.args
        if not content_type:
            return http.error(415, "Invalid content-type.")
        return self._add(caller, arguments, arguments.get("file_name", ""), content_type, request.get_data())

    def upload(self) -> ResponseReturnValue:
        """Upload a multipart form, with the file as its last part."""
        caller = access.authenticate(self._access_control)
        sent = next(iter(request.files.values()), None)
        name, content_type = (sent.filename or "", sent.content_type) if sent else ("", "")
        return self._add(caller, request.form, name, content_type or "", sent.read() if sent else b"")

    def _add(self, caller: Caller, where: Any, name: str, content_type: str, data: bytes) -> Response:
        table, sys_id = where.get("table_name", ""), where.get("table_sys_id", "")
        if not (table and sys_id and name):
            return http.error(400, "table_name, table_sys_id and a file name are needed")
        access.require_table(self._store, table)
        parent = self._store.find(table, sys_id)
        if parent is None or not self._access_control.may_read(caller, table, parent):
            return http.no_record()
        if not self._writes(caller, table, sys_id):
            return http.denied("Insert")
        try:
            row = self._attachments.add((table, sys_id), name, content_type, data, caller.user_name)
        except TooLarge as large:
            detail = f"Rejected large REST payload with content-length = {large.size} bytes."
            told = f"{detail} Max allowed: {large.most} bytes."
            return http.error(400, "Exception while reading request", told)
        except Refusal as refusal:
            return http.error(403, refusal.message, refusal.detail)
        if self._faults.take(request.path, "500_after_commit"):
            return http.cancelled()
        about = self._about(row)
        response = http.answer({"result": about}, 201)
        base = request.path.partition("/attachment")[0]  # with the requested version (recorded)
        response.headers["Location"] = f"{request.host_url.rstrip('/')}{base}/attachment/{row['sys_id']}/file"
        return response

    def _find(self, caller: Caller, sys_id: str) -> Row:
        self._attachments.settle()
        row = self._store.find(TABLE, sys_id)
        if row is None or not self._access_control.may_read(caller, TABLE, row):
            raise http.Refused(http.no_record())
        return row

    def _writes(self, caller: Caller, table: str, sys_id: str) -> bool:
        parent = self._store.find(table, sys_id)
        return parent is not None and self._access_control.may_write(caller, table, parent)

    def _about(self, row: Row) -> dict[str, str]:
        link = f"{request.host_url}api/now/attachment/{row['sys_id']}/file"
        return {name: row[name] for name in self._store.columns(TABLE)} | {"download_link": link}


def download(row: Row, data: bytes) -> Response:
    """The content with the recorded headers: stored type, both forms of the file name, metadata, no cache headers."""
    response = http.logged_in(Response(data, 200))
    name = row["file_name"]
    plain = re.sub(r'[^ -~]|["\\]', "_", name)
    response.headers["Content-Type"] = f"{row['content_type']};charset=UTF-8"
    disposition = f"attachment;filename=\"{plain}\";filename*=UTF-8''{quote(name, safe='')}"
    response.headers["Content-Disposition"] = disposition
    response.headers["x-attachment-metadata"] = json.dumps(row, separators=(", ", " : "))
    return response
