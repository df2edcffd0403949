"""The download of the update set, for anyone who has a link that an administrator was just given."""

from collections.abc import Callable

import structlog
from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from core.errors import NotVerified
from core.signing import Signer
from core.times import Clock
from web.errors import log_refusal

log = structlog.get_logger(__name__)

PATH = "update-set"
_FILE = "servicenow_for_mattermost.xml"
_GONE = "This link does not work any more. Get a new one with /servicenow setup in Mattermost.\n"


def downloads_blueprint(signer: Signer, clock: Clock, build: Callable[[], bytes]) -> Blueprint:
    """``GET /update-set?token=…``. *build* makes the file."""
    blueprint = Blueprint("downloads", __name__)

    @blueprint.get(f"/{PATH}")
    def update_set() -> ResponseReturnValue:
        try:
            content = signer.verify(request.args.get("token", ""), person="", path=PATH, now=clock())
        except NotVerified as refusal:
            log_refusal(refusal)
            return Response(_GONE, 403, _HEADERS, mimetype="text/plain")
        log.info("update set downloaded", by=content.get("by"))
        disposition = {"Content-Disposition": f'attachment; filename="{_FILE}"'}
        return Response(build(), 200, _HEADERS | disposition, mimetype="application/xml")

    return blueprint


# The address contains the token.
_HEADERS = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff"}
