"""The WebSocket hub: connections, and the events published to them (recorded in app_posts, rest_errors)."""

import json
import threading
from collections.abc import Callable, Collection, Mapping
from typing import Any

from flask import Flask
from flask_sock import Sock
from simple_websocket import ConnectionClosed

from sandbox.mattermost.server.attachments import shown
from sandbox.mattermost.server.rest import token_of_request
from sandbox.mattermost.server.state import Json, State, new_id

_NOTHING: Mapping[str, Json] = {}
_PATIENCE = 5.0  # seconds that a connection may remain unauthenticated


class Hub:
    """The connections by user. Events are numbered per connection."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._connections: list[_Connection] = []
        self._lock = threading.Lock()

    def install(self, app: Flask) -> None:
        """Add `/api/v4/websocket`. Clients authenticate by cookie, bearer token, or a challenge within five seconds."""
        sock = Sock(app)

        @sock.route("/api/v4/websocket")  # type: ignore[untyped-decorator]
        def listen(ws: Any) -> None:
            connection = _Connection(ws)
            session = self._state.session(token_of_request()[0])
            if session is not None:
                self._admit(connection, session.user_id)
            try:
                while True:
                    text = ws.receive(timeout=None if connection.user_id else _PATIENCE)
                    if text is None:
                        connection.close()
                        return
                    self._received(connection, text)
            except ConnectionClosed:
                pass
            finally:
                with self._lock:
                    if connection in self._connections:
                        self._connections.remove(connection)

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            connections, self._connections = self._connections, []
        for connection in connections:
            connection.close()

    def publish(
        self,
        event: str,
        data: Json,
        own: Mapping[str, Json] = _NOTHING,
        /,
        *,
        user_id: str = "",
        channel_id: str = "",
        team_id: str = "",
    ) -> None:
        """
        Publish an event to one user, the members of a channel or team, or everyone.

        Args:
            own: Additional data by user ID, which only that user receives.
        """
        broadcast = _broadcast(user_id, channel_id, team_id)
        with self._lock:
            listeners = list(self._connections)
        for connection in listeners:
            if user_id and connection.user_id != user_id:
                continue
            if channel_id and not user_id and (channel_id, connection.user_id) not in self._state.members:
                continue
            if team_id and not channel_id and (team_id, connection.user_id) not in self._state.team_members:
                continue
            told = data | own.get(connection.user_id, {})
            connection.send({"event": event, "data": told, "broadcast": broadcast})

    def online(self) -> set[str]:
        """The users who have a client open."""
        with self._lock:
            return {connection.user_id for connection in self._connections}

    def posted(self, post: Json, event: str = "posted", mentioned: Collection[str] = ()) -> None:
        """
        Publish that a post was created, edited or deleted. Only the mentioned users learn of their mention (recorded).
        """
        channel = self._state.channels[post["channel_id"]]
        sender = self._state.users.get(post["user_id"], {}).get("username", "System")
        data: Json = {"post": json.dumps(shown(post))}
        if event == "posted":
            direct = channel["type"] == "D"
            data |= {
                "channel_display_name": f"@{sender}" if direct else channel["display_name"],
                "channel_name": channel["name"],
                "channel_type": channel["type"],
                "sender_name": "System" if post["type"].startswith("system_") else f"@{sender}",
                "set_online": True,
                "team_id": channel["team_id"],
            }
        own = {user_id: {"mentions": json.dumps([user_id])} for user_id in mentioned}
        self.publish(event, data, own, channel_id=post["channel_id"])

    def _received(self, connection: "_Connection", text: str) -> None:
        try:
            message = json.loads(text)
        except ValueError:
            return
        if message.get("action") == "authentication_challenge":
            session = self._state.session(str((message.get("data") or {}).get("token", "")))
            if session is None:
                connection.close()
                return
            self._admit(connection, session.user_id)
        connection.reply({"status": "OK", "seq_reply": message.get("seq", 0)})

    def _admit(self, connection: "_Connection", user_id: str) -> None:
        connection.user_id = user_id
        with self._lock:
            self._connections.append(connection)
        hello = {"connection_id": new_id(), "server_version": f"{self._state.version}.sandbox"}
        connection.send({"event": "hello", "data": hello, "broadcast": _broadcast(user_id=user_id)})


def _broadcast(user_id: str = "", channel_id: str = "", team_id: str = "") -> Json:
    return {
        "omit_users": None,
        "user_id": user_id,
        "channel_id": channel_id,
        "team_id": team_id,
        "connection_id": "",
        "omit_connection_id": "",
    }


class _Connection:
    """One socket."""

    def __init__(self, ws: Any) -> None:
        self._ws = ws
        self._lock = threading.Lock()
        self._seq = 0
        self.user_id = ""

    def send(self, event: Json) -> None:
        """Send an event with its sequence number. Errors of a broken connection are ignored."""
        with self._lock:
            self._quietly(lambda: self._ws.send(json.dumps(event | {"seq": self._seq})))
            self._seq += 1

    def reply(self, message: Json) -> None:
        """Reply to a message from the client."""
        with self._lock:
            self._quietly(lambda: self._ws.send(json.dumps(message)))

    def close(self) -> None:
        """Close the socket."""
        self._quietly(self._ws.close)

    @staticmethod
    def _quietly(act: Callable[[], object]) -> None:
        try:
            act()
        except (ConnectionClosed, OSError):
            pass
