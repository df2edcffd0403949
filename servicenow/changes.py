"""
The Change Management API (API reference §6.1).

Its answers differ from the Table API's: 200 for an insert, JSON numbers and booleans, one object where the
documentation shows a list, and a last list element that has only ``__meta``.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from core.fields import Option, distinct_options
from core.records import Cell, Choice, Record
from core.tables import table_of
from core.upstream_errors import Broken
from servicenow.queries import Query, contains, equals, is_sys_id, overlapping
from servicenow.table_api import TableApi, record_from

TABLE = "change_request"
_BASE = "/api/sn_chg_rest/v1/change"
_KINDS = ("normal", "emergency", "standard")
_MOST = 20
_OVERLAPPING = 5
_LOOKS = 3  # at a job; it is quick or it is not waited for
_COMPLETE = "3"


class ChangesClient:
    """Creates and checks change requests with one person's permissions."""

    def __init__(self, api: TableApi) -> None:
        self._api = api

    def next_states(self, sys_id: str) -> Sequence[Choice]:
        """The current state and those that can follow it now, in the account's language."""
        result = self._api.get(f"{_BASE}/{_checked(sys_id)}/nextstates", {})["result"]
        return read_next_states(result)

    def create(self, kind: str, columns: Mapping[str, str], template: str = "") -> Record:
        """
        A ``normal`` or ``emergency`` change, or a ``standard`` one from *template*. Raw values, dates in UTC.

        If a `may_have_been_saved` error is raised, the change may exist.
        """
        if kind not in _KINDS or (not is_sys_id(template) if kind == "standard" else template):
            raise ValueError(f"no kind of change: {kind}")
        path = f"{_BASE}/standard/{template}" if template else f"{_BASE}/{kind}"
        return read_change(self._api.post(path, columns)["result"])

    def overlapping(self, item: str, start: str, end: str) -> Sequence[Record]:
        """
        Open changes planned for the configuration item *item* at the same time, soonest first. At most five.

        *start* and *end* are raw UTC.
        """
        query = Query().where(equals("cmdb_ci", item)).where(equals("active", "true"))
        for term in overlapping("start_date", "end_date", start, end):
            query = query.where(term)
        columns = (*table_of(TABLE).card_columns, "cmdb_ci")
        rows = self._api.rows(TABLE, query.order_by("start_date"), columns, _OVERLAPPING, display="all")
        # A dropped term would bring changes of other items.
        return [record for record in (record_from(TABLE, row) for row in rows) if record.value("cmdb_ci") == item]

    def check_conflicts(self, sys_id: str) -> str:
        """
        Have ServiceNow check a change for conflicts, and return the result in the account's language.

        "" if there is no result in time. Three requests.
        """
        worker = self._api.post(f"{_BASE}/{_checked(sys_id)}/conflict", {})["result"]
        for _ in range(_LOOKS):
            if _is_complete(worker):
                return self._api.row(TABLE, sys_id, ("sys_id", "conflict_status")).display("conflict_status")
            job = worker.get("worker") if isinstance(worker, dict) else None
            job_id = str(job.get("sysId") or "") if isinstance(job, dict) else ""
            worker = self._api.get(f"{_BASE}/worker/{_checked(job_id)}", {})["result"]
        return ""

    def find_templates(self, query: str) -> Sequence[Option]:
        """Approved templates of standard changes by name. At most 20."""
        wanted = Query().where(equals("active", "true")).where(contains("name", query)).order_by("name")
        params = {"sysparm_query": str(wanted), "sysparm_limit": str(_MOST)}
        rows = self._api.get(f"{_BASE}/standard/template", params)["result"]
        records = [read_change(row) for row in rows if isinstance(row, dict) and "sys_id" in row]
        sought = query.casefold()
        found = (Option(record.display("name"), record.sys_id) for record in records)
        # The API tells in `__meta` which filters it ignored; what does not fit is left out here instead.
        return distinct_options(option for option in found if sought in option.label.casefold())


def _checked(sys_id: str) -> str:
    """Only ids are used in a path. Raises Broken if ServiceNow returned something else."""
    if not is_sys_id(sys_id):
        raise Broken("no sys_id")
    return sys_id


def _is_complete(worker: Any) -> bool:
    state = worker.get("state") if isinstance(worker, dict) else None
    return isinstance(state, dict) and str(state.get("value")) in {_COMPLETE, f"{_COMPLETE}.0"}


def read_next_states(result: Any) -> list[Choice]:
    """
    The states that a person can choose, in ServiceNow's order.

    ServiceNow also lists automatic transitions, such as an approval. They are left out.
    """
    if not isinstance(result, dict) or not isinstance(result.get("available_states"), list):
        raise Broken("nextstates without states")
    labels = result.get("state_label")
    labels = labels if isinstance(labels, dict) else {}
    moves = [move for group in result.get("state_transitions") or [] for move in group if isinstance(move, dict)]
    listed = {str(move.get("to_state")) for move in moves}
    by_hand = {
        str(move.get("to_state"))
        for move in moves
        if move.get("transition_available") is True and move.get("automatic_transition") is not True
    }
    states = [str(state) for state in result["available_states"]]
    return [
        Choice(str(labels.get(state) or state), state) for state in states if state in by_hand or state not in listed
    ]


def read_change(result: Any) -> Record:
    """Parse a change or a template. Raises Broken for anything else."""
    row = result[0] if isinstance(result, list) and result else result
    if not isinstance(row, dict) or not isinstance(row.get("sys_id"), dict):
        raise Broken("change API answered without a row")
    cells = {
        column: Cell(_raw(cell.get("value")), str(cell.get("display_value") or ""))
        for column, cell in row.items()
        if isinstance(cell, dict) and "value" in cell
    }
    return Record(TABLE, cells["sys_id"].value, cells)


def _raw(value: Any) -> str:
    """The value in the Table API's format: ``-5`` for ``-5.0``, ``true`` for a boolean."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case float() if value.is_integer():
            return str(int(value))
        case _:
            return str(value)
