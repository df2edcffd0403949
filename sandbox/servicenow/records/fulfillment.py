"""Closes requested items with their catalog tasks, and requests with their items (API reference §5.4)."""

from collections.abc import Mapping

from sandbox.servicenow.records.store import Store
from sandbox.servicenow.records.task_rules import Row

COMPLETE, INCOMPLETE, SKIPPED = "3", "4", "7"
_DONE = {COMPLETE: "closed_complete", INCOMPLETE: "closed_incomplete", SKIPPED: "closed_cancelled"}
# Child table: the column with its parent, and the parent's table.
_PARENTS = {"sc_task": ("request_item", "sc_req_item"), "sc_req_item": ("request", "sc_request")}


def after(store: Store, table: str, row: Row, before: Mapping[str, str]) -> None:
    """Apply the updates that follow from a saved record. *before* is empty on insert."""
    if table not in _PARENTS or row["state"] == before.get("state") or row["state"] not in _DONE:
        return
    column, parent = _PARENTS[table]
    states = {one["state"] for one in store.rows(table) if row[column] and one[column] == row[column]}
    if not states or not states <= _DONE.keys() or store.find(parent, row[column]) is None:
        return
    state = INCOMPLETE if INCOMPLETE in states else SKIPPED if states == {SKIPPED} else COMPLETE
    values = {"state": state} | (
        {"request_state": _DONE[state], "stage": _DONE[state]} if parent == "sc_request" else {}
    )
    store.update(parent, row[column], values, "system")
