"""Application scopes, and what they can do with tables of other scopes (update-set reference §3.4)."""

import uuid
from dataclasses import dataclass

from sandbox.servicenow.records.store import Row, Store

# What a scope can do with the base system's tables by default.
_BASE_ALLOWS = frozenset({"read", "create", "write"})
_FLAGS = {"read": "read_access", "create": "create_access", "write": "update_access", "delete": "delete_access"}


@dataclass(frozen=True)
class Scope:
    """An application. ``tracking`` is ``permissive`` (recorded and allowed), ``enforcing`` or ``none``."""

    sys_id: str
    name: str
    tracking: str


GLOBAL = Scope("global", "global", "none")


class Scopes:
    """Reads applications and cross-scope privileges."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def of(self, row: Row) -> Scope:
        """The application of a metadata record."""
        app = self._store.find("sys_app", row.get("sys_scope", ""))
        if app is None:
            return GLOBAL
        return Scope(app["sys_id"], app["scope"], app["runtime_access_tracking"] or "none")

    def refusal(self, scope: Scope, table: str, operation: str) -> str:
        """Why a script of *scope* can't do this with the table, or "". Records new cross-scope access."""
        owner = self._owner(table)
        if scope == GLOBAL or owner["sys_scope"] == scope.sys_id:
            return ""
        kind = operation.capitalize()
        if not self._offered(owner, operation):
            return (
                f"{kind} operation against '{table}' from scope '{scope.name}' has been refused due to the table's "
                "cross-scope access policy"
            )
        known = self._privilege(scope, table, operation)
        if known is None:
            status = "requested" if scope.tracking == "enforcing" else "allowed"
            known = self._record(scope, table, operation, status)
        if known["status"] == "allowed":
            return ""
        return f"{kind} operation against '{table}' from scope '{scope.name}' was refused: privilege {known['status']}"

    def _owner(self, table: str) -> Row:
        rows = self._store.rows("sys_db_object")
        found = next((row for row in rows if row["name"] == table), None)
        return found or {"sys_scope": "global", "access": ""}

    def _offered(self, owner: Row, operation: str) -> bool:
        if owner["sys_scope"] in {"", "global"}:
            return operation in _BASE_ALLOWS
        return owner["access"] == "public" and owner[_FLAGS[operation]] == "true"

    def _privilege(self, scope: Scope, table: str, operation: str) -> Row | None:
        wanted = {"source_scope": scope.sys_id, "target_name": table, "operation": operation}
        rows = self._store.rows("sys_scope_privilege")
        return next((row for row in rows if wanted.items() <= row.items()), None)

    def _record(self, scope: Scope, table: str, operation: str, status: str) -> Row:
        now = self._store.now()
        row = {
            "sys_id": uuid.uuid4().hex,
            "sys_class_name": "sys_scope_privilege",
            "sys_scope": scope.sys_id,
            "source_scope": scope.sys_id,
            "target_scope": self._owner(table)["sys_scope"] or "global",
            "target_name": table,
            "target_type": "sys_db_object",
            "operation": operation,
            "status": status,
            "sys_created_on": now,
            "sys_updated_on": now,
        }
        self._store.put("sys_scope_privilege", row)
        return row
