"""The server on the wire: what it refuses, whom it waits for, who makes room, and what the application sees."""

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

from web.connections import MOST_BUFFERED, BufferingServer, Connection, ConnectionLimits
from web.turns import Turns

Environ = dict[str, Any]


class Wire:
    """The server in a thread, with an application that answers with what it sees."""

    def __init__(
        self, *, request_timeout: float = 30.0, per_peer: int = 50, total: int = 100, turns: Turns | None = None
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
        self.turns = Turns() if turns is None else turns
        limits = ConnectionLimits(request_timeout=request_timeout, per_peer=per_peer, total=total)
        self.server = BufferingServer(listener, self.application, self.dispatcher, limits, self.turns)
        self._stop = False
        self.thread = threading.Thread(target=self._loop)
        self.thread.start()

    def _loop(self) -> None:
        while not self._stop:
            self.turns.changed(self.server)
            self.turns.turn(0.05)

    def stop(self) -> None:
        self.release.set()
        self._stop = True
        self.thread.join(10)
        self.dispatcher.shutdown()
        self.turns.close()

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
        """All that comes back for *data*, until the server closes."""
        with self.connect(source) as client:
            client.sendall(data)
            return everything(client)


def everything(client: socket.socket) -> bytes:
    """What comes until the end of the connection, however that ends it."""
    received = b""
    try:
        while data := client.recv(65536):
            received += data
    except ConnectionResetError:
        pass
    return received


@pytest.fixture
def wire() -> Iterator[Wire]:
    """A server with room for everything."""
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
        pytest.param(
            POST + b"Content-Length: %d\r\n\r\n" % MOST_BUFFERED, 413, b"max_body", id="body that nobody buffers"
        ),
        pytest.param(
            POST + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % (MOST_BUFFERED + 1) + b"a" * (MOST_BUFFERED + 1),
            413,
            b"max_body",
            id="chunks that nobody buffers",
        ),
    ],
)
def test_what_two_servers_could_read_differently_is_refused(
    wire: Wire, request_: bytes, status: int, reason: bytes
) -> None:
    """Refused before the application sees it, and the connection ends, so that nothing after it is a request."""
    answer = wire.ask(request_ + b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.startswith((b"HTTP/1.1 %d " % status, b"HTTP/1.0 %d " % status)), answer
    assert reason in answer
    assert answer.count(b"Content-Length: ") == 1  # one answer
    assert wire.seen == []


def test_requests_in_a_row_are_answered_in_their_order(wire: Wire) -> None:
    """Pipelined, chunked, with a body that waits for 100 Continue, HEAD: one connection, no byte too many."""
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
def test_the_application_sees_the_target_as_it_came(wire: Wire, target: str) -> None:
    """Decoded paths look alike; what must be compared exactly is compared in this form."""
    wire.ask(f"GET {target} HTTP/1.0\r\n\r\n".encode())
    assert wire.seen[0]["RAW_URI"] == wire.seen[0]["REQUEST_URI"] == target


def test_headers_of_proxies_are_not_believed(wire: Wire) -> None:
    """Whoever sends them: the address is the connection's, the headers don't reach the application."""
    wire.ask(b"GET /a HTTP/1.0\r\nX-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Proto: https\r\nX_Forwarded_For: 8.8\r\n\r\n")
    assert wire.seen[0]["REMOTE_ADDR"] == "127.0.0.1"
    assert wire.seen[0]["wsgi.url_scheme"] == "http"
    assert not [name for name in wire.seen[0] if "FORWARDED" in name]


def test_a_client_that_goes_away_costs_nothing(wire: Wire) -> None:
    """In the middle of a header, of a body, and of the application's work: the next is served."""
    for data in (b"GE", POST + b"Content-Length: 9\r\n\r\nabc", b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n"):
        with wire.connect() as client:
            client.sendall(data)
    assert wire.running.acquire(timeout=10)
    wire.release.set()
    assert b"200 OK" in wire.ask(GET + b"Connection: close\r\n\r\n")


@pytest.fixture
def hasty() -> Iterator[Wire]:
    """A server that waits one second."""
    server = Wire(request_timeout=1.0)
    yield server
    server.stop()


def test_a_client_that_does_not_go_on_is_given_up(hasty: Wire) -> None:
    """A header or body that does not end in time, byte after byte too, is a 408; silence is a close."""
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


def test_a_call_that_takes_longer_than_the_deadline_is_answered(hasty: Wire) -> None:
    """The deadline is the client's, not ours; and a connection that was used may rest."""
    with hasty.connect() as rested, hasty.connect() as client:
        rested.sendall(GET + b"\r\n")
        assert _answer(rested.makefile("rb")) == {"length": 0, "path": "/a"}
        client.sendall(b"GET /wait HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert hasty.running.acquire(timeout=10)
        with hasty.connect() as silent:
            assert everything(silent) == b""  # closed after the deadline, which is thus over
        hasty.release.set()
        assert b"200 OK" in everything(client)
        rested.sendall(GET + b"Connection: close\r\n\r\n")
        assert b"200 OK" in everything(rested)


def test_an_unfinished_request_makes_room_at_the_limit() -> None:
    """A peer at its limit is served on: one of those that keep us waiting goes, another peer's stays."""
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
        # There is room for one now.
        assert b"200 OK" in wire.ask(GET + b"Connection: close\r\n\r\n", "127.0.0.2")
        for client in (other, *held):
            client.sendall(b"TP/1.0\r\n\r\n")
            assert b"200 OK" in everything(client)
    finally:
        for client in (other, *held):
            client.close()
        wire.stop()


@pytest.mark.parametrize("limit", ["per_peer", "total"])
def test_where_every_call_runs_the_next_is_refused(limit: str) -> None:
    """A call that runs, or waits for a thread, is never given up; the one too many is told to come again."""
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


class CountingTurns(Turns):
    """Counts whom it asks."""

    asked = 0

    def _ask(self, connection: Any) -> None:
        self.asked += isinstance(connection, Connection)
        super()._ask(connection)


def test_connections_that_are_only_open_cost_a_request_nothing() -> None:
    """Nobody asks them anything while others are served."""
    turns = CountingTurns()
    wire = Wire(per_peer=200, total=200, turns=turns)
    try:
        held = [wire.connect("127.0.0.2") for _ in range(100)]
        assert b"200 OK" in wire.ask(GET + b"Connection: close\r\n\r\n")
        before = turns.asked
        for _ in range(10):
            assert b"200 OK" in wire.ask(GET + b"Connection: close\r\n\r\n")
        assert 10 <= turns.asked - before < 100
    finally:
        for client in held:
            client.close()
        wire.stop()


def test_a_client_that_takes_no_answer_is_closed(hasty: Wire) -> None:
    """After the deadline, in spite of its full socket, and no thread or place is held by it."""
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


def test_urgent_bytes_cost_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """They are no part of HTTP and nobody takes them, so they may not keep the loop running."""
    turns = CountingTurns()
    wire = Wire(turns=turns)
    try:
        with wire.connect() as client:
            client.send(b"!", socket.MSG_OOB)
            before = turns.asked
            for _ in range(10):
                assert b"200 OK" in wire.ask(GET + b"Connection: close\r\n\r\n")
            assert turns.asked - before < 100
            client.sendall(GET + b"Connection: close\r\n\r\n")
            assert b"200 OK" in everything(client)
        assert not caplog.records
    finally:
        wire.stop()


def test_deadlines_hold_while_the_time_of_day_is_set_back(hasty: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    """A day, for instance: an unfinished request is given up after a second all the same."""
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
        "from web.server import Server; "
        "server = Server(lambda: None, listen='127.0.0.1:0', threads=10, graceful_timeout=1); "
        "print(server.cfg.worker_class.limits.total)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout == "300\n"
