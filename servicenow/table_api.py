"""The Table API with one person's permissions (API reference §1). Reads are retried, writes never."""

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
_LEAST_SECONDS = 1.0  # that must remain for a retry


class TableApi:
    """
    Args:
        deadline: Of the whole call.
        retry: Whether to retry reads. Lookups don't, because the next key press sends another.
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
        One page of a table.

        ServiceNow applies *limit* before its ACLs, so a short page doesn't mean that there are no more rows.
        ``display`` is the value of ``sysparm_display_value``: ``false`` (raw), ``true`` or ``all``.
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
        """Insert raw values. Sent once, or twice if the access token had just expired."""
        params = _both(created_columns(table)) | {"sysparm_input_display_value": "false"}
        return _one(table, self._once("POST", table_path(table), params, dict(columns)))

    def row(self, table: str, sys_id: str, columns: Sequence[str]) -> Record:
        """One row, with raw and display values. Raises NotFound."""
        return _one(table, self.get(row_path(table, sys_id), _both(columns)))

    def update(self, table: str, sys_id: str, given: Mapping[str, str], columns: Sequence[str]) -> Record:
        """Write raw values to one row and return *columns*, in one request."""
        params = _both(columns) | {"sysparm_input_display_value": "false"}
        return _one(table, self._once("PATCH", row_path(table, sys_id), params, dict(given)))

    def post(self, path: str, body: Mapping[str, str]) -> dict[str, Any]:
        """A write to another API. Never retried."""
        return self._once("POST", path, {}, dict(body))

    def write(self, method: str, path: str, params: Mapping[str, str], body: Any = None) -> Any:
        """Any other write. Sent once, or twice if the access token had just expired. None for an empty answer."""
        return self._once(method, path, params, body)

    def upload(self, path: str, params: Mapping[str, str], media_type: str, content: bytes) -> dict[str, Any]:
        """Write a file. Never retried."""
        return self._once("POST", path, params, file=(media_type, content))

    def get(self, path: str, params: Mapping[str, str]) -> dict[str, Any]:
        """A read. Retried at most twice within the deadline, if that can help."""
        if not self._retry:
            return self._once("GET", path, params)
        return _READ_CALLER(self._pause, self._once, "GET", path, params)

    def _pause(self, error: Exception) -> bool | float:
        """Whether to retry a read after *error*, or after how many seconds if ServiceNow said so."""
        if isinstance(error, CallLimitReached | CircuitOpen):
            return False
        if isinstance(error, Busy) and error.retry_after is not None:
            # Not earlier than ServiceNow asked for, and not if no time for an answer would remain.
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
        def ask(token: str) -> dict[str, Any]:
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

        token = self._tokens.bearer(self._person_id, self._deadline)
        try:
            content = ask(token)
        except CredentialsRefused:
            # A token can expire between two calls. A 401 comes before anything is done, so repeating a write is safe.
            token = self._tokens.renew(self._person_id, token, self._deadline)
            try:
                content = ask(token)
            except CredentialsRefused as error:
                raise self._tokens.refused_again(self._person_id, token) from error
        self._tokens.accepted(self._person_id)
        return content


def created_columns(table: str) -> tuple[str, ...]:
    """The columns for a new record's card, its confirmation and a later lookup."""
    return (*table_of(table).card_columns, "opened_at", "correlation_id")


def table_path(table: str) -> str:
    """The path of a table, in version 2, which doesn't answer empty lists with an error."""
    return f"/api/now/v2/table/{_checked(table)}"


def meta_path(table: str) -> str:
    """The path of a table's columns as the classic forms know them."""
    return f"/api/now/ui/meta/{_checked(table)}"


def _checked(table: str) -> str:
    if not _TABLE.fullmatch(table):
        raise ValueError(f"{table!r} is no table name")
    return table


def row_path(table: str, sys_id: str) -> str:
    """The path of one row. Raises ValueError unless *sys_id* is 32 hex digits."""
    if not is_sys_id(sys_id):
        raise ValueError("no sys_id")
    return f"{table_path(table)}/{sys_id}"


def _both(columns: Sequence[str]) -> dict[str, str]:
    """Parameters for raw and display values of *columns*."""
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
    """A row read with ``sysparm_display_value=all``. A plain text counts as raw and display value (spec D-40)."""
    cells: dict[str, Cell] = {}
    for column, cell in row.items():
        if isinstance(cell, dict):
            cells[column] = Cell(str(cell.get("value") or ""), str(cell.get("display_value") or ""))
        elif isinstance(cell, str):
            cells[column] = Cell(cell, cell)
    return Record(table, cells.get("sys_id", Cell()).value, cells)
