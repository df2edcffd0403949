"""Small errands after an answer: direct messages that nobody waits for."""

import queue
import threading
from collections.abc import Callable

import structlog

from core.errors import AppError
from core.times import Clock

log = structlog.get_logger(__name__)

Errand = Callable[[], None]


class Every:
    """Says once in *seconds* of the clock that it is time."""

    def __init__(self, seconds: float, clock: Clock) -> None:
        self._seconds = seconds
        self._clock = clock
        self._next = float("-inf")
        self._lock = threading.Lock()

    def due(self) -> bool:
        """True for the first caller of each period."""
        with self._lock:
            now = self._clock()
            if now < self._next:
                return False
            self._next = now + self._seconds
            return True


class Background:
    """
    One thread that runs errands in order, started with the first errand and thus after a fork.

    An errand that fails is logged and dropped: nothing here may be what somebody relies on.
    """

    def __init__(self, most: int = 1000) -> None:
        self._errands: queue.Queue[Errand | None] = queue.Queue(most)
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def submit(self, errand: Errand) -> None:
        """Run *errand* soon. With more waiting than anybody needs, it is dropped and logged."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="background", daemon=True)
                self._thread.start()
        try:
            self._errands.put_nowait(errand)
        except queue.Full:
            log.error("errand dropped: too many wait")

    def settle(self, seconds: float = 30.0) -> None:
        """Return once everything submitted so far is done."""
        done = threading.Event()
        self.submit(done.set)
        done.wait(seconds)

    def close(self, seconds: float = 5.0) -> None:
        """Finish what waits, at most *seconds*."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._errands.put(None)
            thread.join(seconds)

    def _run(self) -> None:
        while (errand := self._errands.get()) is not None:
            try:
                errand()
            except AppError as error:
                log.warning("errand failed", error=type(error).__name__, detail=error.log_message)
            except Exception as error:
                log.error("errand failed", exc_info=error)
