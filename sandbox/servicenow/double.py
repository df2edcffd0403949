"""The ServiceNow double as a whole."""

from typing import Any, Self

from flask import Flask, Response, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from sandbox.common import Clock, Faults, RequestLog, SandboxServer, install_switches
from sandbox.servicenow import http
from sandbox.servicenow.oauth_routes import OAuthRoutes
from sandbox.servicenow.oauth_state import OAuthState
from sandbox.servicenow.pages import Pages
from sandbox.servicenow.people import People
from sandbox.servicenow.seed import seed
from sandbox.servicenow.store import Row, Store
from sandbox.servicenow.table_api import TableApi


class ServiceNowDouble:
    """
    A small instance on a real socket; state in memory.

    Args:
        port: 0 takes a free one.
    """

    def __init__(self, port: int = 0) -> None:
        self._clock = Clock()
        self._faults = Faults(http.KINDS)
        self._log = RequestLog()
        self.store = Store(self._clock)
        self.oauth = OAuthState(self._clock)
        people = People(self.store, self.oauth)
        self._routes = OAuthRoutes(self.store, people, self.oauth, self._faults)
        app = Flask(__name__)
        app.json.sort_keys = False  # type: ignore[attr-defined]
        install_switches(app, self._clock, self._faults, self._log, self._fresh)
        app.before_request(lambda: http.before_request(self._faults))
        app.register_blueprint(TableApi(self.store, people, self._faults).blueprint())
        app.register_blueprint(self._routes.blueprint())
        app.register_blueprint(Pages(self.store, people, self._routes).blueprint())
        app.register_error_handler(HTTPException, _unknown)
        self._server = SandboxServer(app, port)
        self.url = self._server.url
        self._fresh()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> Self:
        """Serve in the background."""
        self._server.start()
        return self

    def stop(self) -> None:
        """Stop; what waits in a slow answer is let go."""
        self._faults.clear()
        self._server.stop()

    def rows(self, table: str) -> list[Row]:
        """Raw rows, oldest first."""
        return [dict(row) for row in self.store.rows(table)]

    def requests(self) -> list[dict[str, Any]]:
        """The request log."""
        return self._log.entries()

    def clear_requests(self) -> None:
        """Empty the request log."""
        self._log.clear()

    def fault(self, kind: str, path: str = "", times: int = 1, seconds: float | None = None, method: str = "") -> None:
        """Arm a fault."""
        self._faults.add(kind, path, times, seconds, method)

    def armed(self) -> int:
        """How many faults still wait to be used."""
        return len(self._faults)

    def clear_faults(self) -> None:
        """Disarm all."""
        self._faults.clear()

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._clock.advance(seconds)

    def reset(self) -> None:
        """As after the start."""
        self._faults.clear()
        self._clock.reset()
        self._fresh()
        self._log.clear()

    def _fresh(self) -> None:
        self.store.clear()
        self.oauth.clear()
        self._routes.sessions.clear()
        seed(self.store)


def _unknown(problem: HTTPException) -> ResponseReturnValue:
    if problem.code == 414:
        return Response("", 414)
    if request.path.startswith("/api/") and problem.code == 404:
        return http.error(400, "Requested URI does not represent any resource")
    return Response(f"The sandbox does not do this: {request.method} {request.path}\n", 501)
