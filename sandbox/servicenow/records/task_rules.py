"""The base system's rules for saved tasks: states, priority, data policies (API reference §5, §6). No I/O."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sandbox.servicenow.tables.change import EMERGENCY_MODEL, NORMAL_MODEL
from sandbox.servicenow.tables.schema import Column

Row = dict[str, str]

# impact, urgency: priority
_PRIORITY = {
    ("1", "1"): "1", ("1", "2"): "2", ("1", "3"): "3",
    ("2", "1"): "2", ("2", "2"): "3", ("2", "3"): "4",
    ("3", "1"): "3", ("3", "2"): "4", ("3", "3"): "5",
}  # fmt: skip
_IN_PROGRESS, _ON_HOLD, _RESOLVED, _CLOSED, _CANCELED = "2", "3", "6", "7", "8"
_AWAITING_CALLER = "1"
# Each problem state with its next states.
_PROBLEM_MOVES = {
    "101": "102 107", "102": "103 106 107", "103": "104 106 107", "104": "103 106 107", "106": "103 107", "107": "103",
}  # fmt: skip
NEW, ASSESS, AUTHORIZE, SCHEDULED, IMPLEMENT, REVIEW, DONE, CANCELED = "-5", "-4", "-3", "-2", "-1", "0", "3", "4"
# Each change state by type with its next states. Those after "/" need approval.
CHANGE_MOVES = {
    "normal": {
        NEW: "-4 4", ASSESS: "-5 4 / -3", AUTHORIZE: "-5 4 / -2", SCHEDULED: "-1 -5 4", IMPLEMENT: "0 4", REVIEW: "3",
    },
    "emergency": {NEW: "-3 4", AUTHORIZE: "-5 4 / -2", SCHEDULED: "-1 -5 4", IMPLEMENT: "0 4", REVIEW: "3"},
    "standard": {NEW: "-2 4", SCHEDULED: "-1 4", IMPLEMENT: "0 4", REVIEW: "3"},
}  # fmt: skip
_MODELS = {"normal": NORMAL_MODEL, "emergency": EMERGENCY_MODEL}  # a standard one was recorded without
TEMPLATE_TEXTS = ("description", "backout_plan", "test_plan", "implementation_plan")
_TRANSITION = "Change Model: Check State Transition", "8ebd9a1ac3033010b0b6f52c1d3ae7f1"
_TEMPLATE = "Restrict fields from Standard Change", "5230b9179735ca504546f027f053af79"


class Refusal(Exception):
    """The instance rejects a write: message and detail of the 403 (API reference §3.1)."""

    def __init__(self, message: str, detail: str) -> None:
        super().__init__(detail)
        self.message = message
        self.detail = detail


@dataclass(frozen=True)
class Saving:
    """
    What a rule knows besides the row.

    ``approving``: the approval engine saves; only it can move a change past an approval. ``commented``: the write
    includes a comment. ``open_tasks``: the change has open tasks.
    """

    now: str
    user_id: str
    approving: bool = False
    commented: bool = False
    open_tasks: bool = False


def save(classes: list[str], row: Row, before: Mapping[str, str], saving: Saving) -> None:
    """
    Apply the rules of the row's class, the first of *classes*. *before* is empty on insert.

    Raises:
        Refusal: A data policy or business rule rejects the write.
    """
    if "incident" in classes:
        _incident(row, before, saving)
    elif "problem" in classes:
        _problem(row, before, saving)
    elif "change_request" in classes:
        _change(row, before, saving)
    elif "problem_task" in classes:
        row["parent"] = row["parent"] or row["problem"]
        _finish(row, saving, {"157"})
    elif "task" in classes:
        _task(row, before)
    if "change_task" in classes:
        row["parent"] = row["parent"] or row["change_request"]


def next_states(row: Mapping[str, str], open_tasks: bool) -> list[tuple[str, bool, bool, str]]:
    """
    The transitions of a change: state, whether it is allowed now, whether approval triggers it, and the condition's
    name.
    """
    moves = CHANGE_MOVES.get(row["type"], {}).get(row["state"], "")
    by_hand, _, by_approval = moves.partition("/")
    found = []
    for state in by_hand.split():
        condition = "Not On hold" if state not in {CANCELED, NEW} else ""
        allowed = not condition or row["on_hold"] != "true"
        if state == REVIEW and open_tasks:
            condition, allowed = "No active Change Tasks", False
        found.append((state, allowed, False, condition))
    return found + [(state, False, True, "Approved") for state in by_approval.split()]


def _incident(row: Row, before: Mapping[str, str], saving: Saving) -> None:
    row["priority"] = _PRIORITY.get((row["impact"], row["urgency"]), "5")
    _mirror(row, before, "incident_state", "1")
    awaiting = before.get("state") == row["state"] == _ON_HOLD and row["hold_reason"] == _AWAITING_CALLER
    if awaiting and saving.commented and saving.user_id == row["caller_id"]:
        row["state"] = row["incident_state"] = _IN_PROGRESS
    if row["state"] in {_RESOLVED, _CLOSED}:
        _demand(row, (("close_code", "Resolution code"), ("close_notes", "Close notes")))
        row["resolved_at"] = row["resolved_at"] or saving.now
        row["resolved_by"] = row["resolved_by"] or saving.user_id
    elif before.get("state") in {_RESOLVED, _CLOSED}:
        row |= {"reopened_by": saving.user_id, "reopened_time": saving.now, "resolved_at": "", "resolved_by": ""}
        row["reopen_count"] = str(int(row["reopen_count"] or 0) + 1)
    _finish(row, saving, {_CLOSED, _CANCELED})


def _problem(row: Row, before: Mapping[str, str], saving: Saving) -> None:
    """An invalid next state is silently ignored (measured)."""
    row["priority"] = _PRIORITY.get((row["impact"], row["urgency"]), "5")
    _mirror(row, before, "problem_state", "101")
    was = before.get("state", "101")
    if row["state"] != was and row["state"] not in _PROBLEM_MOVES.get(was, "").split():
        row["state"] = row["problem_state"] = was
    if row["state"] in {"102", "103", "104", "106"}:
        _demand(row, (("assigned_to", "Assigned to"),))
    if row["state"] == "106":
        wanted = (("resolution_code", "Resolution code"), ("cause_notes", "Cause notes"), ("fix_notes", "Fix notes"))
        _demand(row, wanted)
        row["resolved_at"] = row["resolved_at"] or saving.now
        row["resolved_by"] = row["resolved_by"] or saving.user_id
    if row["state"] == "107":
        _demand(row, (("resolution_code", "Resolution code"),))
    _finish(row, saving, {"107"})


def _change(row: Row, before: Mapping[str, str], saving: Saving) -> None:
    if not before:
        if row["type"] == "standard" and not row["std_change_producer_version"]:
            row["type"] = "normal"  # recorded
        row |= {"state": NEW, "requested_by": row["requested_by"] or saving.user_id}
        row["chg_model"] = _MODELS.get(row["type"], "")
    elif row["type"] == "standard" and any(row[name] != before[name] for name in TEMPLATE_TEXTS):
        raise aborted("change_request", *_TEMPLATE)
    if row["on_hold"] == "true":
        _demand(row, (("on_hold_reason", "On hold reason"),))
    was = before.get("state", NEW)
    if row["state"] != was:
        moves = {
            state: (allowed, approval)
            for state, allowed, approval, _ in next_states(row | {"state": was}, saving.open_tasks)
        }
        allowed, approval = moves.get(row["state"], (False, False))
        if not allowed and not (approval and saving.approving):
            raise aborted("change_request", *_TRANSITION)
    if row["state"] not in {NEW, CANCELED}:
        _demand(row, (("assignment_group", "Assignment group"),))
    if row["state"] == DONE:
        _demand(row, (("close_code", "Close code"), ("close_notes", "Close notes")))
    if row["state"] == IMPLEMENT != was:
        row["work_start"] = row["work_start"] or saving.now
    _finish(row, saving, {DONE, CANCELED})


def _task(row: Row, before: Mapping[str, str]) -> None:
    """In plain tasks, state and active match."""
    done = row["state"] in {"3", "4", "7"}
    if row["active"] != before.get("active", "true") and (row["active"] == "false") != done:
        row["state"] = "3" if row["active"] == "false" else "1"
    else:
        row["active"] = "false" if done else "true"


def aborted(table: str, rule: str, rule_id: str) -> Refusal:
    """The error of a business rule that aborts."""
    told = f"Operation against file '{table}' was aborted by Business Rule '{rule}^{rule_id}'."
    return Refusal("Operation Failed", f"{told} Business Rule Stack:{rule}")


def mandatory(columns: Iterable[Column], row: Mapping[str, str]) -> None:
    """Reject a row with empty mandatory columns, listing their labels. Raises Refusal."""
    _demand(row, [(column.name, column.label) for column in columns if column.mandatory])


def _mirror(row: Row, before: Mapping[str, str], older: str, first: str) -> None:
    """The older of the two state columns still sets the other."""
    if row[older] != before.get(older, first) and row["state"] == before.get("state", first):
        row["state"] = row[older]
    row[older] = row["state"]


def _finish(row: Row, saving: Saving, done: set[str]) -> None:
    if row["state"] in done:
        row["closed_at"] = row["closed_at"] or saving.now
        row["closed_by"] = row["closed_by"] or saving.user_id
    row["active"] = "false" if row["state"] in done else "true"


def _demand(row: Mapping[str, str], wanted: Iterable[tuple[str, str]]) -> None:
    missing = [label for name, label in wanted if not row.get(name)]
    if missing:
        detail = f"Data Policy Exception: The following fields are mandatory: {', '.join(missing)}"
        raise Refusal("Operation Failed", detail)
