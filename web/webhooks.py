"""
What comes without a person: ServiceNow's reports, and our own wake-up through the Apps framework.

Reports answer with HTTP statuses, for a script reads them: 202 stored, 200 known, 400 with what is wrong,
401 with the reason, 413 too large, 503 where it could not be stored (design §9).
"""

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import RequestEntityTooLarge

from core.errors import InvalidInput, StorageFailed, UnknownRequest
from core.notices import MOST_BYTES
from mattermost.bot_tokens import WAKE_UP
from notifications.intake import Intake
from notifications.old_dialect import PATH as OLD_PATH
from notifications.old_dialect import OldReports
from notifications.signatures import HEADERS, ReportRefused
from web.verify import Verifier


def webhooks_blueprint(intake: Intake, old: OldReports, verifier: Verifier) -> Blueprint:
    """The routes; each checks its proof before it reads anything else."""
    blueprint = Blueprint("webhooks", __name__)

    @blueprint.post("/webhooks/servicenow")
    def report() -> ResponseReturnValue:
        try:
            stored = intake.receive({name: request.headers.get(name, "") for name in HEADERS}, _body(intake))
        except RequestEntityTooLarge:
            return _said("too_large", 413)
        except ReportRefused as refusal:
            return _said(refusal.reason, 401)
        except InvalidInput as error:
            return jsonify({"error": "malformed", "fields": dict(error.fields)}), 400
        except StorageFailed:
            return _said("not_stored", 503)
        return jsonify({"stored": stored}), 202 if stored else 200

    @blueprint.post(OLD_PATH)
    def old_report() -> ResponseReturnValue:
        try:
            let_in = old.receive(request.args.get("secret", ""), _body(intake))
        except RequestEntityTooLarge:
            return _said("too_large", 413)
        except InvalidInput as error:
            return jsonify({"error": "malformed", "fields": dict(error.fields)}), 400
        except StorageFailed:
            return _said("not_stored", 503)
        return (jsonify({"stored": True}), 202) if let_in else _said("refused", 403)

    @blueprint.post("/webhook/<segment>")
    def wake_up(segment: str) -> ResponseReturnValue:
        verifier.wake_up(request)
        if segment != WAKE_UP:
            raise UnknownRequest("another webhook than the wake-up")
        return jsonify({"type": "ok"})

    return blueprint


def _body(intake: Intake) -> bytes:
    """The raw bytes. Raises RequestEntityTooLarge, counted."""
    # A body without a length in front is cut at the limit without a word: one byte more shows it.
    request.max_content_length = MOST_BYTES + 1
    try:
        body = request.get_data()
        if len(body) > MOST_BYTES:
            raise RequestEntityTooLarge
    except RequestEntityTooLarge:
        intake.refusals.refused("too_large")
        raise
    return body


def _said(reason: str, status: int) -> ResponseReturnValue:
    return jsonify({"error": reason}), status
