"""Files of a record (Attachment API, API reference §9.4)."""

import re
from collections.abc import Sequence

from core.records import AttachedFile
from core.upstream_errors import Broken
from servicenow.queries import Query, equals
from servicenow.table_api import TableApi

_PATH = "/api/now/attachment"
_MEDIA_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+")
_OTHER = "application/octet-stream"
_MOST = 1000


class AttachmentsClient:
    """Reads and adds attachments with one person's permissions."""

    def __init__(self, api: TableApi) -> None:
        self._api = api

    def of(self, table: str, sys_id: str) -> Sequence[AttachedFile]:
        """The files that the person can see. One request."""
        query = Query().where(equals("table_name", table)).where(equals("table_sys_id", sys_id))
        rows = self._api.get(_PATH, {"sysparm_query": str(query), "sysparm_limit": str(_MOST)})["result"]
        if not isinstance(rows, list):
            raise Broken("attachments: no list")
        # A dropped term would list other records' files.
        mine = [row for row in rows if isinstance(row, dict) and row.get("table_sys_id") == sys_id]
        return [
            AttachedFile(str(row.get("file_name") or ""), _size(row.get("size_bytes")), str(row.get("hash") or ""))
            for row in mine
        ]

    def add(self, table: str, sys_id: str, name: str, media_type: str, content: bytes) -> None:
        """
        Attach *content* as a file. One request, never retried.

        Raises:
            AccessDenied: The person can't write the record, or the instance rejects this type of file.
        """
        params = {"table_name": table, "table_sys_id": sys_id, "file_name": name}
        kind = media_type.partition(";")[0].strip()
        answer = self._api.upload(f"{_PATH}/file", params, kind if _MEDIA_TYPE.fullmatch(kind) else _OTHER, content)
        result = answer.get("result")
        if not isinstance(result, dict) or not result.get("sys_id"):
            raise Broken("attachment answered without a row")


def _size(text: object) -> int:
    digits = str(text or "")
    return int(digits) if digits.isascii() and digits.isdecimal() else -1
