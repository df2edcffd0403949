"""
waitress's connections, with a deadline for every request and a limit per peer.

waitress reads the whole request before it gives it to a thread, and buffers the answer. A slow client costs
a socket and some memory, but no thread.
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

from web.event_loop import EventLoop
from web.tally import Tally

log = structlog.get_logger(__name__)

MAX_HEADER_BYTES = 32 * 1024  # request line and headers
MAX_BODY_BYTES = 2 * 1024 * 1024  # the application's own limits are lower
KEEP_ALIVE_SECONDS = 75.0  # between two requests of a connection

_CHECK_INTERVAL = 1.0
_NO_LINGER = struct.pack("ii", 1, 0)  # `struct linger`: on, zero seconds
_TIMED_OUT = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_FULL = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"


@dataclass(frozen=True, kw_only=True)
class ConnectionLimits:
    """
    Args:
        request_timeout: Seconds for a client to send a complete request, and to read its answer.
        per_peer: Maximum number of open connections per address.
        total: Maximum number of open connections.
    """

    request_timeout: float
    per_peer: int
    total: int

    def adjustments(self) -> Adjustments:
        """The settings for waitress. They disable its own timeouts and connection limit, which this module replaces."""
        return Adjustments(
            asyncore_use_poll=True,
            backlog=2048,
            channel_timeout=2**31,
            connection_limit=2**31,
            ident="",
            inbuf_overflow=64 * 1024,
            max_request_body_size=MAX_BODY_BYTES,
            max_request_header_size=MAX_HEADER_BYTES,
        )


class StrictParser(HTTPRequestParser):
    """Rejects requests that a proxy and this server could parse differently (RFC 9112, 5.2, 6.1, and 6.3)."""

    def parse_header(self, header_plus: bytes) -> None:
        """Overrides waitress. Raises ParsingError, which becomes a 400."""
        if b"\r\n " in header_plus or b"\r\n\t" in header_plus:
            raise ParsingError("Folded header")
        super().parse_header(header_plus)
        if "TRANSFER_ENCODING" in self.headers:  # HTTP/1.0 has none, so waitress ignores it
            raise ParsingError("Transfer-Encoding in HTTP/1.0")
        if self.chunked and "CONTENT_LENGTH" in self.headers:
            raise ParsingError("Transfer-Encoding and Content-Length")


class RawTargetTask(WSGITask):
    """A request that the application is handling."""

    channel: "Connection"

    def start(self) -> None:
        """Called by waitress before the application runs."""
        super().start()
        if self.channel.server.draining:
            self.set_close_on_finish()

    def finish(self) -> None:
        """Called by waitress after the application has run, before the connection waits for its client again."""
        super().finish()
        self.channel.served = True
        self.channel.waiting_since = time.monotonic()

    def get_environment(self) -> dict[str, Any]:
        """The WSGI environment, with the raw request target also under the names of Werkzeug and gunicorn."""
        environ = super().get_environment()
        environ["RAW_URI"] = environ["REQUEST_URI"]
        return environ


class Connection(HTTPChannel):
    """One client's connection."""

    task_class = RawTargetTask
    parser_class = StrictParser
    server: "BufferingServer"

    def __init__(self, server: "BufferingServer", sock: socket.socket, addr: Any, *args: Any, **kw: Any) -> None:
        # When the connection began to wait for its client: at connect, at the start of a request, or after an answer.
        self.waiting_since = time.monotonic()
        self.served = False
        self.peer = str(addr[0])
        super().__init__(server, sock, addr, *args, **kw)

    @property
    def waiting(self) -> bool:
        """Whether the client has to send or read something: no request is running or queued for a thread."""
        return not self.requests and not self.will_close

    @property
    def unfinished(self) -> bool:
        """Whether a request has been received in part, or an answer hasn't been sent completely."""
        return self.request is not None or bool(self.total_outbufs_len)

    def received(self, data: bytes) -> bool:
        """Called by waitress with bytes from the client."""
        before = self.request
        taken = super().received(data)
        if self.request is not None and self.request is not before:
            self.waiting_since = time.monotonic()
        return taken

    def service(self) -> None:
        """Called by waitress in a worker thread to handle a request."""
        super().service()
        self._changed()

    def write_soon(self, data: bytes) -> int:
        """Called by waitress in a worker thread to send a part of an answer."""
        written = super().write_soon(data)
        if self.total_outbufs_len:
            self._changed()
        return written

    def _changed(self) -> None:
        self.server.event_loop.changed(self)
        self.server.pull_trigger()

    def expired(self, now: float) -> bool:
        """Whether the client has exceeded its timeout."""
        idle = self.served and not self.unfinished
        allowed = KEEP_ALIVE_SECONDS if idle else self.server.limits.request_timeout
        return self.waiting and now - self.waiting_since > allowed

    def abort(self, answer: bytes = b"") -> None:
        """
        Close the connection at once, from the loop. If a request has been received in part, send *answer* first.

        waitress would close it at its next write, which never happens if the client doesn't read.
        """
        if self.socket is None:
            return
        try:
            if self.total_outbufs_len:
                # Otherwise, the kernel would keep the data that the client doesn't read.
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            elif answer and self.request is not None:
                self.socket.send(answer)
        except OSError:
            pass  # the client has disconnected or doesn't read
        self.handle_close()

    def del_channel(self, map: Any = None) -> None:
        """Called by waitress when the connection is closed."""
        super().del_channel(map)
        self.server.forget(self)


