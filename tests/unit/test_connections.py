"""The server's connections: rejected requests, timeouts, limits, and what the application receives."""

import json
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from waitress.task import ThreadedTaskDispatcher

from web.connections import MAX_BODY_BYTES, BufferingServer, Connection, ConnectionLimits
from web.event_loop import EventLoop

Environ = dict[str, Any]


class Wire:
    """The server in a thread, with an application that returns what it receives."""

    def __init__(
        self,
        *,
        request_timeout: float = 30.0,
        per_peer: int = 50,
        total: int = 100,
        event_loop: EventLoop | None = None,
    ) -> None:
        self.seen: list[Environ] = []
        self.release = threading.Event()
        self.running = threading.Semaphore(0)
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        self.address = listener.getsockname()
        self.dispatcher = ThreadedTaskDispatcher()
        self.dispatcher.set_thread_count(4)
        self.event_loop = EventLoop() if event_loop is None else event_loop
        limits = ConnectionLimits(request_timeout=request_timeout, per_peer=per_peer, total=total)
        self.server = BufferingServer(listener, self.application, self.dispatcher, limits, self.event_loop)
        self._stop = False
        self.thread = threading.Thread(target=self._loop)
        self.thread.start()

    def _loop(self) -> None:
        while not self._stop:
            self.event_loop.changed(self.server)
            self.event_loop.run_once(0.05)

    def stop(self) -> None:
        self.release.set()
        self._stop = True
        self.thread.join(10)
        self.dispatcher.shutdown()
        self.event_loop.close()

    def application(self, environ: Environ, start_response: Callable[..., Any]) -> list[bytes]:
        body = environ["wsgi.input"].read()
        self.seen.append(environ | {"body": body})
        if environ["PATH_INFO"] == "/wait":
            self.running.release()
            assert self.release.wait(30)
        if environ["PATH_INFO"] == "/long":
            start_response("200 OK", [("Content-Length", "8000000")])
            return [b"a" * 8_000_000]
        answer = json.dumps({"length": len(body), "path": environ["PATH_INFO"]}).encode()
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [answer]

    def connect(self, source: str = "127.0.0.1") -> socket.socket:
        return socket.create_connection(self.address, timeout=20, source_address=(source, 0))

    def ask(self, data: bytes, source: str = "127.0.0.1") -> bytes:
        """Everything the server sends in reply to *data* until it closes the connection."""
        with self.connect(source) as client:
            client.sendall(data)
            return everything(client)


def everything(client: socket.socket) -> bytes:
    """Everything received until the connection is closed or reset."""
    received = b""
    try:
        while data := client.recv(65536):
            received += data
    except ConnectionResetError:
        pass
    return received


@pytest.fixture
def wire() -> Iterator[Wire]:
    """A server whose limits no test reaches."""
    server = Wire()
    yield server
    server.stop()


