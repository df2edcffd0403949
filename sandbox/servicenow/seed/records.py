"""Seeds users, groups, roles, CIs, choices and a few incidents (API reference §5)."""

import hashlib

from sandbox.servicenow.records.store import Store
from sandbox.servicenow.seed.change_labels import CHOICES as CHANGE_CHOICES
from sandbox.servicenow.seed.labels import CHOICES, SUBCATEGORIES
from sandbox.servicenow.seed.tickets import seed_tickets
from sandbox.servicenow.tables.metadata import PLATFORM

PASSWORD = "sandbox-1"
REST_EXTERNAL_DEFAULT = "cf9d01d3e73003009d6247e603f6a990"  # every internal account passes it

_PEOPLE = (
    ("admin", "Ada", "Admin", ("admin",), "en"),
    ("agent", "Amir", "Agent", ("itil",), "en"),
    ("agent2", "Aiko", "Agent", ("itil",), "de"),
    ("requester", "Rosa", "Requester", (), "en"),
    ("approver", "Piet", "Approver", ("approver_user",), "en"),
    ("newcomer", "Nora", "Newcomer", ("itil",), "en"),
)
_COLLEAGUES = (
    "Abel Tuter", "Beth Anglin", "Bow Ruggeri", "David Loo", "Fred Luddy", "Joe Employee",
    "Luke Wilson", "Miranda Hammitt", "Naomi Greenly", "Zoe Ärger",
)  # fmt: skip
_GROUPS = {
    "Service Desk": ("agent", "agent2"),
    "Network": ("agent",),
    "Database": ("agent2",),
    "Hardware": ("agent", "newcomer"),
}
_ITEMS = (
    "Mail server 01", "Mail server 02", "VPN gateway", "Web proxy", "Payroll application", "Intranet",
    "Printer 3rd floor", "Printer lobby", "Database cluster A", "Database cluster B", "Wi-Fi controller",
    "Badge system",
)  # fmt: skip


def sys_id(text: str) -> str:
    """A sys_id that is the same after every reset."""
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def seed(store: Store) -> None:
    """Fill an empty instance."""
    _access_control(store)
    for name, members in _GROUPS.items():
        group = {"sys_id": sys_id(f"group {name}"), "name": name, "manager": sys_id("user approver")}
        store.insert("sys_user_group", group, "system")
        for member in members:
            belongs = {"user": sys_id(f"user {member}"), "group": group["sys_id"]}
            store.insert("sys_user_grmember", belongs, "system")
    for name in _ITEMS:
        store.insert("cmdb_ci", {"sys_id": sys_id(f"ci {name}"), "name": name}, "system")
    _choices(store)
    _structure(store)
    _rights(store)
    _incidents(store)
    seed_tickets(store, sys_id)


def _access_control(store: Store) -> None:
    for role in ("admin", "itil", "approver_user"):
        store.insert("sys_user_role", {"sys_id": sys_id(f"role {role}"), "name": role}, "system")
    for user_name, first, last, roles, language in _PEOPLE:
        person = _person(user_name, first, last) | {"preferred_language": language}
        if user_name == "requester":
            person["manager"] = sys_id("user approver")
        add_person(store, person)
        for role in roles:
            given = {"user": person["sys_id"], "role": sys_id(f"role {role}")}
            store.insert("sys_user_has_role", given, "system")
    for name in _COLLEAGUES:
        first, last = name.split()
        add_person(store, _person(f"{first}.{last}".lower(), first, last))


def add_person(store: Store, person: dict[str, str]) -> None:
    """Add an account with a password, which the REST API can't set."""
    store.put("sys_user", store.insert("sys_user", person, "system") | {"user_password": PASSWORD})


def _person(user_name: str, first: str, last: str) -> dict[str, str]:
    return {
        "sys_id": sys_id(f"user {user_name}"),
        "user_name": user_name,
        "name": f"{first} {last}",
        "first_name": first,
        "last_name": last,
        "email": f"{user_name}@example.com",
        "time_zone": "UTC",
        "preferred_language": "en",
    }


def _choices(store: Store) -> None:
    def add(table: str, element: str, value: str, label: str, language: str, number: int, of: str = "") -> None:
        given = {"name": table, "element": element, "value": value, "label": label, "language": language}
        store.insert("sys_choice", given | {"sequence": str(number), "dependent_value": of}, "system")

    for (table, element), choices in (CHOICES | CHANGE_CHOICES).items():
        for number, (value, english, german) in enumerate(choices):
            add(table, element, value, english, "en", number)
            add(table, element, value, german, "de", number)
    for category, choices_of in SUBCATEGORIES.items():
        for number, (value, label) in enumerate(choices_of):
            add("incident", "subcategory", value, label, "en", number, category)


def _structure(store: Store) -> None:
    """Add the rows that describe tables and columns."""
    for table in list(store.tables.values()):
        parent = sys_id(f"table {table.extends}") if table.extends else ""
        given = {"sys_id": sys_id(f"table {table.name}"), "name": table.name, "label": table.label}
        store.insert("sys_db_object", given | {"super_class": parent}, "system")
        for column in () if table.name in PLATFORM else list(table.columns.values()):
            about = {
                "name": table.name,
                "element": column.name,
                "column_label": column.label,
                "internal_type": column.type,
                "reference": column.reference,
                "max_length": str(column.max_length),
                "mandatory": str(column.mandatory).lower(),
                "default_value": column.default,
            }
            store.insert("sys_dictionary", about, "system")


def _rights(store: Store) -> None:
    """Add the base system's ACL for scripted REST, which update sets refer to by this sys_id."""
    about = {
        "name": "Scripted REST External Default",
        "type": "REST_Endpoint",
        "operation": "execute",
        "active": "true",
    }
    store.insert("sys_security_acl", about | {"sys_id": REST_EXTERNAL_DEFAULT, "admin_overrides": "true"}, "system")


def _incidents(store: Store) -> None:
    for text, caller, urgency in (
        ("Email is slow in the morning", "abel.tuter", "2"),
        ("Badge reader at the back door does not open", "beth.anglin", "3"),
        ("VPN drops every hour", "requester", "1"),
    ):
        given = {"short_description": text, "urgency": urgency, "caller_id": sys_id(f"user {caller}")}
        store.insert("incident", given, caller, sys_id(f"user {caller}"))
