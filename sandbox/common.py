"""Shared by both doubles: a server on a real socket, a clock, the request log, faults, and the controls."""

import contextlib
import itertools
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from flask import Blueprint, Flask, Response, g, jsonify, request
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from sandbox.rounds import Rounds


class Clock:
    """The double's clock in Unix seconds. It can be moved forward."""

    def __init__(self) -> None:
        self._offset = 0.0
        self.moved: list[Callable[[], None]] = []  # called whenever the clock is set

    def now(self) -> float:
        """The current time of this double."""
        return time.time() + self._offset

    def advance(self, seconds: float) -> None:
        """Move the clock forward."""
        self._offset += seconds
        self._notify()

    @property
    def ahead(self) -> float:
        """How many seconds the clock is ahead of the machine's."""
        return self._offset

    def reset(self) -> None:
        """Set the clock back to the machine's time."""
        self._offset = 0.0
        self._notify()

    def _notify(self) -> None:
        for notify in self.moved:
            notify()


@dataclass
class Fault:
    """
    A failure for the next *times* requests whose path begins with *path* (and whose method is *method*, if given).
    """

    kind: str
    path: str
    times: int
    seconds: float | None
    method: str = ""


class Faults:
    """
    The faults that are armed.

    Args:
        kinds: Every kind of fault with its description.
    """

    def __init__(self, kinds: Mapping[str, str]) -> None:
        self.kinds = dict(kinds)
        self._armed: list[Fault] = []
        self._lock = threading.Lock()
        self.cleared = threading.Event()

    def add(self, kind: str, path: str = "", times: int = 1, seconds: float | None = None, method: str = "") -> None:
        """Arm a fault. Raises ValueError for an unknown kind."""
        if kind not in self.kinds:
            raise ValueError(kind)
        with self._lock:
            self.cleared.clear()
            self._armed.append(Fault(kind, path, times, seconds, method))

    def take(self, path: str, *kinds: str) -> Fault | None:
        """
        Use up one occurrence of the first armed fault that matches *path* and is one of *kinds* (any kind if none is
        given).
        """
        with self._lock:
            for fault in self._armed:
                fits = path.startswith(fault.path) and fault.method in {"", request.method}
                if fits and (not kinds or fault.kind in kinds):
                    fault.times -= 1
                    if fault.times <= 0:
                        self._armed.remove(fault)
                    return fault
        return None

    def __len__(self) -> int:
        with self._lock:
            return len(self._armed)

    def clear(self) -> None:
        """Disarm all faults and end the waits of slow responses."""
        with self._lock:
            self._armed.clear()
            self.cleared.set()


class RequestLog:
    """Every request since the last reset, except those to the controls."""

    def __init__(self) -> None:
        self._entries: list[dict[str, Any]] = []
        self._lock = threading.Lock()

    def add(self, entry: dict[str, Any]) -> None:
        """Append an entry."""
        with self._lock:
            self._entries.append(entry)

    def entries(self) -> list[dict[str, Any]]:
        """Return a copy, oldest first."""
        with self._lock:
            return [dict(entry) for entry in self._entries]

    def clear(self) -> None:
        """Remove all entries."""
        with self._lock:
            self._entries.clear()


class _Handler(WSGIRequestHandler):
    """Keeps connections alive, as real servers do, and numbers them."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    _numbers = itertools.count(1)

    def setup(self) -> None:
        if (context := self.server.ssl_context) is not None:
            # The handshake happens at the first read, in this connection's own thread.
            self.request = context.wrap_socket(self.request, server_side=True, do_handshake_on_connect=False)
        super().setup()
        self._number = next(self._numbers)

    def finish(self) -> None:
        """Close the sockets, even if a WebSocket has closed some of them already."""
        for part in (self.wfile, self.rfile, self.connection):
            with contextlib.suppress(OSError, ValueError):
                part.close()

    def make_environ(self) -> Any:
        return super().make_environ() | {"sandbox.connection": self._number}

    def run_wsgi(self) -> None:
        """
        Serve one request and keep the connection open.

        Werkzeug's own handler closes it, because it doesn't drain request bodies. Here `install_controls` reads the
        bodies, and responses are small and complete.
        """
        begun: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], _: Any = None) -> Callable[[bytes], None]:
            begun[:] = [status, headers]
            return lambda _data: None

        try:
            answer = self.server.app(self.make_environ(), start_response)
            try:
                body = b"".join(answer)
            finally:
                getattr(answer, "close", lambda: None)()
        except ConnectionError:  # raised when a WebSocket handler has used up the socket
            self.close_connection = True
            return
        status, headers = begun
        code, _, reason = status.partition(" ")
        self.send_response_only(int(code), reason)
        names = {name.lower() for name, _ in headers}
        for name, value in headers:
            self.send_header(name, value)
        if "content-length" not in names and code not in {"204", "304"}:
            self.send_header("Content-Length", str(len(body)))
        if "date" not in names:
            self.send_header("Date", self.date_time_string())
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    def log(self, type: str, message: str, *args: Any) -> None:
        """Log nothing: the request log has more detail."""


class SandboxServer:
    """
    Serves a Flask application on 127.0.0.1 in its own thread. Port 0 picks a free one.

    Args:
        tls: Serves HTTPS with this context.
    """

    def __init__(self, app: Flask, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self._app = app
        self._port = port
        self._tls = tls
        self._server: BaseWSGIServer | None = None
        self._thread: threading.Thread | None = None
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", port))
        self._socket.listen(512)
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self._socket.getsockname()[1]}"

    def start(self) -> Self:
        """Start serving in the background."""
        port = self._socket.getsockname()[1]
        self._server = make_server(
            "127.0.0.1", port, self._app, threaded=True, request_handler=_Handler, fd=self._socket.fileno()
        )
        self._server.ssl_context = (
            self._tls
        )  # the handler wraps connections, so a slow handshake doesn't block the others
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.005,), daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop serving and free the port."""
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join(5)
            self._server = None
        self._socket.close()


