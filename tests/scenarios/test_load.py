"""A short run of `make load`: it works, it ends by itself, and what it counts is right."""

import pytest

from benchmarks.load import load

pytestmark = pytest.mark.waits


def test_nothing_confirmed_is_lost_or_there_twice() -> None:
    """Reloaded and killed under load: calls fail only while nothing runs; what was confirmed is there once."""
    outcome = load(2.0, ["SIGHUP", "kill -9 and start"], least=3)
    told = outcome.tallied
    assert told.disturbances == {"SIGHUP": 1, "kill -9 and start": 1}
    # "refused" is an answer, such as one that a busy machine's deadline made.
    assert all(name == "refused" or name.endswith(", while it was down") for name in told.failures), told.said
    assert min(len(told.records), len(told.comments), len(told.changes)) >= 3, told.said
    assert (outcome.lost, outcome.duplicated) == ([], [])
    assert (outcome.once, outcome.waiting) == (len(told.changes), (0, 0)), outcome.posted
