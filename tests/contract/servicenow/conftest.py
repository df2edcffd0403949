"""A ServiceNow double into which a test imports its own update set."""

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests

from sandbox.client import PASSWORD
from sandbox.servicenow import ServiceNowDouble
from tests.contract.servicenow.update_set import UpdateSet

Json = dict[str, Any]


class Instance:
    """The double, as an administrator and its people use it."""

    def __init__(self, double: ServiceNowDouble) -> None:
        self.double = double
        self.url = double.url

    def load(self, update_set: UpdateSet | bytes, **params: str) -> Json:
        """Import a file; returns the result."""
        xml = update_set if isinstance(update_set, bytes) else update_set.xml()
        response = requests.post(f"{self.url}/_sandbox/update-sets", data=xml, params=params, timeout=30)
        response.raise_for_status()
        found: Json = response.json()
        return found

    def commit(self, update_set: UpdateSet | bytes) -> Json:
        """Import a file that has no problems."""
        found = self.load(update_set)
        assert found["committed"], found["problems"]
        return found

    def send(self, method: str, path: str, body: Any = None, who: str = "admin", **params: str) -> requests.Response:
        """A request with basic auth."""
        return requests.request(
            method, self.url + path, json=body, params=params, auth=(who, PASSWORD), timeout=30, allow_redirects=False
        )

    def insert(self, table: str, values: Json, who: str = "admin", **params: str) -> Json:
        """Insert a row, which must succeed."""
        response = self.send("POST", f"/api/now/table/{table}", values, who, **params)
        assert response.status_code == 201, response.text
        found: Json = response.json()["result"]
        return found

    def update(self, table: str, sys_id: str, values: Json, who: str = "admin", **params: str) -> Json:
        """Update a row, which must succeed."""
        response = self.send("PATCH", f"/api/now/table/{table}/{sys_id}", values, who, **params)
        assert response.status_code == 200, response.text
        found: Json = response.json()["result"]
        return found

    def grant(self, role: str, *people: str) -> None:
        """Grant a role of an update set."""
        roles = self.send("GET", "/api/now/table/sys_user_role", sysparm_query=f"name={role}").json()["result"]
        for name in people:
            users = self.send("GET", "/api/now/table/sys_user", sysparm_query=f"user_name={name}").json()["result"]
            self.insert("sys_user_has_role", {"user": users[0]["sys_id"], "role": roles[0]["sys_id"]})

    def settle(self) -> None:
        """Wait until no event is due."""
        self.double.settle()

    def logged(self, level: str = "0") -> list[str]:
        """Messages of the system log, oldest first."""
        return [row["message"] for row in self.double.rows("syslog") if row["level"] == level]

    def says(self, script: str, table: str = "incident", **rule: str) -> list[str]:
        """What a business rule with that script logs when an incident is created."""
        update_set = UpdateSet()
        update_set.rule(table, script, **rule)
        self.commit(update_set)
        self.insert("incident", {"short_description": "Printer", "urgency": "1"}, "agent")
        return self.logged()


@pytest.fixture(scope="module")
def started() -> Iterator[ServiceNowDouble]:
    """One double for the module."""
    with ServiceNowDouble() as double:
        yield double


@pytest.fixture
def instance(started: ServiceNowDouble) -> Instance:
    """The instance as after its start."""
    started.reset()
    return Instance(started)


class Listener:
    """
    A server that keeps what arrives. It answers with the given statuses, then 200, and doesn't answer while it is held.
    """

    def __init__(self) -> None:
        self.requests: list[Json] = []
        self.statuses: list[int] = []
        self.arrived = threading.Event()
        self.held = threading.Event()  # cleared: no answer until it is set
        self.held.set()
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"] or 0))
                headers = dict(self.headers.items())
                listener.requests.append({"path": self.path, "headers": headers, "body": body, "method": self.command})
                listener.arrived.set()
                listener.held.wait(10)
                self.send_response(listener.statuses.pop(0) if listener.statuses else 200)
                self.send_header("Content-Length", "2")
                with contextlib.suppress(OSError):  # the client has disconnected
                    self.end_headers()
                    self.wfile.write(b"ok")

            def log_message(self, format: str, *args: Any) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.005,), daemon=True)
        self._thread.start()

    def bodies(self) -> list[Json]:
        """JSON that arrived."""
        return [json.loads(request["body"]) for request in self.requests]

    def stop(self) -> None:
        """End it."""
        self.held.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


@pytest.fixture
def listener() -> Iterator[Listener]:
    """Something that scripts can post to."""
    made = Listener()
    yield made
    made.stop()
