"""Log one line for many events, so that nobody can flood the log."""

import threading
import time
from collections import Counter
from typing import Any

from core.times import Clock

_SECONDS = 60.0


class Tally:
    """
    Logs the first *full* events per reason and minute, and the number of the others in one line.

    The line is written by the next event, or by a call of `flush`, once the minute is over.
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
        """Count one event. *details* are logged only if the event is logged in full."""
        self.flush()
        with self._lock:
            self._counts[reason] += 1
            in_full = self._counts[reason] <= self._full
        if in_full:
            self._log.warning(self._event, reason=reason, **details)

    def flush(self, *, everything: bool = False) -> None:
        """Log the counts if the minute is over or *everything* is set."""
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
