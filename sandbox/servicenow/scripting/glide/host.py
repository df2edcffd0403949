"""
Everything that scripts can request from the instance: one function that takes and returns JSON.

Errors are returned, because the engine would lose an exception. The JavaScript side throws them.
"""

import base64
import hashlib
import hmac
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sandbox.servicenow.auth.access_control import Caller
from sandbox.servicenow.queries.encoded_query import Unsupported
from sandbox.servicenow.records.store import Row
from sandbox.servicenow.scripting.glide.outbound_http import Outbound, Unreachable
from sandbox.servicenow.scripting.glide.records import Records
from sandbox.servicenow.scripting.glide.scopes import Scope

_FETCHED = 50  # rows that a GlideRecord fetches at once
_MACS = {"HmacSHA256": "sha256", "HmacSHA1": "sha1", "HmacSHA512": "sha512"}
_TRUTHS = {"1": "true", "0": "false", "yes": "true", "no": "false"}
Json = dict[str, Any]


class ScriptError(Exception):
    """An exception of the platform that the script sees."""


@dataclass
class Services:
    """What the instance offers to scripts."""

    records: Records
    outbound: Outbound
    log: Callable[[str, str, str], None]
    queue: Callable[[Json, Caller], None]
    property: Callable[[str], str | None]
    includes: Callable[[Scope], dict[str, str]]
    now: Callable[[], float]
    may: Callable[[Caller, str, str, Row], bool]
    hidden: Callable[[Caller, str], frozenset[str]]


