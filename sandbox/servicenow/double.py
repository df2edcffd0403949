"""The ServiceNow double."""

import re
import ssl
from typing import Self

from flask import Flask, Response, jsonify, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from sandbox.double import Double, Json
from sandbox.servicenow import faults
from sandbox.servicenow.api.attachment import AttachmentApi
from sandbox.servicenow.api.batch import BatchApi
from sandbox.servicenow.api.change import ChangeApi
from sandbox.servicenow.api.change_details import ChangeDetailsApi
from sandbox.servicenow.api.knowledge import KnowledgeApi
from sandbox.servicenow.api.stats import StatsApi
from sandbox.servicenow.api.table import TableApi
from sandbox.servicenow.api.ui_meta import UiMetaApi
from sandbox.servicenow.auth.access_control import AccessControl
from sandbox.servicenow.auth.oauth_routes import OAuthRoutes
from sandbox.servicenow.auth.oauth_tokens import OAuthTokens
from sandbox.servicenow.delayed_requests import DelayedRequests
from sandbox.servicenow.pages.record_pages import RecordPages
from sandbox.servicenow.queries.encoded_query import Unsupported
from sandbox.servicenow.queries.record_queries import RecordQueries
from sandbox.servicenow.records import approvals, fulfillment
from sandbox.servicenow.records.attachments import Attachments
from sandbox.servicenow.records.store import Row, Store
from sandbox.servicenow.scripting.runtime import Runtime
from sandbox.servicenow.scripting.scripted_rest import ScriptedRest
from sandbox.servicenow.seed.records import PASSWORD, seed
from sandbox.servicenow.seed_file import load
from sandbox.servicenow.update_sets import Outcome, UpdateSets
from sandbox.servicenow.update_sets.pages import UpdateSetPages
from sandbox.servicenow.update_sets.routes import UpdateSetRoutes
from sandbox.servicenow.update_sets.tracking import Tracking
from sandbox.servicenow.web import http


