"""One HTTP exchange: which failures mean that nothing was sent, and what is never kept between two requests."""

import gzip
import inspect
import ipaddress
import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

import pytest
import requests
import requests.exceptions
import urllib3.exceptions
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from core.times import Deadline
from core.upstream_errors import MattermostError, MattermostRefused, MattermostSilent
from http_client.exchange import HttpClient, HttpResponse
from http_client.failures import FAILURES, ExchangeError, Failure, failure_of, name_of
from mattermost.client import MattermostClient
from mattermost.paths import api
from tests.ports import ReservedPort
from tests.scripted_server import Script, ScriptedServer, ok

LIMIT = 100_000
# Base classes that only group others.
GROUPS = {urllib3.exceptions.HTTPError, urllib3.exceptions.PoolError, requests.exceptions.RequestException}
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the proxies that a test sets."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Closes what a test opened."""
    with ExitStack() as one:
        yield one


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key and self-signed certificate for 127.0.0.1, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


def serve(stack: ExitStack, script: Script | None = None, certificate: Path | None = None) -> ScriptedServer:
    """A server that runs until the end of the test."""
    context = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    server = ScriptedServer(context)
    stack.callback(server.stop)
    stack.callback(server.stopping.set)
    if script is not None:
        server.script = script
    return server


def ask(url: str, seconds: float = 5.0) -> HttpResponse:
    """One GET with a token."""
    return HttpClient(url, 4).send("GET", "/api/x", token="secret-token", deadline=Deadline(seconds), limit=LIMIT)


def failure(url: str, seconds: float = 5.0) -> Failure:
    """The error of one GET."""
    with pytest.raises(ExchangeError) as caught:
        ask(url, seconds)
    return caught.value.failure


def classes(module: object) -> list[type[BaseException]]:
    """Every exception that a library defines, except warnings."""
    return [
        kind
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, Exception) and not issubclass(kind, Warning) and kind.__module__ == module.__name__  # type: ignore[attr-defined]
    ]


@pytest.mark.parametrize("library", [requests.exceptions, urllib3.exceptions])
def test_every_exception_of_the_libraries_has_a_row(library: object) -> None:
    """A newer version's exception must be classified, unless its base class already says enough."""
    found = set(classes(library)) - GROUPS
    assert len(found) > 15
    rows = {kind: next((base for base in kind.__mro__ if base in FAILURES), OSError) for kind in found}
    assert [kind.__name__ for kind, row in rows.items() if row is OSError] == []


def test_no_row_is_only_for_a_base_class() -> None:
    """Such a row would give every new exception the same meaning unnoticed."""
    assert GROUPS & FAILURES.keys() == set()


def test_a_failure_says_what_happened_to_the_request() -> None:
    """Only an unsent request can't have been saved."""
    assert {one for one in Failure if not one.may_have_been_saved} == {Failure.NOT_SENT}


def test_a_wrapper_is_classified_by_its_cause() -> None:
    """Other exceptions are classified by themselves, whatever happened before, and so is a wrapper without a cause."""
    error = urllib3.exceptions.ProtocolError("broke")
    error.__context__ = urllib3.exceptions.NewConnectionError(None, "refused")  # type: ignore[arg-type]
    assert failure_of(error) is Failure.CONNECTION_LOST
    assert name_of(urllib3.exceptions.MaxRetryError(None, "/")) == "MaxRetryError"  # type: ignore[arg-type]
    assert str(ExchangeError(Failure.NOT_SENT, "why")) == "why"


