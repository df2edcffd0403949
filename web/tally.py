"""One line for many events: what anybody can cause without limit may not fill the log without limit."""

import threading
import time
from collections import Counter
from typing import Any

from core.ports import Clock

_SECONDS = 60.0


class Tally:
    """
    Logs the first *full* events of a minute and reason as they come, and counts the rest into one line.

    The count is written by whoever calls `flush` after the minute, or by the next event.
    """

    def __init__(self, log: Any, event: str, *, full: int = 1, clock: Clock = time.monotonic) -> None:
        self._log = log
        self._event = event
        self._full = full
        self._clock = clock
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._began = clock()

    def count(self, reason: str, **details: Any) -> None:
        """One event. *details* stand in the lines that are written in full."""
        self.flush()
        with self._lock:
            self._counts[reason] += 1
            in_full = self._counts[reason] <= self._full
        if in_full:
            self._log.warning(self._event, reason=reason, **details)

    def flush(self, *, everything: bool = False) -> None:
        """Write what was counted, if the minute is over; with *everything*, in any case."""
        with self._lock:
            now = self._clock()
            if not self._counts or (now - self._began < _SECONDS and not everything):
                if not self._counts:
                    self._began = now
                return
            more = {reason: count - self._full for reason, count in self._counts.items() if count > self._full}
            seconds = round(now - self._began)
            self._counts.clear()
            self._began = now
        if more:
            self._log.warning(self._event, more=more, seconds=seconds)
