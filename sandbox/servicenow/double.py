"""The ServiceNow double as a whole."""

import re
from typing import Any, Self

from flask import Flask, Response, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from sandbox.common import Clock, Faults, RequestLog, SandboxServer, install_switches
from sandbox.servicenow import faults, http
from sandbox.servicenow.meta import Meta
from sandbox.servicenow.oauth_routes import OAuthRoutes
from sandbox.servicenow.oauth_state import OAuthState
from sandbox.servicenow.pages import Pages
from sandbox.servicenow.people import People
from sandbox.servicenow.query import NotDone
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
        self._faults = Faults(faults.KINDS)
        self._log = RequestLog()
        self.store = Store(self._clock)
        self.oauth = OAuthState(self._clock)
        people = People(self.store, self.oauth)
        self._routes = OAuthRoutes(self.store, people, self.oauth, self._faults)
        app = Flask(__name__)
        app.json.sort_keys = False  # type: ignore[attr-defined]
        install_switches(app, self._clock, self._faults, self._log, self._fresh)
        app.before_request(lambda: faults.before_request(self._faults))
        app.after_request(lambda response: faults.after_request(self._faults, response))
        app.register_blueprint(TableApi(self.store, people, self._faults).blueprint())
        app.register_blueprint(Meta(self.store, people, self._faults).blueprint())
        app.register_blueprint(self._routes.blueprint())
        app.register_blueprint(Pages(self.store, people, self._routes).blueprint())
        app.register_error_handler(HTTPException, _unknown)
        app.register_error_handler(NotDone, _not_done)
        self._server = SandboxServer(app, port)
        self.url = self._server.url
        seed(self.store)
        self._seeded = self.store.snapshot()

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

    def row(self, table: str, sys_id: str) -> Row:
        """One raw row. Raises KeyError where there is none."""
        found = self.store.find(table, sys_id)
        if found is None:
            raise KeyError(sys_id)
        return dict(found)

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
        self.store.load(self._seeded)
        self.oauth.clear()
        self._routes.sessions.clear()


# Parts of a real instance that are not here; any other path under /api is unknown there, too.
_NOT_HERE = (
    "/api/now/stats", "/api/now/attachment", "/api/now/import", "/api/now/batch", "/api/now/email", "/api/now/doc",
    "/api/now/tinyurl", "/api/now/ui/", "/api/now/oauth/", "/api/sn_chg_rest", "/api/sn_sc", "/api/sn_km_api",
)  # fmt: skip


def _unknown(problem: HTTPException) -> ResponseReturnValue:
    if problem.code == 414:
        return Response("", 414, {"Server": "snow_adc"})
    path = re.sub(r"^/api/now/v\d+/", "/api/now/", request.path)
    if path.startswith("/api/") and problem.code == 404 and not path.startswith(_NOT_HERE):
        return http.error(400, "Requested URI does not represent any resource")
    return _refuse(f"{request.method} {request.path}")


def _not_done(problem: NotDone) -> ResponseReturnValue:
    return _refuse(f"{request.method} {request.path} with {problem}")


def _refuse(what: str) -> Response:
    return Response(f"The sandbox does not do this: {what}\n", 501, {"Content-Type": "text/plain;charset=UTF-8"})
