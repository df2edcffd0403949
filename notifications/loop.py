"""A thread that runs a function repeatedly while there is work, and otherwise waits."""

import threading
from collections.abc import Callable

import structlog

from core.errors import StorageFailed

log = structlog.get_logger(__name__)

LONGEST_WAIT = 30.0  # seconds, because clocks can be set
_AFTER_CRASH = 1.0


class Loop:
    """
    Args:
        run_round: Runs one round and returns the seconds until the next one. 0.0 means that there may be more to do.
    """

    def __init__(self, name: str, run_round: Callable[[], float]) -> None:
        self._name = name
        self._run_round = run_round
        self._changed = threading.Condition()
        self._woken = False
        self._stopping = False
        self._begun = 0  # rounds
        self._idle = 0  # number of the last round that found nothing to do
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Check for new work now."""
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def settle(self, seconds: float = 30.0) -> bool:
        """Wait until nothing is due, for at most *seconds*. Returns whether that is so, or the loop is stopping."""
        with self._changed:
            begun = self._begun
            self._woken = True
            self._changed.notify_all()
            # A round that is already running may miss work that is due now, so wait for an idle one that starts later.
            return self._changed.wait_for(lambda: self._idle > begun or self._stopping, seconds)

    def close(self, seconds: float = 20.0) -> None:
        """Stop after the current round, and wait for it for at most *seconds*."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(seconds)

    def _run(self) -> None:
        while True:
            with self._changed:
                if self._stopping:
                    return
                self._begun += 1
                number = self._begun
                self._woken = False
            try:
                wait = min(self._run_round(), LONGEST_WAIT)
            except StorageFailed as error:
                log.error("round failed", thread=self._name, reason=error.log_message)
                wait = _AFTER_CRASH
            except Exception as error:
                log.error("round failed", thread=self._name, exc_info=error)
                wait = _AFTER_CRASH
            if wait <= 0:
                continue
            with self._changed:
                self._idle = number
                self._changed.notify_all()
                if not self._woken and not self._stopping:
                    self._changed.wait(wait)


class Loops:
    """Several loops handled as one, in the order in which work passes through them."""

    def __init__(self, *loops: Loop) -> None:
        self._loops = loops

    def start(self) -> None:
        """Start them all."""
        for loop in self._loops:
            loop.start()

    def wake(self) -> None:
        """Check for new work now."""
        for loop in self._loops:
            loop.wake()

    def settle(self) -> None:
        """Wait until nothing is due."""
        for loop in self._loops:
            loop.settle()

    def close(self) -> None:
        """Stop all of them after their current round."""
        for loop in self._loops:
            loop.close()
