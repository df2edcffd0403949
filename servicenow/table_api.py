"""The Table API with one person's rights (API reference §1): reads are repeated, writes never."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import stamina

from core.records import Cell, Record
from core.tables import table_of
from core.times import Deadline
from core.upstream_errors import (
    Broken,
    Busy,
    CallLimitReached,
    CircuitOpen,
    ConnectionLost,
    CredentialsRefused,
    CutShort,
    GatewayFailed,
    Unreachable,
)
from servicenow.classify import read_answer
from servicenow.queries import Query, is_sys_id
from servicenow.tokens import TokenManager
from servicenow.transport import Transport

_TABLE = re.compile(r"[a-z][a-z0-9_]*")
_READ_CALLER = stamina.RetryingCaller(attempts=3, wait_initial=0.2, wait_jitter=0.3)
_LONGEST_PAUSE = 5.0  # seconds
_LEAST_SECONDS = 1.0  # that must remain for another try


class TableApi:
    """
    Args:
        deadline: Of the call that all of this belongs to.
        retry: Whether reads are tried again; look-ups are not, the next key asks anyway.
    """

    def __init__(
        self,
        transport: Transport,
        tokens: TokenManager,
        person_id: str,
        deadline: Deadline,
        *,
        retry: bool = True,
    ) -> None:
        self._transport = transport
        self._tokens = tokens
        self._person_id = person_id
        self._deadline = deadline
        self._retry = retry

    def rows(
        self, table: str, query: Query, columns: Sequence[str], limit: int, *, display: str = "false"
    ) -> list[dict[str, Any]]:
        """
        One page of a table, uncounted.

        ServiceNow applies *limit* before its ACLs: fewer rows may come back while more exist.
        ``display`` is ``false`` (raw), ``true`` or ``all``, as ``sysparm_display_value`` says.
        """
        content = self.get(
            table_path(table),
            {
                "sysparm_query": str(query),
                "sysparm_fields": ",".join(columns),
                "sysparm_limit": str(limit),
                "sysparm_display_value": display,
                "sysparm_exclude_reference_link": "true",
                "sysparm_no_count": "true",
                "sysparm_suppress_pagination_header": "true",
            },
        )
        rows = content["result"]
        if not isinstance(rows, list):
            raise Broken(f"{table}: no list")
        return [row for row in rows if isinstance(row, dict)]

    def insert(self, table: str, columns: Mapping[str, str]) -> Record:
        """Insert raw values; one request, or two where the access token had just died."""
        content = self._once(
            "POST",
            table_path(table),
            _both(created_columns(table)) | {"sysparm_input_display_value": "false"},
            dict(columns),
        )
        return _one(table, content)

    def row(self, table: str, sys_id: str, columns: Sequence[str]) -> Record:
        """One row, raw and as displayed. Raises NotFound."""
        content = self.get(row_path(table, sys_id), _both(columns))
        return _one(table, content)

    def update(self, table: str, sys_id: str, given: Mapping[str, str], columns: Sequence[str]) -> Record:
        """Write raw values to one row and answer *columns*; one request."""
        params = _both(columns) | {"sysparm_input_display_value": "false"}
        return _one(table, self._once("PATCH", row_path(table, sys_id), params, dict(given)))

    def post(self, path: str, body: Mapping[str, str]) -> dict[str, Any]:
        """A write to an API that is no table; never repeated."""
        return self._once("POST", path, {}, dict(body))

    def write(self, method: str, path: str, params: Mapping[str, str], body: Any = None) -> Any:
        """Any other write; sent once, or twice where the access token had just died. None for an empty answer."""
        return self._once(method, path, params, body)

    def upload(self, path: str, params: Mapping[str, str], media_type: str, content: bytes) -> dict[str, Any]:
        """A file as the body of a write; never repeated."""
        return self._once("POST", path, params, file=(media_type, content))

    def get(self, path: str, params: Mapping[str, str]) -> dict[str, Any]:
        """A read; repeated at most twice inside the deadline where that can help."""
        if not self._retry:
            return self._once("GET", path, params)
        return _READ_CALLER(self._pause, self._once, "GET", path, params)

    def _pause(self, error: Exception) -> bool | float:
        """Whether to repeat a read after *error*, and after how many seconds where ServiceNow said so."""
        if isinstance(error, CallLimitReached | CircuitOpen):
            return False
        if isinstance(error, Busy) and error.retry_after is not None:
            # Not before it was asked for, and not when that leaves no time for an answer.
            fits = error.retry_after <= min(_LONGEST_PAUSE, self._deadline.left() - _LEAST_SECONDS)
            return max(error.retry_after, 0.05) if fits else False
        passing = isinstance(error, Busy | CutShort | GatewayFailed | ConnectionLost | Unreachable)
        return passing and self._deadline.left() > _LEAST_SECONDS

    def _once(
        self,
        method: str,
        path: str,
        params: Mapping[str, str],
        body: Any = None,
        file: tuple[str, bytes] | None = None,
    ) -> dict[str, Any]:
        token = self._tokens.bearer(self._person_id, self._deadline)
        try:
            content = self._ask(method, path, params, body, file, token)
        except CredentialsRefused:
            # A token may die between two calls; 401 is said before anything is done, so a write is safe.
            token = self._tokens.renew(self._person_id, token, self._deadline)
            try:
                content = self._ask(method, path, params, body, file, token)
            except CredentialsRefused as error:
                raise self._tokens.refused_again(self._person_id, token) from error
        self._tokens.accepted(self._person_id)
        return content

    def _ask(
        self,
        method: str,
        path: str,
        params: Mapping[str, str],
        body: Any,
        file: tuple[str, bytes] | None,
        token: str,
    ) -> dict[str, Any]:
        answer = self._transport.send(
            method,
            path,
            token=token,
            person_id=self._person_id,
            deadline=self._deadline,
            params=params,
            json=body,
            file=file,
        )
        content: dict[str, Any] = read_answer(method, answer.status, answer.headers, answer.body)
        return content


def created_columns(table: str) -> tuple[str, ...]:
    """What a new record's card and confirmation, and a later look for it, need."""
    return (*table_of(table).card_columns, "opened_at", "correlation_id")


