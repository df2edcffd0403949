"""Adds the rows of ``--seed FILE.json``, and an OAuth client for a standalone double."""

from typing import Any

from sandbox.double import BadSeed
from sandbox.servicenow.queries.record_queries import RecordQueries
from sandbox.servicenow.records.store import Refusal, Store
from sandbox.servicenow.seed.records import PASSWORD

_CLIENT = {
    "name": "Sandbox client",
    "client_id": "0123456789abcdef0123456789abcdef",
    "client_secret": "sandbox-secret",
    "redirect_url": "http://127.0.0.1:8080/callback,http://localhost:8080/callback",
    "grant_types": "authorization_code,refresh_token,password,client_credentials",
    "user": "Amir Agent",
}


def alone(given: dict[str, Any] | None) -> dict[str, Any]:
    """The rows of a standalone double: the file's, and an OAuth client unless the file has one."""
    rows = dict(given or {})
    rows.setdefault("oauth_entity", [_CLIENT])
    return rows


def load(store: Store, queries: RecordQueries, rows: dict[str, Any]) -> None:
    """
    Insert rows as an admin would, then restore the file's values where a rule changed them.

    References and choices accept display values. A row with the `sys_id` of an existing row updates it.

    Raises:
        BadSeed: An unknown table or column, or a row that a rule rejects.
    """
    for table, of in rows.items():
        if table not in store.tables:
            raise BadSeed(f"there is no table {table}")
        if not isinstance(of, list) or not all(isinstance(row, dict) for row in of):
            raise BadSeed(f"{table} must be a list of objects")
        for number, row in enumerate(of, 1):
            if unknown := sorted(row.keys() - store.columns(table).keys()):
                raise BadSeed(f"{table}, row {number}: there is no column {', '.join(unknown)}")
            try:
                _add(store, queries, table, {name: str(value) for name, value in row.items()})
            except Refusal as refusal:
                raise BadSeed(f"{table}, row {number}: {refusal.detail}") from refusal


def _add(store: Store, queries: RecordQueries, table: str, row: dict[str, str]) -> None:
    given = {name: queries.raw(table, name, value) for name, value in row.items()}
    sys_id = given.get("sys_id", "")
    admin = next(user["sys_id"] for user in store.rows("sys_user") if user["user_name"] == "admin")
    if store.find(table, sys_id):
        saved = store.update(table, sys_id, given, "admin", admin)
    else:
        saved = store.insert(table, given, "admin", admin)
    if table == "sys_user":
        given["user_password"] = PASSWORD
    journals = {name for name, column in store.columns(table).items() if column.type.startswith("journal")}
    store.put(table, saved | {name: value for name, value in given.items() if name not in journals})
