"""The server process: gunicorn manages one worker process, in which waitress serves. A reload loses no request."""

import gc
import logging
import resource
from collections.abc import Callable
from typing import Any

import structlog
from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger

from web.connections import ConnectionLimits
from web.worker import BufferingWorker

# File descriptors for everything but clients: files, the log, requests to Mattermost and ServiceNow.
_OTHER_DESCRIPTORS = 400

log = structlog.get_logger(__name__)


class GunicornServer(BaseApplication):  # type: ignore[misc]
    """
    gunicorn, configured from Python. It keeps the socket, starts the worker, and forwards signals.

    The application is created in the worker, after the fork, because the storage's lock belongs to the process
    that uses it. On a reload (SIGHUP), the new worker waits for that lock until the old one has finished its
    calls, and clients wait in the socket's queue.

    Args:
        build: Creates the application, and a function that closes it.
        request_timeout: Seconds for a client to send a complete request, and to read its answer.
        connections_per_peer: Maximum number of open connections per address.
    """

    def __init__(
        self,
        build: Callable[[], tuple[Flask, Callable[[], None]]],
        *,
        listen: str,
        threads: int,
        graceful_timeout: int,
        request_timeout: float = 15.0,
        connections_per_peer: int = 2000,
    ) -> None:
        self._build = build
        self._end: Callable[[], None] = lambda: None
        self._options = {
            "bind": listen,
            "workers": 1,
            "threads": threads,
            "worker_class": _worker(request_timeout, connections_per_peer),
            "graceful_timeout": graceful_timeout,
            # A new worker may wait for the lock during the whole graceful timeout before it answers.
            "timeout": graceful_timeout + 60,
            "accesslog": None,
            "logger_class": _Logger,
            "loglevel": "warning",
            # All gunicorn services of a user would share one control socket.
            "control_socket_disable": True,
            "worker_exit": self._worker_exit,
            "on_exit": self._on_exit,
        }
        super().__init__()

    def load_config(self) -> None:
        """Called by gunicorn: use our options instead of a file or a command line."""
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """Called by gunicorn in the worker."""
        app, self._end = self._build()
        log.info("serving", listen=self._options["bind"], threads=self._options["threads"])
        return app

    def _worker_exit(self, _server: Any, _worker: Any) -> None:
        self._end()
        _exit_fast()

    def _on_exit(self, _server: Any) -> None:
        _exit_fast()


def _exit_fast() -> None:
    """Keep the interpreter from collecting garbage on exit, which takes longer than everything else does together."""
    gc.freeze()


class _Logger(Logger):  # type: ignore[misc]
    """Writes gunicorn's log lines to the same place and in the same format as all others."""

    def setup(self, cfg: Any) -> None:
        """Called by gunicorn: add no handlers."""
        self.cfg = cfg
        self.error_log.setLevel(logging.WARNING)
        self.error_log.propagate = True


def _worker(request_timeout: float, per_peer: int) -> type[BufferingWorker]:
    # A connection takes two: its socket, and a file for what doesn't fit in memory of a body or an answer.
    total = (_descriptors(2 * max(4000, 2 * per_peer) + _OTHER_DESCRIPTORS) - _OTHER_DESCRIPTORS) // 2
    limits = ConnectionLimits(request_timeout=request_timeout, per_peer=per_peer, total=max(total, 100))
    return type("Worker", (BufferingWorker,), {"limits": limits})


def _descriptors(wanted: int) -> int:
    """Raise the soft limit of open files toward *wanted*, as far as the hard limit allows, and return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return wanted if soft == resource.RLIM_INFINITY else min(soft, wanted)
