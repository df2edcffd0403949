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


class Works(Protocol):
    """A thread behind the answers."""

    def settle(self) -> None:
        """Return once what is to be done now is done."""
        ...

    def close(self) -> None:
        """Finish what is under way and end."""
        ...


@dataclass(frozen=True)
class Service:
    """
    The WSGI application; how to wait for its errands; how to end it and give the storage back.

    ``services`` is what its handlers use, for whoever runs it inside another process.
    """

    app: Flask
    services: Services
    settle: Callable[[], None]
    close: Callable[[], None]

    @classmethod
    def of(cls, app: Flask, services: Services, workers: Sequence[Works], release: Callable[[], None]) -> "Service":
        """*app* with what works behind it; workers end before the storage is given back."""

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
        checks: What `/readyz` asks, by name of the part.
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