class BufferingServer(TcpWSGIServer):
    """
    waitress on a socket that is already listening.

    At the limit per peer or in total, the server closes the connection that has waited longest for its client,
    so a request that arrives in one piece is never affected. If all connections are running requests, it rejects
    the new one with 503.
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
        event_loop: EventLoop,
    ) -> None:
        self.limits = limits
        self.event_loop = event_loop
        self._peers: defaultdict[str, set[Connection]] = defaultdict(set)
        self._all: set[Connection] = set()
        self._tally = Tally(log, "connections closed early")
        self._checked_at = time.monotonic()
        super().__init__(
            application,
            event_loop,
            True,
            sock,
            dispatcher=dispatcher,
            adj=limits.adjustments(),
            sockinfo=(sock.family, sock.type, sock.proto, sock.getsockname()),
            bind_socket=False,
        )

    @property
    def connections(self) -> frozenset[Connection]:
        """The open connections."""
        return frozenset(self._all)

    def handle_accept(self) -> None:
        """Called by waitress to accept or reject a connection."""
        try:
            accepted = self.accept()
        except OSError as error:  # out of file descriptors, or the client has disconnected
            self._tally.count(error.strerror or "accept failed")
            return
        if accepted is None:
            return
        sock, addr = accepted
        peer = str(addr[0])
        if not (
            self._make_room(self._peers.get(peer, set()), self.limits.per_peer, "too many of one peer", peer)
            and self._make_room(self._all, self.limits.total, "too many in all", peer)
        ):
            sock.setblocking(False)
            try:
                sock.send(_FULL)
            except OSError:
                pass
            sock.close()
            return
        self.set_socket_options(sock)
        connection = Connection(self, sock, addr, self.adj, map=self.event_loop)
        self._peers[peer].add(connection)
        self._all.add(connection)

    def forget(self, connection: Connection) -> None:
        """Stop counting the connection."""
        self._all.discard(connection)
        of_peer = self._peers.get(connection.peer)
        if of_peer is not None:
            of_peer.discard(connection)
            if not of_peer:
                del self._peers[connection.peer]

    def readable(self) -> bool:
        """
        Called by waitress in every iteration: whether the server accepts connections.

        Once a second, it closes connections whose timeout has expired. waitress's own hook for this uses the wall
        clock, which can be set.
        """
        now = time.monotonic()
        if now - self._checked_at >= _CHECK_INTERVAL:
            self._checked_at = now
            self._close_expired(now)
        return bool(self.accepting)

    def _close_expired(self, now: float) -> None:
        for connection in self.connections:
            if connection.expired(now):
                if connection.unfinished or not connection.served:
                    self._tally.count("request not finished in time", peer=connection.peer)
                connection.abort(_TIMED_OUT)
        self._tally.flush()

    def drain(self) -> None:
        """Stop accepting connections, and close each open one after its next answer."""
        self.accepting = False
        self.draining = True
        self._tally.flush(everything=True)

    def _make_room(self, group: set[Connection], limit: int, reason: str, peer: str) -> bool:
        if len(group) < limit:
            return True
        self._tally.count(reason, peer=peer)
        waiting = (member for member in group if member.waiting)
        oldest = min(waiting, key=lambda member: member.waiting_since, default=None)
        if oldest is None:
            return False
        oldest.abort()
        return True
