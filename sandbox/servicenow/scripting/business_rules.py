"""Business rules: before, after and async (API reference §11.2)."""

from collections.abc import Callable
from threading import local
from typing import Any

from sandbox.servicenow.auth.access_control import Caller
from sandbox.servicenow.queries.encoded_query import Unsupported
from sandbox.servicenow.records.hooks import Save
from sandbox.servicenow.records.store import Row, Store
from sandbox.servicenow.records.task_rules import Refusal
from sandbox.servicenow.scripting.events import Events
from sandbox.servicenow.scripting.glide.engine import Engine, Source
from sandbox.servicenow.scripting.glide.records import Records
from sandbox.servicenow.scripting.glide.scopes import Scopes

_CHANGES = ("VALCHANGES", "CHANGESFROM", "CHANGESTO")
Json = dict[str, Any]


def refuse_unknown(rule: Row) -> None:
    """Raise Unsupported for an active rule of a kind that isn't implemented here."""
    if rule["active"] != "true":
        return
    if rule["when"] not in {"before", "after", "async"} or rule["action_query"] == "true":
        raise Unsupported(f"business rules of this kind: {rule['name']} ({rule['when']})")
    odd = [name for name in ("role_conditions", "template") if rule[name]]
    odd += [name for name in ("is_rest",) if rule[name] == "true"]
    if rule["abort_action"] == "true" and rule["when"] != "before":
        odd.append("abort_action")
    if odd or any(word in rule["filter_condition"] for word in _CHANGES):
        raise Unsupported(f"business rules with {', '.join(odd) or 'change operators'}: {rule['name']}")


class BusinessRules:
    """
    Runs business rules around each write.

    Args:
        session: Returns the account of a user name and sys_id.
    """

    def __init__(
        self, store: Store, engine: Engine, events: Events, records: Records, session: Callable[[str, str], Caller]
    ) -> None:
        self._store = store
        self._engine = engine
        self._events = events
        self._records = records
        self._session = session
        self._scopes = Scopes(store)
        self._stack = local()

    def before(self, save: Save) -> None:
        """
        Run the before rules, which can change the row or reject the write.

        Raises:
            Refusal: A rule aborts.
            Unsupported: The row is itself a rule of a kind that would never run here.
        """
        if save.table == "sys_script" and save.operation != "delete":
            refuse_unknown(save.row)
        for rule in self._rules(save, "before"):
            left = self._run(rule, save, then="changed")
            if left is None:
                continue
            if left["aborted"]:
                name = rule["name"]
                raise Refusal(
                    "Operation Failed",
                    f"Operation against file '{save.table}' was aborted by Business Rule '{name}^{rule['sys_id']}'. "
                    f"Business Rule Stack:{name}",
                )
            if save.operation != "delete":
                save.row.update(left["touched"])

    def after(self, save: Save) -> None:
        """Run the after rules, then queue the async rules."""
        for rule in self._rules(save, "after"):
            self._run(rule, save)
        for rule in self._rules(save, "async"):
            self._events.later(lambda rule=rule: self._run(rule, save))  # type: ignore[misc]

    def _rules(self, save: Save, when: str) -> list[Row]:
        """The active rules of the table and its ancestors, in order."""
        if self._records.silenced():
            return []
        wanted = {"active": "true", "when": when, f"action_{save.operation}": "true"}
        classes = self._store.ancestors(save.table)
        rows = [
            row
            for row in self._store.rows("sys_script")
            if row["collection"] in classes and wanted.items() <= row.items()
        ]
        return sorted(rows, key=lambda row: float(row["order"] or 100))

    def _run(self, rule: Row, save: Save, then: str = "") -> Any:
        stack: list[tuple[str, str]] = self._stack.__dict__.setdefault("rules", [])
        key = (rule["sys_id"], save.row["sys_id"])
        if key in stack:  # a rule that saves its own record isn't started again by that
            return None
        stack.append(key)
        try:
            return self._started(rule, save, then)
        finally:
            stack.pop()

    def _started(self, rule: Row, save: Save, then: str) -> Any:
        session = self._session(save.user, save.user_id)
        source = Source(f"sys_script.{rule['sys_id']}.script", self._scopes.of(rule), rule["script"])
        variables = _variables(save, background=rule["when"] == "async")
        if rule["filter_condition"]:
            wanted = {"table": save.table, "values": save.row, "query": rule["filter_condition"]}
            if not self._records.matches(wanted | {"all": True, "sensitive": True}, session):
                return None
        if rule["condition"]:
            condition = Source(f"sys_script.{rule['sys_id']}.condition", source.scope, rule["condition"])
            value, _ = self._engine.attempt(condition, session, variables, what="truth")
            if value is not True:
                return None
        if rule["abort_action"] == "true":  # its message doesn't reach web services (measured)
            return {"aborted": True, "touched": {}}
        left, _ = self._engine.attempt(source, session, variables, then=then)
        return left


def _variables(save: Save, background: bool) -> Json:
    current: Json = {"table": save.table, "values": save.row, "operation": save.operation, "background": background}
    current["loaded"] = save.previous if save.operation != "insert" else {}
    current["journals"] = save.journals
    has_previous = save.operation != "insert" and not background
    previous = {"table": save.table, "values": save.previous} if has_previous else None
    return {"current": current, "previous": previous}