GET = b"GET /a HTTP/1.1\r\nHost: x\r\n"
POST = b"POST /a HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize(
    ("request_", "status", "reason"),
    [
        pytest.param(
            POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
            b"Transfer-Encoding and Content-Length",
            id="both lengths",
        ),
        pytest.param(
            b"POST /a HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
            b"Transfer-Encoding in HTTP/1.0",
            id="chunked in 1.0",
        ),
        pytest.param(
            POST + b"Content-Length: 3\r\nContent-Length: 5\r\n\r\nabcde",
            400,
            b"Content-Length is invalid",
            id="two lengths",
        ),
        pytest.param(POST + b"Content-Length: +3\r\n\r\nabc", 400, b"Content-Length is invalid", id="signed length"),
        pytest.param(POST + b"Content-Length : 3\r\n\r\nabc", 400, b"Invalid header", id="space before the colon"),
        pytest.param(POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n", 501, b"not supported", id="another coding"),
        pytest.param(
            POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", 400, b"Invalid header", id="disguised coding"
        ),
        pytest.param(
            POST + b"Transfer-Encoding: chunked\r\n\r\n3;\n\r\nabc\r\n0\r\n\r\n",
            400,
            b"Invalid chunk extension",
            id="chunk extension",
        ),
        pytest.param(GET + b"X: a\r\n b\r\n\r\n", 400, b"Folded header", id="folded header"),
        pytest.param(GET + b"X: a\nY: b\r\n\r\n", 400, b"Bare CR or LF", id="bare line feed"),
        pytest.param(GET + b"X: " + b"a" * 40_000 + b"\r\n\r\n", 431, b"max_header", id="long header"),
        pytest.param(GET + b"X: " + b"a" * 40_000, 431, b"max_header", id="endless header"),
        pytest.param(POST + b"Content-Length: %d\r\n\r\n" % MAX_BODY_BYTES, 413, b"max_body", id="body over the limit"),
        pytest.param(
            POST + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % (MAX_BODY_BYTES + 1) + b"a" * (MAX_BODY_BYTES + 1),
            413,
            b"max_body",
            id="chunks over the limit",
        ),
    ],
)
def test_ambiguous_requests_are_rejected(wire: Wire, request_: bytes, status: int, reason: bytes) -> None:
    """The application doesn't see the request, and the connection is closed, so that nothing after it is parsed."""
    answer = wire.ask(request_ + b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.startswith((b"HTTP/1.1 %d " % status, b"HTTP/1.0 %d " % status)), answer
    assert reason in answer
    assert answer.count(b"Content-Length: ") == 1  # one answer
    assert wire.seen == []


def test_pipelined_requests_are_answered_in_order(wire: Wire) -> None:
    """One connection handles pipelined and chunked requests, 100 Continue, and HEAD without a stray byte."""
    with wire.connect() as client:
        client.sendall(
            POST
            + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
            + b"HEAD /b HTTP/1.1\r\nHost: x\r\n\r\n"
            + b"GET /c HTTP/1.1\r\nHost: x\r\n\r\n"
        )
        reader = client.makefile("rb")
        assert _answer(reader) == {"length": 5, "path": "/a"}
        assert _answer(reader, head=True) is None
        assert _answer(reader) == {"length": 0, "path": "/c"}
        client.sendall(POST + b"Expect: 100-continue\r\nContent-Length: 4\r\n\r\n")
        assert reader.readline() == b"HTTP/1.1 100 Continue\r\n"
        assert reader.readline() == b"\r\n"
        client.sendall(b"body")
        assert _answer(reader) == {"length": 4, "path": "/a"}
        client.sendall(GET + b"Connection: close\r\n\r\n")
        assert _answer(reader) == {"length": 0, "path": "/a"}
        assert reader.read() == b""
    assert [request["body"] for request in wire.seen] == [b"abcde", b"", b"", b"body", b""]


def _answer(reader: Any, head: bool = False) -> Any:
    assert reader.readline() == b"HTTP/1.1 200 OK\r\n"
    length = 0
    while (line := reader.readline()) != b"\r\n":
        name, _, value = line.partition(b":")
        assert name != b"Server"
        length = int(value) if name == b"Content-Length" else length
    return None if head else json.loads(reader.read(length))


@pytest.mark.parametrize("target", ["/oauth2/connec%74?state=a%20b", "//oauth2/complete", "/a/../b", "http://x/y?z"])
def test_the_application_gets_the_raw_request_target(wire: Wire, target: str) -> None:
    """Different targets can decode to the same path, so exact comparisons need the raw one."""
    wire.ask(f"GET {target} HTTP/1.0\r\n\r\n".encode())
    assert wire.seen[0]["RAW_URI"] == wire.seen[0]["REQUEST_URI"] == target


def test_proxy_headers_are_ignored(wire: Wire) -> None:
    """The client's address is the connection's, and the headers don't reach the application."""
    wire.ask(b"GET /a HTTP/1.0\r\nX-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Proto: https\r\nX_Forwarded_For: 8.8\r\n\r\n")
    assert wire.seen[0]["REMOTE_ADDR"] == "127.0.0.1"
    assert wire.seen[0]["wsgi.url_scheme"] == "http"
    assert not [name for name in wire.seen[0] if "FORWARDED" in name]


def test_the_server_survives_clients_that_disconnect(wire: Wire) -> None:
    """A client can disconnect in a header, in a body, or while the application works."""
    for data in (b"GE", POST + b"Content-Length: 9\r\n\r\nabc", b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n"):
        with wire.connect() as client:
            client.sendall(data)
    assert wire.running.acquire(timeout=10)
    wire.release.set()
    assert b"200 OK" in wire.ask(GET + b"Connection: close\r\n\r\n")


@pytest.fixture
def hasty() -> Iterator[Wire]:
    """A server with a timeout of one second."""
    server = Wire(request_timeout=1.0)
    yield server
    server.stop()


def test_unfinished_requests_time_out(hasty: Wire) -> None:
    """An incomplete header or body gets 408, even if bytes keep arriving. A silent connection is closed."""
    begun = {
        "half a header": GET + b"X-",
        "half a body": POST + b"Content-Length: 9\r\n\r\nabc",
        "half a chunk": POST + b"Transfer-Encoding: chunked\r\n\r\n9\r\nabc",
        "waiting to go on": POST + b"Content-Length: 9\r\nExpect: 100-continue\r\n\r\n",
    }
    silent = hasty.connect()
    clients = {name: hasty.connect() for name in begun}
    for name, client in clients.items():
        client.sendall(begun[name])
    dripping = hasty.connect()
    dripping.sendall(POST + b"Content-Length: 1000\r\n\r\n")
    dripping.settimeout(0.1)
    answer = b""
    while not answer:
        dripping.sendall(b"a")
        try:
            answer = dripping.recv(1000)
        except TimeoutError:
            pass
    assert answer.startswith(b"HTTP/1.1 408 ")
    for name, client in clients.items():
        assert b"HTTP/1.1 408 Request Timeout" in everything(client), name
    assert everything(silent) == b""
    assert hasty.seen == []
    for client in (silent, dripping, *clients.values()):
        client.close()


def test_a_request_that_runs_longer_than_the_timeout_is_answered(hasty: Wire) -> None:
    """The timeout applies to the client, not to the application, and not to idle connections that were used."""
    with hasty.connect() as rested, hasty.connect() as client:
        rested.sendall(GET + b"\r\n")
        assert _answer(rested.makefile("rb")) == {"length": 0, "path": "/a"}
        client.sendall(b"GET /wait HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert hasty.running.acquire(timeout=10)
        with hasty.connect() as silent:
            assert everything(silent) == b""  # closed at the timeout, so that has passed
        hasty.release.set()
        assert b"200 OK" in everything(client)
        rested.sendall(GET + b"Connection: close\r\n\r\n")
        assert b"200 OK" in everything(rested)


def test_at_the_limit_an_unfinished_request_is_dropped() -> None:
    """A peer at its limit is still served: its oldest waiting connection is closed, and no other peer's."""
    wire = Wire(per_peer=5)
    try:
        other = wire.connect("127.0.0.3")
        other.sendall(b"GET /a HT")
        held = [wire.connect("127.0.0.2") for _ in range(5)]
        for client in held:
            client.sendall(b"GET /a HT")
        assert b"200 OK" in wire.ask(GET + b"Connection: close\r\n\r\n", "127.0.0.2")
        (closed,) = select.select(held, [], [], 10)[0]
        assert everything(closed) == b""
        held.remove(closed)
        closed.close()
        # One connection fits now.
        assert b"200 OK" in wire.ask(GET + b"Connection: close\r\n\r\n", "127.0.0.2")
        for client in (other, *held):
            client.sendall(b"TP/1.0\r\n\r\n")
            assert b"200 OK" in everything(client)
    finally:
        for client in (other, *held):
            client.close()
        wire.stop()


@pytest.mark.parametrize("limit", ["per_peer", "total"])
def test_when_all_connections_run_requests_the_next_gets_503(limit: str) -> None:
    """A request that is running or queued is never dropped. The extra one gets 503 with Retry-After."""
    wire = Wire(per_peer=5) if limit == "per_peer" else Wire(total=5)
    try:
        running = [wire.connect("127.0.0.2") for _ in range(5)]
        for client in running:
            client.sendall(b"GET /wait HTTP/1.0\r\n\r\n")
        for _ in range(4):  # threads
            assert wire.running.acquire(timeout=10)
        while not wire.dispatcher.queue:
            threading.Event().wait(0.01)
        refused = wire.ask(GET + b"\r\n", "127.0.0.2")
        assert refused == b"" or refused.startswith(b"HTTP/1.1 503 "), refused
        if limit == "per_peer":
            elsewhere = wire.connect("127.0.0.3")
            elsewhere.sendall(b"GET /a HTTP/1.0\r\n\r\n")
        wire.release.set()
        for client in running:
            assert b"200 OK" in everything(client)
        if limit == "per_peer":
            assert b"200 OK" in everything(elsewhere)
            elsewhere.close()
        assert len(wire.seen) == (6 if limit == "per_peer" else 5)
    finally:
        for client in running:
            client.close()
        wire.stop()


class CountingLoop(EventLoop):
    """Counts how often it asks a connection."""

    asked = 0

    def _update(self, connection: Any) -> None:
        self.asked += isinstance(connection, Connection)
        super()._update(connection)


def test_idle_connections_add_no_work_to_a_request() -> None:
    """Idle connections aren't polled while others are served."""
    event_loop = CountingLoop()
    wire = Wire(per_peer=200, total=200, event_loop=event_loop)
    try:
        held = [wire.connect("127.0.0.2") for _ in range(100)]
        assert b"200 OK" in wire.ask(GET + b"Connection: close\r\n\r\n")
        before = event_loop.asked
        for _ in range(10):
            assert b"200 OK" in wire.ask(GET + b"Connection: close\r\n\r\n")
        assert 10 <= event_loop.asked - before < 100
    finally:
        for client in held:
            client.close()
        wire.stop()


def test_clients_that_do_not_read_the_answer_are_closed(hasty: Wire) -> None:
    """They are closed at the timeout, although their sockets are full, and hold no thread or connection slot."""
    clients = []
    for _ in range(3):
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(hasty.address)
        client.sendall(b"GET /long HTTP/1.1\r\nHost: x\r\n\r\n")
        clients.append(client)
    hung_up = select.poll()
    for client in clients:
        hung_up.register(client, 0)
    for _ in clients:
        ((descriptor, _),) = hung_up.poll(10_000)[:1]
        hung_up.unregister(descriptor)
    assert hasty.server.connections == frozenset()
    for client in clients:
        client.close()


def test_urgent_bytes_are_ignored(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing reads urgent bytes, so they must not keep the loop busy."""
    event_loop = CountingLoop()
    wire = Wire(event_loop=event_loop)
    try:
        with wire.connect() as client:
            client.send(b"!", socket.MSG_OOB)
            before = event_loop.asked
            for _ in range(10):
                assert b"200 OK" in wire.ask(GET + b"Connection: close\r\n\r\n")
            assert event_loop.asked - before < 100
            client.sendall(GET + b"Connection: close\r\n\r\n")
            assert b"200 OK" in everything(client)
        assert not [line for line in caplog.records if line.name != "waitress.queue"]
    finally:
        wire.stop()


def test_timeouts_do_not_depend_on_the_wall_clock(hasty: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unfinished request times out after a second even if the clock is set back a day."""
    assert b"200 OK" in hasty.ask(GET + b"Connection: close\r\n\r\n")
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() - 86_400)
    with hasty.connect() as client:
        client.settimeout(10)
        client.sendall(GET + b"X-")
        assert b"HTTP/1.1 408 " in everything(client)


def test_connections_with_bodies_on_disk_leave_descriptors_for_everything_else() -> None:
    """Where the system allows 1,000, clients get 300 connections: each may have a file beside its socket."""
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (1000, 1000)); "
        "from web.server import GunicornServer; "
        "server = GunicornServer(lambda: None, listen='127.0.0.1:0', threads=10, graceful_timeout=1); "
        "print(server.cfg.worker_class.limits.total)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout == "300\n"