def is_control(path: str) -> bool:
    """Whether a path belongs to the double's controls, which faults and the request log ignore."""
    return path == "/_sandbox" or path.startswith("/_sandbox/")


INNER = "sandbox.inner"  # marks a part of a batch request
CARRIED_OUT_LATER = "sandbox.late"  # marks a delayed request, which was logged when it arrived


def install_controls(
    app: Flask,
    clock: Clock,
    faults: Faults,
    log: RequestLog,
    rounds: Rounds,
    reset: Callable[[], None],
    overview: Callable[[], dict[str, Any]],
) -> None:
    """Add the `/_sandbox` routes, and log every other request."""
    blueprint = Blueprint("sandbox", __name__, url_prefix="/_sandbox")

    @blueprint.get("")
    def show_overview() -> Response:
        return jsonify(overview())

    @blueprint.post("/reset")
    def do_reset() -> Response:
        faults.clear()
        clock.reset()
        reset()
        log.clear()
        rounds.end()
        return jsonify({})

    @blueprint.get("/requests")
    def requests() -> Response:
        return jsonify(log.entries())

    @blueprint.delete("/requests")
    def forget_requests() -> Response:
        log.clear()
        return jsonify({})

    @blueprint.post("/rounds")
    def begin_rounds() -> Response:
        wanted = request.get_json()
        rounds.begin(map(int, wanted["sizes"]), float(wanted.get("seconds", 5.0)))
        return jsonify({})

    @blueprint.delete("/rounds")
    def end_rounds() -> Response:
        return jsonify(rounds.end())

    @blueprint.post("/faults")
    def add_fault() -> tuple[Response, int] | Response:
        wanted = request.get_json()
        try:
            seconds = wanted.get("seconds")
            times, method = int(wanted.get("times", 1)), wanted.get("method", "")
            faults.add(wanted["kind"], wanted.get("path", ""), times, seconds, method)
        except (KeyError, ValueError):
            return jsonify({"error": f"unknown fault; there are {sorted(faults.kinds)}"}), 400
        return jsonify({})

    @blueprint.delete("/faults")
    def clear_faults() -> Response:
        faults.clear()
        return jsonify({})

    @blueprint.post("/clock")
    def advance() -> Response:
        clock.advance(float(request.get_json()["advance"]))
        return jsonify({"now": clock.now()})

    app.register_blueprint(blueprint)

    @app.before_request
    def begin() -> None:
        g.sandbox_began = time.monotonic()
        if "websocket" in request.headers.get("Upgrade", "").lower():
            return
        request.get_data()  # read in full, so that the connection can be reused
        if not (request.cookies or request.environ.get(INNER) or is_control(request.path)):
            rounds.hold(f"{request.method} {request.path}")

    @app.after_request
    def end(response: Response) -> Response:
        if not is_control(request.path) and not any(map(request.environ.get, (CARRIED_OUT_LATER, INNER))):
            log.add(
                {
                    "method": request.method,
                    "path": request.path,
                    "query": request.query_string.decode("utf-8", "replace"),
                    "status": response.status_code,
                    "began": g.sandbox_began,
                    "seconds": round(time.monotonic() - g.sandbox_began, 4),
                    "connection": request.environ.get("sandbox.connection", 0),
                    "cookies": bool(request.cookies),
                }
            )
        return response
