"""gunicorn's worker process, in which waitress serves."""

import logging
import os
import time
from typing import Any

from gunicorn.workers.base import Worker
from waitress.task import ThreadedTaskDispatcher

from web.connections import BufferingServer, ConnectionLimits
from web.turns import Turns

# Seconds that a stopping worker waits for clients: a call may be on its way on a connection that is kept
# open, and the rest of one that has begun. Both end early when the client has sent what it had.
QUIET = 0.25
BEGUN = 2.0


class BufferingWorker(Worker):  # type: ignore[misc]
    """
    Serves until gunicorn's master says otherwise (SIGTERM, also at a reload), then finishes what runs.

    ``limits`` is set on a subclass: gunicorn makes the worker.
    """

    limits: ConnectionLimits
    _server: BufferingServer | None = None

    def handle_exit(self, sig: int, frame: Any) -> None:
        """gunicorn's hook for SIGTERM: end the wait for clients as well."""
        super().handle_exit(sig, frame)
        if self._server is not None:
            self._server.pull_trigger()

    def run(self) -> None:
        """gunicorn's hook: the worker's life, after the application is loaded."""
        # One line for every call that waits for a thread: under load, too many.
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)
        dispatcher = ThreadedTaskDispatcher()
        dispatcher.set_thread_count(self.cfg.threads)
        turns = Turns()
        server = BufferingServer(self.sockets[0].sock, self.wsgi, dispatcher, self.limits, turns)
        self._server = server
        while self.alive and self.ppid == os.getppid():
            self.notify()
            self._turn(server, 1.0)
        self._finish(server)
        dispatcher.shutdown(cancel_pending=True, timeout=1)
        turns.close()

    def _finish(self, server: BufferingServer) -> None:
        server.drain()
        began = time.monotonic()
        while server.connections and (spent := time.monotonic() - began) < self.cfg.graceful_timeout:
            self.notify()
            for connection in server.connections:
                if connection.waiting and spent > (BEGUN if connection.unfinished else QUIET):
                    connection.give_up()
            self._turn(server, 0.05)

    @staticmethod
    def _turn(server: BufferingServer, seconds: float) -> None:
        server.turns.changed(server)  # it looks at the clock, and whether it accepts more
        server.turns.turn(seconds)
