"""The preview: finds problems with a commit (update-set reference §5)."""

import uuid
from datetime import UTC, datetime

from sandbox.servicenow.records.store import Row, Store
from sandbox.servicenow.tables.metadata import METADATA
from sandbox.servicenow.update_sets.payload import DELETE, BadPayload, Payload, read

_NOT_CHECKED = {"sys_user", "sys_user_group", "sys_user_role"}
COLLISION = "Found a local update that is newer than this one"
UNCOMMITTED = "This update is in another retrieved update set that is not committed: {}"
HAS_DATA = "Table to be deleted has data: {}"


class Preview:
    """Compares one loaded set with the instance."""

    def __init__(self, store: Store, set_id: str) -> None:
        self._store = store
        self._set: Row = store.find("sys_remote_update_set", set_id) or {}
        self._updates = [row for row in store.rows("sys_update_xml") if row["remote_update_set"] == set_id]
        self._payloads: dict[str, Payload] = {}
        self.problems: list[Row] = []

    def run(self) -> list[Row]:
        """Replace the problems of the last preview, and mark the set as previewed."""
        for old in self._store.rows("sys_update_preview_problem"):
            if old["remote_update_set"] == self._set["sys_id"]:
                self._store.delete("sys_update_preview_problem", old["sys_id"])
        for update in self._updates:
            try:
                self._payloads[update["sys_id"]] = read(update["payload"], update["name"])
            except BadPayload as bad:
                self._problem(update, f"The payload cannot be read: {bad}")
        brought = self._brought()
        for update in self._updates:
            if payload := self._payloads.get(update["sys_id"]):
                self._scope(update)
                self._references(update, payload, brought)
                self._collision(update)
                self._elsewhere(update)
                self._data(update, payload)
        for problem in self.problems:
            self._store.put("sys_update_preview_problem", problem)
        self._store.put("sys_remote_update_set", self._set | {"state": "previewed"})
        return self.problems

    def _brought(self) -> dict[str, set[str]]:
        """The sys_ids that the set itself contains, by table."""
        found: dict[str, set[str]] = {}
        for payload in self._payloads.values():
            if payload.action != DELETE:
                ids = {record["sys_id"] for record in payload.records if record.get("sys_id")}
                found.setdefault(payload.table, set()).update(ids)
        apps, scopes = found.get("sys_app", set()), found.get("sys_scope", set())
        if apps and scopes:  # ambiguous, so neither can be found
            found["sys_scope"] = set()
        else:
            found["sys_scope"] = apps | scopes
        return found

    def _scope(self, update: Row) -> None:
        if update["application"] != self._set["application"]:
            mine, its = update["application"], self._set["application"]
            name = self._set["name"]
            self._problem(
                update,
                f"Cannot commit Update Set '{name}' because: Update scope id '{mine}' is different than update set "
                f"scope id '{its}'",
            )

    def _references(self, update: Row, payload: Payload, brought: dict[str, set[str]]) -> None:
        if payload.action == DELETE or payload.table not in self._store.tables:
            return
        columns = self._store.columns(payload.table)
        for record in payload.records:
            for name, value in record.items():
                column = columns.get(name)
                if (
                    column is None
                    or not column.reference
                    or column.reference in _NOT_CHECKED
                    or value in {"", "global"}
                ):
                    continue
                self._reference(update, column.reference, name, value, brought)
            for value in filter(None, record.get("enforce_acl", "").split(",")):
                self._reference(update, "sys_security_acl", "enforce_acl", value, brought)

    def _reference(self, update: Row, table: str, column: str, value: str, brought: dict[str, set[str]]) -> None:
        if value in brought.get(table, ()) or table not in self._store.tables or self._store.find(table, value):
            return
        text = f"Could not find a record in {table} for column {column} referenced in this update"
        self._problem(update, text, table, value)

    def _collision(self, update: Row) -> None:
        """A newer local update of the same name: an admin changed or deleted the record."""
        local = [
            row
            for row in self._store.rows("sys_update_xml")
            if row["name"] == update["name"] and row["update_set"] and not row["remote_update_set"]
        ]
        if local and max(map(recorded, local)) > recorded(update):
            self._problem(update, COLLISION)

    def _elsewhere(self, update: Row) -> None:
        for other in self._store.rows("sys_update_xml"):
            other_set = other["remote_update_set"]
            if other["name"] != update["name"] or other_set in {"", self._set["sys_id"]}:
                continue
            found = self._store.find("sys_remote_update_set", other_set)
            if found is not None and found["state"] != "committed":
                self._problem(update, UNCOMMITTED.format(found["name"]))
                return

    def _data(self, update: Row, payload: Payload) -> None:
        table = payload.record.get("name", "")
        deletes_table = payload.table == "sys_db_object" and payload.action == DELETE
        if deletes_table and table in self._store.tables and table not in METADATA and self._store.rows(table):
            self._problem(update, HAS_DATA.format(table))

    def _problem(self, update: Row, description: str, table: str = "", item: str = "") -> None:
        now = self._store.now()
        self.problems.append(
            {
                "sys_id": uuid.uuid4().hex,
                "type": "error",
                "status": "",
                "description": description,
                "missing_item_table": table,
                "missing_item": item,
                "remote_update": update["sys_id"],
                "remote_update_set": self._set["sys_id"],
                "sys_created_on": now,
                "sys_updated_on": now,
            }
        )


def recorded(update: Row) -> float:
    """When an update was recorded, in Unix seconds: from `sys_recorded_at`, else from the row."""
    stamp = update["sys_recorded_at"]
    try:
        return int(stamp[:11], 16) / 1000
    except ValueError:
        pass
    try:
        return datetime.strptime(update["sys_updated_on"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return 0.0
