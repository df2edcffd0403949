"""Clocks, deadlines, and dates: as people type and read them (local time) and as ServiceNow stores them (UTC)."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

Clock = Callable[[], float]  # Unix seconds; injected, so that tests can move time

_RAW = "%Y-%m-%d %H:%M:%S"
_SHOWN = "%Y-%m-%d %H:%M"
EXAMPLE = "2026-11-24 16:30"


class InvalidDateTime(ValueError):
    """A text that isn't a date and time, or one that doesn't exist because the clocks skip it."""


def zone_of(name: str) -> ZoneInfo:
    """The IANA time zone *name*; UTC if it is unknown."""
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def stored(text: str, zone: str) -> str:
    """
    Typed date and time (`EXAMPLE`, ISO 8601 with or without an offset) as raw UTC text.

    Without an offset, it is local to *zone*. If an hour occurs twice, it is the first one.

    Raises:
        InvalidDateTime: It isn't a date and time, or the clocks of *zone* skip it.
    """
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise InvalidDateTime("no moment") from error
    if len(text.strip()) <= len("2026-11-24"):
        raise InvalidDateTime("a day without a time")
    if at.tzinfo is None:
        local = at.replace(tzinfo=zone_of(zone))
        if local.astimezone(UTC).astimezone(zone_of(zone)).replace(tzinfo=None) != at:
            raise InvalidDateTime("skipped by the clocks")
        at = local
    try:
        return at.astimezone(UTC).strftime(_RAW)
    except OverflowError as error:
        raise InvalidDateTime("out of range") from error


def moment_of(raw: str) -> float:
    """Raw UTC text as Unix seconds; 0.0 if it isn't a date and time."""
    try:
        return datetime.strptime(raw, _RAW).replace(tzinfo=UTC).timestamp()
    except (ValueError, OverflowError):
        return 0.0


def raw_of(at: float) -> str:
    """Unix seconds as raw UTC text."""
    return datetime.fromtimestamp(at, UTC).strftime(_RAW)


def day_text(at: float) -> str:
    """Unix seconds as a day for people: ``24 November 2026 (UTC)``."""
    return datetime.fromtimestamp(at, UTC).strftime("%-d %B %Y (UTC)")


def time_text(at: float) -> str:
    """Unix seconds as a time for people: ``24 November 2026, 13:05 (UTC)``."""
    return datetime.fromtimestamp(at, UTC).strftime("%-d %B %Y, %H:%M (UTC)")


def shown(raw: str, zone: str) -> str:
    """Raw UTC text in the time zone *zone*; unchanged if it isn't a date and time."""
    try:
        at = datetime.strptime(raw, _RAW).replace(tzinfo=UTC)
        return at.astimezone(zone_of(zone)).strftime(_SHOWN)
    except (ValueError, OverflowError):
        return raw


class Deadline:
    """
    A point in time by which everything that a call does must finish.

    Args:
        seconds: From now.
        monotonic: The time source; a clock that never jumps.
    """

    def __init__(self, seconds: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._at = monotonic() + seconds

    def left(self) -> float:
        """Remaining seconds; never negative."""
        return max(0.0, self._at - self._monotonic())

    def within(self, seconds: float) -> float:
        """The smaller of *seconds* and the remaining seconds."""
        return min(seconds, self.left())
