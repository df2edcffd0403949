"""The Mattermost double."""

import re
import ssl
from pathlib import Path

from flask import Flask, Response, g, jsonify, request, send_from_directory
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from sandbox.common import Fault, is_control
from sandbox.double import Double
from sandbox.mattermost.api.access_tokens import tokens_blueprint
from sandbox.mattermost.api.channels import channels_blueprint
from sandbox.mattermost.api.dialogs import Dialogs
from sandbox.mattermost.api.files import files_blueprint
from sandbox.mattermost.api.plugins import APPS, RUNNING, plugins_blueprint
from sandbox.mattermost.api.post_actions import PostActions
from sandbox.mattermost.api.post_queries import PostQueries
from sandbox.mattermost.api.posts import Posts
from sandbox.mattermost.api.system import system_blueprint
from sandbox.mattermost.api.teams import teams_blueprint
from sandbox.mattermost.api.unread import unread_blueprint
from sandbox.mattermost.api.users import users_blueprint
from sandbox.mattermost.apps.builtin import Builtin
from sandbox.mattermost.apps.expand import Expander
from sandbox.mattermost.apps.install import Installer
from sandbox.mattermost.apps.protocol.registry import PLUGIN, Registry
from sandbox.mattermost.apps.remote import RemoteRoutes
from sandbox.mattermost.apps.routes import AppsRoutes
from sandbox.mattermost.seed_file import load
from sandbox.mattermost.server.ephemeral import EphemeralPosts
from sandbox.mattermost.server.hub import Hub
from sandbox.mattermost.server.rest import ApiError, answer_error, not_found
from sandbox.mattermost.server.state import PASSWORD, Json, State, new_id, seed
from sandbox.mattermost.server.trigger_ids import TriggerIds
from sandbox.mattermost.server.unread import Unread

_PAGE = Path(__file__).parent / "page"
_LONGEST_URL = 2048
KINDS = {
    "down": "502 with a proxy's HTML page",
    "proxy_404": "404 in plain text, as a proxy without a server behind it answers",
    "429": "429 with `Retry-After` (`seconds`, 1 by default) and `X-Ratelimit-…` headers",
    "500": "500 with Mattermost's error envelope; nothing is done",
    "500_after_commit": "the same 500, after everything was done",
    "slow": "an answer after `seconds` (30 by default) or when faults are cleared; a new post waits while it is made",
}
_INTERNAL = ApiError(500, "api.sandbox.internal.app_error", "An internal error occurred.")
_PLUGIN_LATER = tuple(f"{PLUGIN}/api/v1/{name}" for name in ("subscribe", "unsubscribe", "timer", "marketplace"))
_LATER = (
    "/api/v4/actions/dialogs/execute",
    "/api/v4/commands",
    "/api/v4/files",
    "/api/v4/bots",
    "/api/v4/config",
    "/api/v4/plugins",
    "/api/v4/reactions",
    "/api/v4/hooks",
    "/api/v4/system",
)
_THREADS_LATER = re.compile(r"/api/v4/(?:users/[^/]+/(?:teams/[^/]+/threads|posts/[^/]+/set_unread)|posts/[^/]+/ack)")


