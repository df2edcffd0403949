"""Tasks that run after a request was answered, such as direct messages."""

import queue
import threading
from collections.abc import Callable

import structlog

from core.errors import AppError
from core.times import Clock

log = structlog.get_logger(__name__)

Task = Callable[[], None]


class Every:
    """Limits how often something is done: at most once every *seconds* of the clock."""

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
    One thread that runs tasks in order. The first task starts it, so that it runs in the forked worker process.

    A task that fails is logged and not repeated, so submit only tasks that can be lost.
    """

    def __init__(self, most: int = 1000) -> None:
        self._tasks: queue.Queue[Task | None] = queue.Queue(most)
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def submit(self, task: Task) -> None:
        """Run *task* soon. If the queue is full, the task is dropped, and that is logged."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="background", daemon=True)
                self._thread.start()
        try:
            self._tasks.put_nowait(task)
        except queue.Full:
            log.error("background task dropped: queue full")

    def settle(self, seconds: float = 30.0) -> None:
        """Return once everything submitted so far is done."""
        done = threading.Event()
        self.submit(done.set)
        done.wait(seconds)

    def close(self, seconds: float = 5.0) -> None:
        """Finish the waiting tasks, for at most *seconds*."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._tasks.put(None)
            thread.join(seconds)

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            try:
                task()
            except AppError as error:
                log.warning("background task failed", error=type(error).__name__, detail=error.log_message)
            except Exception as error:
                log.error("background task failed", exc_info=error)