class ServiceNowDouble(Double):
    """
    A ServiceNow instance on a real socket, with its state in memory.

    Args:
        port: 0 picks a free one.
        rows: Additional rows by table (`seed_file`). Raises BadSeed.
        tls: Serves HTTPS with this context.
    """

    def __init__(self, port: int = 0, rows: Json | None = None, tls: ssl.SSLContext | None = None) -> None:
        app = Flask(__name__)
        super().__init__(app, port, faults.KINDS, tls)
        self.store = Store(self._clock, follow_ups=(approvals.after, fulfillment.after))
        self.oauth = OAuthTokens(self._clock)
        access_control = AccessControl(self.store, self.oauth)
        self.runtime = Runtime(self.store, access_control, self._clock, self.url)
        access_control.access = self.runtime.access
        self.store.hooks = Tracking(self.store, self.runtime.rules)
        self.update_sets = UpdateSets(self.store)
        self._routes = OAuthRoutes(self.store, access_control, self.oauth, self._faults)
        self._delayed = DelayedRequests(app)
        app.before_request(lambda: faults.before_request(self._faults, self._delayed))
        app.before_request(_unacceptable)
        app.after_request(lambda response: faults.after_request(self._faults, response))
        app.register_blueprint(TableApi(self.store, access_control, self._faults).blueprint())
        app.register_blueprint(UiMetaApi(self.store, access_control, self._faults).blueprint())
        app.register_blueprint(StatsApi(self.store, access_control).blueprint())
        app.register_blueprint(ChangeApi(self.store, access_control, self._faults).blueprint())
        app.register_blueprint(ChangeDetailsApi(self.store, access_control, self._faults).blueprint())
        app.register_blueprint(KnowledgeApi(self.store, access_control).blueprint())
        attachments = Attachments(self.store)
        app.register_blueprint(AttachmentApi(self.store, access_control, attachments, self._faults).blueprint())
        app.register_blueprint(BatchApi(app, access_control).blueprint())
        app.register_blueprint(self._routes.blueprint())
        app.register_blueprint(ScriptedRest(self.store, access_control, self.runtime).blueprint())
        app.register_blueprint(UpdateSetRoutes(self.update_sets).blueprint())
        app.add_url_rule("/favicon.ico", "favicon", lambda: ("", 204))  # browsers request one on every page
        app.add_url_rule("/_sandbox/settle", "settle", self._settled, methods=["POST"])
        app.add_url_rule("/_sandbox/release", "release", self._released, methods=["POST"])
        pages = RecordPages(self.store, access_control, self._routes, attachments)
        app.register_blueprint(pages.blueprint())
        own_pages = UpdateSetPages(self.store, self.update_sets, self._routes, pages.frame)
        app.register_blueprint(own_pages.blueprint())
        app.register_error_handler(HTTPException, _unknown)
        app.register_error_handler(Unsupported, _unsupported)
        app.register_error_handler(http.Refused, lambda refused: refused.response)
        seed(self.store)
        if rows is not None:
            load(self.store, RecordQueries(self.store, access_control), rows)
        self._seeded = self.store.snapshot()

    def rows(self, table: str) -> list[Row]:
        """The raw rows of a table, oldest first."""
        return [dict(row) for row in self.store.rows(table)]

    def row(self, table: str, sys_id: str) -> Row:
        """One raw row. Raises KeyError if there is none."""
        found = self.store.find(table, sys_id)
        if found is None:
            raise KeyError(sys_id)
        return dict(found)

    def start(self) -> Self:
        """Start serving and processing events in the background."""
        self.runtime.events.start()
        return super().start()

    def stop(self) -> None:
        """Stop serving and processing events."""
        self.runtime.clear()
        self.runtime.events.stop()
        super().stop()

    def settle(self, seconds: float = 30.0) -> None:
        """Wait until no event is due. Raises TimeoutError."""
        self.runtime.events.settle(seconds)

    def release(self, most: int | None = None) -> list[int]:
        """Carry out up to *most* requests that the fault `late` holds back, oldest first. Returns their statuses."""
        return self._delayed.release(most)

    def cancel_late(self) -> None:
        """Drop the requests that the fault `late` holds back, as when a quota rule cancels them."""
        self._delayed.forget()

    def import_update_set(self, xml: bytes, commit: bool = True) -> Outcome:
        """Import as the pages do. Raises BadFile, Unsupported."""
        return self.update_sets.import_whole(xml, commit)

    def _settled(self) -> ResponseReturnValue:
        try:
            self.settle()
        except TimeoutError as problem:
            return jsonify({"error": str(problem)}), 504
        return jsonify({})

    def _released(self) -> ResponseReturnValue:
        return jsonify({"statuses": self.release()})

    def _about(self) -> Json:
        def roles(user: Row) -> list[str]:
            rows = self.store.rows("sys_user_has_role")
            return [self.store.display("sys_user_role", row["role"]) for row in rows if row["user"] == user["sys_id"]]

        clients = [row for row in self.store.rows("oauth_entity") if row["active"] == "true"]
        return {
            "password": PASSWORD,
            "accounts": [
                {"user_name": user["user_name"], "name": user["name"], "roles": roles(user)}
                for user in self.store.rows("sys_user")
            ],
            "oauth_clients": [
                {name: client[name] for name in ("name", "client_id", "client_secret", "redirect_url", "grant_types")}
                for client in clients
            ],
            "tables": sorted(self.store.tables),
        }

    def _fresh(self) -> None:
        self._delayed.forget()
        self.runtime.clear()
        self.store.load(self._seeded)
        self.oauth.clear()
        self._routes.sessions.clear()


# APIs of a stock instance that aren't implemented here. Any other path under /api is unknown there too.
_NOT_HERE = re.compile(
    r"/api/(now/(account|attachment|batch|cilifecyclemgmt|cmdb|connect|contact|consumer|case|csm|doc|email|globalsearch"
    r"|graphql|identifyreconcile|import|interaction|mobile|oauth|pa|push|reporting|sp|stats|table|tinyurl|ui|uxf)"
    r"|sn_chg_rest|sn_sc|sn_km_api|sn_cicd|global)(/|$)"
)


def _unacceptable() -> ResponseReturnValue | None:
    """REST APIs return JSON and XML. Files have their own type."""
    path = request.path
    return http.unacceptable() if path.startswith("/api/") and not path.endswith("/file") else None


def _unknown(problem: HTTPException) -> ResponseReturnValue:
    if problem.code == 414:
        return faults.too_long()
    path = re.sub(r"^/api/now/v\d+/", "/api/now/", request.path)
    if path.startswith("/api/") and problem.code == 404 and not _NOT_HERE.match(path):
        return http.error(400, "Requested URI does not represent any resource")
    return _refuse(f"{request.method} {request.path}")


def _unsupported(problem: Unsupported) -> ResponseReturnValue:
    return _refuse(f"{request.method} {request.path} with {problem}")


def _refuse(what: str) -> Response:
    return Response(f"The sandbox does not do this: {what}\n", 501, {"Content-Type": "text/plain;charset=UTF-8"})
