"""How notifications are doing, for administrators: counted in memory since the process started."""

import threading
import time
from collections import Counter
from collections.abc import Mapping

import structlog
from cachetools import TTLCache

from core.notices import DeliveryHealth
from core.storage_ports import Outbox
from core.times import Clock

log = structlog.get_logger(__name__)

_LOG_EVERY = 1.0  # seconds; anyone can send garbage, which must not fill the log


class Rejections:
    """
    Counts rejected requests by reason: ``unknown_key``, ``bad_mac``, ``stale``, ``too_large``, ``malformed``, and
    ``wrong_server``. For requests of update set v2.1: ``legacy_webhook`` if they aren't accepted, ``too_many`` if too
    many are waiting.
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
        """Count one. *detail* is logged, so it must not contain anything from the request."""
        with self._lock:
            self._counts[reason] += 1
            self.at, self.reason = self._clock(), reason
            quiet = time.monotonic() - self._logged_at < _LOG_EVERY
            if not quiet:
                self._logged_at = time.monotonic()
        if not quiet:
            log.warning("report refused", reason=reason, detail=detail)

    def proved(self, offset: float) -> None:
        """A signature was valid. The sender's clock was *offset* seconds ahead of ours."""
        self.clock_offset = offset

    def counts(self) -> Mapping[str, int]:
        """By reason, since the process started."""
        with self._lock:
            return dict(self._counts)


_KEPT_SECONDS = 3600.0


class ReceivedTests:
    """Test reports that were received, for whoever waits for one."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._nonces: TTLCache[str, bool] = TTLCache(maxsize=1000, ttl=_KEPT_SECONDS, timer=time.monotonic)

    def note(self, nonce: str) -> None:
        """The report with *nonce* was received, with a valid signature."""
        with self._changed:
            self._nonces[nonce] = True
            self._changed.notify_all()

    def arrived(self, nonce: str, seconds: float) -> bool:
        """Whether the report with *nonce* was received. Waits at most *seconds*."""
        with self._changed:
            return self._changed.wait_for(lambda: nonce in self._nonces, seconds)


class Health:
    """Counts of reports and notifications. Webhooks and threads report to it what they did."""

    def __init__(self, outbox: Outbox, clock: Clock) -> None:
        self.rejections = Rejections(clock)
        self.received_tests = ReceivedTests()
        self._outbox = outbox
        self._clock = clock
        self._delivered = 0
        self._delivered_at = 0.0
        self._given_up = 0
        self._asking = ""

    def delivered(self, rows: int) -> None:
        """Count rows that were posted."""
        self._delivered += rows
        self._delivered_at = self._clock()

    def given_up(self, rows: int) -> None:
        """Count rows that will never be posted."""
        self._given_up += rows

    def asking(self, trouble: str) -> None:
        """Set why permissions of subscription owners could not be checked; "" if they could."""
        self._asking = trouble

    def health(self) -> DeliveryHealth:
        """From memory."""
        rows = self._outbox.waiting()
        failing = sorted((one for one in self._outbox.batches() if one.reason), key=lambda one: one.claimed_at)
        return DeliveryHealth(
            waiting=len(rows),
            oldest_at=min((row.stored_at for row in rows), default=0.0),
            delivered_at=self._delivered_at,
            refused_at=self.rejections.at,
            refused_reason=self.rejections.reason,
            clock_offset=self.rejections.clock_offset,
            refused=self.rejections.counts(),
            delivered=self._delivered,
            given_up=self._given_up,
            trouble=failing[0].reason if failing else self._asking,
        )
