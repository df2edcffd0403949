"""Logs: one line per event, as JSON or for a console, with the request's id. They contain no token or record text."""

import logging
import random
import re
import secrets
import sys
import threading
import time
from typing import Any

import structlog
from flask import Flask, Response, g, request

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_QUERY = re.compile(r"\?[^\s\"'>)]+")

log = structlog.get_logger(__name__)


class _Loggers:
    """Creates the standard library's loggers for our modules, at the configured level."""

    def __init__(self, level: int) -> None:
        self._level = level

    def __call__(self, name: str = "service", *_: Any) -> logging.Logger:
        logger = logging.getLogger(name)
        if logger.level != self._level:
            logger.setLevel(self._level)
        return logger


def _without_queries(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Remove query strings from libraries' log lines, because they can contain what somebody typed."""
    event["event"] = _QUERY.sub("?…", str(event["event"]))
    return event


def configure_logs(level: str, form: str) -> None:
    """
    Set up the logs of the process, on standard error. Libraries log in the same format, only warnings and errors,
    because at lower levels they log what they send.

    Args:
        form: ``json`` or ``console``.
    """
    ours: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    # The console's renderer formats tracebacks itself.
    render: list[structlog.typing.Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if form == "json"
        else [structlog.dev.ConsoleRenderer()]
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*ours, _without_queries],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    handler.set_name("ours")
    root = logging.getLogger()
    for former in [former for former in root.handlers if former.get_name() == "ours"]:
        root.removeHandler(former)
    root.addHandler(handler)
    root.setLevel(max(_LEVELS[level], logging.WARNING))
    structlog.configure(
        processors=[*ours, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=_Loggers(_LEVELS[level]),
        cache_logger_on_first_use=False,
    )


def log_everything() -> None:
    """Also log Python's warnings and uncaught exceptions. Only for a process that runs nothing else."""
    logging.captureWarnings(True)
    sys.excepthook = lambda kind, error, trace: log.critical("ended", exc_info=(kind, error, trace))

    def ended(arguments: threading.ExceptHookArgs) -> None:
        name = arguments.thread.name if arguments.thread else ""
        log.error("thread ended", thread=name, exc_info=arguments.exc_value)

    threading.excepthook = ended


def log_requests(app: Flask) -> None:
    """Bind an id to each request, and log its method, route, status, and milliseconds."""

    # Ids only tell requests apart. A system call for each one would let other threads run in the middle of a request.
    numbers = random.Random(secrets.randbits(128))

    @app.before_request
    def _begin() -> None:
        g.began = time.monotonic()
        structlog.contextvars.bind_contextvars(request_id=f"{numbers.getrandbits(64):016x}")

    if not structlog.get_logger().is_enabled_for(logging.DEBUG):
        return

    @app.after_request
    def _end(response: Response) -> Response:
        milliseconds = round((time.monotonic() - g.began) * 1000, 1)
        # The rule, not the path, because a path can contain what somebody typed.
        rule = request.url_rule.rule if request.url_rule else "(none)"
        log.debug("answered", method=request.method, rule=rule, status=response.status_code, ms=milliseconds)
        return response
