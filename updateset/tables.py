"""The component's own tables: columns, labels and access controls."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from updateset.payload import ApplicationFile, new_id, script
from updateset.shapes import (
    ACL,
    ACL_ROLE,
    DELIVERIES,
    DICTIONARY,
    LABEL,
    SCOPE,
    TABLE,
    USER_ROLE,
    FileType,
    Ref,
    Value,
)

SUBSCRIPTIONS = f"{SCOPE}_servicenow_for_mattermost_subscriptions"
KEYS = f"{SCOPE}_servicenow_for_mattermost_notifications_auth"
ADMIN_ROLE = Ref("2831a114c611228501d4ea6c309d626d", "admin", "admin")  # the same on every instance

_TYPES = {
    "boolean": Ref("boolean", ""),
    "collection": Ref("collection", "Collection"),
    "glide_date_time": Ref("glide_date_time", "Date/Time"),
    "integer": Ref("integer", "Integer"),
    "password2": Ref("password2", "Password (2 Way Encrypted)"),
    "string": Ref("string", "String"),
}


@dataclass(frozen=True)
class OwnColumn:
    """One column. *length* is in characters."""

    name: str
    label: str
    plural: str
    type: str = "string"
    length: int = 40
    default: str = ""


@dataclass(frozen=True)
class AccessControl:
    """
    Access to one operation, for users with *role* that the script, if any, accepts.

    Args:
        acl, link: sys_ids in version 2.1; "" for a new table.
        script: File name under ``js`` without the extension.
        admin_overrides: Administrators have access anyway.
    """

    operation: str
    role: Ref
    acl: str = ""
    link: str = ""
    script: str = ""
    admin_overrides: bool = True


@dataclass(frozen=True)
class OwnTable:
    """One table. *readable*: scripts of other scopes can read it."""

    name: str
    label: str
    plural: str
    sys_id: str
    readable: bool
    columns: tuple[OwnColumn, ...]
    access: tuple[AccessControl, ...]


COMPONENT_TABLES = (
    OwnTable(
        SUBSCRIPTIONS,
        "ServiceNow for Mattermost Subscriptions",
        "ServiceNow for Mattermost Subscriptions",
        "f6ae121e2f30111063df52172799b6b5",
        True,
        (
            OwnColumn("channel_id", "Channel ID", "Channel IDs", length=255),
            OwnColumn("is_active", "Is Active", "Is Active", "boolean", default="true"),
            OwnColumn("record_id", "Record ID", "Record IDs", length=255),
            OwnColumn("record_type", "Record Type", "Record Types", length=255),
            OwnColumn("server_url", "Server URL", "Server URLs", length=255),
            OwnColumn("subscription_events", "Subscription Events", "Subscription Events", length=1000),
            OwnColumn("type", "Type", "Types"),
            OwnColumn("user_id", "User ID", "User IDs", length=255),
            OwnColumn("name", "Name", "Names", length=100),
            OwnColumn("filter_query", "Filter Query", "Filter Queries", length=4000),
            OwnColumn("options", "Options", "Options", length=255),
            OwnColumn("status", "Status", "Statuses"),
            OwnColumn("status_reason", "Status Reason", "Status Reasons", length=255),
            OwnColumn("filter_error", "Filter Error", "Filter Errors", length=255),
        ),
        (
            AccessControl("create", USER_ROLE, "e5ff565e2f30111063df52172799b6ff", "6dff965e2f30111063df52172799b602"),
            AccessControl("read", USER_ROLE, "61ff965e2f30111063df52172799b61f", "29ff965e2f30111063df52172799b621"),
            AccessControl(
                "write",
                USER_ROLE,
                "61ff965e2f30111063df52172799b624",
                "39ff965e2f30111063df52172799b626",
                script="access_own_row",
            ),
            AccessControl(
                "delete",
                USER_ROLE,
                "fdff965e2f30111063df52172799b641",
                "b5ff965e2f30111063df52172799b644",
                script="access_own_row",
            ),
        ),
    ),
    OwnTable(
        KEYS,
        "ServiceNow for Mattermost Notifications Auth",
        "ServiceNow for Mattermost Notifications Auths",
        "62cf8dba2f40111063df52172799b6cb",
        False,
        (
            OwnColumn("api_secret", "API Secret", "API Secrets", length=255),
            OwnColumn("server_url", "Server URL", "Server URLs", length=255),
            OwnColumn("key_id", "Key ID", "Key IDs"),
            OwnColumn("signing_secret", "Signing Secret", "Signing Secrets", "password2", length=255),
        ),
        (
            AccessControl("create", ADMIN_ROLE, "5f60dd722f80111063df52172799b66d", "5360dd722f80111063df52172799b671"),
            AccessControl("read", ADMIN_ROLE, "d360dd722f80111063df52172799b674", "9b60dd722f80111063df52172799b676"),
            AccessControl("write", ADMIN_ROLE, "d360dd722f80111063df52172799b679", "9b60dd722f80111063df52172799b67b"),
            AccessControl("delete", ADMIN_ROLE, "d360dd722f80111063df52172799b67e", "9b60dd722f80111063df52172799b680"),
        ),
    ),
    OwnTable(
        DELIVERIES,
        "ServiceNow for Mattermost Delivery",
        "ServiceNow for Mattermost Deliveries",
        "",
        False,
        (
            OwnColumn("event_id", "Event ID", "Event IDs"),
            OwnColumn("server_url", "Server URL", "Server URLs", length=255),
            OwnColumn("body", "Body", "Bodies", length=262144),
            OwnColumn("state", "State", "States"),
            OwnColumn("attempts", "Attempts", "Attempts", "integer"),
            OwnColumn("next_attempt", "Next Attempt", "Next Attempts", "glide_date_time"),
            OwnColumn("last_status", "Last Status", "Last Statuses", "integer"),
            OwnColumn("last_error", "Last Error", "Last Errors", length=255),
        ),
        (
            # Only the component's own scripts write rows.
            AccessControl("create", ADMIN_ROLE, script="access_nobody", admin_overrides=False),
            AccessControl("read", ADMIN_ROLE),
            AccessControl("write", ADMIN_ROLE, script="access_nobody", admin_overrides=False),
            AccessControl("delete", ADMIN_ROLE, script="access_nobody", admin_overrides=False),
        ),
    ),
)


def table_records() -> Iterator[ApplicationFile]:
    """The records that define the tables: definitions, columns, labels, access controls."""
    for table in COMPONENT_TABLES:
        yield _table(table)
        yield from _columns(table)
        for access in table.access:
            yield from _access(table, access)


def _table(table: OwnTable) -> ApplicationFile:
    return ApplicationFile(
        kind=TABLE,
        sys_id=table.sys_id or new_id(TABLE, table.name),
        values={
            "label": table.label,
            "name": table.name,
            "read_access": "true" if table.readable else "false",
            "user_role": USER_ROLE,
        },
        row_table=table.name,
    )


def _columns(table: OwnTable) -> Iterator[ApplicationFile]:
    collection: dict[str, Value] = {"name": table.name, "internal_type": _TYPES["collection"], "max_length": "40"}
    yield _named(DICTIONARY, table, "", collection, table.label)
    own_label: dict[str, Value] = {"name": table.name, "label": table.label, "plural": table.plural}
    yield _named(LABEL, table, "", own_label, table.label)
    for column in table.columns:
        target = f"{table.label}.{column.label}"
        definition: dict[str, Value] = {
            "name": table.name,
            "element": column.name,
            "column_label": column.label,
            "internal_type": _TYPES[column.type],
            "max_length": str(column.length),
            "default_value": column.default,
        }
        label: dict[str, Value] = {"element": column.name, "label": column.label, "plural": column.plural}
        yield _named(DICTIONARY, table, column.name, definition, target)
        yield _named(LABEL, table, column.name, {"name": table.name, **label}, target)


def _named(kind: FileType, table: OwnTable, element: str, values: dict[str, Value], target: str) -> ApplicationFile:
    """A record with an update name that consists of names. If version 2.1 has it, it keeps that sys_id."""
    new = new_id(kind, f"{table.name}|{element}")
    record = ApplicationFile(kind=kind, sys_id=new, values=values, target=target, row_table=table.name)
    return replace(record, sys_id=record.before.sys_id) if record.before is not None else record


def _access(table: OwnTable, access: AccessControl) -> Iterator[ApplicationFile]:
    acl = access.acl or new_id(ACL, f"{table.name}|{access.operation}")
    yield ApplicationFile(
        kind=ACL,
        sys_id=acl,
        values={
            "admin_overrides": "true" if access.admin_overrides else "false",
            "advanced": "true" if access.script else "false",
            "description": f"Default access control on {table.name}",
            "name": table.name,
            "operation": Ref(access.operation, access.operation),
            "script": script(access.script) if access.script else "",
        },
        row_table=table.name,
    )
    yield ApplicationFile(
        kind=ACL_ROLE,
        sys_id=access.link or new_id(ACL_ROLE, f"{table.name}|{access.operation}"),
        values={"sys_security_acl": Ref(acl, table.name), "sys_user_role": access.role},
        row_table=table.name,
    )
