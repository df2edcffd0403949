"""gunicorn's worker process, in which waitress serves."""

import logging
import os
import time
from typing import Any

from gunicorn.workers.base import Worker
from waitress.task import ThreadedTaskDispatcher

from web.connections import BufferingServer, ConnectionLimits
from web.event_loop import EventLoop

# Seconds that a stopping worker waits for clients: on idle connections, where a request may be on its way, and
# for the rest of a request that has been received in part.
IDLE_GRACE = 0.25
PARTIAL_GRACE = 2.0


class BufferingWorker(Worker):  # type: ignore[misc]
    """
    Serves until gunicorn's master stops it (SIGTERM, also on reload), then finishes running requests.

    ``limits`` is set on a subclass, because gunicorn creates the worker.
    """

    limits: ConnectionLimits
    _server: BufferingServer | None = None

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Called by gunicorn on SIGTERM: also wake up the event loop."""
        super().handle_exit(sig, frame)
        if self._server is not None:
            self._server.pull_trigger()

    def run(self) -> None:
        """Called by gunicorn after it has loaded the application: serve until stopped."""
        # It logs a line for every request that waits for a thread, which is too much under load.
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)
        dispatcher = ThreadedTaskDispatcher()
        dispatcher.set_thread_count(self.cfg.threads)
        event_loop = EventLoop()
        server = BufferingServer(self.sockets[0].sock, self.wsgi, dispatcher, self.limits, event_loop)
        self._server = server
        while self.alive and self.ppid == os.getppid():
            self.notify()
            self._run_once(server, 1.0)
        self._finish(server)
        dispatcher.shutdown(cancel_pending=True, timeout=1)
        event_loop.close()

    def _finish(self, server: BufferingServer) -> None:
        server.drain()
        began = time.monotonic()
        while server.connections and (spent := time.monotonic() - began) < self.cfg.graceful_timeout:
            self.notify()
            for connection in server.connections:
                if connection.waiting and spent > (PARTIAL_GRACE if connection.unfinished else IDLE_GRACE):
                    connection.abort()
            self._run_once(server, 0.05)

    @staticmethod
    def _run_once(server: BufferingServer, timeout: float) -> None:
        server.event_loop.changed(server)  # so that it runs maintenance, and stops listening once it drains
        server.event_loop.run_once(timeout)
