"""
Columns and their choices, as an ordinary person may learn them, in memory for 15 minutes.

`sys_choice` and `sys_dictionary` refuse most people (recorded), so `ui/meta` comes first, then
`sys_choice` for what depends on another column, and last the base system's levels (design §5).
"""

import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import structlog
from cachetools import TTLCache

from core.base import BASE_COLUMNS
from core.errors import Broken, NotConnected, ServiceNowError, Suspended
from core.ports import Clock
from core.records import Choice, Column
from servicenow.queries import Query, equals, one_of
from servicenow.tables import Tables

log = structlog.get_logger(__name__)

SECONDS = 900.0
_AGAIN_SECONDS = 60.0  # after a failure, so that a silent instance is not asked by every form
_DEPENDENT = {"incident": ("subcategory",)}

Columns = Mapping[str, Column]


class ColumnCache:
    """Shared by everybody who speaks the same language."""

    def __init__(self, clock: Clock) -> None:
        self._known: TTLCache[tuple[str, str], Columns] = TTLCache(maxsize=500, ttl=SECONDS, timer=clock)
        self._failed: TTLCache[tuple[str, str], bool] = TTLCache(maxsize=500, ttl=_AGAIN_SECONDS, timer=clock)
        self._asking: dict[tuple[str, str], threading.Lock] = {}
        self._lock = threading.Lock()

    def at_hand(self, table: str, language: str) -> Columns:
        """What memory holds, else the base system's."""
        with self._lock:
            return self._known.get((table, language)) or BASE_COLUMNS.get(table, {})

    def columns(self, table: str, language: str, tables: Tables) -> Columns:
        """
        What memory holds, else asked for with *tables*' rights; one question at a time.

        Raises:
            NotConnected, Suspended: The person has to connect first.
        """
        key = (table, language)
        with self._lock:
            if key in self._known or key in self._failed:
                return self._known.get(key) or BASE_COLUMNS.get(table, {})
            asking = self._asking.setdefault(key, threading.Lock())
        with asking:
            with self._lock:
                if key in self._known or key in self._failed:
                    return self._known.get(key) or BASE_COLUMNS.get(table, {})
            try:
                found = self._ask(table, language, tables)
            except (NotConnected, Suspended):
                raise
            except ServiceNowError as error:
                log.warning("no columns, using the base system's", table=table, reason=type(error).__name__)
                with self._lock:
                    self._failed[key] = True
                return BASE_COLUMNS.get(table, {})
            with self._lock:
                self._known[key] = found
            return found

    def _ask(self, table: str, language: str, tables: Tables) -> Columns:
        columns = read_meta(tables.get(f"/api/now/ui/meta/{table}", {}))
        wanted = _DEPENDENT.get(table, ())
        try:
            dependent = _dependent(table, wanted, language, tables)
        except ServiceNowError as error:
            # Most people may not read it: then every choice is offered.
            log.debug("sys_choice not readable", table=table, reason=type(error).__name__)
            dependent = {}
        for name, choices in dependent.items():
            if name in columns:
                columns[name] = replace(columns[name], choices=choices)
        return {**BASE_COLUMNS.get(table, {}), **columns}


def read_meta(content: Mapping[str, Any]) -> dict[str, Column]:
    """
    The columns of a `ui/meta` answer; keys beyond type and label may be absent (API reference §9.9).

    Raises:
        Broken: It is no such answer.
    """
    result = content.get("result")
    found = result.get("columns") if isinstance(result, dict) else None
    if not isinstance(found, dict):
        raise Broken("ui/meta without columns")
    return {name: _column(name, meta) for name, meta in found.items() if isinstance(meta, dict)}


def _column(name: str, meta: Mapping[str, Any]) -> Column:
    length = str(meta.get("max_length") or "")
    choices = meta.get("choices")
    return Column(
        name=name,
        label=str(meta.get("label") or name),
        type=str(meta.get("type") or "string"),
        mandatory=meta.get("mandatory") in {True, "true"},
        max_length=int(length) if length.isdigit() else 0,
        reference=str(meta.get("reference") or ""),
        choices=tuple(
            Choice(str(choice.get("label") or ""), str(choice["value"]))
            for choice in (choices if isinstance(choices, list) else [])
            if isinstance(choice, dict) and choice.get("value") not in {None, ""}
        ),
    )


def _dependent(table: str, names: tuple[str, ...], language: str, tables: Tables) -> dict[str, tuple[Choice, ...]]:
    if not names:
        return {}
    query = (
        Query()
        .where(equals("name", table))
        .where(one_of("element", names))
        .where(equals("language", language or "en"))
        .where(equals("inactive", "false"))
        .order_by("sequence")
    )
    columns = ("element", "label", "value", "dependent_value")
    choices: dict[str, tuple[Choice, ...]] = {}
    for row in tables.rows("sys_choice", query, columns, 1000):
        choice = Choice(str(row.get("label") or ""), str(row.get("value") or ""), str(row.get("dependent_value") or ""))
        element = str(row.get("element") or "")
        choices[element] = (*choices.get(element, ()), choice)
    return choices
