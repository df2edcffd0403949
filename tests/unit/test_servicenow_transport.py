"""One request: limited in time and size, without cookies, `.netrc` or redirects, and every timeout classified."""

import gzip
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from core.times import Deadline
from core.upstream_errors import Broken, ConnectionLost, Unanswered, Unreachable
from http_client.exchange import HttpResponse
from servicenow import transport
from servicenow.transport import Transport, transaction_of
from tests.ports import ReservedPort
from tests.scripted_server import ScriptedServer, ok


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """A scripted server."""
    one = ScriptedServer()
    yield one
    one.stop()


def ask(url: str, *, seconds: float = 5.0, token: str = "secret-token") -> HttpResponse:
    """One GET with a token."""
    return Transport(url, 4).send(
        "GET", "/api/x", token=token, person_id="ann", deadline=Deadline(seconds), params={"q": "a b^c"}
    )


def test_an_answer_is_returned_completely(server: ScriptedServer) -> None:
    """Status, headers without regard to case, and the unpacked body."""
    server.script = lambda connection: connection.sendall(
        ok(gzip.compress(b'{"result": 1}'), "Content-Encoding: gzip", "X-Transaction-ID: abc")
    )
    answer = ask(server.url)
    assert (answer.status, answer.body, answer.headers["x-transaction-id"]) == (200, b'{"result": 1}', "abc")
    assert b"GET /api/x?q=a+b%5Ec HTTP/1.1" in server.asked[0]
    assert b"Authorization: Bearer secret-token" in server.asked[0]


def test_the_transaction_is_found_in_a_401() -> None:
    """A 401 names it only in `Server-Timing` (recorded)."""
    timing = {"Server-Timing": 't;desc="0a1b2c3d4e5f", sem_wait;dur=0'}
    assert transaction_of(HttpResponse(401, timing, b"")) == "0a1b2c3d4e5f"
    assert transaction_of(HttpResponse(401, {}, b"")) == ""


def test_a_netrc_doesnt_replace_the_token(
    server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file in the home folder neither overwrites our token nor adds one."""
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login intruder password wrong\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(netrc))
    assert requests.utils.get_netrc_auth(server.url) == ("intruder", "wrong"), "the trap is set"
    ask(server.url)
    Transport(server.url, 4).send("POST", "/t", person_id=None, deadline=Deadline(5), form={"a": "b"})
    assert b"Authorization: Bearer secret-token" in server.asked[0]
    assert b"Authorization" not in server.asked[1]
    assert server.asked[1].endswith(b"a=b")


def test_a_proxy_from_the_environment_is_used(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Companies reach their instance through one."""
    monkeypatch.setenv("HTTP_PROXY", server.url)
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    ask("http://acme.service-now.test")
    assert server.asked[0].startswith(b"GET http://acme.service-now.test/api/x?")


def test_a_redirect_isnt_followed(server: ScriptedServer) -> None:
    """A token goes only to the instance; a redirect's body is limited like any other."""
    server.script = lambda connection: connection.sendall(ok(b"x", f"Location: {server.url}/y", status="302 Found"))
    assert ask(server.url).status == 302
    assert len(server.asked) == 1


def test_cookies_are_never_sent_back(server: ScriptedServer) -> None:
    """Whatever is set, the next request has none."""
    server.script = lambda connection: connection.sendall(ok(b"{}", "Set-Cookie: JSESSIONID=1; Path=/"))
    one = Transport(server.url, 4)
    for person in ("ann", "bob"):
        one.send("GET", "/", token=person, person_id=person, deadline=Deadline(5))
    assert len(server.asked) == 2
    assert all(b"cookie" not in request.lower() for request in server.asked)


def test_a_trickling_body_ends_with_the_deadline(server: ScriptedServer) -> None:
    """Arriving bytes don't extend a call."""

    def trickle(connection: socket.socket) -> None:
        connection.sendall(ok(b"")[:-2].replace(b"Content-Length: 0", b"Content-Length: 1000") + b"\r\n")
        while not server.stopping.wait(0.05):
            connection.sendall(b"x")

    server.script = trickle
    began = time.monotonic()
    with pytest.raises(Unanswered):
        ask(server.url, seconds=0.6)
    assert time.monotonic() - began < 2


def test_a_timeout_ends_with_the_deadline(server: ScriptedServer) -> None:
    """The request was sent and never answered: its result is unknown."""
    server.script = lambda connection: server.stopping.wait(5)
    began = time.monotonic()
    with pytest.raises(Unanswered) as caught:
        ask(server.url, seconds=0.4)
    server.stopping.set()
    assert time.monotonic() - began < 2
    assert type(caught.value) is Unanswered
    assert caught.value.may_have_been_saved


def test_an_answer_over_the_limit_isnt_kept(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is dropped while it arrives, by its unpacked size."""
    monkeypatch.setattr(transport, "MOST_BYTES", 100_000)
    server.script = lambda connection: connection.sendall(
        ok(gzip.compress(b" " * 10_000_000), "Content-Encoding: gzip")
    )
    with pytest.raises(Broken):
        ask(server.url)


@pytest.mark.parametrize("part", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", b"HTTP", b"\x00\x01"])
def test_after_a_broken_connection_the_result_is_unknown(server: ScriptedServer, part: bytes) -> None:
    """Before the answer, in its headers or in its body: the request was sent, so it may have been executed."""
    server.script = lambda connection: connection.sendall(part)
    with pytest.raises(ConnectionLost) as caught:
        ask(server.url)
    assert caught.value.may_have_been_saved


def test_a_closed_port_is_unsent() -> None:
    """Nothing was sent, so nothing can have been saved."""
    with ReservedPort() as closed, pytest.raises(Unreachable) as caught:
        ask(f"http://127.0.0.1:{closed.number}")
    assert not caught.value.may_have_been_saved


def test_an_unknown_name_is_unsent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistyped instance, or a retired one."""

    def nobody(*_: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    with pytest.raises(Unreachable):
        ask("http://nobody.invalid")


def test_a_server_without_tls_is_unsent(server: ScriptedServer) -> None:
    """The handshake fails before anything is sent."""
    server.script = lambda connection: connection.sendall(ok(b"{}", status="400 Bad Request"))
    with pytest.raises(Unreachable):
        ask(server.url.replace("http://", "https://"))


def test_without_time_nothing_is_sent(server: ScriptedServer) -> None:
    """A call after its deadline sends nothing and doesn't count as a timeout."""
    one = Transport(server.url, 4)
    for _ in range(6):
        with pytest.raises(Unreachable):
            one.send("GET", "/", token="x", person_id="ann", deadline=Deadline(0.0))
    assert one.send("GET", "/", token="x", person_id="ann", deadline=Deadline(5)).status == 200
    assert len(server.asked) == 1
