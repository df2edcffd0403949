"""
waitress's connections with what they lack: a deadline for every request and a limit per peer.

waitress reads a request whole before a thread gets it and buffers the answer, so a slow client costs
a socket and some memory, and no thread.
"""

import socket
import struct
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import structlog
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.server import TcpWSGIServer
from waitress.task import ThreadedTaskDispatcher, WSGITask

from web.tally import Tally
from web.turns import Turns

log = structlog.get_logger(__name__)

MOST_HEADERS = 32 * 1024  # bytes of a request line and its headers
MOST_BUFFERED = 2 * 1024 * 1024  # bytes of a body that are read at all; the application's own limits are lower
KEEP_ALIVE = 75.0  # seconds between two requests of a connection

_LOOK_SECONDS = 1.0
_AT_ONCE = struct.pack("ii", 1, 0)  # `struct linger`: on, for no time
_TIMED_OUT = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_FULL = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"


@dataclass(frozen=True, kw_only=True)
class ConnectionLimits:
    """
    Args:
        request_timeout: Seconds from a request's first byte to its last, and to take the answer.
        per_peer: Connections of one address at once.
        total: Connections at once.
    """

    request_timeout: float
    per_peer: int
    total: int

    def adjustments(self) -> Adjustments:
        """The same in waitress's words, with its own two time-outs and its limit out of the way."""
        return Adjustments(
            asyncore_use_poll=True,
            backlog=2048,
            channel_timeout=2**31,
            connection_limit=2**31,
            ident="",
            inbuf_overflow=64 * 1024,
            max_request_body_size=MOST_BUFFERED,
            max_request_header_size=MOST_HEADERS,
        )


class StrictParser(HTTPRequestParser):
    """Refuses what two servers in a row could read differently (RFC 9112, 5.2, 6.1 and 6.3)."""

    def parse_header(self, header_plus: bytes) -> None:
        """waitress's hook. Raises ParsingError, which becomes a 400."""
        if b"\r\n " in header_plus or b"\r\n\t" in header_plus:
            raise ParsingError("Folded header")
        super().parse_header(header_plus)
        if "TRANSFER_ENCODING" in self.headers:  # left in by waitress for HTTP/1.0, which has none
            raise ParsingError("Transfer-Encoding in HTTP/1.0")
        if self.chunked and "CONTENT_LENGTH" in self.headers:
            raise ParsingError("Transfer-Encoding and Content-Length")


class RawTargetTask(WSGITask):
    """A request on its way through the application."""

    channel: "Connection"

    def start(self) -> None:
        """waitress's hook before the application is called."""
        super().start()
        if self.channel.server.draining:
            self.set_close_on_finish()

    def finish(self) -> None:
        """waitress's hook after the application; the connection still counts as ours."""
        super().finish()
        self.channel.served = True
        self.channel.waiting_since = time.monotonic()

    def get_environment(self) -> dict[str, Any]:
        """The WSGI environment; the request target as it came is also where werkzeug and gunicorn put it."""
        environ = super().get_environment()
        environ["RAW_URI"] = environ["REQUEST_URI"]
        return environ


class Connection(HTTPChannel):
    """One client's connection."""

    task_class = RawTargetTask
    parser_class = StrictParser
    server: "BufferingServer"

    def __init__(self, server: "BufferingServer", sock: socket.socket, addr: Any, *args: Any, **kw: Any) -> None:
        # When the client was last given the word: connected, began a request, or was answered.
        self.waiting_since = time.monotonic()
        self.served = False
        self.peer = str(addr[0])
        super().__init__(server, sock, addr, *args, **kw)

    @property
    def waiting(self) -> bool:
        """Whether it is the client's turn: no request of it runs or waits for a thread."""
        return not self.requests and not self.will_close

    @property
    def unfinished(self) -> bool:
        """Whether a request has begun to arrive, or an answer is not taken yet."""
        return self.request is not None or bool(self.total_outbufs_len)

    def received(self, data: bytes) -> bool:
        """waitress's hook for bytes from the client."""
        before = self.request
        taken = super().received(data)
        if self.request is not None and self.request is not before:
            self.waiting_since = time.monotonic()
        return taken

    def service(self) -> None:
        """waitress's hook: one request, in a thread."""
        super().service()
        self._changed()

    def write_soon(self, data: bytes) -> int:
        """waitress's hook for a part of an answer, in a thread."""
        written = super().write_soon(data)
        if self.total_outbufs_len:
            self._changed()
        return written

    def _changed(self) -> None:
        self.server.turns.changed(self)
        self.server.pull_trigger()

    def expired(self, now: float) -> bool:
        """Whether the client let its time pass."""
        idle = self.served and not self.unfinished
        allowed = KEEP_ALIVE if idle else self.server.limits.request_timeout
        return self.waiting and now - self.waiting_since > allowed

    def give_up(self, answer: bytes = b"") -> None:
        """
        Close it, from the loop; *answer* goes out where a request had begun and nothing else does.

        Not at its next write, as waitress does: a client that takes nothing would never let that come.
        """
        if self.socket is None:
            return
        try:
            if self.total_outbufs_len:
                # Or the kernel would keep what the client doesn't take.
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
            elif answer and self.request is not None:
                self.socket.send(answer)
        except OSError:
            pass  # the client is gone or reads nothing
        self.handle_close()

    def del_channel(self, map: Any = None) -> None:
        """waitress's hook for a closed connection."""
        super().del_channel(map)
        self.server.forget(self)


