"""
Limits of the calls to one server, so that a slow server doesn't occupy every thread of this service (design §11).

`Bulkhead` limits concurrent calls, in all and per person. `CircuitBreaker` stops calling a server that doesn't answer.
"""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from core.upstream_errors import CallLimitReached, CircuitOpen, Unanswered, Unreachable

PER_PERSON = 3
WAIT_SECONDS = 1.0
FAILURES = 5
WINDOW_SECONDS = 30.0
PAUSE_SECONDS = 15.0


class CallLimits:
    """
    The limits that every call passes through.

    Args:
        total: Concurrent calls in all.
        monotonic: A clock that never jumps.
    """

    def __init__(self, total: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._bulkhead = Bulkhead(total)
        self._breaker = CircuitBreaker(monotonic)

    @contextmanager
    def call(self, person_id: str | None, wait: float = WAIT_SECONDS) -> Iterator[None]:
        """
        Run one call. Unanswered and Unreachable raised inside count as failures of the server.

        Args:
            person_id: Whose concurrent calls this counts as. None isn't limited per person.
            wait: Seconds to wait for a slot. Never more than a second.

        Raises:
            CircuitOpen: The server stopped answering moments ago.
            CallLimitReached: No slot became free in time.
        """
        self._breaker.check()  # first, so that nobody waits for a slot only to learn that the circuit is open
        with self._bulkhead.slot(person_id, max(0.0, min(wait, WAIT_SECONDS))), self._breaker.call():
            yield


class Bulkhead:
    """A limit of concurrent calls: *total* in all, three per person."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._released = threading.Condition()
        self._running = 0
        self._per_person: Counter[str] = Counter()

    @contextmanager
    def slot(self, person_id: str | None, wait: float) -> Iterator[None]:
        """Hold a slot for one call. Raises CallLimitReached if none is free within *wait* seconds."""
        with self._released:
            if not self._released.wait_for(lambda: self._has_slot(person_id), wait):
                raise CallLimitReached("no free slot for another call to ServiceNow")
            self._running += 1
            if person_id is not None:
                self._per_person[person_id] += 1
        try:
            yield
        finally:
            with self._released:
                self._running -= 1
                if person_id is not None:
                    self._per_person[person_id] -= 1
                    if not self._per_person[person_id]:
                        del self._per_person[person_id]
                self._released.notify_all()

    def _has_slot(self, person_id: str | None) -> bool:
        return self._running < self._total and (person_id is None or self._per_person[person_id] < PER_PERSON)


class CircuitBreaker:
    """
    Opens after 5 unanswered calls within 30 seconds. While it is open, every call fails at once.

    After 15 seconds, one call is let through as a probe. An answer closes the circuit, and no answer keeps it
    open for another 15 seconds.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._unanswered: deque[float] = deque(maxlen=FAILURES)
        self._open = False
        self._probe_at = 0.0
        self._probing = False

    def check(self) -> None:
        """Raises CircuitOpen while no call may be made."""
        with self._lock:
            self._refuse_while_open()

    @contextmanager
    def call(self) -> Iterator[None]:
        """Run one call and record whether it was answered. Raises CircuitOpen as `check`."""
        with self._lock:
            self._refuse_while_open()
            self._probing = self._open
        answered: bool | None = True
        try:
            yield
        except (Unanswered, Unreachable):
            answered = False
            raise
        except BaseException:
            answered = None  # an error of ours says nothing about the server
            raise
        finally:
            with self._lock:
                self._record(answered)

    def _refuse_while_open(self) -> None:
        if self._open and (self._probing or self._monotonic() < self._probe_at):
            raise CircuitOpen("circuit open")

    def _record(self, answered: bool | None) -> None:
        now = self._monotonic()
        if answered:
            self._unanswered.clear()
            self._open = self._probing = False
        elif answered is False:
            self._unanswered.append(now)
            often = len(self._unanswered) == FAILURES and now - self._unanswered[0] <= WINDOW_SECONDS
            if self._open or often:
                self._open, self._probing, self._probe_at = True, False, now + PAUSE_SECONDS
        else:
            self._probing = False
