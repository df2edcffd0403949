"""The real process while a client holds connections: it serves the others and closes idle ones."""

import json
import socket
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import jwt
import pytest
import requests

from tests.ports import ReservedPort
from tests.serving import Process
from tests.world import JWT_SECRET, World

pytestmark = pytest.mark.waits

THREADS = 10
EACH = 40  # connections of each kind, held at once: four times as many as threads
BEGINNING = b"POST /bindings HTTP/1.1\r\nHost: app\r\nContent-Type: application/json\r\n"


class PollingClient:
    """A client like Mattermost that requests someone's menus repeatedly over one connection."""

    def __init__(self, world: World, process: Process) -> None:
        user = world.person("agent").get("/api/v4/users/me")
        claims = {"exp": int(time.time()) + 900, "acting_user_id": user["id"]}
        self.url = process.url
        self.body = json.dumps({"path": "/bindings", "expand": {}, "context": {"acting_user": user}})
        token = jwt.encode(claims, JWT_SECRET, algorithm="HS256")
        self.headers = {"Mattermost-App-Authorization": f"Bearer {token}"}

    def seconds(self, calls: int = 60) -> float:
        """The median time of *calls*, each on its own connection; all of them are answered."""
        spent = []
        for _ in range(calls):
            began = time.perf_counter()
            answer = requests.post(f"{self.url}/bindings", self.body, headers=self.headers, timeout=20)
            spent.append(time.perf_counter() - began)
            assert answer.json()["type"] == "ok", answer.text
        return statistics.median(spent)


class HeldConnections:
    """Connections from one address that send nothing more."""

    def __init__(self, url: str, source: str, beginning: bytes, number: int = EACH) -> None:
        host, port = urlsplit(url).hostname, urlsplit(url).port
        self.sockets = []
        for _ in range(number):
            client = socket.create_connection((host, port), timeout=30, source_address=(source, 0))
            client.sendall(beginning)
            self.sockets.append(client)

    def ends(self) -> set[bytes]:
        """What the server sends to each until it closes: the first line, or nothing."""
        return {self._end(client) for client in self.sockets}

    @staticmethod
    def _end(client: socket.socket) -> bytes:
        received = b""
        with client:
            try:
                while data := client.recv(4096):
                    received += data
            except ConnectionResetError:
                pass
        return received.partition(b"\r\n")[0]


@pytest.fixture
def process(empty_world: World, tmp_path: Path) -> Iterator[tuple[World, Process]]:
    """A process with few threads, short timeouts and a low limit."""
    with ReservedPort() as port:
        settings = {"THREADS": str(THREADS), "REQUEST_TIMEOUT": "3", "CONNECTIONS_PER_PEER": str(EACH + 10)}
        process = Process(empty_world, tmp_path, port.number, **settings)
        try:
            process.wait_until_ready()
            yield empty_world, process
        finally:
            process.stop()


def test_held_connections_do_no_harm(process: tuple[World, Process]) -> None:
    """Idle, half a header, half a body, from three addresses: menus and health are answered as fast as before."""
    world, served = process
    asking = PollingClient(world, served)
    alone = asking.seconds()
    idle = HeldConnections(served.url, "127.0.0.2", b"")
    half = HeldConnections(served.url, "127.0.0.3", BEGINNING + b"X-Half: a")
    slow = HeldConnections(served.url, "127.0.0.4", BEGINNING + b"Content-Length: 1000\r\n\r\n{")
    meanwhile = asking.seconds()
    assert requests.get(f"{served.url}/healthz", timeout=5).ok
    assert half.ends() == {b"HTTP/1.1 408 Request Timeout"}
    assert slow.ends() == {b"HTTP/1.1 408 Request Timeout"}
    assert idle.ends() == {b""}
    assert meanwhile < 10 * alone + 0.05, (alone, meanwhile)


def test_one_address_cant_exceed_its_share(process: tuple[World, Process]) -> None:
    """Above the limit the peer's own oldest unfinished requests are closed; it is served, and so is everyone else."""
    world, served = process
    asking = PollingClient(world, served)
    held = HeldConnections(served.url, "127.0.0.1", BEGINNING, EACH + 30)  # as many as allowed plus twenty
    asking.seconds(10)
    with HeldConnections(served.url, "127.0.0.2", b"GET /healthz HTTP/1.0\r\n\r\n", 1).sockets[0] as other:
        assert other.recv(1000).startswith(b"HTTP/1.0 200 OK")
    ends = [HeldConnections._end(client) for client in held.sockets]
    assert set(ends) == {b"", b"HTTP/1.1 408 Request Timeout"}
    # Each call can take one more place: the server notices the former call's end only afterwards.
    assert 20 <= ends.count(b"") <= 30
    served.stop()
    assert "too many of one peer" in served.log.read_text()
