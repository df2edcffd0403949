"""The event queue: rows of ``sysevent``, processed in the background one after another when they are due."""

import heapq
import itertools
import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime

from sandbox.common import Clock
from sandbox.servicenow.records.store import Row, Store

_LONGEST_PARAMETER = 255  # of parm1 and parm2
_READY, _PROCESSED, _ERROR = "ready", "processed", "error"


class Events:
    """
    A queue with one worker.

    Args:
        process: Processes a row of ``sysevent``, and returns whether it succeeded.
        failed: Called with errors of the double itself.
    """

    def __init__(
        self, store: Store, clock: Clock, process: Callable[[Row], bool], failed: Callable[[Exception], None]
    ) -> None:
        self._store = store
        self._clock = clock
        self._process = process
        self._failed = failed
        self._changed = threading.Condition()
        self._waiting: list[tuple[float, int, str]] = []
        self._jobs: dict[str, Callable[[], None]] = {}
        self._numbers = itertools.count()
        self._busy = False
        self._running = False
        self._thread: threading.Thread | None = None
        clock.moved.append(self.wake)

    def start(self) -> None:
        """Start processing."""
        self._running = True
        self._thread = threading.Thread(target=self._work, name="servicenow-events", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop after the current event."""
        self._running = False
        self.wake()
        if self._thread is not None:
            self._thread.join(5)
            self._thread = None

    def clear(self) -> None:
        """Drop all waiting events. Waits a few seconds at most for the current one."""
        with self._changed:
            self._waiting.clear()
            self._jobs.clear()
            if threading.current_thread() is not self._thread:
                self._changed.wait_for(lambda: not self._busy, 5)

    def wake(self) -> None:
        """Check again which events are due, because the clock has moved."""
        with self._changed:
            self._changed.notify_all()

    def queue(self, given: Row, user_id: str, user_name: str, at: float | None) -> None:
        """
        Add an event.

        Args:
            given: ``name``, ``table``, ``instance``, ``parm1``, ``parm2``, ``queue``.
            at: Unix seconds; None for now.
        """
        now = self._clock.now()
        due = now if at is None else at
        stamp = {"sys_created_on": _text(now), "sys_updated_on": _text(now), "sys_created_by": user_name}
        row = given | stamp | {"sys_id": uuid.uuid4().hex, "state": _READY, "process_on": _text(due)}
        row |= {name: given[name][:_LONGEST_PARAMETER] for name in ("parm1", "parm2")}
        row |= {"user_id": user_id, "user_name": user_name}
        self._store.put("sysevent", row)
        self._push(due, row["sys_id"])

    def later(self, job: Callable[[], None]) -> None:
        """Run something else in the background, such as an async business rule."""
        name = f"job {next(self._numbers)}"
        self._jobs[name] = job
        self._push(self._clock.now(), name)

    def settle(self, seconds: float) -> None:
        """
        Wait until no event is due or running.

        Raises:
            TimeoutError: Events remain.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: not self._busy and not self._due(), seconds):
                raise TimeoutError(f"{len(self._waiting)} events still wait after {seconds} seconds")

    def _push(self, due: float, name: str) -> None:
        with self._changed:
            heapq.heappush(self._waiting, (due, next(self._numbers), name))
            self._changed.notify_all()

    def _due(self) -> bool:
        return bool(self._waiting) and self._waiting[0][0] <= self._clock.now()

    def _work(self) -> None:
        while self._running:
            with self._changed:
                if not self._due():
                    self._changed.wait(self._waiting[0][0] - self._clock.now() if self._waiting else None)
                    continue
                _, _, name = heapq.heappop(self._waiting)
                self._busy = True
            try:
                self._one(name)
            except Exception as problem:  # noqa: BLE001 - the queue goes on, whatever one event does
                self._failed(problem)
            finally:
                with self._changed:
                    self._busy = False
                    self._changed.notify_all()

    def _one(self, name: str) -> None:
        if job := self._jobs.pop(name, None):
            job()
            return
        row = self._store.find("sysevent", name)
        if row is None:  # the instance was reset
            return
        began = time.monotonic()
        state = _PROCESSED if self._process(row) else _ERROR
        if self._store.find("sysevent", name) is not None:
            done = {"state": state, "processed": _text(self._clock.now())}
            done["processing_duration"] = str(int((time.monotonic() - began) * 1000))
            self._store.put("sysevent", row | done)


def _text(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")
