"""Builds everything that runs scripts for one instance."""

import uuid
from typing import Any

from sandbox.common import Clock
from sandbox.servicenow.auth.access_control import AccessControl, Caller
from sandbox.servicenow.queries.encoded_query import Unsupported
from sandbox.servicenow.records.store import Row, Store
from sandbox.servicenow.scripting.acls import Acls
from sandbox.servicenow.scripting.business_rules import BusinessRules
from sandbox.servicenow.scripting.events import Events
from sandbox.servicenow.scripting.glide.engine import Engine, Source
from sandbox.servicenow.scripting.glide.host import Services
from sandbox.servicenow.scripting.glide.outbound_http import Outbound
from sandbox.servicenow.scripting.glide.records import Records
from sandbox.servicenow.scripting.glide.scopes import Scope, Scopes

SYSTEM = Caller("system", "system", frozenset({"admin"}), "en", "UTC")
_MOST_LOGGED = 5000
Json = dict[str, Any]


class Runtime:
    """
    The script runtime of one instance.

    Args:
        url: The instance's own URL, for scripts that link to it.
    """

    def __init__(self, store: Store, access_control: AccessControl, clock: Clock, url: str) -> None:
        self._store = store
        self._access_control = access_control
        self._clock = clock
        self._url = url
        self._scopes = Scopes(store)
        self.records = Records(store, access_control)
        self.events = Events(store, clock, self._process, self._failed)
        services = Services(
            records=self.records,
            outbound=Outbound(lambda row: self._keep("sys_outbound_http_log", row)),
            log=self.log,
            queue=self._queue,
            property=self._property,
            includes=self._includes,
            now=clock.now,
            may=self._may,
            hidden=access_control.hidden,
        )
        self.engine = Engine(services)
        self.access = Acls(store, self.engine, self._matches)
        self.rules = BusinessRules(store, self.engine, self.events, self.records, self.session)

    def _may(self, caller: Caller, table: str, operation: str, row: Row) -> bool:
        """Check access as REST does: built-in rules for the base system's tables, ACLs for imported ones."""
        match operation:
            case "read":
                return self._access_control.may_read(caller, table, row)
            case "create":
                return self._access_control.may_insert(caller, table)
            case "write":
                return self._access_control.may_write(caller, table, row)
            case _:
                return self._access_control.may_delete(caller, table, row)

    def clear(self) -> None:
        """Cut off running scripts, and drop everything that waits."""
        self.engine.forget()
        self.events.clear()

    def log(self, level: str, message: str, source: str) -> None:
        """Add a row to ``syslog``: level -1 debug, 0 information, 1 warning, 2 error."""
        self._keep("syslog", {"sys_id": uuid.uuid4().hex, "level": level, "message": message, "source": source})

    def session(self, user_name: str, user_id: str) -> Caller:
        """The account of a write, or the system if there is none."""
        found = self._access_control.by_id(user_id) if user_id else None
        if found is None and user_name != SYSTEM.user_name:
            rows = self._store.rows("sys_user")
            row = next((row for row in rows if row["user_name"] == user_name), None)
            found = self._access_control.by_id(row["sys_id"]) if row else None
        return found or SYSTEM

    def _failed(self, problem: Exception) -> None:
        prefix = "The sandbox does not do this: " if isinstance(problem, Unsupported) else "The sandbox failed: "
        self.log("2", f"{prefix}{problem!r}", "sysevent")

    def _keep(self, table: str, row: Row) -> None:
        now = self._store.now()
        self._store.put(table, row | {"sys_created_on": now, "sys_updated_on": now})
        self._store.keep_newest(table, _MOST_LOGGED)

    def _queue(self, given: Json, caller: Caller) -> None:
        at = None if given["at"] is None else given["at"] / 1000
        row = {name: given[name] for name in ("name", "table", "instance", "parm1", "parm2", "queue")}
        if not row["table"]:
            registered = self._store.rows("sysevent_register")
            row["table"] = next((one["table"] for one in registered if one["event_name"] == row["name"]), "")
        self.events.queue(row, caller.sys_id, caller.user_name, at)

    def _process(self, event: Row) -> bool:
        """Run the script actions of an event in order, each with the record's current state."""
        actions = [
            row
            for row in self._store.rows("sysevent_script_action")
            if row["event_name"] == event["name"] and row["active"] == "true"
        ]
        went_well = True
        for action in sorted(actions, key=lambda row: float(row["order"] or 100)):
            scope, name = self._scopes.of(action), f"sysevent_script_action.{action['sys_id']}"
            variables = {"event": event, "current": self._current(event)}
            if action["condition_script"].strip():
                condition = Source(f"{name}.condition_script", scope, action["condition_script"])
                wanted, _ = self.engine.attempt(condition, SYSTEM, variables, what="truth")
                if wanted is not True:
                    continue
            went_well &= self.engine.attempt(Source(f"{name}.script", scope, action["script"]), SYSTEM, variables)[1]
        return went_well

    def _current(self, event: Row) -> Json | None:
        row = self._store.find(event["table"], event["instance"]) if event["instance"] else None
        if row is None:
            return None
        table = row.get("sys_class_name") or event["table"]
        return {"table": table if table in self._store.tables else event["table"], "values": row, "background": True}

    def _includes(self, scope: Scope) -> dict[str, str]:
        """Script includes by unqualified name: the scope's own, and public ones of the base system."""
        found = {}
        for row in self._store.rows("sys_script_include"):
            if row["active"] == "true" and row["sys_scope"] in {scope.sys_id, "global"}:
                found[row["name"]] = row["script"]
        return found

    def _property(self, name: str) -> str | None:
        if name == "glide.servlet.uri":
            return f"{self._url}/"
        return self.records.property(name)

    def _matches(self, caller: Caller, table: str, row: Any, query: str) -> bool:
        given = {"table": table, "values": dict(row), "query": query, "all": True, "sensitive": True}
        return self.records.matches(given, caller)
