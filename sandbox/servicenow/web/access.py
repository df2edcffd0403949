"""Checks that APIs run before they answer, and parameters that they share."""

from flask import request

from sandbox.servicenow.auth.access_control import Caller, People
from sandbox.servicenow.queries.encoded_query import NotDone
from sandbox.servicenow.records.store import Store
from sandbox.servicenow.tables.unsupported import CLOSED, is_real
from sandbox.servicenow.web import http


def caller(people: People) -> Caller:
    """The requesting account. Raises Refused: 401."""
    found = people.authenticate(request.headers.get("Authorization", ""))
    if found is None:
        raise http.Refused(http.unauthenticated())
    return found


def reader(store: Store, people: People, table: str) -> Caller:
    """The requesting account, which must have access to the table. Raises Refused: 401, 400 or 403."""
    found = caller(people)
    opened(store, people, found, table)
    return found


def opened(store: Store, people: People, found: Caller, table: str, operation: str = "read") -> None:
    """
    Check that a table exists and that the caller can access it.

    Raises:
        Refused: 400 if the table doesn't exist, 403 if the caller has no access.
        NotDone: The table is a stock table that this double doesn't have.
    """
    if table not in CLOSED:
        known(store, table)
    if not people.may_open(found, table, operation):
        raise http.Refused(http.error(403, "User Not Authorized", "Failed API level ACL Validation"))


def known(store: Store, table: str) -> None:
    """
    Check that a table exists. Raises Refused: 400. Raises NotDone if it is a stock table that this double doesn't have.
    """
    if table in store.tables:
        return
    if is_real(table, store.referred_to()):
        raise NotDone(f"table {table}")
    raise http.Refused(http.error(400, f"Invalid table {table}"))


def mode() -> str:
    """`sysparm_display_value`: `false`, `true` or `all`, in any case. Anything else means `false`."""
    asked = request.args.get("sysparm_display_value", "").strip().lower()
    return asked if asked in {"true", "all"} else "false"


def switched(name: str) -> bool:
    """A boolean parameter, in any case. Anything but true means false."""
    return request.args.get(name, "").strip().lower() == "true"


def number(name: str, default: int) -> int:
    """A non-negative integer parameter. The default is used if it isn't a number."""
    try:
        return max(int(request.args.get(name, default)), 0)
    except ValueError:
        return default