class BufferingServer(TcpWSGIServer):
    """
    waitress, on a socket that listens already.

    Where a peer, or all together, would have more connections than allowed, the one that has kept us
    waiting longest makes room: a request that comes in one piece is never the one. Where none waits
    (all of them run), the new connection is refused with 503.
    """

    channel_class = Connection
    limits: ConnectionLimits
    draining = False

    def __init__(
        self,
        sock: socket.socket,
        application: Any,
        dispatcher: ThreadedTaskDispatcher,
        limits: ConnectionLimits,
        turns: Turns,
    ) -> None:
        self.limits = limits
        self.turns = turns
        self._peers: defaultdict[str, set[Connection]] = defaultdict(set)
        self._all: set[Connection] = set()
        self._tally = Tally(log, "connections closed early")
        self._looked_at = time.monotonic()
        super().__init__(
            application,
            turns,
            True,
            sock,
            dispatcher=dispatcher,
            adj=limits.adjustments(),
            sockinfo=(sock.family, sock.type, sock.proto, sock.getsockname()),
            bind_socket=False,
        )

    @property
    def connections(self) -> frozenset[Connection]:
        """Those that are open."""
        return frozenset(self._all)

    def handle_accept(self) -> None:
        """waitress's hook: take a connection, or refuse it."""
        try:
            accepted = self.accept()
        except OSError as error:  # out of descriptors, or a client that is gone
            self._tally.count(error.strerror or "accept failed")
            return
        if accepted is None:
            return
        sock, addr = accepted
        peer = str(addr[0])
        if not (
            self._room_in(self._peers.get(peer, set()), self.limits.per_peer, "too many of one peer", peer)
            and self._room_in(self._all, self.limits.total, "too many in all", peer)
        ):
            sock.setblocking(False)
            try:
                sock.send(_FULL)
            except OSError:
                pass
            sock.close()
            return
        self.set_socket_options(sock)
        connection = Connection(self, sock, addr, self.adj, map=self.turns)
        self._peers[peer].add(connection)
        self._all.add(connection)

    def forget(self, connection: Connection) -> None:
        """Count it no longer."""
        self._all.discard(connection)
        of_peer = self._peers.get(connection.peer)
        if of_peer is not None:
            of_peer.discard(connection)
            if not of_peer:
                del self._peers[connection.peer]

    def readable(self) -> bool:
        """
        waitress's hook, in every turn: whether it accepts more.

        Once a second it closes what let its time pass, by a clock that nobody sets; waitress takes the time of day.
        """
        now = time.monotonic()
        if now - self._looked_at >= _LOOK_SECONDS:
            self._looked_at = now
            self._close_late(now)
        return bool(self.accepting)

    def _close_late(self, now: float) -> None:
        for connection in self.connections:
            if connection.expired(now):
                if connection.unfinished or not connection.served:
                    self._tally.count("request not finished in time", peer=connection.peer)
                connection.give_up(_TIMED_OUT)
        self._tally.flush()

    def drain(self) -> None:
        """Accept nothing more; answers from now on end their connection."""
        self.accepting = False
        self.draining = True
        self._tally.flush(everything=True)

    def _room_in(self, crowd: set[Connection], limit: int, reason: str, peer: str) -> bool:
        if len(crowd) < limit:
            return True
        self._tally.count(reason, peer=peer)
        waiting = (member for member in crowd if member.waiting)
        longest = min(waiting, key=lambda member: member.waiting_since, default=None)
        if longest is None:
            return False
        longest.give_up()
        return True
