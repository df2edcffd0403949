"""
ServiceNow's silence stays ServiceNow's (design §11): few calls at once, fewer a person, and none for
a while when it has stopped answering. Threads that wait for it would be missing everywhere else.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from core.errors import Broken, Busy, ServiceNowError, Unanswered, Unreachable

PER_PERSON = 3
WAIT_SECONDS = 1.0
FAILURES = 5
WINDOW_SECONDS = 30.0
PAUSE_SECONDS = 15.0


class Silent(Unreachable):
    """It did not answer just now, so it is not asked for some seconds."""

    tell = "ServiceNow has stopped answering. Nothing was saved; try again in a quarter of a minute."


class Gate:
    """
    Bulkhead and circuit breaker in one: every call to ServiceNow passes here.

    Args:
        at_once: Calls in all that may run at the same time.
        monotonic: A clock that never jumps.
    """

    def __init__(self, at_once: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._at_once = at_once
        self._monotonic = monotonic
        self._changed = threading.Condition()
        self._running = 0
        self._per_person: dict[str, int] = {}
        self._unanswered: deque[float] = deque(maxlen=FAILURES)
        self._closed_until = 0.0

    @contextmanager
    def passing(self, person_id: str, wait: float = WAIT_SECONDS) -> Iterator[None]:
        """
        Hold a place for one call; unanswered ones are counted.

        Raises:
            Silent: ServiceNow stopped answering moments ago.
            Busy: No place became free within *wait* seconds.
        """
        self._enter(person_id, min(wait, WAIT_SECONDS))
        try:
            yield
        except ServiceNowError as error:
            self._record(answered=not isinstance(error, Unanswered | Unreachable) or isinstance(error, Broken))
            raise
        else:
            self._record(answered=True)
        finally:
            self._leave(person_id)

    def _enter(self, person_id: str, wait: float) -> None:
        with self._changed:
            if self._monotonic() < self._closed_until:
                raise Silent("circuit open")
            free = self._changed.wait_for(
                lambda: self._running < self._at_once and self._per_person.get(person_id, 0) < PER_PERSON,
                wait,
            )
            if not free:
                raise Busy("no free place for another call to ServiceNow")
            if self._monotonic() < self._closed_until:
                raise Silent("circuit open")
            self._running += 1
            self._per_person[person_id] = self._per_person.get(person_id, 0) + 1

    def _leave(self, person_id: str) -> None:
        with self._changed:
            self._running -= 1
            left = self._per_person[person_id] - 1
            if left:
                self._per_person[person_id] = left
            else:
                del self._per_person[person_id]
            self._changed.notify_all()

    def _record(self, answered: bool) -> None:
        with self._changed:
            if answered:
                self._unanswered.clear()
                self._closed_until = 0.0
                return
            now = self._monotonic()
            self._unanswered.append(now)
            if len(self._unanswered) == FAILURES and now - self._unanswered[0] <= WINDOW_SECONDS:
                # Half-open afterwards: the count stays one short of closing again.
                self._closed_until = now + PAUSE_SECONDS
                self._unanswered.popleft()
