"""Test reports that came in, for whoever waits for one."""

import threading
import time

from cachetools import TTLCache

_KEPT_SECONDS = 3600.0


class Arrivals:
    """`core.storage_ports.TestReports`, and where intake notes them."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._nonces: TTLCache[str, bool] = TTLCache(maxsize=1000, ttl=_KEPT_SECONDS, timer=time.monotonic)

    def note(self, nonce: str) -> None:
        """The report with *nonce* came in, with a good signature."""
        with self._changed:
            self._nonces[nonce] = True
            self._changed.notify_all()

    def arrived(self, nonce: str, seconds: float) -> bool:
        """As the port says."""
        with self._changed:
            return self._changed.wait_for(lambda: nonce in self._nonces, seconds)
