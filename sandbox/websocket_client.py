"""Receives WebSocket events from a Mattermost server."""

import json
from types import TracebackType
from typing import Any, Self

from simple_websocket import Client

Json = dict[str, Any]


class WebSocketClient:
    """
    One user's connection, open inside ``with``.

    Posts and dialogs, which are sent as JSON strings, are decoded.

    Args:
        url: The server's address.
        token: The user's session token.
    """

    def __init__(self, url: str, token: str) -> None:
        address = url.replace("http", "ws", 1) + "/api/v4/websocket"
        self._socket = Client(address, headers={"Authorization": f"Bearer {token}"})
        self._asked = 0

    def __enter__(self) -> Self:
        self.events()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._socket.close()

    def events(self) -> list[Json]:
        """
        Every event since the last call. Messages arrive in order, so everything before the reply to our ping is
        complete.
        """
        self._asked += 1
        self._socket.send(json.dumps({"action": "ping", "seq": self._asked}))
        found: list[Json] = []
        while True:
            message: Json = json.loads(self._socket.receive(timeout=10) or "{}")
            if message.get("seq_reply") == self._asked:
                return found
            if "event" in message:
                data = message["data"]
                found.append(message | {"data": data | {k: json.loads(data[k]) for k in data.keys() & _PACKED}})


_PACKED = {"post", "dialog"}
