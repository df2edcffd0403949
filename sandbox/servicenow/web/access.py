"""Who may come in: what the resources beside the Table API check first."""

from flask import request

from sandbox.servicenow.auth.access_control import Caller, People
from sandbox.servicenow.queries.encoded_query import NotDone
from sandbox.servicenow.records.store import Store
from sandbox.servicenow.tables.unsupported import CLOSED, is_real
from sandbox.servicenow.web import http


def caller(people: People) -> Caller:
    """Whoever asks. Raises Refused: 401."""
    found = people.authenticate(request.headers.get("Authorization", ""))
    if found is None:
        raise http.Refused(http.unauthenticated())
    return found


def reader(store: Store, people: People, table: str) -> Caller:
    """Whoever asks for a table. Raises Refused: 401, or as the Table API does for this table."""
    found = caller(people)
    opened(store, people, found, table)
    return found


def opened(store: Store, people: People, found: Caller, table: str, operation: str = "read") -> None:
    """
    Check that a table is there and answers this person.

    Raises:
        Refused: 400 for a table that doesn't exist, 403 for a closed one.
        NotDone: A real table that this double doesn't have.
    """
    if table not in CLOSED:
        known(store, table)
    if not people.may_open(found, table, operation):
        raise http.Refused(http.error(403, "User Not Authorized", "Failed API level ACL Validation"))


def known(store: Store, table: str) -> None:
    """Check that a table is there. Raises Refused: 400. Raises NotDone: It is real, and not here."""
    if table in store.tables:
        return
    if is_real(table, store.referred_to()):
        raise NotDone(f"table {table}")
    raise http.Refused(http.error(400, f"Invalid table {table}"))


def mode() -> str:
    """How values are shown: `false`, `true` or `all`. Case doesn't matter, and anything else means `false`."""
    asked = request.args.get("sysparm_display_value", "").strip().lower()
    return asked if asked in {"true", "all"} else "false"


def switched(name: str) -> bool:
    """A boolean parameter. Case doesn't matter, and anything but true means false."""
    return request.args.get(name, "").strip().lower() == "true"


def number(name: str, default: int) -> int:
    """A parameter that is a number, or its default when it is none; never negative."""
    try:
        return max(int(request.args.get(name, default)), 0)
    except ValueError:
        return default
