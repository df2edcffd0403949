"""Authentication and access control (API reference §1.6)."""

import base64
import hmac
from dataclasses import dataclass
from typing import Protocol

from sandbox.servicenow.auth.oauth_tokens import OAuthTokens
from sandbox.servicenow.records.store import Row, Store
from sandbox.servicenow.seed.records import PASSWORD
from sandbox.servicenow.tables.metadata import PLATFORM
from sandbox.servicenow.tables.unsupported import CLOSED

# 403 unless the user has one of these roles. Other tables respond to everyone, with rows omitted (recorded).
_CLOSED = {"oauth_entity": "admin", "sys_db_object": "itil"}
_PUBLIC = {
    "sys_user", "sys_user_group", "sys_user_grmember", "cmdb_ci", "sys_choice", "sys_user_role",
    "kb_knowledge_base", "kb_category", "chg_model", "sc_catalog", "sc_category", "sc_cat_item", "sc_cat_item_producer",
    "item_option_new",
}  # fmt: skip
_WRITTEN_BY_ITIL = {"kb_knowledge"}
_ORDERED = {"sc_request", "sc_req_item"}  # created by orders only (recorded)
_FOR_ADMINISTRATORS = (PLATFORM - _PUBLIC - {"sys_db_object", "sys_scope", "sys_app"}) | {"sys_journal_field"}
# Columns that are omitted from rows and rejected in filters: for everyone but admins, and for users without a role.
_HIDDEN = {
    "sys_choice": frozenset(
        {
            "name", "element", "value", "language", "sequence", "inactive", "dependent_value", "hint", "sys_id",
            "sys_created_on", "sys_created_by", "sys_updated_on", "sys_updated_by", "sys_mod_count",
        }
    )
}  # fmt: skip
_HIDDEN_WITHOUT_ROLE = {
    "sys_user": frozenset({"locked_out", "last_login_time", "failed_attempts"}),
    "task": frozenset({"work_notes", "work_notes_list"}),
}

# Since Rome, a problem's state changes only through its form. The Table API ignores it for everyone (measured).
_SET_BY_FORMS = {"problem": frozenset({"state", "problem_state"})}


@dataclass(frozen=True)
class Caller:
    """An authenticated account."""

    sys_id: str
    user_name: str
    roles: frozenset[str]
    language: str
    time_zone: str

    @property
    def admin(self) -> bool:
        """Can read and change everything."""
        return "admin" in self.roles

    @property
    def itil(self) -> bool:
        """Can work on tickets, including other users'."""
        return self.admin or "itil" in self.roles


class AccessRules(Protocol):
    """ACLs of tables that an update set created."""

    def governs(self, table: str) -> bool:
        """Whether the table is one of them."""

    def open_to_rest(self, caller: Caller, table: str, operation: str) -> bool:
        """Whether web services allow the operation (``create``, ``read``, ``write``, ``delete``) for this user."""

    def may(self, caller: Caller, table: str, operation: str, row: Row | None) -> bool:
        """Whether the ACLs allow ``create``, ``read``, ``write`` or ``delete``."""

    def hidden(self, caller: Caller, table: str, operation: str) -> frozenset[str]:
        """The columns that the ACLs hide from the user."""


