"""Logs: one line an event, as JSON or for a console, with the request's id; never a token or record text."""

import logging
import secrets
import sys
import time

import structlog
from flask import Flask, Response, g, request

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

log = structlog.get_logger(__name__)


def configure_logs(level: str, form: str) -> None:
    """Set structlog up for the process. ``form``: ``json`` or ``console``; lines go to standard error."""
    renderer: structlog.typing.Processor
    renderer = structlog.processors.JSONRenderer() if form == "json" else structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


def log_requests(app: Flask) -> None:
    """Bind an id to each request and log what became of it: method, route, status, milliseconds."""

    @app.before_request
    def _begin() -> None:
        g.began = time.monotonic()
        structlog.contextvars.bind_contextvars(request_id=secrets.token_hex(8))

    if not structlog.get_logger().is_enabled_for(logging.DEBUG):
        return

    @app.after_request
    def _end(response: Response) -> Response:
        milliseconds = round((time.monotonic() - g.began) * 1000, 1)
        # The rule, not the path: a path may hold what somebody typed.
        rule = request.url_rule.rule if request.url_rule else "(none)"
        log.debug("answered", method=request.method, rule=rule, status=response.status_code, ms=milliseconds)
        return response
