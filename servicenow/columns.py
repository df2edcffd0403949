"""
Columns and their choices, read with an ordinary person's permissions and cached for 15 minutes.

Most people can't read `sys_choice` and `sys_dictionary` (recorded), so `ui/meta` is the first source. The component and
`sys_choice` add choices that depend on another column, and replace `ui/meta` where it is closed. The base system's
values are the last source (design §5).
"""

import hashlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from weakref import WeakValueDictionary

import structlog
from cachetools import TTLCache

from core.errors import NotConnected, Suspended
from core.records import Choice, Column
from core.tables import table_of
from core.times import Clock
from core.upstream_errors import AccessDenied, Broken, NotFound, NotInstalled, ServiceNowError
from servicenow.queries import Query, equals, one_of
from servicenow.table_api import TableApi, meta_path

log = structlog.get_logger(__name__)

SECONDS = 900.0
_AGAIN_SECONDS = 60.0  # after a failure, so that not every form calls an instance that doesn't answer
_MOST_CHOICES = 1000
# Categories by the subcategories of incidents in the base system (`sys_choice` of a new instance).
_SUBCATEGORIES: Mapping[str, tuple[str, ...]] = {
    "antivirus": ("inquiry",),
    "internal application": ("inquiry",),
    "email": ("inquiry", "software"),
    "os": ("software",),
    **dict.fromkeys(("cpu", "disk", "keyboard", "memory", "monitor", "mouse"), ("hardware",)),
    **dict.fromkeys(("dhcp", "dns", "ip address", "vpn", "wireless"), ("network",)),
    **dict.fromkeys(("db2", "oracle", "sql server"), ("database",)),
}
_COMPONENT = "/api/x_830655_mm_std/component/columns"
_REFUSALS = (AccessDenied, NotFound, NotInstalled)

Columns = Mapping[str, Column]
_Key = tuple[str, str, str]  # table, language, person


class _Answer(dict[str, Column]):
    """Columns that several people share. A plain dict can't have weak references."""

    __slots__ = ("__weakref__",)


class ColumnCache:
    """
    The columns that each person sees, cached for 15 minutes.

    ServiceNow answers people differently, so each person has an own entry. Equal answers are stored once.
    """

    def __init__(self, clock: Clock) -> None:
        self._known: TTLCache[_Key, Columns] = TTLCache(maxsize=5000, ttl=SECONDS, timer=clock)
        self._failed: TTLCache[_Key, bool] = TTLCache(maxsize=5000, ttl=_AGAIN_SECONDS, timer=clock)
        self._answers: WeakValueDictionary[str, _Answer] = WeakValueDictionary()
        self._asking: dict[_Key, threading.Lock] = {}
        self._lock = threading.Lock()

    def cached(self, table: str, language: str, person_id: str) -> Columns:
        """The cached columns, or the base system's if there are none."""
        with self._lock:
            return self._known.get((table, language, person_id)) or _base(table)

    def columns(self, table: str, language: str, person_id: str, api: TableApi) -> Columns:
        """
        The cached columns, or those that *api* returns. One request at a time per person.

        Raises:
            NotConnected, Suspended: The person has to connect first.
        """
        key = (table, language, person_id)
        with self._lock:
            if key in self._known or key in self._failed:
                return self._known.get(key) or _base(table)
            asking = self._asking.setdefault(key, threading.Lock())
        try:
            with asking:
                with self._lock:
                    if key in self._known or key in self._failed:
                        return self._known.get(key) or _base(table)
                return self._asked(key, api)
        finally:
            with self._lock:
                self._asking.pop(key, None)

    def _asked(self, key: _Key, api: TableApi) -> Columns:
        table, language, _ = key
        try:
            found = ask_columns(table, language, api)
        except (NotConnected, Suspended):
            raise
        except ServiceNowError as error:
            log.warning("no columns, using the base system's", table=table, reason=type(error).__name__)
            with self._lock:
                self._failed[key] = True
            return _base(table)
        digest = hashlib.sha256(repr(sorted(found.items())).encode("utf-8", "surrogatepass")).hexdigest()
        with self._lock:
            answer = self._answers.setdefault(digest, _Answer(found))
            self._known[key] = answer
        return answer


