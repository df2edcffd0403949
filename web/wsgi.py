"""The Flask application: limits, errors, logs, and the blueprints."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from flask import Blueprint, Flask

from handlers.context import Services
from mattermost.apps_framework import write_error
from web.errors import answer_errors, count_refusals, write_counts
from web.health import Check, health_blueprint
from web.logs import log_requests

MOST_BODY = 1024 * 1024  # bytes of a request


class BackgroundWorker(Protocol):
    """A thread of the service."""

    def settle(self) -> None:
        """Return when the work that is due is done."""
        ...

    def close(self) -> None:
        """Finish the current work and stop."""
        ...


@dataclass(frozen=True)
class Service:
    """
    The WSGI application and its background work.

    Attributes:
        services: What its handlers use, for a process that runs it together with something else.
        settle: Waits until the background work that is due is done.
        close: Stops everything and releases the storage.
    """

    app: Flask
    services: Services
    settle: Callable[[], None]
    close: Callable[[], None]

    @classmethod
    def of(
        cls, app: Flask, services: Services, workers: Sequence[BackgroundWorker], release: Callable[[], None]
    ) -> "Service":
        """*app* with its *workers*, which are closed before *release* releases the storage."""

        def settle() -> None:
            for worker in workers:
                worker.settle()

        def close() -> None:
            for worker in reversed(workers):
                worker.close()
            write_counts()
            release()

        return cls(app, services, settle, close)


def web_app(checks: Mapping[str, Check], *blueprints: Blueprint) -> Flask:
    """
    Args:
        checks: For `/readyz`, by name of the part.
        blueprints: The hosts and other routes. Each verifies its requests.
    """
    app = Flask(__name__, static_folder=str(Path(__file__).parent.parent / "static"))
    app.config["MAX_CONTENT_LENGTH"] = MOST_BODY
    log_requests(app)
    count_refusals(app)
    answer_errors(app, write_error)
    for blueprint in (health_blueprint(checks), *blueprints):
        app.register_blueprint(blueprint)
    return app
