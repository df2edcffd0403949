"""The commit: updates become tables, columns, ACLs and scripts (update-set reference §1.5, §1.8, §3.1)."""

import uuid

from sandbox.servicenow.records.store import Row, Store
from sandbox.servicenow.scripting.business_rules import refuse_unknown
from sandbox.servicenow.tables.metadata import METADATA
from sandbox.servicenow.update_sets.payload import DELETE, BadPayload, Payload, read
from sandbox.servicenow.update_sets.structure import Structure

# Updates are applied in this order, not the file's, so that dependencies come first.
_ORDER = (
    "sys_app", "sys_scope", "sys_user_role", "sys_db_object", "sys_dictionary", "sys_documentation", "sys_choice",
    "ua_table_licensing_config", "sys_security_acl", "sys_security_acl_role", "sysevent_register",
    "sys_script_include", "sys_ws_definition", "sys_ws_operation", "sys_script", "sysevent_script_action",
    "sys_scope_privilege", "sys_properties",
)  # fmt: skip
# Types identified by a name instead of a sys_id. The instance's sys_id is kept.
_COALESCE = {
    "sys_db_object": ("name",),
    "sys_dictionary": ("name", "element"),
    "sys_documentation": ("name", "element", "language"),
    "sys_user_role": ("name",),
    "sys_properties": ("name",),
    "ua_table_licensing_config": ("name",),
    "sys_ui_section": ("name", "view", "caption"),
}
_REFUSED = {"sys_user_has_role"}
_ROLE_COLUMNS = ("sys_user_role", "user_role")


class Commit:
    """Applies one previewed set."""

    def __init__(self, store: Store, set_id: str) -> None:
        self._store = store
        self._set: Row = store.find("sys_remote_update_set", set_id) or {}
        skipped = {
            row["remote_update"]
            for row in store.rows("sys_update_preview_problem")
            if row["remote_update_set"] == set_id and row["status"] == "skipped"
        }
        mine = (row for row in store.rows("sys_update_xml") if row["remote_update_set"] == set_id)
        self._updates = [row for row in mine if row["sys_id"] not in skipped]
        self._ids: dict[str, str] = {}  # role sys_ids in the file: those of the instance
        self.log: list[str] = []

    def run(self) -> list[str]:
        """
        Commit, and return the log.

        Raises:
            Unsupported: A business rule of a kind that the double doesn't run. Nothing is committed.
        """
        work = []
        for update in self._updates:
            try:
                work.append((update, read(update["payload"], update["name"])))
            except BadPayload as problem:
                self.log.append(f"Refused: {update['name']}: {problem}")
        for _, payload in work:
            if payload.table == "sys_script" and payload.action != DELETE:
                refuse_unknown(dict.fromkeys(self._store.columns("sys_script"), "") | payload.record)
        self._warn(work)
        work.sort(key=lambda one: (one[1].action == DELETE, _place(one[1])))
        counts = {"inserted": 0, "updated": 0, "deleted": 0}
        with self._store.lock:
            structure = Structure(self._store, self.log.append)
            for update, payload in work:
                done = self._apply(update, payload, structure)
                if done:
                    counts[done] += 1
            structure.finish()
            self._close({name: str(number) for name, number in counts.items()}, work)
        return self.log

    def _warn(self, work: list[tuple[Row, Payload]]) -> None:
        deletes = [update["target_name"] or update["name"] for update, payload in work if payload.action == DELETE]
        if deletes:
            shown = ", ".join(deletes[:5])
            self.log.append(f"Confirmed data loss: {len(deletes)} updates delete something, such as {shown}")

    def _apply(self, update: Row, payload: Payload, structure: Structure) -> str:
        """The counter to increase, or "" if the update wasn't applied."""
        table = payload.table
        if table in _REFUSED or (table not in METADATA and table != "sys_choice" and table not in self._store.tables):
            self.log.append(f"Refused: {update['name']}: table {table} is not open to update sets")
            return ""
        if table == "sys_choice":
            return structure.choices(payload)
        record = self._mapped(payload.record)
        existing = self._existing(table, record)
        if payload.action == DELETE:
            if existing is None:
                return ""
            structure.deleted(payload, existing)
            self._store.delete(table, existing["sys_id"])
            return "deleted"
        if table == "sys_dictionary" and not structure.column(payload, record, existing):
            return ""
        if existing is not None and existing["sys_id"] != record["sys_id"]:
            self._ids[record["sys_id"]] = existing["sys_id"]
            record = record | {"sys_id": existing["sys_id"]}
        self._store.put(table, self._shortened(table, (existing or {}) | record))
        if table == "sys_documentation":
            structure.label(record)
        return "inserted" if existing is None else "updated"

    def _mapped(self, record: Row) -> Row:
        """Replace the sys_ids of roles with the instance's."""
        return record | {name: self._ids[record[name]] for name in _ROLE_COLUMNS if record.get(name) in self._ids}

    def _existing(self, table: str, record: Row) -> Row | None:
        names = _COALESCE.get(table)
        if names is None:
            return self._store.find(table, record.get("sys_id", ""))
        wanted = {name: record.get(name, "") for name in names}
        return next((row for row in self._store.rows(table) if wanted.items() <= row.items()), None)

    def _shortened(self, table: str, record: Row) -> Row:
        """Silently drop unknown elements and cut long texts."""
        columns = self._store.columns(table)
        return {
            name: value[: columns[name].max_length] if columns[name].type == "string" else value
            for name, value in record.items()
            if name in columns
        }

    def _close(self, counts: Row, work: list[tuple[Row, Payload]]) -> None:
        """Create the local set of a commit, whose updates later previews compare with."""
        now = self._store.now()
        stamp = {"sys_created_on": now, "sys_updated_on": now}
        local = {"sys_id": uuid.uuid4().hex, "name": self._set["name"], "state": "complete"}
        local |= {"application": self._set["application"], "remote_sys_id": self._set["remote_sys_id"]}
        self._store.put("sys_update_set", local | stamp)
        for message in self.log:
            entry = {"sys_id": uuid.uuid4().hex, "update_set": local["sys_id"], "message": message}
            self._store.put("sys_update_set_log", entry | stamp)
        for update, _ in work:
            own = {"sys_id": uuid.uuid4().hex, "update_set": local["sys_id"], "remote_update_set": ""}
            self._store.put("sys_update_xml", update | own)
        done = {"state": "committed", "update_set": local["sys_id"], "commit_date": now}
        self._store.put("sys_remote_update_set", self._set | counts | done)


def _place(payload: Payload) -> tuple[int, bool]:
    """A table's own dictionary row comes before its columns."""
    order = _ORDER.index(payload.table) if payload.table in _ORDER else len(_ORDER)
    return order, bool(payload.record.get("element"))
