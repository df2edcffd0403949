"""
The Change Management API: subresources of a change (API reference §6.1, and the vendor's reference).

Its tasks, affected CIs, conflicts, available windows, and the caller's approval.
"""

import json
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from sandbox.common import Faults
from sandbox.servicenow.api.change_base import CHANGE, ChangeBase
from sandbox.servicenow.api.change_workers import Gone, Json, Workers
from sandbox.servicenow.auth.access_control import AccessControl, Caller
from sandbox.servicenow.queries.encoded_query import Unsupported
from sandbox.servicenow.records.change_conflicts import Conflicts
from sandbox.servicenow.records.column_types import stored
from sandbox.servicenow.records.store import Refusal, Row, Store
from sandbox.servicenow.web import http

_TASK, _AFFECTED, _APPROVAL = "change_task", "task_ci", "sysapproval_approver"
_RAW = "%Y-%m-%d %H:%M:%S"


class ChangeDetailsApi(ChangeBase):
    """The routes below a change, and the workers that some of them start."""

    def __init__(self, store: Store, access_control: AccessControl, faults: Faults) -> None:
        super().__init__(store, access_control, faults)
        self._conflicts = Conflicts(store)
        self._workers = Workers()

    def blueprint(self) -> Blueprint:
        """All routes, with and without version."""
        blueprint = Blueprint("change_details_api", __name__)
        for version in ("", "/v1"):
            base = f"/api/sn_chg_rest{version}/change"

            def add(path: str, view: Any, *methods: str, at: str = base, of: str = version) -> None:
                blueprint.add_url_rule(at + path, view.__name__ + of, view, methods=methods or ("GET",))

            add("/<sys_id>/task", self.tasks, "GET", "POST")
            add("/<sys_id>/task/<task_id>", self.task, "PATCH", "DELETE")
            add("/<sys_id>/ci", self.items)
            add("/<sys_id>/conflict", self.conflict, "GET", "POST")
            add("/<sys_id>/approvals", self.approvals, "PATCH")
            add("/<sys_id>/schedule", self.schedule)
            add("/<sys_id>/schedule/first_available", self.first_available, "PATCH")
            add("/ci/<sys_id>/schedule", self.item_schedule)
            add("/worker/<sys_id>", self.worker)
        return blueprint

    # --- tasks and CIs

    def tasks(self, sys_id: str) -> ResponseReturnValue:
        """List the tasks of a change, or create one."""
        caller = self._caller()
        self._find(caller, sys_id)
        if request.method == "GET":
            return self._list(caller, _TASK, f"change_request={sys_id}")
        given, ignored = self._given(_TASK)
        try:
            row = self._store.insert(_TASK, given | {"change_request": sys_id}, caller.user_name, caller.sys_id)
        except Refusal as refusal:
            return http.error(403, f"Change Task record could not be created. {refusal.detail}", "")
        return self._answer(caller, _TASK, row, ignored)

    def task(self, sys_id: str, task_id: str) -> ResponseReturnValue:
        """Update or delete a task. A deleted task is returned as it was."""
        caller = self._caller()
        change = self._find(caller, sys_id)
        row = self._store.find(_TASK, task_id)
        if row is None or row["change_request"] != change["sys_id"]:
            return http.no_record()
        if request.method == "DELETE":
            if not caller.admin:
                return http.denied("Delete")
            shown = self._shaped(caller, _TASK, row)
            self._store.delete(_TASK, task_id, caller.user_name, caller.sys_id)
            return http.answer({"result": shown})
        given, ignored = self._given(_TASK)
        try:
            row = self._store.update(_TASK, task_id, given, caller.user_name, caller.sys_id)
        except Refusal as refusal:
            return http.error(403, f"Change Task record could not be updated. {refusal.detail}", "")
        return self._answer(caller, _TASK, row, ignored)

    def items(self, sys_id: str) -> ResponseReturnValue:
        """The affected CIs. Impacted services and offerings aren't implemented."""
        caller = self._caller()
        self._find(caller, sys_id)
        match request.args.get("association_type", ""):
            case "affected":
                return self._list(caller, _AFFECTED, f"task={sys_id}")
            case "impacted" | "offering" as other:
                raise Unsupported(f"association_type={other}")
        return http.error(400, "association_type is missing or invalid", "affected, impacted or offering")

    # --- conflicts and windows

    def conflict(self, sys_id: str) -> ResponseReturnValue:
        """The result of the last conflict check, or start one."""
        caller = self._caller()
        change = self._find(caller, sys_id)
        if request.method == "GET":
            return http.answer({"result": self._found(caller, change)})
        if not (change["cmdb_ci"] and change["start_date"] and change["end_date"]):
            return http.error(400, "Change request must have a configuration item, a planned start and a planned end")

        def check() -> None:
            self._conflicts.check(self._again(sys_id), caller.user_name)

        return http.answer({"result": self._workers.begin("conflict", {"change_sys_id": sys_id}, check)})

    def _found(self, caller: Caller, change: Row) -> Json:
        ran = bool(change["conflict_last_run"])
        others = self._conflicts.of(change) if ran and change["conflict_status"] == "Conflict" else []
        item = {"display_value": self._store.display("cmdb_ci", change["cmdb_ci"]), "value": change["cmdb_ci"]}
        conflicts = [
            {
                "change": {"display_value": change["number"], "value": change["sys_id"]},
                "conflicting_change": {"display_value": other["number"], "value": other["sys_id"]},
                "configuration_item": item,
                "type": {"display_value": "CI Already Scheduled", "value": "ci_already_scheduled"},
            }
            for other in others
        ]
        return {
            "status": change["conflict_status"],
            "last_run": change["conflict_last_run"],
            "record_count": str(self._conflicts.checked(change)) if ran else "0",
            "job_status": "2" if ran else "",
            "conflicts": conflicts,
        }

    def schedule(self, sys_id: str) -> ResponseReturnValue:
        """Windows that are free for the change's duration. A worker finds them."""
        caller = self._caller()
        change = self._find(caller, sys_id)
        if not (change["cmdb_ci"] and change["start_date"] and change["end_date"]):
            return http.error(400, "Change request must have a configuration item, a planned start and a planned end")
        asked = {"change_sys_id": sys_id, "timezone": caller.time_zone}

        def slots() -> Json | None:
            now = self._again(sys_id)
            seconds = int((_time(now["end_date"]) - _time(now["start_date"])).total_seconds())
            return self._spans(caller, now["cmdb_ci"], max(seconds, 1), now["start_date"], sys_id)

        return http.answer({"result": self._workers.begin("schedule", asked, slots)}, 202)

    def item_schedule(self, sys_id: str) -> ResponseReturnValue:
        """Windows in which a CI is free, for no particular change."""
        caller = self._caller()
        seconds, begin = self._window(request.args)
        if self._store.find("cmdb_ci", sys_id) is None:
            return http.error(400, "Cannot find the cmdb_ci with the provided sys_id")
        asked = {"cmdb_ci_sys_id": sys_id, "planned_start_time": begin, "duration_in_seconds": seconds}
        asked["timezone"] = caller.time_zone
        worker = self._workers.begin("schedule", asked, lambda: self._spans(caller, sys_id, seconds, begin, ""))
        return http.answer({"result": worker}, 202)

    def first_available(self, sys_id: str) -> ResponseReturnValue:
        """Schedule the change in the next free window. A worker does it."""
        caller = self._caller()
        change = self._find(caller, sys_id)
        seconds, begin = self._window(self._body())
        if not change["cmdb_ci"]:
            return http.error(400, "Change request must have a configuration item")
        asked = {"change_sys_id": sys_id, "duration_in_seconds": seconds, "timezone": caller.time_zone}

        def plan() -> None:
            now = self._again(sys_id)
            first, last = self._conflicts.slots(now["cmdb_ci"], seconds, begin, sys_id)[0]
            dates = {"start_date": first, "end_date": last}
            self._store.update(CHANGE, sys_id, dates, caller.user_name, caller.sys_id)

        return http.answer({"result": self._workers.begin("schedule", asked, plan)}, 202)

    def worker(self, sys_id: str) -> ResponseReturnValue:
        """The state of a worker. It is complete by the first request for it."""
        self._caller()
        shown = self._workers.finish(sys_id)
        return http.no_record() if shown is None else http.answer({"result": shown})

    # --- approvals

    def approvals(self, sys_id: str) -> ResponseReturnValue:
        """Approve or reject as the requesting user. Returns the updated change."""
        caller = self._caller()
        change = self._find(caller, sys_id)
        body = self._body()
        state, comments = str(body.get("state", "")), str(body.get("comments", ""))
        if state not in {"approved", "rejected"}:
            return http.error(400, "state must be approved or rejected")
        if state == "rejected" and not comments:
            return http.error(400, "comments are required if state is rejected")
        mine = {"sysapproval": change["sys_id"], "approver": caller.sys_id, "state": "requested"}
        row = next((row for row in self._store.rows(_APPROVAL) if mine.items() <= row.items()), None)
        if row is None:
            return http.error(400, "The user has no approval to decide on for this change request")
        given = {"state": state, "comments": comments}
        self._store.update(_APPROVAL, row["sys_id"], given, caller.user_name, caller.sys_id)
        return http.answer({"result": self._shaped(caller, CHANGE, self._again(sys_id))})

    # --- helpers

    def _answer(self, caller: Caller, table: str, row: Row, ignored: list[str]) -> Response:
        return http.answer({"result": self._shaped(caller, table, row) | {"__meta": {"ignoredFields": ignored}}})

    def _again(self, sys_id: str) -> Row:
        row = self._store.find(CHANGE, sys_id)
        if row is None:
            raise Gone(sys_id)
        return row

    def _window(self, given: Any) -> tuple[int, str]:
        """The duration in seconds and the earliest start. Raises Refused: 400."""
        seconds, begin = str(given.get("duration_in_seconds", "")), str(given.get("planned_start_time", ""))
        column = self._store.columns(CHANGE)["start_date"]
        if not seconds.isdigit() or not int(seconds) or stored(column, begin) is None:
            raise http.Refused(
                http.error(400, "Invalid duration_in_seconds or planned_start_time", json.dumps(seconds))
            )
        return int(seconds), stored(column, begin) or ""

    def _spans(self, caller: Caller, item: str, seconds: int, begin: str, but: str) -> Json | None:
        zone = ZoneInfo(caller.time_zone)

        def shown(raw: str) -> Json:
            return {"value": raw, "display_value": _time(raw).astimezone(zone).strftime(_RAW)}

        slots = self._conflicts.slots(item, seconds, begin, but)
        return {"spans": [{"start": shown(first), "end": shown(last)} for first, last in slots]} if slots else None


def _time(raw: str) -> datetime:
    return datetime.strptime(raw, _RAW).replace(tzinfo=UTC)
