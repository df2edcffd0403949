"""waitress's loop by epoll: a turn costs what happens, not what is open."""

import select
from collections import deque
from typing import Any

from waitress import wasyncore


class Turns(dict[int, Any]):
    """
    waitress's map of descriptors to connections, which tells epoll of them.

    waitress's own loop asks all connections in every turn whether they want to read or write, which with 1,500
    of them takes milliseconds for each request. Here one is asked when it is new, after something happened
    to it, and after somebody said `changed`.
    """

    def __init__(self) -> None:
        super().__init__()
        self._epoll = select.epoll()
        self._watched: dict[int, int] = {}
        self._changed: deque[Any] = deque()

    def __setitem__(self, descriptor: int, connection: Any) -> None:
        super().__setitem__(descriptor, connection)
        self._changed.append(connection)

    def __delitem__(self, descriptor: int) -> None:
        super().__delitem__(descriptor)
        if self._watched.pop(descriptor, 0):
            self._epoll.unregister(descriptor)

    def changed(self, connection: Any) -> None:
        """Ask it in the next turn, from any thread; who is no part of the loop pulls waitress's trigger then."""
        self._changed.append(connection)

    def turn(self, seconds: float) -> None:
        """Wait for something to happen, *seconds* at most, and do it."""
        for _ in range(len(self._changed)):
            self._ask(self._changed.popleft())
        for descriptor, flags in self._epoll.poll(seconds):
            connection = self.get(descriptor)
            if connection is not None:
                wasyncore.readwrite(connection, flags)
                self._ask(connection)

    def close(self) -> None:
        """Close all of it."""
        wasyncore.close_all(self)
        self._epoll.close()

    def _ask(self, connection: Any) -> None:
        descriptor = connection._fileno
        if descriptor not in self or self[descriptor] is not connection:
            return  # closed, and the number perhaps another's
        # Not EPOLLPRI, which waitress's own loop asks for: nobody takes urgent bytes, so it would never end.
        wanted = select.EPOLLIN if connection.readable() else 0
        if connection.writable() and not connection.accepting:
            wanted |= select.EPOLLOUT
        before = self._watched.get(descriptor, 0)
        if wanted == before:
            return
        if not wanted:
            self._epoll.unregister(descriptor)
            del self._watched[descriptor]
            return
        if before:
            self._epoll.modify(descriptor, wanted)
        else:
            self._epoll.register(descriptor, wanted)
        self._watched[descriptor] = wanted
