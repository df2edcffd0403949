"""The world of the scenarios: both doubles and the service on real sockets."""

import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import requests
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from app import create_app
from config import Config
from sandbox.client import MattermostClient
from sandbox.mattermost import MattermostDouble
from sandbox.servicenow import ServiceNowDouble
from tests.ports import ReservedPort
from web.wsgi import Service

JWT_SECRET = "the framework's secret of the tests"
CLIENT_ID = "c0ffee" * 5 + "00"
CLIENT_SECRET = "the client's secret"


class _Quiet(WSGIRequestHandler):
    disable_nagle_algorithm = True

    def log(self, type: str, message: str, *args: Any) -> None:
        """Nothing."""


@dataclass
class Running:
    """The service on its own socket."""

    service: Service
    server: BaseWSGIServer
    thread: threading.Thread

    @classmethod
    def start(cls, config: Config, clock: Any, port: int) -> "Running":
        """Serve *config* on *port*."""
        service = create_app(config, clock=clock)
        server = make_server("127.0.0.1", port, service.app, threaded=True, request_handler=_Quiet)
        thread = threading.Thread(target=server.serve_forever, args=(0.005,), daemon=True)
        thread.start()
        return cls(service, server, thread)

    def stop(self) -> None:
        """Stop serving and close the storage."""
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(5)
        self.service.close()


@dataclass
class World:
    """The doubles, the service and the people of a scenario. People sign in once."""

    mattermost: MattermostDouble
    servicenow: ServiceNowDouble
    config: Config
    reserved: ReservedPort
    running: Running = field(init=False)
    people: dict[str, MattermostClient] = field(default_factory=dict)
    offset: float = 0.0

    @classmethod
    def begin(cls, mattermost: MattermostDouble, servicenow: ServiceNowDouble, folder: Path) -> "World":
        """New doubles, a registered OAuth client and the running service, before the installation."""
        mattermost.reset()
        servicenow.reset()
        reserved = ReservedPort()
        config = Config(
            app_url=f"http://127.0.0.1:{reserved.number}",
            mattermost_url=mattermost.url,
            app_secrets=("a secret of more than thirty-two characters",),
            mattermost_app_jwt_secret=JWT_SECRET,
            servicenow_url=servicenow.url,
            servicenow_client_id=CLIENT_ID,
            servicenow_client_secret=CLIENT_SECRET,
            servicenow_hosts=(servicenow.url,),
            storage_url=f"tinydb://{folder}/data",
            rate_limits=False,
        )
        world = cls(mattermost, servicenow, config, reserved)
        world.start()
        complete = f"{mattermost.url}/plugins/com.mattermost.apps/apps/servicenow/oauth2/remote/complete"
        client = {"name": "Mattermost", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
        world.administer("POST", "/api/now/table/oauth_entity", client | {"redirect_url": complete})
        return world

    def end(self) -> None:
        """Stop the service and release its port."""
        self.running.stop()
        self.reserved.close()

    def install(self) -> None:
        """Install the app the way administrators do."""
        answer = self.person("admin").install(f"{self.config.app_url}/manifest.json", JWT_SECRET)
        assert answer["type"] == "ok", answer
        assert "despite" not in answer["text"], answer
        self.servicenow.clear_requests()

    def now(self) -> float:
        """The service's clock."""
        return time.time() + self.offset

    def advance(self, seconds: float) -> None:
        """Let time pass everywhere."""
        self.offset += seconds
        self.mattermost.advance(seconds)
        self.servicenow.advance(seconds)

    def person(self, username: str) -> MattermostClient:
        """A signed-in person."""
        if username not in self.people:
            self.people[username] = MattermostClient(self.mattermost.url, username)
        return self.people[username]

    def connected(self, username: str) -> MattermostClient:
        """A person whose ServiceNow account is connected."""
        person = self.person(username)
        assert "Completed connecting" in person.connect().text
        self.settle()
        return person

    def restart(self, **changes: Any) -> None:
        """Stop the service and start it with other settings, on the same storage and port."""
        self.running.stop()
        self.config = replace(self.config, **changes)
        self.start()

    def start(self) -> None:
        """Start the service again after its `Running.stop`."""
        self.running = Running.start(self.config, self.now, self.reserved.number)

    def settle(self) -> None:
        """Wait until the service's background work is done."""
        self.running.service.settle()

    def asked(self, *, method: str = "", path: str = "") -> list[dict[str, Any]]:
        """Requests that ServiceNow received, by method and path."""
        return [
            entry
            for entry in self.servicenow.requests()
            if entry["method"].startswith(method) and entry["path"].startswith(path)
        ]

    def registry_row(self) -> dict[str, str]:
        """The OAuth client in ServiceNow."""
        return self.servicenow.rows("oauth_entity")[0]

    def administer(self, method: str, path: str, body: dict[str, Any]) -> requests.Response:
        """Send a write to ServiceNow as its administrator, over REST."""
        response = requests.request(method, self.servicenow.url + path, json=body, auth=("admin", "sandbox-1"))
        assert response.ok, response.text
        self.servicenow.clear_requests()
        return response
