"""
ServiceNow's silence stays ServiceNow's (design §11): few calls at once, fewer a person, and none for
a while when it has stopped answering. Threads that wait for it would be missing everywhere else.
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


class Gate:
    """
    Bulkhead and circuit breaker in one: every call to ServiceNow passes here.

    Closed circuit: calls pass. After 5 unanswered calls within 30 s it opens: for 15 s every call fails
    at once; then a single one is let through as a probe. Its answer closes the circuit, its silence
    opens it for another 15 s.

    Args:
        at_once: Calls in all that may run at the same time.
        monotonic: A clock that never jumps.
    """

    def __init__(self, at_once: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._at_once = at_once
        self._monotonic = monotonic
        self._changed = threading.Condition()
        self._running = 0
        self._per_person: Counter[str] = Counter()
        self._unanswered: deque[float] = deque(maxlen=FAILURES)
        self._open = False
        self._probe_at = 0.0
        self._probing = False

    @contextmanager
    def passing(self, person_id: str | None, wait: float = WAIT_SECONDS) -> Iterator[None]:
        """
        Hold a place for one call. Unanswered and Unreachable raised inside count as silence.

        Args:
            person_id: Whose share it takes; None takes nobody's.
            wait: For a free place, at most; never more than a second.

        Raises:
            CircuitOpen: ServiceNow stopped answering moments ago.
            CallLimitReached: No place became free in time.
        """
        self._enter(person_id, max(0.0, min(wait, WAIT_SECONDS)))
        answered: bool | None = True
        try:
            yield
        except (Unanswered, Unreachable):
            answered = False
            raise
        except BaseException:
            answered = None  # of our own making: it tells nothing of ServiceNow
            raise
        finally:
            self._leave(person_id, answered)

    def _enter(self, person_id: str | None, wait: float) -> None:
        with self._changed:
            self._refuse_while_open()
            free = self._changed.wait_for(
                lambda: (
                    self._running < self._at_once and (person_id is None or self._per_person[person_id] < PER_PERSON)
                ),
                wait,
            )
            if not free:
                raise CallLimitReached("no free place for another call to ServiceNow")
            self._refuse_while_open()
            self._probing = self._open
            self._running += 1
            if person_id is not None:
                self._per_person[person_id] += 1

    def _refuse_while_open(self) -> None:
        if self._open and (self._probing or self._monotonic() < self._probe_at):
            raise CircuitOpen("circuit open")

    def _leave(self, person_id: str | None, answered: bool | None) -> None:
        with self._changed:
            self._running -= 1
            if person_id is not None:
                self._per_person[person_id] -= 1
                if not self._per_person[person_id]:
                    del self._per_person[person_id]
            self._judge(answered)
            self._changed.notify_all()

    def _judge(self, answered: bool | None) -> None:
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
