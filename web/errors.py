"""Errors as answers, always HTTP 200: a sentence and a reference for the person, the cause for the log."""

import secrets
from collections.abc import Callable
from typing import Any

import structlog
from flask import Blueprint, Flask, g, jsonify
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from core.errors import AppError, InvalidInput
from web.tally import Tally

log = structlog.get_logger(__name__)

# An administrator who tries out a wrong secret finds every attempt.
_unproved = Tally(log, "refused unproved calls", full=10)

WriteError = Callable[[AppError, str], dict[str, Any]]


def answer_errors(scaffold: Flask | Blueprint, write: WriteError) -> None:
    """
    Answer every exception. A client shows any other status raw, or nothing at all.

    Args:
        write: Writes a host's answer for an error and the reference under which the log has its cause.
    """

    @scaffold.errorhandler(AppError)
    def _known(error: AppError) -> ResponseReturnValue:
        return jsonify(write(error, log_refusal(error)))

    @scaffold.errorhandler(RequestEntityTooLarge)
    def _too_large(_error: RequestEntityTooLarge) -> ResponseReturnValue:
        return _known(InvalidInput({}, "That is more than fits: at most 1 MiB at once."))

    @scaffold.errorhandler(HTTPException)
    def _http(error: HTTPException) -> ResponseReturnValue:
        return error

    @scaffold.errorhandler(Exception)
    def _unexpected(error: Exception) -> ResponseReturnValue:
        log.error("unexpected", exc_info=error)
        return _known(AppError(f"unexpected {type(error).__name__}"))


def proved() -> None:
    """Remember that it is proved who sent this request, so nobody else can flood the log with it."""
    g.proved = True


def log_refusal(error: AppError) -> str:
    """Log the cause and return its reference. Requests that prove nothing are counted once there are many."""
    reference = secrets.token_hex(4)
    kind = type(error).__name__
    if not g.get("proved", False):
        _unproved.count(kind, reference=reference, detail=error.log_message)
        return reference
    level = "info" if isinstance(error, InvalidInput) else "warning"
    getattr(log, level)("refused", reference=reference, error=kind, detail=error.log_message, retryable=error.retryable)
    return reference


def count_refusals(app: Flask) -> None:
    """Log the counts with the next request after their minute is over."""
    app.before_request(_unproved.flush)


def write_counts() -> None:
    """Log the counts before the process ends."""
    _unproved.flush(everything=True)
