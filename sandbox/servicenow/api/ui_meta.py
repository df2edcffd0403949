"""`GET /api/now/ui/meta/{table}`: the columns of a table, as the platform's forms request them (API reference §9.9)."""

from typing import Any

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from sandbox.common import Faults
from sandbox.servicenow.auth.access_control import AccessControl, Caller
from sandbox.servicenow.records.store import Store
from sandbox.servicenow.seed.labels import GERMAN
from sandbox.servicenow.tables.schema import Column
from sandbox.servicenow.web import access, http


class UiMetaApi:
    """The route."""

    def __init__(self, store: Store, access_control: AccessControl, faults: Faults) -> None:
        self._store = store
        self._access_control = access_control
        self._faults = faults

    def blueprint(self) -> Blueprint:
        """The route."""
        blueprint = Blueprint("meta", __name__)
        blueprint.add_url_rule("/api/now/ui/meta/<table>", "columns", self.columns)
        return blueprint

    def columns(self, table: str) -> ResponseReturnValue:
        """Columns with their choices, in the caller's language."""
        caller = self._access_control.authenticate(request.headers.get("Authorization", ""))
        if caller is None:
            return http.unauthenticated()
        if self._faults.take(request.path, "meta_refused"):
            return http.error(403, "User Not Authorized", "Failed API level ACL Validation")
        access.check_table(self._store, self._access_control, caller, table)
        hidden = self._access_control.hidden(caller, table)
        known = self._store.columns(table).values()
        return http.answer(
            {"result": {"columns": {c.name: self._about(caller, table, c) for c in known if c.name not in hidden}}}
        )

    def _about(self, caller: Caller, table: str, column: Column) -> dict[str, Any]:
        german = caller.language == "de"
        about: dict[str, Any] = {
            "label": GERMAN.get(column.name, column.label) if german else column.label,
            "type": "choice" if column.choices else column.type,
            "mandatory": column.mandatory,
            "read_only": column.name.startswith("sys_"),
            "max_length": column.max_length,
        }
        if column.reference:
            about["reference"] = column.reference
        if column.choices:
            choices = self._store.choices(table, column.name, caller.language)
            about["choices"] = [{"value": choice["value"], "label": choice["label"]} for choice in choices]
        return about
