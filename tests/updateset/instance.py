"""An instance with the component, and the server that it reports to."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

import requests

from sandbox.servicenow import ServiceNowDouble
from tests.updateset.artifact import content
from tests.updateset.facts import DELIVERIES, KEYS, ROLE, SUBSCRIPTIONS

Json = dict[str, Any]
KEY_ID = "key-1"
SECRET = "a signing secret of forty-five ASCII chars ok"
PASSWORD = "sandbox-1"


@dataclass
class Request:
    """What arrived."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def report(self) -> Json:
        """The body's JSON."""
        found: Json = json.loads(self.body)
        return found

    def signed_with(self, secret: str) -> bool:
        """Whether the signature is the design's: over the timestamp, a period and the raw body."""
        signed = self.headers["X-ServiceNow-Timestamp"].encode() + b"." + self.body
        mac = hmac.new(secret.encode("ascii"), signed, hashlib.sha256).digest()
        return self.headers["X-ServiceNow-Signature"] == "v1=" + base64.b64encode(mac).decode()


class Receiver:
    """A server that keeps what it gets, and answers 202 or what it is told to; nothing unless it is *awake*."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.answers: list[tuple[int, dict[str, str], str]] = []
        self.awake = Event()
        self.awake.set()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                path = self.requestline.split()[1]  # `self.path` hides a doubled slash
                receiver.requests.append(Request(path, dict(self.headers), body))
                if not receiver.awake.is_set():
                    receiver.awake.wait(5)
                    self.close_connection = True
                    return
                status, headers, text = receiver.answers.pop(0) if receiver.answers else (202, {}, "")
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, format: str, *args: Any) -> None:
                """Do nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        Thread(target=self._server.serve_forever, args=(0.005,), daemon=True).start()

    def answer(self, status: int, headers: dict[str, str] | None = None, text: str = "") -> None:
        """Answer one more request like this."""
        self.answers.append((status, headers or {}, text))

    def stop(self) -> None:
        """Stop listening."""
        self.awake.set()
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver while the context is open."""
    receiver = Receiver()
    try:
        yield receiver
    finally:
        receiver.stop()


@dataclass
class Instance:
    """People at an instance with the component; `agent` and `agent2` hold its role."""

    double: ServiceNowDouble
    receiver: Receiver
    session: requests.Session = field(default_factory=requests.Session)

    @classmethod
    def begin(cls, double: ServiceNowDouble, receiver: Receiver) -> "Instance":
        """A new instance: the update set committed, a key created."""
        double.reset()
        instance = cls(double, receiver)
        instance.session.trust_env = False
        instance.load()
        instance.make_key()
        for who in ("agent", "agent2"):
            instance.give_role(who)
        return instance

    def give_role(self, who: str) -> None:
        """Give someone the role that subscribing requires."""
        user = next(row["sys_id"] for row in self.rows("sys_user") if row["user_name"] == who)
        self.insert("sys_user_has_role", {"user": user, "role": ROLE}, "admin")

    def load(self, change: Callable[[bytes], bytes] = bytes) -> None:
        """Load, preview and commit the update set, perhaps with a change in it."""
        xml = change(content())
        answer = requests.post(f"{self.double.url}/_sandbox/update-sets", data=xml, timeout=30).json()
        assert answer["problems"] == []
        assert answer["committed"] is True

    def call(self, who: str, method: str, path: str, body: Json | None = None) -> requests.Response:
        """Send a request to the instance as a person."""
        url = f"{self.double.url}{path}"
        return self.session.request(method, url, json=body, auth=(who, PASSWORD), timeout=30)

    def insert(self, table: str, values: Json, who: str = "agent") -> str:
        """Insert a row; returns its sys_id."""
        answer = self.call(who, "POST", f"/api/now/table/{table}?sysparm_input_display_value=true", values)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["result"]["sys_id"])

    def save(self, table: str, sys_id: str, who: str = "agent", **values: str) -> None:
        """Change a record, as one save."""
        answer = self.call(who, "PATCH", f"/api/now/table/{table}/{sys_id}", values)
        assert answer.status_code == 200, answer.text

    def make_key(self, secret: str = SECRET) -> str:
        """A signing key for the receiver."""
        values = {"server_url": self.receiver.url, "key_id": KEY_ID, "signing_secret": secret}
        return self.insert(KEYS, values, "admin")

    def subscribe(self, events: str = "state", who: str = "agent", **values: str) -> str:
        """A subscription as the app writes it; to all incidents by default."""
        row = {
            "channel_id": "c" * 26,
            "is_active": "true",
            "record_id": "",
            "record_type": "incident",
            "server_url": self.receiver.url,
            "subscription_events": events,
            "type": "object",
            "user_id": "u" * 26,
        }
        return self.insert(SUBSCRIPTIONS, row | values, who)

    def incident(self, **values: str) -> str:
        """A new incident without pending reports."""
        sys_id = self.insert("incident", {"short_description": "No mail", **values})
        self.settle()
        self.receiver.requests.clear()
        return sys_id

    def settle(self) -> None:
        """Wait until no event is due."""
        self.double.settle()

    def reports(self) -> list[Json]:
        """What arrived once nothing is due anymore."""
        self.settle()
        return [request.report for request in self.receiver.requests]

    def advance(self, seconds: float) -> None:
        """Advance the instance's clock and run what is due then."""
        requests.post(f"{self.double.url}/_sandbox/clock", json={"advance": seconds}, timeout=30).raise_for_status()
        self.settle()

    def deliveries(self) -> list[Json]:
        """The outbox, oldest first, as an administrator reads it."""
        self.settle()
        path = f"/api/now/table/{DELIVERIES}?sysparm_query=ORDERBYsys_created_on&sysparm_limit=1000"
        found: list[Json] = self.call("admin", "GET", path).json()["result"]
        return found

    def rows(self, table: str) -> list[Json]:
        """All rows of a table, ignoring access rules."""
        return [dict(row) for row in self.double.store.rows(table)]

    def log(self) -> list[str]:
        """What the component logged."""
        return [row["message"] for row in self.rows("syslog")]