def test_a_request_carries_what_it_is_given(stack: ExitStack) -> None:
    """A body as JSON, form or file, and the headers that the servers' operators look for."""
    server = serve(stack)
    client = HttpClient(server.url, 4)

    def sent(**body: Any) -> tuple[str, str]:
        client.send("POST", "/api/x", token="", deadline=Deadline(5), limit=LIMIT, **body)
        head, _, content = server.asked[-1].decode().partition("\r\n\r\n")
        return head, content

    head, content = sent(params={"q": "a b"}, json={"a": 1})
    assert head.startswith("POST /api/x?q=a+b HTTP/1.1\r\n")
    lines = set(head.split("\r\n"))
    assert {"Accept: application/json", "Accept-Encoding: gzip, deflate", "Content-Type: application/json"} <= lines
    assert "\r\nUser-Agent: servicenow-mattermost python-requests/" in head
    assert "Authorization" not in head
    assert content == '{"a": 1}'
    head, content = sent(form={"a": "b c"})
    assert (content, "Content-Type: application/x-www-form-urlencoded" in head) == ("a=b+c", True)
    head, content = sent(file=("text/plain", b"a file"))
    assert (content, "Content-Type: text/plain" in head.split("\r\n")) == ("a file", True)


@pytest.mark.parametrize(
    ("left", "timeouts"),
    [([60.0], (3.0, 10.0)), ([5.0], (3.0, 5.0)), ([2.0], (2.0, 2.0)), ([5.0, 0.0], (0.001, 0.001))],
)
def test_timeouts_are_three_seconds_to_connect_and_ten_to_answer(
    monkeypatch: pytest.MonkeyPatch, left: list[float], timeouts: tuple[float, float]
) -> None:
    """Less if less is left, and never 0, which the libraries reject. The body is streamed."""
    asked: dict[str, Any] = {}

    def send(*_: object, **given: Any) -> NoReturn:
        asked.update(given)
        raise requests.ReadTimeout

    class Left(Deadline):
        def left(self) -> float:
            return left.pop(0) if len(left) > 1 else left[0]

    monkeypatch.setattr("requests.adapters.HTTPAdapter.send", send)
    with pytest.raises(ExchangeError, match="ReadTimeout"):
        HttpClient("http://127.0.0.1:9", 4).send("GET", "/", token="", deadline=Left(0), limit=LIMIT)
    assert asked["timeout"] == timeouts
    assert asked["stream"] is True


@pytest.mark.parametrize(("calls", "kept"), [(20, 20), (1, 1), (0, 1)])
def test_each_concurrent_call_has_a_connection(calls: int, kept: int) -> None:
    """A call never waits for another's connection and reuses an idle one."""
    pools = HttpClient("http://127.0.0.1:9", calls)._adapter.poolmanager.connection_pool_kw
    assert (pools["maxsize"], pools["block"]) == (kept, False)


def test_a_closed_port_is_unsent() -> None:
    """The connection is refused."""
    with ReservedPort() as closed:
        assert failure(f"http://127.0.0.1:{closed.number}") is Failure.NOT_SENT


def test_a_connection_timeout_is_unsent(stack: ExitStack) -> None:
    """The server's queue of connections is full, so connecting times out."""
    listening = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
    address = listening.getsockname()
    for _ in range(4):
        one = stack.enter_context(socket.socket())
        one.setblocking(False)
        one.connect_ex(address)
    assert failure(f"http://127.0.0.1:{address[1]}", 0.4) is Failure.NOT_SENT


def test_nothing_is_sent_after_the_deadline(stack: ExitStack) -> None:
    """Not even a connection is opened."""
    server = serve(stack)
    assert failure(server.url, 0.0) is Failure.NOT_SENT
    assert ask(server.url).status == 200
    assert len(server.asked) == 1


def test_an_invalid_header_is_unsent(stack: ExitStack) -> None:
    """A token with a line break would add a header."""
    server = serve(stack)
    with pytest.raises(ExchangeError) as caught:
        HttpClient(server.url, 4).send("GET", "/", token="a\r\nX: y", deadline=Deadline(5), limit=LIMIT)
    assert caught.value.failure is Failure.NOT_SENT
    assert server.asked == []


