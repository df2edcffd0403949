"""The process that serves: gunicorn with one worker of threads, started anew without a lost call."""

from collections.abc import Callable
from typing import Any

import structlog
from flask import Flask
from gunicorn.app.base import BaseApplication

log = structlog.get_logger(__name__)


class Server(BaseApplication):  # type: ignore[misc]
    """
    gunicorn, wired from Python.

    The application is made in the worker, after the fork: the storage's lock belongs to the process
    that uses it. At a reload (SIGHUP) the new worker waits for that lock until the old one has
    finished its calls, and callers wait in the socket's queue.

    Args:
        build: Makes the application; its second value ends it (closes storage, finishes errands).
    """

    def __init__(
        self,
        build: Callable[[], tuple[Flask, Callable[[], None]]],
        *,
        listen: str,
        threads: int,
        graceful_timeout: int,
    ) -> None:
        self._build = build
        self._end: Callable[[], None] = lambda: None
        self._options = {
            "bind": listen,
            "workers": 1,
            "threads": threads,
            "worker_class": "gthread",
            "graceful_timeout": graceful_timeout,
            # A new worker may wait a whole graceful time-out for the lock before it answers at all.
            "timeout": graceful_timeout + 60,
            "keepalive": 75,
            "accesslog": None,
            "loglevel": "warning",
            "worker_exit": self._worker_exit,
        }
        super().__init__()

    def load_config(self) -> None:
        """gunicorn's hook: our options instead of a file or a command line."""
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """gunicorn's hook, called in the worker."""
        app, self._end = self._build()
        log.info("serving", listen=self._options["bind"], threads=self._options["threads"])
        return app

    def _worker_exit(self, _server: Any, _worker: Any) -> None:
        self._end()
