"""What the base system has: its tables by name, and what it offers where an instance tells a person nothing."""

from collections.abc import Iterable, Mapping

from core.records import Choice, Column

# What may be shared and subscribed to (design §5), and what people call one of them.
TABLES: Mapping[str, str] = {
    "incident": "Incident",
    "problem": "Problem",
    "change_request": "Change request",
    "kb_knowledge": "Knowledge article",
    "task": "Task",
    "change_task": "Change task",
    "cert_follow_on_task": "Follow-on task",
}

# API reference §5.2
_LEVELS = (Choice("1 - High", "1"), Choice("2 - Medium", "2"), Choice("3 - Low", "3"))

BASE_COLUMNS: Mapping[str, Mapping[str, Column]] = {
    "incident": {
        "impact": Column("impact", "Impact", type="integer", choices=_LEVELS),
        "urgency": Column("urgency", "Urgency", type="integer", choices=_LEVELS),
    }
}

# Categories by the subcategories of incidents in the base system (`sys_choice` of a new instance).
BASE_SUBCATEGORIES: Mapping[str, tuple[str, ...]] = {
    "antivirus": ("inquiry",),
    "internal application": ("inquiry",),
    "email": ("inquiry", "software"),
    "os": ("software",),
    **dict.fromkeys(("cpu", "disk", "keyboard", "memory", "monitor", "mouse"), ("hardware",)),
    **dict.fromkeys(("dhcp", "dns", "ip address", "vpn", "wireless"), ("network",)),
    **dict.fromkeys(("db2", "oracle", "sql server"), ("database",)),
}


def tables_with(shared: Iterable[str]) -> dict[str, str]:
    """`TABLES` and those that an administrator named, with a label each."""
    return {**TABLES, **{name: table_label(name) for name in shared}}


def table_label(table: str) -> str:
    """What people call a row of *table*; made of the name where it is none of ours."""
    return TABLES.get(table) or table.replace("_", " ").strip().capitalize() or table
