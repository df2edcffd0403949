"""Many events in a few log lines."""

import pytest
import structlog

from web.tally import Tally


@pytest.mark.usefixtures("every_log_line")
def test_the_rest_of_a_minute_is_one_line() -> None:
    """The first are logged fully, the others counted by reason; the next event after the minute writes the line."""
    now = [100.0]
    with structlog.testing.capture_logs() as logs:
        tally = Tally(structlog.get_logger(), "refused", full=2, clock=lambda: now[0])
        for _ in range(5):
            tally.count("forged", detail="x")
        tally.count("late")
        tally.flush()
        assert len(logs) == 3
        now[0] += 60
        tally.flush()
        tally.flush()
        assert logs[3:] == [{"event": "refused", "more": {"forged": 3}, "seconds": 60, "log_level": "warning"}]
        tally.count("forged", detail="a minute of its own")
        assert logs[-1]["detail"] == "a minute of its own"
        tally.flush(everything=True)
        assert len(logs) == 5