def reset(connection: socket.socket) -> None:
    """End a connection with RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


LOST: dict[str, Script] = {
    "reset": reset,
    "closed": lambda connection: None,
    "half a head": lambda connection: connection.sendall(b"HTTP"),
    "no HTTP": lambda connection: connection.sendall(b"\x00\x01"),
    "half a body": lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"),
    "half a chunk": lambda connection: connection.sendall(CHUNKED + b"ff\r\n{}"),
    "no chunk": lambda connection: connection.sendall(CHUNKED + b"no length\r\n{}\r\n"),
    "no gzip": lambda connection: connection.sendall(ok(b"{}", "Content-Encoding: gzip")),
}


@pytest.mark.parametrize("how", LOST)
def test_after_a_broken_answer_the_result_is_unknown(stack: ExitStack, how: str) -> None:
    """The request was sent; the connection ended, or the answer can't be read."""
    server = serve(stack, LOST[how])
    assert failure(server.url) is Failure.CONNECTION_LOST
    assert len(server.asked) == 1


@pytest.mark.parametrize("trickles", [False, True])
def test_waiting_ends_with_the_deadline(stack: ExitStack, trickles: bool) -> None:
    """No answer arrives, or a byte now and then."""
    server = serve(stack)

    def slowly(connection: socket.socket) -> None:
        if trickles:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while not server.stopping.wait(0.05):
            connection.sendall(b"x" if trickles else b"")

    server.script = slowly
    began = time.monotonic()
    assert failure(server.url, 0.4) is Failure.TIMED_OUT
    assert time.monotonic() - began < 2


def test_an_answer_over_the_limit_is_dropped_while_it_arrives(stack: ExitStack) -> None:
    """The unpacked size counts."""
    server = serve(
        stack, lambda connection: connection.sendall(ok(gzip.compress(b" " * 10_000_000), "Content-Encoding: gzip"))
    )
    assert failure(server.url) is Failure.TOO_LARGE
    server.script = lambda connection: connection.sendall(ok(b" " * LIMIT))
    assert len(ask(server.url).body) == LIMIT


def test_a_redirect_is_returned(stack: ExitStack) -> None:
    """A token goes only to its own host."""
    server = serve(stack)
    server.script = lambda connection: connection.sendall(ok(b"x", f"Location: {server.url}/y", status="302 Found"))
    assert ask(server.url).status == 302
    assert len(server.asked) == 1


