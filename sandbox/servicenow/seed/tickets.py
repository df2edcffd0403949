"""Seeds problems, changes in several states, an approval, catalog tasks and articles."""

from collections.abc import Callable

from sandbox.servicenow.records.store import Row, Store
from sandbox.servicenow.tables.change import EMERGENCY_MODEL, NORMAL_MODEL, STANDARD_MODEL

_MODELS = ((NORMAL_MODEL, "Normal"), (EMERGENCY_MODEL, "Emergency"), (STANDARD_MODEL, "Standard"))
# Short description, urgency, assigned to, state.
_PROBLEMS = (
    ("VPN sessions end after an hour", "1", "agent", "102"),
    ("Mail queue fills up at night", "2", "", "101"),
)
# Short description, type, group, CI, the states that it has passed through.
_CHANGES = (
    ("Replace the switch in rack 4", "normal", "Network", "Wi-Fi controller", ()),
    ("Upgrade database cluster A", "normal", "Database", "Database cluster A", ("-4",)),
    ("Renew the certificate of the intranet", "normal", "Service Desk", "Intranet", ("-4", "-3", "-2")),
    ("Restart the mail server", "emergency", "Service Desk", "Mail server 01", ("-3", "-2", "-1")),
)
_ARTICLES = (
    ("How to connect to the VPN", "published", "<p>Open the VPN client, choose <b>Office</b> and sign in.</p>"),
    ("How to print on the 3rd floor", "published", "<p>Add the printer <i>Printer 3rd floor</i>.</p>"),
    ("Moving mailboxes", "draft", "<p>To be written.</p>"),
)


def seed_tickets(store: Store, sys_id: Callable[[str], str]) -> None:
    """Add them. *sys_id* returns the same ID for the same text."""
    for model, name in _MODELS:
        about = {"sys_id": model, "name": name, "sys_name": name, "record_preset": f"type={name.lower()}^EQ"}
        store.insert("chg_model", about, "system")
    _template(store, sys_id)
    agent = ("agent", sys_id("user agent"))
    for text, urgency, person, state in _PROBLEMS:
        assigned = sys_id(f"user {person}") if person else ""
        given = {"sys_id": sys_id(f"problem {text}"), "short_description": text, "urgency": urgency}
        row = store.insert("problem", given | {"assigned_to": assigned}, *agent)
        store.update("problem", row["sys_id"], {"state": state}, *agent)
    for text, kind, group, item, states in _CHANGES:
        given = {"sys_id": sys_id(f"change {text}"), "short_description": text, "type": kind, "risk": "3"}
        given |= {"assignment_group": sys_id(f"group {group}"), "cmdb_ci": sys_id(f"ci {item}")}
        given |= {"assigned_to": agent[1], "start_date": store.now(), "end_date": store.now()}
        row = store.insert("change_request", given, *agent)
        for state in states:
            _forward(store, row, state, agent)
    about = {"change_request": sys_id(f"change {_CHANGES[3][0]}"), "short_description": "Tell everybody beforehand"}
    store.insert("change_task", about | {"sys_id": sys_id("change task")}, *agent)
    follow_on = {"sys_id": sys_id("follow on"), "short_description": "Correct the serial number of Printer lobby"}
    store.insert("cert_follow_on_task", follow_on, *agent)
    _articles(store, sys_id)


def _forward(store: Store, change: Row, state: str, agent: tuple[str, str]) -> None:
    """Move one state forward, by approval if one was requested."""
    for row in store.rows("sysapproval_approver"):
        if row["sysapproval"] == change["sys_id"] and row["state"] == "requested":
            store.update("sysapproval_approver", row["sys_id"], {"state": "approved"}, "approver", row["approver"])
            return
    store.update("change_request", change["sys_id"], {"state": state}, *agent)


def _template(store: Store, sys_id: Callable[[str], str]) -> None:
    given = {
        "sys_id": sys_id("template reboot"),
        "name": "Reboot a server - 1",
        "sys_name": "Reboot a server",
        "short_description": "Reboot a server",
        "description": "A planned restart outside working hours.",
        "implementation_plan": "Announce, restart, check.",
        "backout_plan": "None needed.",
        "test_plan": "The service answers.",
    }
    store.insert("std_change_producer_version", given, "system")


def _articles(store: Store, sys_id: Callable[[str], str]) -> None:
    base, category = sys_id("knowledge base"), sys_id("knowledge category")
    store.insert("kb_knowledge_base", {"sys_id": base, "title": "IT", "owner": sys_id("user admin")}, "system")
    belongs = {"parent_id": base, "parent_table": "kb_knowledge_base"}
    store.insert("kb_category", belongs | {"sys_id": category, "label": "How to", "value": "how_to"}, "system")
    for title, state, text in _ARTICLES:
        given = {"sys_id": sys_id(f"article {title}"), "short_description": title, "text": text}
        given |= {"workflow_state": state, "author": sys_id("user agent"), "kb_category": category}
        if state == "published":
            given["published"] = store.now()[:10]
        store.insert("kb_knowledge", given | {"kb_knowledge_base": base}, "agent")
