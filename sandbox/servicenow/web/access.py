"""Checks that APIs run before they answer, and parameters that they share."""

from flask import request

from sandbox.servicenow.auth.access_control import AccessControl, Caller
from sandbox.servicenow.queries.encoded_query import Unsupported
from sandbox.servicenow.records.store import Store
from sandbox.servicenow.tables.unsupported import CLOSED, is_stock_table
from sandbox.servicenow.web import http


def authenticate(access_control: AccessControl) -> Caller:
    """The requesting account. Raises Refused: 401."""
    found = access_control.authenticate(request.headers.get("Authorization", ""))
    if found is None:
        raise http.Refused(http.unauthenticated())
    return found


def authorize_read(store: Store, access_control: AccessControl, table: str) -> Caller:
    """The requesting account, which must have access to the table. Raises Refused: 401, 400 or 403."""
    found = authenticate(access_control)
    check_table(store, access_control, found, table)
    return found


def check_table(
    store: Store, access_control: AccessControl, found: Caller, table: str, operation: str = "read"
) -> None:
    """
    Check that a table exists and that the caller can access it.

    Raises:
        Refused: 400 if the table doesn't exist, 403 if the caller has no access.
        Unsupported: The table is a stock table that this double doesn't have.
    """
    if table not in CLOSED:
        require_table(store, table)
    if not access_control.may_open(found, table, operation):
        raise http.Refused(http.error(403, "User Not Authorized", "Failed API level ACL Validation"))


def require_table(store: Store, table: str) -> None:
    """
    Check that a table exists.

    Raises:
        Refused: 400 if it doesn't.
        Unsupported: It is a stock table that this double doesn't have.
    """
    if table in store.tables:
        return
    if is_stock_table(table, store.referred_to()):
        raise Unsupported(f"table {table}")
    raise http.Refused(http.error(400, f"Invalid table {table}"))


def display_value_mode() -> str:
    """`sysparm_display_value`: `false`, `true` or `all`, in any case. Anything else means `false`."""
    asked = request.args.get("sysparm_display_value", "").strip().lower()
    return asked if asked in {"true", "all"} else "false"


def boolean_parameter(name: str) -> bool:
    """A boolean parameter, in any case. Anything but true means false."""
    return request.args.get(name, "").strip().lower() == "true"


def integer_parameter(name: str, default: int) -> int:
    """A non-negative integer parameter. The default is used if it isn't a number."""
    try:
        return max(int(request.args.get(name, default)), 0)
    except ValueError:
        return default
