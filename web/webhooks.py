"""
ServiceNow's reports (design §9). A script reads the answers, so they are HTTP statuses: 202 stored, 200 already known,
400 with the errors, 401 with the reason, 413 too large, and 5xx for all other failures, so that ServiceNow retries.
"""

import structlog
from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import RequestEntityTooLarge

from core.errors import AppError, InvalidInput
from core.notices import MOST_BYTES
from notifications.legacy_webhook import PATH as LEGACY_PATH
from notifications.legacy_webhook import LegacyWebhook
from notifications.webhook import HEADERS, Intake, ReportRefused

log = structlog.get_logger(__name__)


def reports_blueprint(intake: Intake, legacy: LegacyWebhook) -> Blueprint:
    """The routes for ServiceNow. Each verifies the request before it reads the body."""
    blueprint = Blueprint("reports", __name__)

    @blueprint.post("/webhooks/servicenow")
    def report() -> ResponseReturnValue:
        headers = {name: request.headers.get(name, "") for name in HEADERS}
        stored = intake.receive(headers, _body())
        return jsonify({"stored": stored}), 202 if stored else 200

    @blueprint.post(LEGACY_PATH)
    def legacy_report() -> ResponseReturnValue:
        if not legacy.receive(request.args.get("secret", ""), _body()):
            return _error_answer("refused", 403)
        return jsonify({"stored": True}), 202

    @blueprint.errorhandler(ReportRefused)
    def refused(refusal: ReportRefused) -> ResponseReturnValue:
        return _error_answer(refusal.reason, 401)

    @blueprint.errorhandler(InvalidInput)
    def malformed(error: InvalidInput) -> ResponseReturnValue:
        return jsonify({"error": "malformed", "fields": dict(error.fields)}), 400

    @blueprint.errorhandler(RequestEntityTooLarge)
    def too_large(_error: RequestEntityTooLarge) -> ResponseReturnValue:
        intake.rejections.refused("too_large")
        return _error_answer("too_large", 413)

    @blueprint.errorhandler(AppError)
    def not_stored(error: AppError) -> ResponseReturnValue:
        log.error("report not stored", error=type(error).__name__, detail=error.log_message)
        return _error_answer("not_stored", 503)

    @blueprint.errorhandler(Exception)
    def failed(error: Exception) -> ResponseReturnValue:
        log.error("unexpected", exc_info=error)
        return _error_answer("failed", 500)

    return blueprint


def _body() -> bytes:
    """The raw bytes. Raises RequestEntityTooLarge."""
    # Werkzeug cuts a body without Content-Length at the limit silently. One more byte shows that it was longer.
    request.max_content_length = MOST_BYTES + 1
    body = request.get_data()
    if len(body) > MOST_BYTES:
        raise RequestEntityTooLarge
    return body


def _error_answer(reason: str, status: int) -> ResponseReturnValue:
    return jsonify({"error": reason}), status
