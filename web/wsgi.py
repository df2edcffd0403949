"""The Flask application around a `Door`: limits, errors, logs and the blueprints."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from flask import Blueprint, Flask

from handlers.context import Services
from web.answers import install_error_handlers
from web.apps import apps_blueprint
from web.calls import Door, calls_blueprint
from web.health import Check, health_blueprint
from web.logs import log_requests
from web.refusals import write_counts

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


def web_app(door: Door, app_url: str, checks: Mapping[str, Check], *others: Blueprint) -> Flask:
    """
    Args:
        others: Doors beside those of the Apps framework, each with proofs of its own.
        app_url: Where Mattermost reaches us, for the manifest.
        checks: What `/readyz` asks, by name of the part.
    """
    app = Flask(__name__, static_folder=str(Path(__file__).parent.parent / "static"))
    app.config["MAX_CONTENT_LENGTH"] = MOST_BODY
    log_requests(app)
    install_error_handlers(app)
    app.register_blueprint(health_blueprint(checks))
    app.register_blueprint(apps_blueprint(door, app_url))
    for other in others:
        app.register_blueprint(other)
    app.register_blueprint(calls_blueprint(door))
    return app