class MattermostDouble(Double):
    """
    A Mattermost server with the Apps plugin on a real socket, with its state in memory.

    Args:
        port: 0 picks a free one.
        more: Additional users, channels and posts (`seed_file`). Raises BadSeed.
        tls: Serves HTTPS with this context.
    """

    def __init__(self, port: int = 0, more: Json | None = None, tls: ssl.SSLContext | None = None) -> None:
        app = Flask(__name__, static_folder=None)
        super().__init__(app, port, KINDS, tls)
        self._more = more or {}
        self.state = State(self._clock)
        self.registry = Registry(self.state)
        self.hub = Hub(self.state)
        self.trigger_ids = TriggerIds(self.state)
        self.ready = False
        app.before_request(_too_long)
        app.before_request(self._faulty)
        app.after_request(self._unanswered)
        app.after_request(self._versioned)
        self._routes(app)
        self._fresh()

    def _routes(self, app: Flask) -> None:
        expander = Expander(self.state, self.registry, lambda: self.url)
        site = lambda: self.url  # noqa: E731
        installer = Installer(self.state, self.registry, expander, lambda user: apps.refresh(user), site)
        builtin = Builtin(self.state, self.registry, installer)
        apps = AppsRoutes(self.state, self.hub, self.registry, expander, installer, builtin, site)
        ephemeral = EphemeralPosts(self.state, self.hub)
        unread = Unread(self.state, self.hub)
        posts = self._posts = Posts(self.state, self.hub, ephemeral, unread, self._pause)
        app.register_blueprint(users_blueprint(self.state, self.hub))
        app.register_blueprint(teams_blueprint(self.state, self.hub))
        app.register_blueprint(channels_blueprint(self.state, self.hub))
        app.register_blueprint(system_blueprint(self.state, self.trigger_ids))
        app.register_blueprint(tokens_blueprint(self.state))
        app.register_blueprint(plugins_blueprint(self.state))
        app.register_blueprint(files_blueprint(self.state))
        app.register_blueprint(posts.blueprint())
        app.register_blueprint(PostQueries(self.state).blueprint())
        app.register_blueprint(unread_blueprint(self.state, self.hub, unread))
        app.register_blueprint(PostActions(self.state, posts, ephemeral, self.trigger_ids).blueprint())
        app.register_blueprint(Dialogs(self.state, self.hub, self.trigger_ids).blueprint())
        app.register_blueprint(apps.blueprint())
        app.register_blueprint(installer.blueprint())
        app.register_blueprint(RemoteRoutes(self.state, self.registry, expander).blueprint())
        self.hub.install(app)
        app.add_url_rule("/_sandbox/ready", "ready", self._ready, methods=["GET", "POST"])
        app.add_url_rule("/static/<path:name>", "asset", lambda name: send_from_directory(_PAGE, name))
        for index, rule in enumerate(
            ("/", "/login", "/<team>/channels/<name>", "/<team>/messages/<name>", "/<team>/pl/<post_id>")
        ):
            app.add_url_rule(rule, f"page{index}", lambda **_: send_from_directory(_PAGE, "index.html"))
        app.register_error_handler(ApiError, answer_error)
        app.register_error_handler(HTTPException, _unknown)

    def stop(self) -> None:
        """Close all WebSockets and stop."""
        self.hub.close()
        super().stop()

    def posts_in(self, channel_name: str) -> list[Json]:
        """The posts of a channel, oldest first."""
        ids = {c["id"] for c in self.state.channels.values() if c["name"] == channel_name}
        return [dict(post) for post in list(self.state.posts.values()) if post["channel_id"] in ids]

    def direct_posts(self, username: str) -> list[Json]:
        """The posts of bots in a user's direct channels, oldest first."""
        user = self.state.by_username(username) or {"id": "?"}
        mine = {c["id"] for c in self.state.channels.values() if c["type"] == "D" and user["id"] in c["name"]}
        return [
            dict(p) for p in list(self.state.posts.values()) if p["channel_id"] in mine and p["user_id"] != user["id"]
        ]

    def _fresh(self) -> None:
        self.ready = False
        self.registry.clear()
        self.state.clear()
        self.state.plugins[APPS] = RUNNING
        seed(self.state)
        with self._app.app_context():  # creating posts needs a request's session
            load(self.state, self._posts, self._more)

    def _about(self) -> Json:
        people = [user for user in self.state.users.values() if not user.get("is_bot")]
        return {
            "version": self.state.version,
            "password": PASSWORD,
            "accounts": [{"username": user["username"], "roles": user["roles"].split()} for user in people],
            "teams": [team["name"] for team in self.state.teams.values()],
            "channels": [
                {"name": channel["name"], "type": channel["type"], "archived": bool(channel["delete_at"])}
                for channel in self.state.channels.values()
            ],
        }

    def _ready(self) -> ResponseReturnValue:
        if request.method == "POST":
            self.ready = True
        return jsonify({"ready": self.ready}), 200 if self.ready else 503

    def _faulty(self) -> ResponseReturnValue | None:
        if is_control(request.path):
            return None
        fault = self._faults.take(request.path)
        g.fault = fault
        if fault is None or fault.kind == "500_after_commit":
            return None
        if fault.kind == "slow":
            if (
                request.endpoint != "posts.create"
            ):  # this route waits later, while the post is being created, where other requests can find it
                self._pause()
            return None
        if fault.kind == "down":
            return Response("<html><body>502 Bad Gateway</body></html>", 502, {"Content-Type": "text/html"})
        if fault.kind == "proxy_404":  # as a proxy without a backend answers
            return Response("404 page not found\n", 404, {"Content-Type": "text/plain"})
        if fault.kind == "429":
            seconds = str(int(fault.seconds or 1))
            headers = {"X-Ratelimit-Limit": "101", "X-Ratelimit-Remaining": "0", "X-Ratelimit-Reset": seconds}
            return Response("limit exceeded\n", 429, headers | {"Retry-After": seconds})
        return answer_error(_INTERNAL)

    def _pause(self) -> None:
        """Wait as long as the request's fault says, or until faults are cleared."""
        fault: Fault | None = g.get("fault")
        if fault is not None and fault.kind == "slow":
            self._faults.cleared.wait(30.0 if fault.seconds is None else fault.seconds)

    def _unanswered(self, response: Response) -> Response:
        """Replace the response with a 500 after the request was carried out."""
        fault: Fault | None = g.get("fault")
        if fault is None or fault.kind != "500_after_commit":
            return response
        lost, _ = answer_error(_INTERNAL)
        lost.status_code = 500
        return lost

    def _versioned(self, response: Response) -> Response:
        if request.path.startswith("/api/v4/"):
            response.headers["X-Request-Id"] = new_id()
            response.headers["X-Version-Id"] = f"{self.state.version}.sandbox"
        return response


def _too_long() -> ResponseReturnValue | None:
    """Reject URLs longer than 2048 characters before anything else (recorded)."""
    if request.path.startswith("/api/") and len(request.full_path) > _LONGEST_URL:
        return Response("basicSecurityChecks: URL is too long\n", 414)
    return None


def _unknown(problem: HTTPException) -> ResponseReturnValue:
    if request.path.startswith((*_LATER, *_PLUGIN_LATER)) or _THREADS_LATER.match(request.path):
        text = f"The sandbox does not do this yet: {request.method} {request.path}"
        return answer_error(ApiError(501, "api.sandbox.missing.app_error", text))
    if request.path.startswith("/api/"):
        return answer_error(not_found(), request_id=False)
    if request.path.startswith("/plugins/") and problem.code in {404, 405}:
        return Response("404 page not found\n" if problem.code == 404 else "", problem.code or 404)
    return problem
