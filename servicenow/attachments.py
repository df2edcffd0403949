"""Files of a record (Attachment API, API reference §9.4)."""

import re

from core.errors import Broken
from servicenow.tables import Tables

_PATH = "/api/now/attachment/file"
_MEDIA_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+")
_OTHER = "application/octet-stream"


class AttachmentsClient:
    """`core.record_ports.Attachments` with one person's rights."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def add(self, table: str, sys_id: str, name: str, media_type: str, content: bytes) -> None:
        params = {"table_name": table, "table_sys_id": sys_id, "file_name": name}
        kind = media_type.partition(";")[0].strip()
        answer = self._tables.upload(_PATH, params, kind if _MEDIA_TYPE.fullmatch(kind) else _OTHER, content)
        result = answer.get("result")
        if not isinstance(result, dict) or not result.get("sys_id"):
            raise Broken("attachment answered without a row")
