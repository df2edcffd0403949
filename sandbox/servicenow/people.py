"""Who asks, and what that person may see and do (API reference §1.6)."""

import base64
import hmac
from dataclasses import dataclass

from sandbox.servicenow.oauth_state import OAuthState
from sandbox.servicenow.seed import PASSWORD
from sandbox.servicenow.store import Row, Store

# Tables that only an administrator reads; others get 403 or nothing (recorded).
_CLOSED = {"oauth_entity", "sys_db_object"}
_PUBLIC = {"sys_user", "sys_user_group", "sys_user_grmember", "cmdb_ci", "sys_choice", "sys_user_role"}


@dataclass(frozen=True)
class Caller:
    """An authenticated account."""

    sys_id: str
    user_name: str
    roles: frozenset[str]
    language: str

    @property
    def admin(self) -> bool:
        return "admin" in self.roles

    @property
    def itil(self) -> bool:
        return self.admin or "itil" in self.roles


class People:
    """Authentication and rights."""

    def __init__(self, store: Store, oauth: OAuthState) -> None:
        self._store = store
        self._oauth = oauth

    def authenticate(self, authorization: str) -> Caller | None:
        """The account behind basic or bearer credentials; None for any that do not hold."""
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
        """The account with this user name, when the password is right and it may sign in."""
        if not hmac.compare_digest(password.encode(), PASSWORD.encode()):
            return None
        row = next((row for row in self._store.rows("sys_user") if row["user_name"] == name), None)
        return self._caller(row)

    def by_id(self, sys_id: str) -> Caller | None:
        """The active account with this id."""
        return self._caller(self._store.find("sys_user", sys_id))

    def _caller(self, row: Row | None) -> Caller | None:
        if row is None or row["active"] != "true" or row["locked_out"] == "true":
            return None
        roles = frozenset(
            self._store.display("sys_user_role", has["role"])
            for has in self._store.rows("sys_user_has_role")
            if has["user"] == row["sys_id"]
        )
        return Caller(row["sys_id"], row["user_name"], roles, row["preferred_language"] or "en")

    def may_open(self, caller: Caller, table: str) -> bool:
        """Whether the table answers at all (else 403)."""
        return caller.admin or table not in _CLOSED

    def may_read(self, caller: Caller, table: str, row: Row) -> bool:
        """Row rights: people without role see their own tasks; the dictionary is the administrator's."""
        if caller.itil or table in _PUBLIC:
            return caller.admin or table != "sys_dictionary"
        if "sys_class_name" in row and "opened_by" in row:
            return caller.sys_id in {row.get("caller_id"), row.get("opened_by")}
        return False

    def may_insert(self, caller: Caller, table: str) -> bool:
        """Everybody opens incidents; the rest is for roles."""
        if caller.admin:
            return True
        tasks = self._store.descendants("task")
        return table == "incident" or (caller.itil and table in tasks)

    def may_write(self, caller: Caller, table: str, row: Row) -> bool:
        """ITIL writes tasks; everybody their own."""
        if caller.admin:
            return True
        return table in self._store.descendants("task") and self.may_read(caller, table, row)