def ask_columns(table: str, language: str, api: TableApi) -> Columns:
    """
    The columns in ServiceNow, completed with those of the base system.

    `ui/meta` is read first. Choices that it lacks, or whose parents it lacks, come from the component, which requires
    its role, or from `sys_choice`, which most people can't read. If all of them deny access, the result can be cached,
    because that seldom changes.

    Raises:
        ServiceNowError: There was no result. Try again later.
    """
    wanted = table_of(table).dependent_columns
    try:
        columns = read_meta(api.get(meta_path(table), {}))
    except _REFUSALS as error:
        log.info("ui/meta refused", table=table, reason=type(error).__name__)
        columns, wanted = {}, table_of(table).choice_columns
    choices = _component_choices(table, wanted, api) or _readable_choices(table, wanted, language, api)
    for name, found in choices.items():
        known = columns.get(name) or _base(table).get(name) or Column(name, name.replace("_", " ").capitalize())
        columns[name] = replace(known, choices=found)
    if (subcategory := columns.get("subcategory")) is not None:
        columns["subcategory"] = replace(subcategory, choices=_under_categories(subcategory.choices))
    return {**_base(table), **columns}


def own_columns(table: str, api: TableApi) -> Columns:
    """The columns that this account sees, without the cache; none if access is denied."""
    try:
        return read_meta(api.get(meta_path(table), {}))
    except _REFUSALS:
        return {}


def read_meta(content: Mapping[str, Any]) -> dict[str, Column]:
    """
    The columns in an answer of `ui/meta`. All keys except type and label are optional (API reference §9.9).

    Raises:
        Broken: The answer has no columns.
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
    """The choices that have a value, which is also the label if there is none."""
    return [
        Choice(str(row.get("label") or row["value"]), str(row["value"]), str(row.get("dependent_value") or ""))
        for row in rows
        if isinstance(row, dict) and isinstance(row.get("value"), str | int) and str(row["value"])
    ]


def _component_choices(table: str, names: Sequence[str], api: TableApi) -> dict[str, tuple[Choice, ...]]:
    """From the component; nothing if it isn't installed or the account doesn't have its role."""
    if not names:
        return {}
    try:
        result = api.get(f"{_COMPONENT}/{table}", {})["result"]
    except ServiceNowError as error:
        log.info("component's columns not readable", table=table, reason=type(error).__name__)
        return {}
    rows = result.get("columns") if isinstance(result, dict) else None
    found: dict[str, tuple[Choice, ...]] = {}
    for row in rows if isinstance(rows, list) else []:
        offered = row.get("choices") if isinstance(row, dict) and row.get("name") in names else None
        if choices := _choices(offered if isinstance(offered, list) else []):
            found[row["name"]] = tuple(choices)
    return found


def _under_categories(choices: Sequence[Choice]) -> Sequence[Choice]:
    """
    Assign the base system's subcategories to their categories if no source did.

    An instance with a custom subcategory may have moved the others too. Then all are offered for each category.
    """
    if any(one.dependent_value for one in choices) or not {one.value for one in choices} <= set(_SUBCATEGORIES):
        return choices
    return tuple(replace(one, dependent_value=of) for one in choices for of in _SUBCATEGORIES[one.value])


def _readable_choices(table: str, names: Sequence[str], language: str, api: TableApi) -> dict[str, tuple[Choice, ...]]:
    """From `sys_choice`; nothing if access is denied, as for most people. Then every choice is offered."""
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
        rows = api.rows("sys_choice", query, columns, _MOST_CHOICES)
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
    return table_of(table).base_columns
