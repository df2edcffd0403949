"""
Relative times in queries: `javascript:gs.…` and the RELATIVE operators (API reference §2.2). No I/O.

Days, weeks and the like begin in the caller's time zone. Results are raw times in UTC.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

_RAW = "%Y-%m-%d %H:%M:%S"
_CALL = re.compile(r"gs\.(\w+)\(([^)]*)\);?")
_BOUND = re.compile(r"(beginning|end)Of(Last|This|Next)?(Week|Month|Quarter|Year|Today|Yesterday|Tomorrow)")
_AGO = re.compile(r"(minutes|hours|days|weeks|months|quarters|years)Ago(Start|End)?")
_ARGUMENT = re.compile(r"""\s*(?:'([^']*)'|"([^"]*)"|(-?\d+))\s*""")
_DAYS = {"Today": 0, "Yesterday": -1, "Tomorrow": 1}
_STEP = {"Last": -1, "This": 0, "Next": 1}
_UNITS = {"minute", "hour", "dayofweek", "week", "month", "quarter", "year"}


class Unknown(Exception):
    """The function or unit isn't implemented here."""


def generated(script: str, now: datetime, zone: ZoneInfo) -> str:
    """The raw time that a call such as ``gs.beginningOfLastMonth()`` returns. Raises Unknown."""
    call = _CALL.fullmatch(script.strip())
    if call is None:
        raise Unknown(script)
    name, arguments = call[1], _arguments(call[2])
    local = now.astimezone(zone)
    try:
        if name == "dateGenerate":
            return _raw(_written(*arguments), zone)
        if name in {"nowDateTime", "now"} and not arguments:
            return _raw(local.replace(tzinfo=None), zone)
        if name == "yesterday" and not arguments:
            return _raw((local - timedelta(1)).replace(tzinfo=None), zone)
        if (bound := _BOUND.fullmatch(name)) and not arguments:
            return _bound(bound, local, zone)
        if (ago := _AGO.fullmatch(name)) and len(arguments) == 1:
            return _ago(ago[1].removesuffix("s"), ago[2] or "", int(arguments[0]), local, zone)
    except (ValueError, TypeError) as problem:
        raise Unknown(script) from problem
    raise Unknown(script)


def relative(value: str, operator: str, wanted: str, now: datetime, zone: ZoneInfo) -> bool:
    """
    Whether a raw time matches ``RELATIVEGT@hour@ago@1`` and the like. *wanted* is ``@hour@ago@1``.

    Raises:
        Unknown: Another unit or direction.
    """
    parts = wanted.split("@")
    if len(parts) != 4 or parts[1] not in _UNITS or parts[2] not in {"ago", "ahead"} or not parts[3].isdigit():
        raise Unknown(wanted)
    unit, count = parts[1].replace("dayofweek", "day"), int(parts[3])
    local = now.astimezone(zone).replace(tzinfo=None)
    at = _moved(local, unit, -count if parts[2] == "ago" else count)
    if operator == "RELATIVEEE":
        first = _started(at, unit)
        return _raw(first, zone) <= value < _raw(_moved(first, unit, 1), zone)
    limit = _raw(at, zone)
    compare: dict[str, Callable[[], bool]] = {
        "RELATIVEGT": lambda: value > limit,
        "RELATIVEGE": lambda: value >= limit,
        "RELATIVELT": lambda: value < limit,
        "RELATIVELE": lambda: value <= limit,
    }
    return compare[operator]()


def _bound(bound: re.Match[str], local: datetime, zone: ZoneInfo) -> str:
    edge, step, unit = bound[1], bound[2], bound[3]
    at = local.replace(tzinfo=None)
    if unit in _DAYS:
        if step:
            raise Unknown(bound[0])
        first, unit = _moved(_started(at, "day"), "day", _DAYS[unit]), "day"
    else:
        if not step:
            raise Unknown(bound[0])
        unit = unit.lower()
        first = _moved(_started(at, unit), unit, _STEP[step])
    return _raw(first if edge == "beginning" else _last(first, unit), zone)


def _ago(unit: str, edge: str, count: int, local: datetime, zone: ZoneInfo) -> str:
    at = _moved(local.replace(tzinfo=None), unit, -count)
    if not edge:
        return _raw(at, zone)
    first = _started(at, unit)
    return _raw(first if edge == "Start" else _last(first, unit), zone)


def _started(at: datetime, unit: str) -> datetime:
    """The beginning of the unit that contains a time. Weeks begin on Monday."""
    if unit == "minute":
        return at.replace(second=0, microsecond=0)
    if unit == "hour":
        return at.replace(minute=0, second=0, microsecond=0)
    day = at.replace(hour=0, minute=0, second=0, microsecond=0)
    if unit == "week":
        return day - timedelta(day.weekday())
    if unit == "day":
        return day
    if unit == "year":
        return day.replace(month=1, day=1)
    return day.replace(month=day.month if unit == "month" else (day.month - 1) // 3 * 3 + 1, day=1)


def _moved(at: datetime, unit: str, count: int) -> datetime:
    """Add a number of units. If the month has no such day, the result is its last day."""
    fixed = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(1), "week": timedelta(7)}
    if unit in fixed:
        return at + count * fixed[unit]
    months = at.year * 12 + at.month - 1 + count * {"month": 1, "quarter": 3, "year": 12}[unit]
    year, month = divmod(months, 12)
    days = (datetime(year + (month == 11), (month + 1) % 12 + 1, 1) - datetime(year, month + 1, 1)).days
    return at.replace(year=year, month=month + 1, day=min(at.day, days))


def _last(first: datetime, unit: str) -> datetime:
    return _moved(first, unit, 1) - timedelta(seconds=1)


def _written(day: str, at: str) -> datetime:
    named = {"start": "00:00:00", "end": "23:59:59"}
    return datetime.strptime(f"{day} {named.get(at, at)}", _RAW)


def _raw(local: datetime, zone: ZoneInfo) -> str:
    return local.replace(tzinfo=zone).astimezone(UTC).strftime(_RAW)


def _arguments(text: str) -> list[str]:
    if not text.strip():
        return []
    found = []
    for part in text.split(","):
        match = _ARGUMENT.fullmatch(part)
        if match is None:
            raise Unknown(text)
        found.append(next(group for group in match.groups() if group is not None))
    return found
