"""
Columns and their choices, as an ordinary person may learn them, in memory for 15 minutes.

`sys_choice` and `sys_dictionary` refuse most people (recorded), so `ui/meta` comes first; `sys_choice`
adds what depends on another column, and stands in where `ui/meta` is closed; last come the base
system's levels (design §5).
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import structlog
from cachetools import TTLCache

from core.base import BASE_COLUMNS
from core.errors import AccessDenied, Broken, NotConnected, NotFound, NotInstalled, ServiceNowError, Suspended
from core.ports import Clock
from core.records import Choice, Column
from servicenow.queries import Query, equals, one_of
from servicenow.tables import Tables, meta_path

log = structlog.get_logger(__name__)

SECONDS = 900.0
_AGAIN_SECONDS = 60.0  # after silence, so that a silent instance is not asked by every form
_MOST_CHOICES = 1000
_DEPENDENT = {"incident": ("subcategory",)}
# What forms offer, where `sys_choice` has to stand in for `ui/meta`.
_OFFERED = {"incident": ("impact", "urgency", "category", "subcategory")}
_REFUSALS = (AccessDenied, NotFound, NotInstalled)

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
            return self._known.get((table, language)) or _base(table)

    def columns(self, table: str, language: str, tables: Tables) -> Columns:
        """
        What memory holds, else asked for with *tables*' rights; one question at a time.

        Raises:
            NotConnected, Suspended: The person has to connect first.
        """
        key = (table, language)
        with self._lock:
            if key in self._known or key in self._failed:
                return self._known.get(key) or _base(table)
            asking = self._asking.setdefault(key, threading.Lock())
        with asking:
            with self._lock:
                if key in self._known or key in self._failed:
                    return self._known.get(key) or _base(table)
            try:
                found = ask_columns(table, language, tables)
            except (NotConnected, Suspended):
                raise
            except ServiceNowError as error:
                log.warning("no columns, using the base system's", table=table, reason=type(error).__name__)
                with self._lock:
                    self._failed[key] = True
                return _base(table)
            with self._lock:
                self._known[key] = found
            return found


def ask_columns(table: str, language: str, tables: Tables) -> Columns:
    """
    What ServiceNow tells, over what the base system has. Refusals mean less; they last, so they are kept.

    Raises:
        ServiceNowError: Nothing was learnt, and the next try may do better.
    """
    wanted: Sequence[str] = _DEPENDENT.get(table, ())
    try:
        columns = read_meta(tables.get(meta_path(table), {}))
    except _REFUSALS as error:
        log.info("ui/meta refused", table=table, reason=type(error).__name__)
        columns, wanted = {}, _OFFERED.get(table, ())
    for name, choices in _readable_choices(table, wanted, language, tables).items():
        known = columns.get(name) or _base(table).get(name) or Column(name, name.replace("_", " ").capitalize())
        columns[name] = replace(known, choices=choices)
    return {**_base(table), **columns}


def own_columns(table: str, tables: Tables) -> Columns:
    """What this one account may see, past all memory; empty where it is refused."""
    try:
        return read_meta(tables.get(meta_path(table), {}))
    except _REFUSALS:
        return {}


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
        mandatory=str(meta.get("mandatory")).lower() == "true",
        max_length=int(length) if length.isascii() and length.isdecimal() else 0,
        reference=str(meta.get("reference") or ""),
        choices=tuple(_choices(choices if isinstance(choices, list) else [])),
        read_only=str(meta.get("read_only")).lower() == "true",
    )


def _choices(rows: Sequence[Any]) -> list[Choice]:
    """Those with a value; without a label the value is read."""
    return [
        Choice(str(row.get("label") or row["value"]), str(row["value"]), str(row.get("dependent_value") or ""))
        for row in rows
        if isinstance(row, dict) and isinstance(row.get("value"), str | int) and str(row["value"])
    ]


def _readable_choices(table: str, names: Sequence[str], language: str, tables: Tables) -> dict[str, tuple[Choice, ...]]:
    """From `sys_choice`; nothing where it is closed, as to most people: then every choice is offered."""
    if not names:
        return {}
    query = (
        Query()
        .where(one_of("name", (table, "task")))
        .where(one_of("element", names))
        .where(equals("language", language))
        .where(equals("inactive", "false"))
        .order_by("sequence")
    )
    columns = ("name", "element", "label", "value", "dependent_value")
    try:
        rows = tables.rows("sys_choice", query, columns, _MOST_CHOICES)
    except ServiceNowError as error:
        log.info("sys_choice not readable", table=table, reason=type(error).__name__)
        return {}
    choices: dict[str, tuple[Choice, ...]] = {}
    for name in names:
        # A table's own list replaces the one that it inherits.
        for owner in (table, "task"):
            if found := _choices([r for r in rows if r.get("element") == name and r.get("name") == owner]):
                choices[name] = tuple(found)
                break
    return choices


def _base(table: str) -> Columns:
    return BASE_COLUMNS.get(table, {})
