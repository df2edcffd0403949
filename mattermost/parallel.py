"""A few threads that send several requests of one call at the same time."""

import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_THREADS = 8

T = TypeVar("T")


class Parallel:
    """
    A small pool of threads, shared by all calls.

    If no thread is free, for instance because Mattermost has stalled, the work runs in the caller's own thread. So
    nothing queues up and the number of threads is limited. Work that runs here must not start more work here.
    """

    def __init__(self, threads: int = _THREADS) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="parallel")
        self._free = threading.BoundedSemaphore(threads)

    def start(self, work: Callable[[], T]) -> "Future[T]":
        """Run *work* in a thread of the pool, or now in this thread if none is free."""
        if not self._free.acquire(blocking=False):
            return run(work)
        context = contextvars.copy_context()  # log lines keep the request's id

        def in_thread() -> T:
            try:
                return context.run(work)
            finally:
                self._free.release()

        try:
            return self._executor.submit(in_thread)
        except RuntimeError:  # closed
            self._free.release()
            return run(work)

    def settle(self) -> None:
        """Return at once: the call that started the work waits for it."""

    def close(self) -> None:
        """End the threads as soon as they are idle."""
        self._executor.shutdown(wait=False)


def run(work: Callable[[], T]) -> "Future[T]":
    """Run *work* in this thread; a future that is done."""
    future: Future[T] = Future()
    try:
        future.set_result(work())
    except Exception as error:  # noqa: BLE001 - the future raises it
        future.set_exception(error)
    return future
