"""Errors as answers: words and a reference for the person, the detail for the log. Always HTTP 200."""

from typing import Any

import structlog
from flask import Flask, jsonify
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from core.errors import AppError, InvalidInput
from mattermost.apps_framework import write_error
from web.refusals import count_refusals, log_refusal

log = structlog.get_logger(__name__)


def refuse(error: AppError) -> dict[str, Any]:
    """The framework's error answer; the same reference stands in the log beside the cause."""
    return write_error(error, log_refusal(error))


def install_error_handlers(app: Flask) -> None:
    """Answer everything that is raised; the framework would show any other status raw to the person."""
    count_refusals(app)

    @app.errorhandler(AppError)
    def _known(error: AppError) -> ResponseReturnValue:
        return jsonify(refuse(error))

    @app.errorhandler(RequestEntityTooLarge)
    def _too_large(error: RequestEntityTooLarge) -> ResponseReturnValue:
        return jsonify(refuse(InvalidInput({}, "That is more than fits: at most 1 MiB at once.")))

    @app.errorhandler(HTTPException)
    def _http(error: HTTPException) -> ResponseReturnValue:
        return error

    @app.errorhandler(Exception)
    def _unknown(error: Exception) -> ResponseReturnValue:
        log.error("unexpected", exc_info=error)
        return jsonify(refuse(AppError(f"unexpected {type(error).__name__}")))