def test_the_environment_sets_the_certificate_authority(
    stack: ExitStack, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Companies have their own; without it nothing is sent."""
    server = serve(stack, certificate=certificate)
    assert failure(server.url) is Failure.NOT_SENT
    assert server.asked == []
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    assert ask(server.url).status == 200
    assert failure(server.url.replace("127.0.0.1", "localhost")) is Failure.NOT_SENT


def test_a_failed_handshake_is_unsent(stack: ExitStack) -> None:
    """The server doesn't speak TLS, closes the connection, or doesn't answer."""
    server = serve(stack)
    url = server.url.replace("http://", "https://")
    assert failure(url) is Failure.NOT_SENT
    server.script = reset
    assert failure(url) is Failure.NOT_SENT
    server.script = lambda connection: server.stopping.wait(5)
    assert failure(url, 0.4) is Failure.NOT_SENT


def garbage(connection: socket.socket) -> None:
    """Plain text in the middle of TLS."""
    with socket.socket(fileno=connection.detach()) as plain:
        plain.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


@pytest.mark.parametrize("script", [garbage, reset, lambda connection: None])
def test_a_tls_failure_after_the_handshake_is_sent(
    stack: ExitStack, certificate: Path, monkeypatch: pytest.MonkeyPatch, script: Script
) -> None:
    """The error reads like a failed handshake, but the request has arrived."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    server = serve(stack, script, certificate)
    assert failure(server.url) is Failure.CONNECTION_LOST
    assert server.asked[0].startswith(b"GET /api/x ")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_unreachable_proxy_is_unsent(stack: ExitStack, monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    """It refuses the connection."""
    closed = stack.enter_context(ReservedPort())
    monkeypatch.setenv(f"{scheme.upper()}_PROXY", f"http://127.0.0.1:{closed.number}")
    assert failure(f"{scheme}://acme.service-now.test") is Failure.NOT_SENT


@pytest.mark.parametrize(
    "script", [lambda connection: connection.sendall(ok(b"", status="503 Unavailable")), reset, LOST["no HTTP"]]
)
def test_a_proxy_without_a_tunnel_is_unsent(stack: ExitStack, monkeypatch: pytest.MonkeyPatch, script: Script) -> None:
    """It can't reach the server, closes the connection, or isn't a proxy."""
    proxy = serve(stack, script)
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    assert failure("https://acme.service-now.test") is Failure.NOT_SENT
    assert proxy.asked[0].startswith(b"CONNECT acme.service-now.test:443 ")


def test_after_a_broken_tunnel_the_result_is_unknown(
    stack: ExitStack, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy was connected and the server has the request, although urllib3 blames the connection to the proxy."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    requests_in_the_tunnel = []

    def tunnel(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with context.wrap_socket(connection, server_side=True) as inside:
            requests_in_the_tunnel.append(inside.recv(65536))
            reset(inside)

    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    monkeypatch.setenv("HTTPS_PROXY", serve(stack, tunnel).url)
    assert failure("https://127.0.0.1") is Failure.CONNECTION_LOST
    assert requests_in_the_tunnel[0].startswith(b"GET /api/x ")


def test_after_a_proxy_loses_the_answer_the_result_is_unknown(
    stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without TLS a proxy gets the request itself and may have forwarded it."""
    proxy = serve(stack, reset)
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    assert failure("http://acme.service-now.test") is Failure.CONNECTION_LOST
    assert proxy.asked[0].startswith(b"GET http://acme.service-now.test/api/x ")


def test_nothing_is_kept_between_requests(stack: ExitStack) -> None:
    """No cookie is, and a failed request doesn't break the next one."""
    server = serve(stack, lambda connection: connection.sendall(ok(b"{}", "Set-Cookie: JSESSIONID=1; Path=/")))
    client = HttpClient(server.url, 4)
    for token in ("ann", ""):
        client.send("GET", "/", token=token, deadline=Deadline(5), limit=LIMIT)
    assert [b"cookie" in asked.lower() for asked in server.asked] == [False, False]
    assert [b"Authorization: Bearer ann" in asked for asked in server.asked] == [True, False]


MATTERMOST: dict[str, tuple[Callable[[ScriptedServer], Script], type[MattermostError], str]] = {
    "closed": (lambda _: LOST["closed"], MattermostSilent, "ProtocolError"),
    "trickling": (lambda server: lambda one: trickle(one, server), MattermostSilent, "deadline passed while reading"),
    "too large": (
        lambda _: lambda one: one.sendall(ok(b" " * (17 * 1024 * 1024))),
        MattermostRefused,
        "more than 16777216 bytes",
    ),
    "no JSON": (lambda _: lambda one: one.sendall(ok(b"<html>")), MattermostSilent, "no JSON"),
    "deep JSON": (lambda _: lambda one: one.sendall(ok(b"[" * 100_000)), MattermostSilent, "no JSON"),
}


def trickle(connection: socket.socket, server: ScriptedServer) -> None:
    """A body that arrives byte by byte."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while not server.stopping.wait(0.05):
        connection.sendall(b" ")


@pytest.mark.parametrize("how", MATTERMOST)
def test_mattermost_has_an_error_for_each_failure(stack: ExitStack, how: str) -> None:
    """The log has the path without its IDs."""
    script, kind, words = MATTERMOST[how]
    server = serve(stack)
    server.script = script(server)
    with pytest.raises(MattermostError) as caught:
        MattermostClient(server.url).request("GET", api("users", "me"), token="x", deadline=Deadline(1.0))
    assert type(caught.value) is kind
    assert caught.value.log_message.startswith("GET ")
    assert words in caught.value.log_message