def table_path(table: str) -> str:
    """The table's address; version 2, whose empty lists are no errors. Only identifiers: it is an address."""
    return f"/api/now/v2/table/{_checked(table)}"


def meta_path(table: str) -> str:
    """The address of a table's columns as the classic forms know them."""
    return f"/api/now/ui/meta/{_checked(table)}"


def _checked(table: str) -> str:
    if not _TABLE.fullmatch(table):
        raise ValueError(f"{table!r} is no table name")
    return table


def row_path(table: str, sys_id: str) -> str:
    """The address of one row; a sys_id is 32 hex digits, and nothing else gets into an address."""
    if not is_sys_id(sys_id):
        raise ValueError("no sys_id")
    return f"{table_path(table)}/{sys_id}"


def _both(columns: Sequence[str]) -> dict[str, str]:
    """Ask for *columns* in both shapes."""
    return {
        "sysparm_fields": ",".join(columns),
        "sysparm_display_value": "all",
        "sysparm_exclude_reference_link": "true",
    }


def _one(table: str, content: Mapping[str, Any]) -> Record:
    row = content["result"]
    if not isinstance(row, dict) or not row.get("sys_id"):
        raise Broken(f"{table}: answered without a row")
    return record_from(table, row)


def record_from(table: str, row: Mapping[str, Any]) -> Record:
    """A row read with ``sysparm_display_value=all``; plain texts are taken as both shapes (spec D-40)."""
    cells: dict[str, Cell] = {}
    for column, cell in row.items():
        if isinstance(cell, dict):
            cells[column] = Cell(str(cell.get("value") or ""), str(cell.get("display_value") or ""))
        elif isinstance(cell, str):
            cells[column] = Cell(cell, cell)
    return Record(table, cells.get("sys_id", Cell()).value, cells)