@dataclass
class Host:
    """The instance as one run of a script sees it. *alive* returns false after a reset."""

    services: Services
    scope: Scope
    session: Caller
    source: str
    alive: Callable[[], bool]
    cursors: list[list[Row]] = field(default_factory=list)

    def __call__(self, operation: str, given: str) -> str:
        """Handle one request."""
        try:
            if not self.alive():
                raise ScriptError("The instance has been reset")
            return json.dumps({"value": getattr(self, f"do_{operation}")(json.loads(given))})
        except (ScriptError, Unreachable) as problem:
            return json.dumps({"error": str(problem)})
        except Unsupported as problem:  # logged as well, in case the script swallows it
            refused = f"The sandbox does not do this: {problem}"
            self.services.log("2", refused, self.source)
            return json.dumps({"error": refused})
        except Exception as problem:  # noqa: BLE001 - raised into the engine it would be lost
            self.services.log("2", f"The sandbox failed at {operation}: {problem!r}", self.source)
            return json.dumps({"error": f"The sandbox failed: {problem!r}"})

    # --- the session and the instance

    def do_session(self, _: Json) -> Json:
        """The user that the script runs as."""
        caller = self.session
        name = self.services.records.name_of(caller)
        about = {"sys_id": caller.sys_id, "user_name": caller.user_name, "name": name, "scope": self.scope.name}
        return about | {"language": caller.language, "time_zone": caller.time_zone}

    def do_has_role(self, given: Json) -> bool:
        """Whether the user has any role of a comma-separated list. Admins have all."""
        return self.session.admin or any(role.strip() in self.session.roles for role in given["roles"].split(","))

    def do_now(self, _: Json) -> int:
        """The instance's time in Unix milliseconds."""
        return int(self.services.now() * 1000)

    def do_log(self, given: Json) -> None:
        """Write a line to the system log."""
        self.services.log(given["level"], given["message"], self.source)

    def do_property(self, given: Json) -> str | None:
        """A system property, or None if it isn't set."""
        return self.services.property(given["name"])

    def do_guid(self, _: Json) -> str:
        """A GUID of 32 hex digits."""
        return uuid.uuid4().hex

    def do_include(self, given: Json) -> str:
        """The source of a script include."""
        return self.services.includes(self.scope)[given["name"]]

    def do_queue(self, given: Json) -> None:
        """Queue an event."""
        self.services.queue(given, self.session)

    def do_send(self, given: Json) -> Json:
        """Send an HTTP request."""
        return self.services.outbound.send(given, self.session.user_name, self.alive)

    def do_may(self, given: Json) -> bool:
        """Check ACLs for the session's user."""
        return self.services.may(self.session, given["table"], given["operation"], given["values"])

    def do_may_see(self, given: Json) -> bool:
        """Whether the session's user can read a column at all."""
        return given["element"] not in self.services.hidden(self.session, given["table"])

    # --- digests

    def do_base64(self, given: Json) -> str:
        """Encode or decode Base64. Text is UTF-8."""
        if given["encode"]:
            return base64.b64encode(given["value"].encode()).decode()
        try:
            return base64.b64decode(given["value"], validate=True).decode("utf-8", "replace")
        except ValueError as problem:
            raise ScriptError("Not Base64") from problem

    def do_mac(self, given: Json) -> str:
        """A MAC. The key and the result are Base64."""
        algorithm = _MACS.get(given["algorithm"])
        if algorithm is None:
            raise ScriptError(f"Cannot find any provider supporting {given['algorithm']}")
        try:
            key = base64.b64decode(given["key"], validate=True)
        except ValueError as problem:
            raise ScriptError("The key is not Base64") from problem
        if not key:
            raise ScriptError("Empty key")
        return base64.b64encode(hmac.digest(key, given["data"].encode(), algorithm)).decode()

    def do_digest(self, given: Json) -> str:
        """A digest as lower-case hex or Base64."""
        found = hashlib.new(given["algorithm"].lower(), given["data"].encode(), usedforsecurity=False)
        return found.hexdigest() if given["form"] == "Hex" else base64.b64encode(found.digest()).decode()

    # --- records

    def do_columns(self, given: Json) -> Json | None:
        """The columns of a table by name, or None if there is no such table."""
        return self.services.records.columns(given["table"])

    def do_label(self, given: Json) -> str:
        """The label of a table."""
        return self.services.records.label(given["table"])

    def do_hierarchy(self, given: Json) -> Json:
        """The ancestors and descendants of a table, which comes first in both."""
        return self.services.records.hierarchy(given["table"])

    def do_query(self, given: Json) -> Json:
        """Select rows. `fetch` returns them."""
        rows = self._refused(given["table"], "read") or self.services.records.select(given, self.session)
        rows = [] if isinstance(rows, str) else rows
        self.cursors.append(rows)
        return {"cursor": len(self.cursors) - 1, "count": len(rows)}

    def do_fetch(self, given: Json) -> list[Row]:
        """The next rows of a query."""
        offset = given["offset"]
        return self.cursors[given["cursor"]][offset : offset + _FETCHED]

    def do_get(self, given: Json) -> Row | None:
        """One row by sys_id, by a column, or by display value."""
        if self._refused(given["table"], "read"):
            return None
        return self.services.records.get(given["table"], given["name"], given["value"], self.session)

    def do_insert(self, given: Json) -> Json:
        """Insert a row, or return why it was rejected."""
        if refused := self._refused(given["table"], "create"):
            return {"row": None, "error": refused}
        return self._written(self.services.records.insert(given, self.session, self._workflow(given)))

    def do_update(self, given: Json) -> Json:
        """Update a row, or return why it was rejected."""
        if refused := self._refused(given["table"], "write"):
            return {"row": None, "error": refused}
        return self._written(self.services.records.update(given, self.session, self._workflow(given)))

    def do_delete(self, given: Json) -> bool:
        """Delete a row, and return whether there was one."""
        if self._refused(given["table"], "delete"):
            return False
        return self.services.records.delete(given, self.session, self._workflow(given))

    def do_defaults(self, given: Json) -> Row:
        """A row as a new form shows it."""
        return self.services.records.defaults(given["table"])

    def do_walk(self, given: Json) -> str:
        """The raw value of a dot-walked column."""
        return self.services.records.walk(given["table"], given["values"], given["path"])

    def do_display(self, given: Json) -> str:
        """The display value of a column, or of the row if no column is given."""
        return self.services.records.display(given["table"], given["values"], given["path"], self.session)

    def do_local(self, given: Json) -> str:
        """A time in the session's time zone."""
        return self.services.records.local(given["value"], self.session)

    def do_from_display(self, given: Json) -> str:
        """The raw value of a display value."""
        return self.services.records.from_display(given["table"], given["path"], given["value"], self.session)

    def do_decrypt(self, given: Json) -> str | None:
        """The text of a password2 column, or None if it can't be decrypted."""
        if given["pending"] is not None:
            return str(given["pending"])
        return self.services.records.decrypt(given["table"], given["sys_id"], given["path"])

    def do_coerce(self, given: Json) -> str:
        """A value as its column stores it."""
        if given["type"] == "boolean":
            return _TRUTHS.get(str(given["value"]), str(given["value"]))
        return str(given["value"])

    def do_choices(self, given: Json) -> list[str]:
        """The values of a column's choices."""
        return self.services.records.choices(given["table"], given["element"])

    def do_journal(self, given: Json) -> str:
        """The newest entry (1) or all entries (-1), each with its heading."""
        return self.services.records.journal(given["sys_id"], given["element"], int(given["which"]), self.session)

    def do_valid_query(self, given: Json) -> bool:
        """Whether every term of a query is valid."""
        return self.services.records.valid_query(given["table"], given["query"])

    def do_filter(self, given: Json) -> bool:
        """Whether a record with the script's unsaved values matches a query."""
        return self.services.records.matches(given, self.session)

    def _refused(self, table: str, operation: str) -> str:
        refused = self.services.records.refusal(self.scope, table, operation)
        if refused:
            self.services.log("2", refused, self.source)
        return refused

    def _workflow(self, given: Json) -> bool:
        """`setWorkflow(false)` works only on tables of the script's own scope."""
        return bool(given["workflow"]) or not self.services.records.owns(self.scope, given["table"])

    def _written(self, answer: Json) -> Json:
        if answer["error"]:
            self.services.log("2", answer["error"], self.source)
        return answer
