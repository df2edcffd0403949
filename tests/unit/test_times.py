"""Moments in people's zones: what was typed comes back, whatever the clocks did in between."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.times import NoMoment, shown, stored

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Chatham")


@given(st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)), st.sampled_from(ZONES))
def test_what_is_typed_is_what_is_read(moment: datetime, zone: str) -> None:
    """Local in, UTC between, the same local out; an hour that the clocks skip is refused."""
    typed = moment.strftime("%Y-%m-%d %H:%M")
    try:
        raw = stored(typed, zone)
    except NoMoment:
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
        ("2026-10-25 02:30", "2026-10-25 00:30:00"),  # comes twice; the first
    ],
)
def test_moments_are_local_unless_they_say_otherwise(typed: str, raw: str) -> None:
    """In Berlin, summer and winter."""
    assert stored(typed, "Europe/Berlin") == raw


@pytest.mark.parametrize(
    "typed", ["tomorrow", "2026-11-24", "24.11.2026 16:30", "2026-03-29 02:30", "2026-13-01 10:00"]
)
def test_what_is_no_moment_is_refused(typed: str) -> None:
    """A day alone, another order, an hour that does not exist."""
    with pytest.raises(NoMoment):
        stored(typed, "Europe/Berlin")


def test_what_can_not_be_read_is_shown_as_it_stands() -> None:
    """An unknown zone counts as UTC."""
    assert shown("2026-07-29 06:46:48", "US/Pacific") == "2026-07-28 23:46"
    assert shown("2026-07-29 06:46:48", "Mars/Base") == "2026-07-29 06:46"
    assert shown("whenever", "UTC") == "whenever"
