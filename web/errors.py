"""Answers for errors, always HTTP 200: a sentence and a reference for the person, the cause for the log."""

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

# The first ten per minute are logged in full, so that an administrator who tries a wrong secret finds each attempt.
_unverified = Tally(log, "refused unverified calls", full=10)

WriteError = Callable[[AppError, str], dict[str, Any]]


def answer_errors(scaffold: Flask | Blueprint, write: WriteError) -> None:
    """
    Answer every exception with HTTP 200. For any other status, clients show the raw body or nothing.

    Args:
        write: Writes a host's answer for an error and its reference in the log.
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


def mark_verified() -> None:
    """Note that this request's sender is verified, so its errors are logged without a limit."""
    g.verified = True


def log_refusal(error: AppError) -> str:
    """Log the cause and return its reference. Of many unverified requests, only the number is logged."""
    reference = secrets.token_hex(4)
    kind = type(error).__name__
    if not g.get("verified", False):
        _unverified.count(kind, reference=reference, detail=error.log_message)
        return reference
    level = "info" if isinstance(error, InvalidInput) else "warning"
    getattr(log, level)("refused", reference=reference, error=kind, detail=error.log_message, retryable=error.retryable)
    return reference


def count_refusals(app: Flask) -> None:
    """Before each request, log the counts of the last minute."""
    app.before_request(_unverified.flush)


def write_counts() -> None:
    """Log the counts before the process ends."""
    _unverified.flush(everything=True)
