"""Finds out which requests a service sends concurrently."""

import threading
from collections.abc import Iterable


class Rounds:
    """
    Holds requests until all requests of a round have arrived.

    A service that sends them one after another runs into the timeout, so the result doesn't depend on speed.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._sizes: list[int] = []
        self._seconds = 0.0
        self._rounds: list[list[str]] = []
        self._on = False

    def begin(self, sizes: Iterable[int], seconds: float = 5.0) -> None:
        """
        Hold the first ``sizes[0]`` requests until all have arrived, then the next ``sizes[1]``, and so on.

        Later requests, and those after a request that waited *seconds* in vain, are rounds of one.
        """
        with self._changed:
            self._sizes, self._seconds, self._rounds, self._on = list(sizes), seconds, [], True
            self._changed.notify_all()

    def end(self) -> list[list[str]]:
        """Stop holding requests. Returns the requests of each round, sorted."""
        with self._changed:
            rounds, self._rounds, self._on = self._rounds, [], False
            self._changed.notify_all()
            return [sorted(one) for one in rounds]

    def hold(self, what: str) -> None:
        """Block until the request *what* may be answered."""
        with self._changed:
            if not self._on:
                return
            rounds = self._rounds
            if not rounds or len(rounds[-1]) >= self._size(len(rounds)):
                rounds.append([])
            mine, size = rounds[-1], self._size(len(rounds))
            mine.append(what)
            self._changed.notify_all()
            if not self._changed.wait_for(lambda: len(mine) >= size or rounds is not self._rounds, self._seconds):
                self._sizes = []

    def _size(self, number: int) -> int:
        return self._sizes[number - 1] if number <= len(self._sizes) else 1