class AccessControl:
    """Authenticates accounts, and decides what they can access (API reference §1.6)."""

    def __init__(self, store: Store, oauth: OAuthTokens) -> None:
        self._store = store
        self._oauth = oauth
        self.access: AccessRules | None = None

    def authenticate(self, authorization: str) -> Caller | None:
        """The account of basic or bearer credentials. None if they aren't valid."""
        scheme, _, credentials = authorization.partition(" ")
        if scheme.lower() == "basic":
            try:
                name, _, password = base64.b64decode(credentials).decode().partition(":")
            except ValueError:
                return None
            return self.by_password(name, password)
        if scheme.lower() == "bearer":
            user_id = self._oauth.owner(credentials)
            return self.by_id(user_id) if user_id else None
        return None

    def by_password(self, name: str, password: str) -> Caller | None:
        """The account with this user name, if the password is correct and it can sign in."""
        if not hmac.compare_digest(password.encode(), PASSWORD.encode()):
            return None
        row = next((row for row in self._store.rows("sys_user") if row["user_name"] == name), None)
        return self._caller(row) if row is not None and row["user_password"] else None

    def by_id(self, sys_id: str) -> Caller | None:
        """The active account with this ID."""
        return self._caller(self._store.find("sys_user", sys_id))

    def _caller(self, row: Row | None) -> Caller | None:
        if row is None or row["active"] != "true" or row["locked_out"] == "true":
            return None
        roles = frozenset(
            self._store.display("sys_user_role", has["role"])
            for has in self._store.rows("sys_user_has_role")
            if has["user"] == row["sys_id"]
        )
        language, zone = row["preferred_language"] or "en", row["time_zone"] or "UTC"
        return Caller(row["sys_id"], row["user_name"], roles, language, zone)

    def may_open(self, caller: Caller, table: str, operation: str = "read") -> bool:
        """Whether the table responds at all. Otherwise it returns 403."""
        if table in CLOSED:
            return False
        if self.access is not None and self.access.governs(table):
            return self.access.open_to_rest(caller, table, operation)
        needed = _CLOSED.get(table)
        return needed is None or caller.admin or needed in caller.roles

    def may_read_all(self, caller: Caller, table: str) -> bool:
        """Whether a user can count all rows of a table."""
        return caller.admin or (table not in _FOR_ADMINISTRATORS and (caller.itil or table != "kb_knowledge"))

    def may_read(self, caller: Caller, table: str, row: Row) -> bool:
        """Row ACLs: users without a role see their own tasks; only admins see the platform's tables."""
        if self.access is not None and self.access.governs(table):
            return self.access.may(caller, table, "read", row)
        if caller.admin:
            return True
        if table in _FOR_ADMINISTRATORS:
            return False
        if caller.itil or table in _PUBLIC:
            return True
        match table:
            case "kb_knowledge":
                return row["workflow_state"] == "published"
            case "sysapproval_approver":
                return row["approver"] == caller.sys_id
            case "sys_attachment":
                parent = self._store.find(row["table_name"], row["table_sys_id"])
                return parent is not None and self.may_read(caller, row["table_name"], parent)
            case _:
                return self._is_task(table) and (_own(caller, row) or self._approves(caller, row))

    def hidden(self, caller: Caller, table: str) -> frozenset[str]:
        """The columns that this user can neither read nor filter by."""
        if self.access is not None and self.access.governs(table):
            return self.access.hidden(caller, table, "read")
        if caller.admin:
            return frozenset()
        found = _HIDDEN.get(table, frozenset())
        if not caller.itil:
            found |= _HIDDEN_WITHOUT_ROLE.get("task" if self._is_task(table) else table, frozenset())
        return found

    def unwritable(self, caller: Caller, table: str) -> frozenset[str]:
        """The columns that the Table API silently ignores in this user's writes."""
        if self.access is not None and self.access.governs(table):
            return self.access.hidden(caller, table, "write")
        return self.hidden(caller, table) | _SET_BY_FORMS.get(table, frozenset())

    def may_insert(self, caller: Caller, table: str) -> bool:
        """Everyone can create incidents. Other tables need a role."""
        if self.access is not None and self.access.governs(table):
            return self.access.may(caller, table, "create", None)
        works = self._is_task(table) or table in _WRITTEN_BY_ITIL
        return caller.admin or table == "incident" or (caller.itil and works and table not in _ORDERED)

    def may_write(self, caller: Caller, table: str, row: Row) -> bool:
        """ITIL users write tasks and articles; everyone writes their own tasks and approvals."""
        if self.access is not None and self.access.governs(table):
            return self.access.may(caller, table, "write", row)
        if table == "sysapproval_approver":
            return caller.admin or row["approver"] == caller.sys_id
        works = self._is_task(table) or table in _WRITTEN_BY_ITIL
        return caller.admin or (works and (caller.itil or _own(caller, row)))

    def may_delete(self, caller: Caller, table: str, row: Row) -> bool:
        """Only admins can delete."""
        if self.access is not None and self.access.governs(table):
            return self.access.may(caller, table, "delete", row)
        return caller.admin

    def _is_task(self, table: str) -> bool:
        return table in self._store.descendants("task")

    def _approves(self, caller: Caller, row: Row) -> bool:
        """Approvers can read what they are asked to approve."""
        asked = self._store.rows("sysapproval_approver")
        return any(one["approver"] == caller.sys_id and one["sysapproval"] == row["sys_id"] for one in asked)


def _own(caller: Caller, row: Row) -> bool:
    return caller.sys_id in {row.get("caller_id"), row.get("opened_by"), row.get("requested_for")}
