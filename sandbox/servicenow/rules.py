"""What an instance does to a task that is saved: states, priority, data policies (API reference §5). Pure."""

from collections.abc import Iterable, Mapping

from sandbox.servicenow.schema import Column

Row = dict[str, str]

# impact, urgency: priority
_PRIORITY = {
    ("1", "1"): "1", ("1", "2"): "2", ("1", "3"): "3",
    ("2", "1"): "2", ("2", "2"): "3", ("2", "3"): "4",
    ("3", "1"): "3", ("3", "2"): "4", ("3", "3"): "5",
}  # fmt: skip
_RESOLVED, _CLOSED, _CANCELED = "6", "7", "8"


class Refusal(Exception):
    """A write that is not done: message and detail of the 403 (API reference §3.1)."""

    def __init__(self, message: str, detail: str) -> None:
        super().__init__(detail)
        self.message = message
        self.detail = detail


def incident(row: Row, before: Mapping[str, str], now: str, user_id: str) -> None:
    """
    The rules of incident; *before* is the row as it was, empty on insert.

    Raises:
        Refusal: A resolved or closed incident lacks its code or notes.
    """
    row["priority"] = _PRIORITY.get((row["impact"], row["urgency"]), "5")
    state_before = before.get("state", "1")
    if row["incident_state"] != before.get("incident_state", "1") and row["state"] == state_before:
        row["state"] = row["incident_state"]  # the older of the two columns still drives the other
    row["incident_state"] = row["state"]
    if row["state"] in {_RESOLVED, _CLOSED}:
        _demand(row, (("close_code", "Resolution code"), ("close_notes", "Close notes")))
        row["resolved_at"] = row["resolved_at"] or now
        row["resolved_by"] = row["resolved_by"] or user_id
    if row["state"] in {_CLOSED, _CANCELED}:
        row["closed_at"] = row["closed_at"] or now
        row["closed_by"] = row["closed_by"] or user_id
    row["active"] = "false" if row["state"] in {_CLOSED, _CANCELED} else "true"


def task(row: Row, before: Mapping[str, str]) -> None:
    """The rules of plain tasks: state and active go together."""
    done = row["state"] in {"3", "4", "7"}
    if row["active"] != before.get("active", "true") and (row["active"] == "false") != done:
        row["state"] = "3" if row["active"] == "false" else "1"
    else:
        row["active"] = "false" if done else "true"


def mandatory(columns: Iterable[Column], row: Mapping[str, str]) -> None:
    """Refuse a row whose mandatory columns are empty, naming their labels. Raises Refusal."""
    _demand(row, [(column.name, column.label) for column in columns if column.mandatory])


def _demand(row: Mapping[str, str], wanted: Iterable[tuple[str, str]]) -> None:
    missing = [label for name, label in wanted if not row.get(name)]
    if missing:
        detail = f"Data Policy Exception: The following fields are mandatory: {', '.join(missing)}"
        raise Refusal("Operation Failed", detail)
