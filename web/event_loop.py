"""waitress's event loop, based on epoll: its cost depends on the number of events, not of open connections."""

import select
from collections import deque
from typing import Any

from waitress import wasyncore


class EventLoop(dict[int, Any]):
    """
    waitress's map of file descriptors to connections, kept in sync with epoll.

    waitress's own loop asks every connection in every iteration whether it wants to read or write. With 1,500
    connections, that takes milliseconds per request. This loop asks a connection only when it is new, after one
    of its events, and after a call of `changed`.
    """

    def __init__(self) -> None:
        super().__init__()
        self._epoll = select.epoll()
        self._registered: dict[int, int] = {}
        self._changed: deque[Any] = deque()

    def __setitem__(self, descriptor: int, connection: Any) -> None:
        super().__setitem__(descriptor, connection)
        self._changed.append(connection)

    def __delitem__(self, descriptor: int) -> None:
        super().__delitem__(descriptor)
        if self._registered.pop(descriptor, 0):
            self._epoll.unregister(descriptor)

    def changed(self, connection: Any) -> None:
        """
        Update the connection's registration in the next iteration.

        Can be called from any thread. Threads other than the loop's also have to pull waitress's trigger.
        """
        self._changed.append(connection)

    def run_once(self, timeout: float) -> None:
        """Run one iteration: wait at most *timeout* seconds for events and handle them."""
        for _ in range(len(self._changed)):
            self._update(self._changed.popleft())
        for descriptor, flags in self._epoll.poll(timeout):
            connection = self.get(descriptor)
            if connection is not None:
                wasyncore.readwrite(connection, flags)
                self._update(connection)

    def close(self) -> None:
        """Close all connections and the loop."""
        wasyncore.close_all(self)
        self._epoll.close()

    def _update(self, connection: Any) -> None:
        descriptor = connection._fileno
        if descriptor not in self or self[descriptor] is not connection:
            return  # closed; another connection may have its descriptor by now
        # No EPOLLPRI, unlike waitress's own loop: nothing reads urgent bytes, so the event would repeat forever.
        wanted = select.EPOLLIN if connection.readable() else 0
        if connection.writable() and not connection.accepting:
            wanted |= select.EPOLLOUT
        before = self._registered.get(descriptor, 0)
        if wanted == before:
            return
        if not wanted:
            self._epoll.unregister(descriptor)
            del self._registered[descriptor]
            return
        if before:
            self._epoll.modify(descriptor, wanted)
        else:
            self._epoll.register(descriptor, wanted)
        self._registered[descriptor] = wanted
