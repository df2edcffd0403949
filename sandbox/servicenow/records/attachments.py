"""Attachments: metadata in `sys_attachment`, content in memory (recorded; API reference §9.4)."""

import hashlib
import zlib

from sandbox.servicenow.records.store import Refusal, Row, Store

TABLE = "sys_attachment"
_LARGEST = 1024  # MB
# A comma-separated list of extensions; empty allows all.
_PROPERTIES = {"com.glide.attachment.max_size": str(_LARGEST), "glide.attachment.extensions": ""}


class TooLarge(Exception):
    """The file exceeds the instance's size limit."""

    def __init__(self, size: int, most: int) -> None:
        super().__init__(f"{size} > {most}")
        self.size = size
        self.most = most


class Attachments:
    """Adds and reads attachments."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._content: dict[str, bytes] = {}

    def add(self, parent: tuple[str, str], name: str, content_type: str, data: bytes, user: str) -> Row:
        """
        Add an attachment to a record. *parent* is the record's table and sys_id.

        Raises:
            TooLarge: The file exceeds the instance's limit.
            Refusal: The extension isn't allowed.
        """
        most = int(float(self._property("com.glide.attachment.max_size")) * 1024 * 1024)
        if len(data) > most:
            raise TooLarge(len(data), most)
        allowed = [one.strip().lower() for one in self._property("glide.attachment.extensions").split(",")]
        if allowed != [""] and name.rpartition(".")[2].lower() not in allowed:
            raise Refusal("Operation Failed", f"Error during insert of {TABLE} ({name})")
        given = {
            "table_name": parent[0],
            "table_sys_id": parent[1],
            "file_name": name,
            "content_type": content_type,
            "size_bytes": str(len(data)),
            "size_compressed": str(len(zlib.compress(data))),
            "hash": hashlib.sha256(data).hexdigest(),
        }
        row = self._store.insert(TABLE, given, user)
        self._content[row["sys_id"]] = data
        return row

    def settle(self) -> None:
        """Make uploads available. On an instance this takes a second."""
        for row in self._store.rows(TABLE):
            if row["state"] == "pending":
                self._store.update(TABLE, row["sys_id"], {"state": "available"}, "system")

    def content(self, sys_id: str) -> bytes:
        """The content of a file. Empty for a row that was created without one."""
        return self._content.get(sys_id, b"")

    def of(self, table: str, sys_id: str) -> list[Row]:
        """A record's attachments, oldest first."""
        self.settle()
        rows = self._store.rows(TABLE)
        return [row for row in rows if (row["table_name"], row["table_sys_id"]) == (table, sys_id)]

    def _property(self, name: str) -> str:
        rows = self._store.rows("sys_properties") if "sys_properties" in self._store.tables else []
        return next((row["value"] for row in rows if row["name"] == name and row["value"]), _PROPERTIES[name])
