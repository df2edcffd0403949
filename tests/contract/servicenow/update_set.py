"""Builds small update sets for tests, in the platform's export format (update-set reference §1)."""

import hashlib
from collections.abc import Mapping
from xml.sax.saxutils import escape, quoteattr

from lxml import etree

SCOPE = "x_example"
ALL = ("create", "read", "write", "delete")


def sys_id(text: str) -> str:
    """An ID that is always the same for a text."""
    return hashlib.md5(text.encode()).hexdigest()


class UpdateSet:
    """
    Collects updates and writes the file.

    Args:
        name: Name of the set. Each name is a different set.
        recorded: When its changes were recorded, in Unix seconds.
    """

    def __init__(
        self,
        name: str = "Example 1",
        *,
        scope: str = SCOPE,
        recorded: int = 1_700_000_000,
        tracking: str = "permissive",
    ) -> None:
        self.name = name
        self.sys_id = sys_id(f"set {name}")
        self.application = sys_id(f"app {scope}")
        self._recorded = recorded
        self._updates: list[tuple[str, str, str, str]] = []
        about = {"name": "Example", "scope": scope, "version": "1.0.0", "runtime_access_tracking": tracking}
        self.record("sys_app", self.application, about | {"js_level": "helsinki_es5"})

    def record(self, table: str, key: str, values: dict[str, str], *, action: str = "INSERT_OR_UPDATE") -> None:
        """Add a metadata record under its sys_id."""
        name = f"{table}_{key}"
        inner = _row(table, {"sys_id": key, "sys_scope": self.application, "sys_update_name": name} | values, action)
        self.raw(name, f'<record_update table="{table}">{inner}</record_update>', action)

    def raw(self, name: str, document: str, action: str = "INSERT_OR_UPDATE", application: str = "") -> None:
        """Add an update with a custom payload."""
        self._updates.append((name, f'<?xml version="1.0" encoding="UTF-8"?>{document}', action, application))

    def role(self, name: str) -> str:
        """Add a role; returns its ID."""
        self.record("sys_user_role", sys_id(f"role {name}"), {"name": name})
        return sys_id(f"role {name}")

    def table(
        self,
        name: str,
        columns: Mapping[str, str],
        *,
        role: str = "",
        flags: Mapping[str, str] | None = None,
        extends: str = "",
    ) -> None:
        """Add a table with columns (``type`` or ``type:length``) and, with a role, an ACL for each operation."""
        about = {"name": name, "label": name.title(), "access": "public", "read_access": "true", "super_class": extends}
        self.record("sys_db_object", sys_id(f"table {name}"), about | dict(flags or {}))
        self.column(name, "", "collection")
        for column, kind in columns.items():
            self.column(name, column, kind)
        for operation in ALL if role else ():
            self.access(name, operation, role=role)

    def column(self, table: str, column: str, kind: str, *, action: str = "INSERT_OR_UPDATE", **more: str) -> None:
        """Add a dictionary entry. Without a column name, it is the table's entry."""
        internal_type, _, length = kind.partition(":")
        values = {"name": table, "element": column, "internal_type": internal_type, "max_length": length or "40"}
        values |= {
            "sys_id": sys_id(f"column {table} {column}"),
            "sys_scope": self.application,
            "column_label": column.title(),
        } | more
        about = f"element={quoteattr(column)} table={quoteattr(table)}"
        inner = _row("sys_dictionary", values, action).replace("<sys_dictionary ", f"<sys_dictionary {about} ", 1)
        self.raw(f"sys_dictionary_{table}_{column or 'null'}", f"<record_update>{inner}</record_update>", action)

    def choices(self, table: str, column: str, values: Mapping[str, str]) -> None:
        """Add a choice list with values and labels."""
        rows = "".join(
            _row(
                "sys_choice",
                {
                    "sys_id": sys_id(f"choice {table} {column} {value}"),
                    "name": table,
                    "element": column,
                    "value": value,
                    "label": label,
                    "language": "en",
                    "sequence": str(number),
                    "inactive": "false",
                },
                "INSERT_OR_UPDATE",
            )
            for number, (value, label) in enumerate(values.items())
        )
        outer = (
            f'<sys_choice action="INSERT_OR_UPDATE" field="{column}" table="{table}" version="3">{rows}</sys_choice>'
        )
        self.raw(f"sys_choice_{table}_{column}", f"<record_update>{outer}</record_update>")

    def access(self, name: str, operation: str, *, role: str = "", kind: str = "record", **more: str) -> str:
        """Add an ACL with its required role; returns its ID."""
        key = sys_id(f"acl {name} {operation} {role}")
        values = {"name": name, "operation": operation, "type": kind, "active": "true", "admin_overrides": "true"}
        self.record("sys_security_acl", key, values | {"advanced": "true" if "script" in more else "false"} | more)
        if role:
            self.record(
                "sys_security_acl_role", sys_id(f"link {key}"), {"sys_security_acl": key, "sys_user_role": role}
            )
        return key

    def rule(self, table: str, script: str, name: str = "rule", **more: str) -> str:
        """Add a business rule for inserts and updates; returns its ID."""
        key = sys_id(f"rule {table} {name}")
        values = {
            "name": name,
            "collection": table,
            "when": "after",
            "order": "100",
            "active": "true",
            "advanced": "true",
        }
        values |= {"action_insert": "true", "action_update": "true", "action_delete": "false", "action_query": "false"}
        body = f"(function executeRule(current, previous) {{\n{script}\n}})(current, previous);"
        self.record("sys_script", key, values | {"script": body} | more)
        return key

    def action(self, event: str, script: str, name: str = "action", **more: str) -> None:
        """Add a script action and register its event."""
        values = {"name": name, "event_name": event, "active": "true", "order": "100", "script": script}
        self.record("sysevent_script_action", sys_id(f"action {event} {name}"), values | more)
        self.record("sysevent_register", sys_id(f"register {event}"), {"event_name": event, "table": "incident"})

    def include(self, name: str, script: str) -> None:
        """Add a script include."""
        values = {"name": name, "api_name": f"{SCOPE}.{name}", "access": "package_private", "active": "true"}
        self.record("sys_script_include", sys_id(f"include {name}"), values | {"script": script})

    def resource(self, path: str, script: str, method: str = "GET", **more: str) -> None:
        """Add a resource to the scripted REST API ``things``."""
        definition = sys_id("rest things")
        if all(not name.endswith(definition) for name, *_ in self._updates):
            values = {"name": "things", "service_id": "things", "namespace": SCOPE, "active": "true"}
            self.record("sys_ws_definition", definition, values | {"is_versioned": "false"})
        values = {"name": path, "http_method": method, "relative_path": path, "active": "true"}
        values |= {"web_service_definition": definition, "requires_authentication": "true"}
        body = f"(function process(request, response) {{\n{script}\n}})(request, response);"
        self.record("sys_ws_operation", sys_id(f"{method} {path}"), values | {"operation_script": body} | more)

    def xml(self) -> bytes:
        """The file."""
        root = etree.Element("unload", unload_date="2026-11-24 12:00:00")
        about = {"application": self.application, "application_name": "Example", "application_scope": SCOPE}
        about |= {"application_version": "1.0.0", "name": self.name, "remote_sys_id": sys_id(f"remote {self.name}")}
        about |= {"state": "loaded", "sys_class_name": "sys_remote_update_set", "sys_id": self.sys_id, "update_set": ""}
        _add(root, "sys_remote_update_set", about)
        for number, (name, payload, action, application) in enumerate(self._updates):
            stamp = f"{(self._recorded * 1000 + number):011x}0000001"
            update = {"action": action, "application": application or self.application, "category": "customer"}
            update |= {"name": name, "payload": payload, "remote_update_set": self.sys_id, "sys_recorded_at": stamp}
            update |= {"sys_id": sys_id(f"update {self.name} {name}"), "target_name": name, "update_set": ""}
            _add(root, "sys_update_xml", update)
        return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


def _add(root: "etree._Element", tag: str, values: Mapping[str, str]) -> None:
    element = etree.SubElement(root, tag, action="INSERT_OR_UPDATE")
    for name, value in values.items():
        etree.SubElement(element, name).text = value


def _row(tag: str, values: Mapping[str, str], action: str) -> str:
    fields = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in sorted(values.items()))
    return f'<{tag} action="{action}">{fields}</{tag}>'
