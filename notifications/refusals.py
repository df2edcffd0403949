"""What was not let in: counted by reason, the last one kept, in memory."""

import threading
import time
from collections import Counter
from collections.abc import Mapping

import structlog

from core.ports import Clock

log = structlog.get_logger(__name__)

_LOG_EVERY = 1.0  # seconds; anybody can send rubbish, and lines are what it would cost


class Refusals:
    """
    Reasons are ``unknown_key``, ``bad_mac``, ``stale``, ``too_large``, ``malformed``, ``wrong_server``, and
    ``old_dialect`` for a request of update set v2.1 that is not let in, ``too_many`` for one while too many wait.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._logged_at = float("-inf")
        self.at = 0.0
        self.reason = ""
        self.clock_offset = 0.0

    def refused(self, reason: str, detail: str = "") -> None:
        """Count one. *detail* goes to the log and holds nothing of the request's content."""
        with self._lock:
            self._counts[reason] += 1
            self.at, self.reason = self._clock(), reason
            quiet = time.monotonic() - self._logged_at < _LOG_EVERY
            if not quiet:
                self._logged_at = time.monotonic()
        if not quiet:
            log.warning("report refused", reason=reason, detail=detail)

    def proved(self, offset: float) -> None:
        """A signature held; the sender's clock was *offset* seconds ahead of ours."""
        self.clock_offset = offset

    def counts(self) -> Mapping[str, int]:
        """Since the start of the process, by reason."""
        with self._lock:
            return dict(self._counts)
