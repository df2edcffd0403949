"""People who listen on the double's WebSocket, as clients do, while a scene is replayed."""

import json
from typing import Any

from websocket import create_connection

Json = dict[str, Any]

# The recorder kept only these; the server sends more that doesn't matter to an app.
KINDS = {"posted", "post_edited", "ephemeral_message", "open_dialog", "custom_com.mattermost.apps_refresh_bindings"}


class Listener:
    """One person's connection."""

    def __init__(self, url: str, token: str) -> None:
        address = url.replace("http", "ws", 1) + "/api/v4/websocket"
        self._socket = create_connection(address, header=[f"Authorization: Bearer {token}"], timeout=10)
        self._asked = 0
        self.hello: Json = json.loads(self._socket.recv())

    def events(self) -> list[Json]:
        """
        The events since the last call. Answers are in order, so the events before this request's answer are complete.
        """
        self._asked += 1
        self._socket.send(json.dumps({"action": "ping", "seq": self._asked}))
        found: list[Json] = []
        while True:
            message: Json = json.loads(self._socket.recv())
            if message.get("seq_reply") == self._asked:
                return found
            if message.get("event") in KINDS:
                _unpack(message["data"])
                found.append(message)

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()


def recorded_events(scene: Json) -> list[tuple[str, Json]]:
    """Who received what in the recording. Messages about joining are left out, because the double doesn't post them."""
    found = []
    for one in scene.get("websocket", []):
        event = json.loads(json.dumps(one["event"]))
        _unpack(event["data"])
        kind = event["data"].get("post", {}).get("type", "")
        if kind.startswith("system_") and kind != "system_ephemeral":
            continue
        found.append((one["to"], event))
    return found


def _unpack(data: Json) -> None:
    """Posts and dialogs travel as JSON in a string."""
    for key in data.keys() & {"post", "dialog"}:
        data[key] = json.loads(data[key])
