"""The WebSocket accepts the recorded authentications (rest_errors), by header and by challenge, and no others."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from websocket import create_connection

from tests.contract.mattermost.listeners import Json, Listener
from tests.contract.mattermost.rig import ALICE, PEOPLE, Replay, replay

TOKEN = PEOPLE[ALICE][4]


@pytest.fixture(scope="module")
def server() -> Iterator[Replay]:
    """The recorded people."""
    with replay() as started:
        yield started


def address(server: Replay) -> str:
    """The socket's URL."""
    return server.double.url.replace("http", "ws", 1) + "/api/v4/websocket"


def assert_is_hello(message: Json) -> None:
    """The recorded greeting: its keys, its broadcast, number zero."""
    assert message["event"] == "hello"
    assert set(message["data"]) == {"connection_id", "server_version"}
    assert len(message["data"]["connection_id"]) == 26
    assert message["broadcast"] == {
        "omit_users": None,
        "user_id": ALICE,
        "channel_id": "",
        "team_id": "",
        "connection_id": "",
        "omit_connection_id": "",
    }
    assert message["seq"] == 0


def test_a_bearer_header_is_accepted(server: Replay) -> None:
    """No challenge is needed."""
    listener = Listener(server.double.url, TOKEN)
    assert_is_hello(listener.hello)
    listener.close()


def test_a_challenge_is_accepted_and_answered(server: Replay) -> None:
    """First comes the greeting, then the answer with the challenge's number."""
    socket = create_connection(address(server), timeout=10)
    challenge = {"seq": 1, "action": "authentication_challenge", "data": {"token": TOKEN}}
    socket.send(json.dumps(challenge))
    assert_is_hello(json.loads(socket.recv()))
    assert json.loads(socket.recv()) == {"status": "OK", "seq_reply": 1}
    socket.close()


def test_a_wrong_token_closes_the_connection(server: Replay) -> None:
    """At once, without a message."""
    socket: Any = create_connection(address(server), timeout=10)
    challenge = {"seq": 1, "action": "authentication_challenge", "data": {"token": "x" * 26}}
    socket.send(json.dumps(challenge))
    assert socket.recv() == ""  # the frame that closes; no greeting, no answer
    socket.shutdown()  # the client's own close() does nothing once the other side has closed
