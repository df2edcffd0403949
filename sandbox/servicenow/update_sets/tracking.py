"""Tracks local changes to metadata, and protects the update set tables."""

import uuid
from datetime import UTC, datetime

from sandbox.servicenow.records.hooks import Save, WriteHooks
from sandbox.servicenow.records.store import Row, Store
from sandbox.servicenow.records.task_rules import Refusal
from sandbox.servicenow.tables.metadata import METADATA

RETRIEVED, LOCAL, UPDATES, PROBLEMS = (
    "sys_remote_update_set", "sys_update_set", "sys_update_xml", "sys_update_preview_problem",
)  # fmt: skip
_DEFAULT = "Default"


class Tracking:
    """
    Wraps the hooks that run business rules.

    Every change that a user makes to metadata, such as a script or an ACL, is recorded in the local set "Default". A
    later preview compares it with its own updates (update-set reference §5).
    """

    def __init__(self, store: Store, inner: WriteHooks) -> None:
        self._store = store
        self._inner = inner

    def before(self, save: Save) -> None:
        """
        Only buttons change a retrieved set's state, and local sets can't be deleted (both recorded). Raises Refusal.
        """
        if save.table == RETRIEVED and save.operation == "update":
            save.row["state"] = save.previous["state"]
        if save.table == LOCAL and save.operation == "delete":
            raise Refusal("Operation Failed", "ACL Exception Delete Failed due to security constraints")
        self._inner.before(save)

    def after(self, save: Save) -> None:
        """Delete the parts of a deleted set (recorded), and record local changes."""
        if save.table == RETRIEVED and save.operation == "delete":
            for table in (UPDATES, PROBLEMS):
                for row in self._store.rows(table):
                    if row["remote_update_set"] == save.row["sys_id"]:
                        self._store.delete(table, row["sys_id"])
        if save.table in METADATA and save.user != "system":
            self._note(save)
        self._inner.after(save)

    def _note(self, save: Save) -> None:
        now = self._store.now()
        at = datetime.strptime(now, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).timestamp()
        stamp = {"sys_created_on": now, "sys_updated_on": now, "sys_created_by": save.user, "sys_updated_by": save.user}
        row = {
            "sys_id": uuid.uuid4().hex,
            "name": update_name(save.table, save.row),
            "action": "DELETE" if save.operation == "delete" else "INSERT_OR_UPDATE",
            "application": save.row.get("sys_scope", "") or "global",
            "update_set": self._default(),
            "sys_recorded_at": f"{int(at * 1000):011x}0000001",
        }
        self._store.put(UPDATES, row | stamp)

    def _default(self) -> str:
        for row in self._store.rows(LOCAL):
            if row["name"] == _DEFAULT:
                return row["sys_id"]
        made = {"sys_id": uuid.uuid4().hex, "name": _DEFAULT, "state": "in progress", "application": "global"}
        self._store.put(LOCAL, made)
        return made["sys_id"]


def update_name(table: str, row: Row) -> str:
    """The update name of a record (update-set reference §1.5)."""
    if table == "sys_dictionary":
        return f"sys_dictionary_{row['name']}_{row['element'] or 'null'}"
    if table == "sys_documentation":
        return f"sys_documentation_{row['name']}_{row['element']}_{row['language']}"
    return f"{table}_{row['sys_id']}"
