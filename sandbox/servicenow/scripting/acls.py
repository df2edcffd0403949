"""ACLs of imported tables (update-set reference §2.2, §3.7)."""

from collections.abc import Callable, Mapping
from typing import Any

from sandbox.servicenow.auth.access_control import Caller
from sandbox.servicenow.records.store import Row, Store
from sandbox.servicenow.scripting.glide.engine import Engine, Source
from sandbox.servicenow.scripting.glide.scopes import Scopes

Matches = Callable[[Caller, str, Mapping[str, str], str], bool]


class Acls:
    """
    Evaluates ``sys_security_acl`` rows.

    Args:
        matches: Whether a row of a table matches an encoded query.
    """

    def __init__(self, store: Store, engine: Engine, matches: Matches) -> None:
        self._store = store
        self._engine = engine
        self._matches = matches
        self._scopes = Scopes(store)
        self._known: dict[tuple[str, ...], Any] = {}
        self._revision = -1

    def governs(self, table: str) -> bool:
        """Whether an update set created the table. Only then do its ACLs apply here."""
        return bool(self._remembered(("governs", table), lambda: self._is_scoped(table)))

    def open_to_rest(self, caller: Caller, table: str, operation: str) -> bool:
        """
        Whether web services are enabled on the table and the user has a role that its ACLs require.

        ACLs that require no role, or one that the user has, decide per row: rows that they don't allow are omitted.
        """
        rows = self._store.rows("sys_db_object")
        if any(row["name"] == table and row["ws_access"] == "false" for row in rows):
            return False
        rules = self._rules("record", table, operation)
        return not rules or any(self._has_role(rule, caller) for rule in rules)

    def _has_role(self, rule: Row, caller: Caller) -> bool:
        if caller.admin and rule["admin_overrides"] == "true":
            return True
        roles = self._roles(rule["sys_id"])
        return not roles or bool(roles & caller.roles)

    def _is_scoped(self, table: str) -> bool:
        rows = self._store.rows("sys_db_object")
        return any(row["name"] == table and row["sys_scope"] not in {"", "global"} for row in rows)

    def may(self, caller: Caller, table: str, operation: str, row: Row | None) -> bool:
        """Whether an ACL of the table allows the operation. Without any ACL only admins can."""
        rules = self._rules("record", table, operation)
        if not rules:
            return caller.admin
        return any(self._passes(rule, caller, table, row) for rule in rules)

    def hidden(self, caller: Caller, table: str, operation: str) -> frozenset[str]:
        """The columns with ACLs of their own that the user doesn't pass."""
        found = set()
        for column in self._store.columns(table):
            rules = self._rules("record", f"{table}.{column}", operation)
            rules = rules or self._rules("record", f"{table}.*", operation)
            if rules and not any(self._passes(rule, caller, table, None) for rule in rules):
                found.add(column)
        return frozenset(found)

    def endpoint(self, caller: Caller, sys_ids: str) -> bool:
        """Whether the user passes any of these scripted REST ACLs (comma-separated)."""
        wanted = [one.strip() for one in sys_ids.split(",") if one.strip()]
        rules = [rule for rule in self._store.rows("sys_security_acl") if rule["sys_id"] in wanted]
        return any(rule["active"] == "true" and self._passes(rule, caller, "", None) for rule in rules)

    def _rules(self, kind: str, name: str, operation: str) -> list[Row]:
        wanted = {"type": kind, "name": name, "operation": operation, "active": "true"}

        def find() -> list[Row]:
            return [row for row in self._store.rows("sys_security_acl") if wanted.items() <= row.items()]

        found: list[Row] = self._remembered(("rules", kind, name, operation), find)
        return found

    def _roles(self, rule: str) -> set[str]:
        """The names of the roles of which an ACL requires one."""

        def find() -> set[str]:
            links = self._store.rows("sys_security_acl_role")
            roles = [link["sys_user_role"] for link in links if link["sys_security_acl"] == rule]
            return {self._store.display("sys_user_role", role) for role in roles}

        found: set[str] = self._remembered(("roles", rule), find)
        return found

    def _remembered(self, key: tuple[str, ...], find: Callable[[], Any]) -> Any:
        """ACLs are checked for every row of a list, but change only with the metadata."""
        if self._revision != self._store.revision:
            self._revision = self._store.revision
            self._known = {}
        known = (
            self._known
        )  # another thread may replace the cache in the meantime, and this result doesn't belong in the new one
        if key not in known:
            known[key] = find()
        return known[key]

    def _passes(self, rule: Row, caller: Caller, table: str, row: Row | None) -> bool:
        if caller.admin and rule["admin_overrides"] == "true":
            return True
        roles = self._roles(rule["sys_id"])
        script = rule["script"].strip() if rule["advanced"] == "true" else ""
        bare = not roles and not script and not rule["condition"]
        if bare:  # An empty ACL denies access, except for the base system's own.
            return rule["sys_scope"] in {"", "global"}
        if roles and not roles & caller.roles:
            return False
        if rule["condition"] and not (row is not None and self._matches(caller, table, row, rule["condition"])):
            return False
        return not script or self._script(rule, script, caller, table, row)

    def _script(self, rule: Row, script: str, caller: Caller, table: str, row: Row | None) -> bool:
        source = Source(f"sys_security_acl.{rule['sys_id']}.script", self._scopes.of(rule), script)
        current = None if row is None else {"table": table, "values": row}
        value, _ = self._engine.attempt(source, caller, {"current": current}, what="truth")
        return value is True
