"""
ServiceNow's reports, answered with HTTP statuses, for a script reads them: 202 stored, 200 known, 400 with
what is wrong, 401 with the reason, 413 too large; and 5xx for everything else that goes wrong here, so
that ServiceNow sends again (design §9).
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
    """The routes for ServiceNow; each checks its proof before it reads anything else."""
    blueprint = Blueprint("reports", __name__)

    @blueprint.post("/webhooks/servicenow")
    def report() -> ResponseReturnValue:
        headers = {name: request.headers.get(name, "") for name in HEADERS}
        stored = intake.receive(headers, _body())
        return jsonify({"stored": stored}), 202 if stored else 200

    @blueprint.post(LEGACY_PATH)
    def legacy_report() -> ResponseReturnValue:
        if not legacy.receive(request.args.get("secret", ""), _body()):
            return _said("refused", 403)
        return jsonify({"stored": True}), 202

    @blueprint.errorhandler(ReportRefused)
    def refused(refusal: ReportRefused) -> ResponseReturnValue:
        return _said(refusal.reason, 401)

    @blueprint.errorhandler(InvalidInput)
    def malformed(error: InvalidInput) -> ResponseReturnValue:
        return jsonify({"error": "malformed", "fields": dict(error.fields)}), 400

    @blueprint.errorhandler(RequestEntityTooLarge)
    def too_large(_error: RequestEntityTooLarge) -> ResponseReturnValue:
        intake.rejections.refused("too_large")
        return _said("too_large", 413)

    @blueprint.errorhandler(AppError)
    def not_stored(error: AppError) -> ResponseReturnValue:
        log.error("report not stored", error=type(error).__name__, detail=error.log_message)
        return _said("not_stored", 503)

    @blueprint.errorhandler(Exception)
    def failed(error: Exception) -> ResponseReturnValue:
        log.error("unexpected", exc_info=error)
        return _said("failed", 500)

    return blueprint


def _body() -> bytes:
    """The raw bytes. Raises RequestEntityTooLarge."""
    # A body without a length in front is cut at the limit without a word: one byte more shows it.
    request.max_content_length = MOST_BYTES + 1
    body = request.get_data()
    if len(body) > MOST_BYTES:
        raise RequestEntityTooLarge
    return body


def _said(reason: str, status: int) -> ResponseReturnValue:
    return jsonify({"error": reason}), status
