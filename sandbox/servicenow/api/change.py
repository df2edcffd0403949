"""
The Change Management API: changes by type, templates, models, next states (API reference §6.1).

`change_details` has the subresources of a change. What isn't documented well enough (risk, delete) returns 501.
"""

import hashlib
from typing import Any

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from sandbox.servicenow.api.change_base import CHANGE, TYPES, ChangeBase
from sandbox.servicenow.auth.access_control import Caller
from sandbox.servicenow.records.store import Refusal
from sandbox.servicenow.records.task_rules import TEMPLATE_TEXTS, next_states
from sandbox.servicenow.web import http

_TEMPLATE, _MODEL = "std_change_producer_version", "chg_model"


class ChangeApi(ChangeBase):
    """The routes of changes, templates and models."""

    def blueprint(self) -> Blueprint:
        """All routes, with and without version."""
        blueprint = Blueprint("change_api", __name__)
        for version in ("", "/v1"):
            base = f"/api/sn_chg_rest{version}/change"

            def add(path: str, name: str, view: Any, *methods: str, at: str = base, of: str = version) -> None:
                blueprint.add_url_rule(at + path, name + of, view, methods=methods or ("GET",))

            add("", "changes", self.changes, "GET", "POST")
            add("/<sys_id>", "change", self.change, "GET", "PATCH")
            for kind in TYPES:
                add(f"/{kind}", kind, self.changes, *(("GET",) if kind == "standard" else ("GET", "POST")))
                add(f"/{kind}/<sys_id>", f"one_{kind}", self.change, "GET", "PATCH")
            add("/standard/<sys_id>", "from_template", self.from_template, "POST")
            for path, table in (("standard/template", _TEMPLATE), ("model", _MODEL)):
                add(f"/{path}", f"all_{table}", self._lister(table))
                add(f"/{path}/<sys_id>", f"one_{table}", self._reader(table))
            add("/<sys_id>/nextstates", "nextstates", self.nextstates)
        return blueprint

    def changes(self) -> ResponseReturnValue:
        """List changes, or create one of a type or model. Creating returns 200."""
        caller = self._caller()
        kind = self._kind()
        if request.method == "GET":
            return self._list(caller, CHANGE, f"type={kind}" if kind else "")
        given, ignored = self._given()
        model = request.args.get("chg_model") or str(self._body().get("chg_model", ""))
        given["type"] = kind or self._type_of(model) or str(self._body().get("type", "normal"))
        return self._create(caller, given, ignored)

    def change(self, sys_id: str) -> ResponseReturnValue:
        """Read or update a change."""
        caller = self._caller()
        row = self._find(caller, sys_id)
        if request.method == "GET":
            return http.answer({"result": self._shaped(caller, CHANGE, row)})
        if not self._access_control.may_write(caller, CHANGE, row):
            return http.denied("Update")
        given, ignored = self._given()
        try:
            row = self._store.update(CHANGE, sys_id, given, caller.user_name, caller.sys_id)
        except Refusal as refusal:
            return http.error(403, f"Change Request record could not be updated. {refusal.detail}", "")
        return http.answer({"result": self._shaped(caller, CHANGE, row) | {"__meta": {"ignoredFields": ignored}}})

    def from_template(self, sys_id: str) -> ResponseReturnValue:
        """Create a standard change from a published template. It is approved, and its texts are the template's."""
        caller = self._caller()
        template = self._store.find(_TEMPLATE, sys_id)
        if template is None or template["active"] != "true":
            return http.no_record()
        given, ignored = self._given()
        fixed = {name: template[name] for name in TEMPLATE_TEXTS} | {"type": "standard", "approval": "approved"}
        return self._create(caller, given | fixed | {_TEMPLATE: sys_id}, ignored)

    def nextstates(self, sys_id: str) -> ResponseReturnValue:
        """The possible next states with their transitions and conditions. The current state is included."""
        caller = self._caller()
        row = self._find(caller, sys_id)
        was = row["state"]
        choices = self._store.choices(CHANGE, "state", caller.language)
        labels = {choice["value"]: choice["label"] for choice in choices}
        by_state: dict[str, list[dict[str, Any]]] = {}
        for to, allowed, automatic, condition in next_states(row, self._store.open_tasks(sys_id)):
            about = {"name": condition, "description": None, "sys_id": _id(condition)}
            transition = {
                "sys_id": _id(f"{row['type']} {was} {to} {automatic}"),
                "display_value": f"{labels[was]} to {labels[to]}",
                "from_state": was,
                "to_state": to,
                "transition_available": allowed,
                "automatic_transition": automatic,
                "conditions": [{"passed": allowed, "condition": about}] if condition else [],
            }
            by_state.setdefault(to, []).append(transition)
        open_to = [to for to, moves in by_state.items() if any(move["transition_available"] for move in moves)]
        result = {
            "available_states": [*open_to, was],
            "state_transitions": list(by_state.values()),
            "state_label": {state: labels[state] for state in (*open_to, was)},
        }
        return http.answer({"result": result})

    # --- helpers

    def _type_of(self, model: str) -> str:
        for row in self._store.rows(_MODEL):
            if model in {row["sys_id"], row["name"]}:
                return row["name"].lower()
        return ""

    def _create(self, caller: Caller, given: dict[str, str], ignored: list[str]) -> Response:
        try:
            row = self._store.insert(CHANGE, given, caller.user_name, caller.sys_id)
        except Refusal as refusal:
            return http.error(403, f"Change Request record could not be created. {refusal.detail}", "")
        if self._faults.take(request.path, "500_after_commit"):
            return http.cancelled()
        return http.answer({"result": self._shaped(caller, CHANGE, row) | {"__meta": {"ignoredFields": ignored}}})

    def _lister(self, table: str) -> Any:
        return lambda: self._list(self._caller(), table, "")

    def _reader(self, table: str) -> Any:
        def read(sys_id: str) -> ResponseReturnValue:
            caller, row = self._caller(), self._store.find(table, sys_id)
            return http.no_record() if row is None else http.answer({"result": self._shaped(caller, table, row)})

        return read


def _id(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
