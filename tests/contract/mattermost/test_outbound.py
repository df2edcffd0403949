"""The plugin's requests to apps: with Mattermost's user agent, only to this machine, and with the recorded timeouts."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import requests

from sandbox.mattermost.apps.protocol.registry import PLUGIN
from sandbox.mattermost.server.state import Json
from tests.contract.mattermost.rig import ADMIN, ALICE, APP, PEOPLE, Replay, replay

ELSEWHERE = "http://192.0.2.1"  # a documentation address, which nobody uses


@pytest.fixture(scope="module")
def server() -> Iterator[Replay]:
    """The recorded people."""
    with replay() as started:
        yield started


def call(server: Replay, path: str, user_id: str = ALICE, app_id: str = APP, **values: str) -> Json:
    """A client's call; returns the answer."""
    expand = {"acting_user": "+summary"} if app_id == "apps" else {}
    answer = requests.post(
        f"{server.double.url}{PLUGIN}/api/v1/call",
        json={"path": path, "expand": expand, "values": values, "context": {"app_id": app_id}},
        headers={"Authorization": f"Bearer {PEOPLE[user_id][4]}"},
        timeout=20,
    )
    found: Json = answer.json()
    return found


@contextmanager
def odd_app(behave: Callable[[socket.socket], object]) -> Iterator[str]:
    """An app that accepts connections but doesn't answer properly; its address."""
    listening = socket.create_server(("127.0.0.1", 0))
    done = threading.Event()

    def accept() -> None:
        while not done.is_set():
            connection, _ = listening.accept()
            with connection:
                if not done.is_set():
                    connection.recv(65536)
                    behave(connection)
                    done.wait(0 if behave is _hang_up else 10)

    thread = threading.Thread(target=accept)
    thread.start()
    port = listening.getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        done.set()
        socket.create_connection(("127.0.0.1", port)).close()  # wakes accept()
        thread.join()
        listening.close()


def _hang_up(_: socket.socket) -> None:
    """Close without an answer."""


def _say_nothing(_: socket.socket) -> None:
    """Send nothing and keep the connection open."""


def test_another_machine_is_never_contacted(server: Replay) -> None:
    """Not for a manifest, a call or a redirect; the error names the host."""
    refusal = "the sandbox asks this machine alone, not 192.0.2.1"
    answer = call(server, "/install-http", ADMIN, "apps", url=f"{ELSEWHERE}/manifest.json")
    assert answer["text"] == refusal
    app = server.app()
    server.recorder.playing = True
    server.recorder.exchanges = [
        {
            "mattermost_to_app": {"path": "/x"},
            "app_to_mattermost": {"status": 302, "headers": {"Location": f"{ELSEWHERE}/x"}, "body": ""},
        }
    ]
    server.recorder.heard = lambda exchange, _: dict(exchange["app_to_mattermost"])
    assert call(server, "/x")["text"] == refusal
    server.recorder.playing = False
    app.manifest["http"]["root_url"] = ELSEWHERE
    assert call(server, "/x")["text"] == refusal


def test_a_proxy_of_the_environment_isnt_used(server: Replay, monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls reach the app although a proxy that doesn't exist is configured."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    server.app()
    with requests.Session() as browser:
        browser.trust_env = False
        answer = browser.post(
            f"{server.double.url}{PLUGIN}/api/v1/call",
            json={"path": "/x", "context": {"app_id": APP}},
            headers={"Authorization": f"Bearer {PEOPLE[ALICE][4]}"},
            timeout=20,
        )
    assert answer.json()["type"] == "ok"


def test_an_app_that_closes_the_connection_gives_the_recorded_error(server: Replay) -> None:
    """EOF, with the address."""
    with odd_app(_hang_up) as address:
        server.app().manifest["http"]["root_url"] = address
        text = call(server, "/do")["text"]
    assert text == f'upstream call failed: failed to invoke via HTTP: Post "{address}/do": EOF'


def test_a_ping_times_out_after_two_seconds(server: Replay) -> None:
    """Then the installation fails with the recorded error."""
    with odd_app(_say_nothing) as address:
        manifest = server.manifest()
        manifest["http"]["root_url"] = address
        server.double.registry.listings[APP] = manifest
        began = time.monotonic()
        answer = requests.post(
            f"{server.double.url}{PLUGIN}/api/v1/install-app",
            json={"app_id": APP, "deploy_type": "http"},
            headers={"Authorization": f"Bearer {PEOPLE[ADMIN][4]}"},
            timeout=20,
        )
    assert 1.9 < time.monotonic() - began < 4
    assert answer.status_code == 500
    assert answer.text == (
        "failed to install, /ping path is not accessible: failed to call /ping endpoint: "
        f'failed to invoke via HTTP: Post "{address}/ping": context deadline exceeded\n'
    )
