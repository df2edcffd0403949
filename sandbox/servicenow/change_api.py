"""
The Change Management API: changes by type, templates, models, next states, conflict checks (API reference §6.1).

What nothing shows (risk, schedules, tasks, approvals by this API, the list of conflicts) is refused loudly.
"""

import hashlib
from typing import Any

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from sandbox.common import Faults
from sandbox.servicenow import entry, http
from sandbox.servicenow.conflicts import Conflicts
from sandbox.servicenow.lists import Forbidden, Lists
from sandbox.servicenow.people import Caller, People
from sandbox.servicenow.query import TEXT, Parsed
from sandbox.servicenow.rules import next_states
from sandbox.servicenow.shapes import Shapes
from sandbox.servicenow.store import Refusal, Row, Store

_CHANGE, _TEMPLATE, _MODEL = "change_request", "std_change_producer_version", "chg_model"
_TYPES = ("normal", "emergency", "standard")


class ChangeApi:
    """The routes, over one store."""

    def __init__(self, store: Store, people: People, faults: Faults) -> None:
        self._store = store
        self._people = people
        self._faults = faults
        self._lists = Lists(store, people)
        self._conflicts = Conflicts(store)

    def blueprint(self) -> Blueprint:
        """All routes, versioned and not."""
        blueprint = Blueprint("change_api", __name__)
        for version in ("", "/v1"):
            base = f"/api/sn_chg_rest{version}/change"

            def add(path: str, name: str, view: Any, *methods: str, at: str = base, of: str = version) -> None:
                blueprint.add_url_rule(at + path, name + of, view, methods=methods or ("GET",))

            add("", "changes", self.changes, "GET", "POST")
            add("/<sys_id>", "change", self.change, "GET", "PATCH")
            for kind in _TYPES:
                add(f"/{kind}", kind, self.changes, *(("GET",) if kind == "standard" else ("GET", "POST")))
                add(f"/{kind}/<sys_id>", f"one_{kind}", self.change, "GET", "PATCH")
            add("/standard/<sys_id>", "from_template", self.from_template, "POST")
            for path, table in (("standard/template", _TEMPLATE), ("model", _MODEL)):
                add(f"/{path}", f"all_{table}", self._lister(table))
                add(f"/{path}/<sys_id>", f"one_{table}", self._reader(table))
            add("/<sys_id>/nextstates", "nextstates", self.nextstates)
            add("/<sys_id>/conflict", "conflict", self.conflict, "POST")
            add("/worker/<sys_id>", "worker", self.worker)
        return blueprint

    def changes(self) -> ResponseReturnValue:
        """List changes, or create one of a type or model. Creating answers 200."""
        caller = self._caller()
        kind = self._kind()
        if request.method == "GET":
            return self._list(caller, _CHANGE, f"type={kind}" if kind else "")
        given, ignored = self._given()
        model = request.args.get("chg_model") or str(self._body().get("chg_model", ""))
        given["type"] = kind or self._type_of(model) or str(self._body().get("type", "normal"))
        return self._create(caller, given, ignored)

    def change(self, sys_id: str) -> ResponseReturnValue:
        """One change, read or changed."""
        caller = self._caller()
        row = self._find(caller, sys_id)
        if request.method == "GET":
            return http.answer({"result": self._shaped(caller, _CHANGE, row)})
        if not self._people.may_write(caller, _CHANGE, row):
            return http.denied("Update")
        given, ignored = self._given()
        try:
            row = self._store.update(_CHANGE, sys_id, given, caller.user_name, caller.sys_id)
        except Refusal as refusal:
            return http.error(403, f"Change Request record could not be updated. {refusal.detail}", "")
        return http.answer({"result": self._shaped(caller, _CHANGE, row) | {"__meta": {"ignoredFields": ignored}}})

    def from_template(self, sys_id: str) -> ResponseReturnValue:
        """A standard change from a published template, approved beforehand; its texts are the template's."""
        caller = self._caller()
        template = self._store.find(_TEMPLATE, sys_id)
        if template is None or template["active"] != "true":
            return http.no_record()
        given, ignored = self._given()
        texts = ("short_description", "description", "implementation_plan", "backout_plan", "test_plan")
        given = {name: template[name] for name in texts} | given
        fixed = {name: template[name] for name in texts[1:]} | {"type": "standard", "approval": "approved"}
        return self._create(caller, given | fixed | {_TEMPLATE: sys_id}, ignored)

    def nextstates(self, sys_id: str) -> ResponseReturnValue:
        """The states that may follow, with what each transition waits for; the current state is among them."""
        caller = self._caller()
        row = self._find(caller, sys_id)
        was = row["state"]
        choices = self._store.choices(_CHANGE, "state", caller.language)
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

    def conflict(self, sys_id: str) -> ResponseReturnValue:
        """Start a conflict check; a worker answers."""
        caller = self._caller()
        row = self._find(caller, sys_id)
        if not (row["cmdb_ci"] and row["start_date"] and row["end_date"]):
            return http.error(400, "Change request must have a configuration item, a planned start and a planned end")
        return http.answer({"result": self._worker(self._conflicts.begin(row))})

    def worker(self, sys_id: str) -> ResponseReturnValue:
        """How a check is doing: done by the time somebody asks."""
        caller = self._caller()
        change = self._conflicts.finish(sys_id, caller.user_name)
        return http.no_record() if change is None else http.answer({"result": self._worker((sys_id, change, 3))})

    # --- parts

    def _caller(self) -> Caller:
        caller = entry.reader(self._store, self._people, _CHANGE)
        if not caller.itil:
            raise http.Refused(http.error(403, "User Not Authorized", "Failed API level ACL Validation"))
        return caller

    def _kind(self) -> str:
        """The type that the address names."""
        parts = request.path.partition("/change")[2].split("/")
        return next((part for part in parts[1:2] if part in _TYPES), "")

    def _find(self, caller: Caller, sys_id: str) -> Row:
        row = self._store.find(_CHANGE, sys_id)
        if row is None or not self._people.may_read(caller, _CHANGE, row) or self._kind() not in {"", row["type"]}:
            raise http.Refused(http.no_record())
        return row

    def _type_of(self, model: str) -> str:
        for row in self._store.rows(_MODEL):
            if model in {row["sys_id"], row["name"]}:
                return row["name"].lower()
        return ""

    def _body(self) -> dict[str, Any]:
        body = request.get_json(force=True, silent=True)
        return body if isinstance(body, dict) else {}

    def _given(self) -> tuple[dict[str, str], list[str]]:
        """Columns from the address and, over those, from the body; display values are taken. Then what is ignored."""
        sent = {**request.args.to_dict(), **self._body()}
        fields = {name: str(value) for name, value in sent.items() if not name.startswith("sysparm_")}
        known = self._store.columns(_CHANGE)
        values = {name: self._lists.raw(_CHANGE, name, value) for name, value in fields.items() if name in known}
        return values, [name for name in fields if name not in known]

    def _create(self, caller: Caller, given: dict[str, str], ignored: list[str]) -> Response:
        try:
            row = self._store.insert(_CHANGE, given, caller.user_name, caller.sys_id)
        except Refusal as refusal:
            return http.error(403, f"Change Request record could not be created. {refusal.detail}", "")
        if self._faults.take(request.path, "500_after_commit"):
            return http.cancelled()
        return http.answer({"result": self._shaped(caller, _CHANGE, row) | {"__meta": {"ignoredFields": ignored}}})

    def _lister(self, table: str) -> Any:
        return lambda: self._list(self._caller(), table, "")

    def _reader(self, table: str) -> Any:
        def read(sys_id: str) -> ResponseReturnValue:
            caller, row = self._caller(), self._store.find(table, sys_id)
            return http.no_record() if row is None else http.answer({"result": self._shaped(caller, table, row)})

        return read

    def _list(self, caller: Caller, table: str, fixed: str) -> Response:
        """Rows, then one element that says which terms were applied."""
        arguments = request.args
        query = arguments.get("sysparm_query")
        if query is None:
            query = self._lists.from_pairs(table, {n: v for n, v in arguments.items() if n not in {"order"}})
        terms = [fixed, f"{TEXT}={arguments['textSearch']}" if "textSearch" in arguments else "", query]
        terms.append(f"ORDERBY{arguments['order']}" if "order" in arguments else "")
        try:
            rows = self._lists.select(caller, table, self._lists.parse(table, "^".join(t for t in terms if t)))
        except Forbidden:
            return http.unreadable_filter()
        offset, limit = entry.number("sysparm_offset", 0), entry.number("sysparm_limit", 10_000)
        page = self._lists.visible(caller, table, rows[offset : offset + limit])
        parsed = self._lists.parse(table, query)
        fields = {"applied": _columns(parsed), "ignored": parsed.dropped}
        meta = {"__meta": {"encodedQuery": query, "fields": fields}}
        return http.answer({"result": [*(self._shaped(caller, table, row) for row in page), meta]})

    def _shaped(self, caller: Caller, table: str, row: Row) -> dict[str, Any]:
        """Every column as display value and value; numbers and truths are real ones."""
        shapes = Shapes(self._store, self._people, caller, "", "true", False)
        hidden = self._people.hidden(caller, table)
        shaped: dict[str, Any] = {}
        for name, column in self._store.columns(table).items():
            if name in hidden:
                continue
            shown, value = shapes.text(table, row, name), row.get(name, "")
            cell: dict[str, Any] = {"display_value": shown, "value": value}
            if column.type == "integer" and value:
                cell["value"] = float(value)
            elif column.type == "boolean" and value:
                cell["value"] = value == "true"
            elif column.type in {"glide_date_time", "due_date"}:
                cell["display_value_internal"] = shown if value else ""
            shaped[name] = cell
        if table == _CHANGE:
            shaped["variables"] = {"display_value": "variable_pool", "value": "variable_pool"}
        return shaped

    def _worker(self, job: tuple[str, str, int]) -> dict[str, Any]:
        sys_id, change, state = job
        return {
            "worker": {"sysId": sys_id, "link": f"{request.host_url}api/sn_chg_rest/change/worker/{sys_id}"},
            "request": f'{{"change_sys_id":"{change}"}}',
            "state": {"value": state, "display_value": {1: "Waiting", 3: "Complete"}[state]},
            "type": "conflict",
            "messages": {"errorMessages": [], "warningMessages": [], "infoMessages": []},
        }


def _columns(parsed: Parsed) -> list[str]:
    return list(dict.fromkeys(term.column for query in parsed.queries for group in query for term in group))


def _id(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
