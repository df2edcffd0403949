"""A short run of `make load` works, ends by itself, and counts correctly."""

import pytest

from benchmarks.load import load

pytestmark = pytest.mark.waits


def test_nothing_confirmed_is_lost_or_duplicated() -> None:
    """Reloaded and killed under load: calls fail only while no process runs, and each confirmed record exists once."""
    outcome = load(2.0, ["SIGHUP", "kill -9 and start"], least=3)
    told = outcome.tallied
    assert told.disturbances == {"SIGHUP": 1, "kill -9 and start": 1}
    # A rejection is an answer too, such as a deadline exceeded on a busy machine.
    assert all(name == "refused" or name.endswith(", while it was down") for name in told.failures), told.said
    assert min(len(told.records), len(told.comments), len(told.changes)) >= 3, told.said
    assert (outcome.lost, outcome.duplicated) == ([], [])
    assert (outcome.once, outcome.waiting) == (len(told.changes), (0, 0)), outcome.posted
