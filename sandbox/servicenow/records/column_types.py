"""Converts text to the raw value that a column of some type stores. No I/O."""

import re
from datetime import UTC, date, datetime, timedelta

from sandbox.servicenow.tables.schema import Column

MOMENTS = {"glide_date_time", "due_date"}
_NUMBER = re.compile(r"[-+]?(\d[\d,]*)(\.\d*)?")
_DURATION = re.compile(r"(?:(\d+) )?(\d{1,3}):(\d\d):(\d\d)")
_STORED = "%Y-%m-%d %H:%M:%S"
_TRUE, _TEXTUAL = {"true", "1", "yes", "on"}, {"string", "reference"}


def stored(column: Column, value: str) -> str | None:
    """The raw value of *value*, or None if the column's type doesn't allow it. "" clears any column."""
    if column.type in _TEXTUAL:
        return value[: column.max_length]
    if not value:
        return ""
    match column.type:
        case "boolean":
            return "true" if value.casefold() in _TRUE else "false"
        case "integer":
            return _integer(value)
        case "decimal" | "float" | "price" | "currency":
            number = _number(value)
            return None if number is None else f"{number:.10g}"
        case "glide_date_time" | "due_date":
            return _moment(value)
        case "glide_date":
            return _date(value)
        case "glide_duration" | "timer":
            return _duration(value)
    return value


def _number(value: str) -> float | None:
    text = value.strip()
    return float(text.replace(",", "")) if _NUMBER.fullmatch(text) else None


def _integer(value: str) -> str | None:
    number = _number(value)
    return None if number is None else str(int(number))


def _moment(value: str) -> str | None:
    """Parse any ISO format. Without a time zone it is UTC."""
    try:
        found = datetime.fromisoformat(value.strip())
    except ValueError:
        return None
    return (found.astimezone(UTC) if found.tzinfo else found).strftime(_STORED)


def _date(value: str) -> str | None:
    try:
        return date.fromisoformat(value.strip()[:10]).isoformat()
    except ValueError:
        return None


def _duration(value: str) -> str | None:
    """Parse a stored duration (a time after 1970), or days and hours."""
    if found := _DURATION.fullmatch(value.strip()):
        days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
        return (datetime(1970, 1, 1) + timedelta(days, seconds, 0, 0, minutes, hours)).strftime(_STORED)
    return _moment(value)
