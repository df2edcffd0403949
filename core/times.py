"""Deadlines, and dates as people type and read them (in their time zone) and as ServiceNow stores them (in UTC)."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_RAW = "%Y-%m-%d %H:%M:%S"
_SHOWN = "%Y-%m-%d %H:%M"
EXAMPLE = "2026-11-24 16:30"


class NoMoment(ValueError):
    """A text that is no moment, or one that the zone's clocks skip."""


def zone_of(name: str) -> ZoneInfo:
    """The IANA zone *name*; UTC for one that nobody knows."""
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def stored(text: str, zone: str) -> str:
    """
    A moment as typed (`EXAMPLE`, ISO 8601 with or without an offset) as raw UTC text.

    Without an offset it is local to *zone*; an hour that comes twice is the first of the two.

    Raises:
        NoMoment: It is no moment, or the clocks of *zone* skip it.
    """
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise NoMoment("no moment") from error
    if len(text.strip()) <= len("2026-11-24"):
        raise NoMoment("a day without a time")
    if at.tzinfo is None:
        local = at.replace(tzinfo=zone_of(zone))
        if local.astimezone(UTC).astimezone(zone_of(zone)).replace(tzinfo=None) != at:
            raise NoMoment("skipped by the clocks")
        at = local
    try:
        return at.astimezone(UTC).strftime(_RAW)
    except OverflowError as error:
        raise NoMoment("out of range") from error


def moment_of(raw: str) -> float:
    """Raw UTC text as Unix seconds; 0.0 when it is no moment."""
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
    """Raw UTC text as somebody in *zone* reads it; as it stands when it is no moment."""
    try:
        at = datetime.strptime(raw, _RAW).replace(tzinfo=UTC)
        return at.astimezone(zone_of(zone)).strftime(_SHOWN)
    except (ValueError, OverflowError):
        return raw


class Deadline:
    """
    A point in time that everything a call does must keep.

    Args:
        seconds: From now.
        monotonic: Where time comes from; a clock that never jumps.
    """

    def __init__(self, seconds: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._at = monotonic() + seconds

    def left(self) -> float:
        """Seconds that remain; never negative."""
        return max(0.0, self._at - self._monotonic())

    def within(self, seconds: float) -> float:
        """The shorter of *seconds* and what remains."""
        return min(seconds, self.left())
