"""Refused requests in the log: each with a reference where it is proved who asked, and the others counted."""

import secrets

import structlog
from flask import Flask, g

from core.errors import AppError, InvalidInput
from web.tally import Tally

log = structlog.get_logger(__name__)

# An administrator who tries out a wrong secret finds every attempt.
_unproved = Tally(log, "refused unproved calls", full=10)


def proved() -> None:
    """Who asks is proved: nobody else can make this request's lines."""
    g.proved = True


def log_refusal(error: AppError) -> str:
    """The reference that the person is shown, beside the cause; of a flood of unproved requests only the count."""
    reference = secrets.token_hex(4)
    kind = type(error).__name__
    if not g.get("proved", False):
        _unproved.count(kind, reference=reference, detail=error.log_message)
        return reference
    level = "info" if isinstance(error, InvalidInput) else "warning"
    getattr(log, level)("refused", reference=reference, error=kind, detail=error.log_message, retryable=error.retryable)
    return reference


def count_refusals(app: Flask) -> None:
    """Have counts written a minute later, by whatever request comes then."""
    app.before_request(_unproved.flush)


def write_counts() -> None:
    """Before the process ends."""
    _unproved.flush(everything=True)
