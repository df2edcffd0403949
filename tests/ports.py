"""Ports for servers that are stopped and started again, or that another process starts."""

import socket
from typing import Self


class ReservedPort:
    """
    A port of 127.0.0.1 that is reserved for servers that know its number.

    It is bound without listening: a server that reuses addresses may listen on it (all of ours do), nothing
    that takes a free port is given it, and while no server runs a connection is refused.
    """

    def __init__(self) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", 0))
        self.number = int(self._socket.getsockname()[1])

    def close(self) -> None:
        """Release it."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
