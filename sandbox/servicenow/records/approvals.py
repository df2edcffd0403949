"""
Updates around a saved change or approval: approvals to request, their outcome, affected CIs (API reference §6.2, §7).
"""

from collections.abc import Mapping

from sandbox.servicenow.records.store import Store
from sandbox.servicenow.records.task_rules import ASSESS, AUTHORIZE, CANCELED, NEW, SCHEDULED, Row

_NEXT = {ASSESS: AUTHORIZE, AUTHORIZE: SCHEDULED}


def after(store: Store, table: str, row: Row, before: Mapping[str, str]) -> None:
    """Apply the updates that follow from a saved record. *before* is empty on insert."""
    if table == "change_request" and row["cmdb_ci"] and row["cmdb_ci"] != before.get("cmdb_ci"):
        _affect(store, row)
    if table == "change_request" and row["state"] != before.get("state", NEW):
        if row["state"] in {ASSESS, AUTHORIZE}:
            _request(store, row)
        elif row["state"] in {NEW, CANCELED}:
            _close(store, row["sys_id"], "cancelled")
            if row["state"] == NEW and row["approval"] not in {"rejected", "not requested"}:
                _move(store, row["sys_id"], {"approval": "not requested"})
    elif table == "sysapproval_approver" and before.get("state") == "requested":
        change = store.find("change_request", row["sysapproval"])
        if change is None or change["state"] not in _NEXT:
            return
        if row["state"] == "approved":
            target = _NEXT[change["state"]]
            _close(store, change["sys_id"], "not_required")
            approval = "approved" if target == SCHEDULED else "requested"
            _move(store, change["sys_id"], {"state": target, "approval": approval})
        elif row["state"] == "rejected":
            _move(store, change["sys_id"], {"state": NEW, "approval": "rejected"})


def _affect(store: Store, change: Row) -> None:
    """Add the change's own CI to its affected CIs."""
    link = {"task": change["sys_id"], "ci_item": change["cmdb_ci"]}
    if not any(link.items() <= row.items() for row in store.rows("task_ci")):
        store.insert("task_ci", link, "system")


def _request(store: Store, change: Row) -> None:
    """Request one approval from the manager of the change's group, or from an admin if it has none."""
    group = store.find("sys_user_group", change["assignment_group"])
    approver = group["manager"] if group and group["manager"] else _administrator(store)
    asked = {
        "approver": approver,
        "state": "requested",
        "sysapproval": change["sys_id"],
        "document_id": change["sys_id"],
        "source_table": "change_request",
        "expected_start": store.now(),
    }
    store.insert("sysapproval_approver", asked, "system")
    _move(store, change["sys_id"], {"approval": "requested"})


def _close(store: Store, change: str, state: str) -> None:
    for row in store.rows("sysapproval_approver"):
        if row["sysapproval"] == change and row["state"] == "requested":
            store.update("sysapproval_approver", row["sys_id"], {"state": state}, "system")


def _move(store: Store, change: str, values: dict[str, str]) -> None:
    with store.approving():
        store.update("change_request", change, values, "system")


def _administrator(store: Store) -> str:
    return next(row["sys_id"] for row in store.rows("sys_user") if row["user_name"] == "admin")
