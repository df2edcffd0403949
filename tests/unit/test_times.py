"""Times in people's zones: a typed time comes back unchanged across daylight saving changes."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.times import InvalidDateTime, shown, stored

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Chatham")


@given(st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)), st.sampled_from(ZONES))
def test_a_typed_time_reads_back_unchanged(moment: datetime, zone: str) -> None:
    """Local, stored in UTC, the same local time; an hour skipped by daylight saving time is rejected."""
    typed = moment.strftime("%Y-%m-%d %H:%M")
    try:
        raw = stored(typed, zone)
    except InvalidDateTime:
        assert zone in {"Europe/Berlin", "America/New_York", "Pacific/Chatham"}
        return
    assert shown(raw, zone) == typed


@pytest.mark.parametrize(
    ("typed", "raw"),
    [
        ("2026-11-24 16:30", "2026-11-24 15:30:00"),
        ("2026-07-24T16:30", "2026-07-24 14:30:00"),
        ("2026-11-24T16:30:00Z", "2026-11-24 16:30:00"),
        ("2026-11-24T16:30:00-05:00", "2026-11-24 21:30:00"),
        ("2026-10-25 02:30", "2026-10-25 00:30:00"),  # occurs twice; the first
    ],
)
def test_times_are_local_unless_they_have_an_offset(typed: str, raw: str) -> None:
    """In Berlin, summer and winter."""
    assert stored(typed, "Europe/Berlin") == raw


@pytest.mark.parametrize(
    "typed", ["tomorrow", "2026-11-24", "24.11.2026 16:30", "2026-03-29 02:30", "2026-13-01 10:00"]
)
def test_an_invalid_time_is_rejected(typed: str) -> None:
    """A day alone, another format, an hour that doesn't exist."""
    with pytest.raises(InvalidDateTime):
        stored(typed, "Europe/Berlin")


def test_an_unreadable_time_is_shown_unchanged() -> None:
    """An unknown zone counts as UTC."""
    assert shown("2026-07-29 06:46:48", "US/Pacific") == "2026-07-28 23:46"
    assert shown("2026-07-29 06:46:48", "Mars/Base") == "2026-07-29 06:46"
    assert shown("whenever", "UTC") == "whenever"
