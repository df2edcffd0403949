"""What all REST responses have in common: headers, cookies, envelopes (recorded, Australia 2026)."""

import json
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Response, request

from sandbox.servicenow.web import xml_bodies
from sandbox.servicenow.web.content_negotiation import chosen

_JSON = "application/json;charset=UTF-8"
_XML = "application/xml;charset=UTF-8"
_OFFERED = ("application/json", "application/xml", "text/xml")
TYPES = f"[{', '.join(_OFFERED)}]"
_LONG = 2_147_483_647  # seconds, 68 years
_CANCELLED = "Transaction cancelled: maximum execution time exceeded"


class Refused(Exception):
    """Ends a request with this response."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


def answer(body: Any, status: int = 200) -> Response:
    """A JSON response, or XML if requested, with the headers of an authenticated response."""
    response = _written(body, status)
    _no_store(response)
    return logged_in(response)


def without_body(status: int) -> Response:
    """A response with login headers, but without content type and cache headers."""
    response = logged_in(Response(status=status))
    del response.headers["Content-Type"]
    return response


def logged_in(response: Response) -> Response:
    """Add the transaction ID, the login state, and the session cookies that even Bearer requests get."""
    transaction = _transaction(response)
    response.headers["X-Is-Logged-In"] = "true"
    response.headers["X-Transaction-ID"] = transaction
    _cookies(response)
    return response


def error(status: int, message: str, detail: str | None = None) -> Response:
    """The error envelope."""
    return answer({"error": {"message": message, "detail": detail}, "status": "failure"}, status)


def unauthenticated() -> Response:
    """401 for any cause, without cookies and login headers."""
    wrong = {"message": "User is not authenticated", "detail": "Required to provide Auth information"}
    response = _written({"error": wrong, "status": "failure"}, 401)
    response.headers["WWW-Authenticate"] = 'Basic realm="Service-now"'
    _no_store(response)
    _transaction(response)
    return response


def unacceptable() -> Response | None:
    """406 if the request accepts none of the offered types, before anything is done; else None."""
    if chosen(request.headers.get("Accept", ""), _OFFERED):
        return None
    text = f"Invalid accept header. Supported response media types for this service are: {TYPES}"
    body = json.dumps({"error": {"message": text, "detail": None}, "status": "failure"})
    return Response(body, 406, {"Content-Type": _JSON, "Server": "snow_adc"})


def no_record() -> Response:
    """404 for a missing or hidden record."""
    return error(404, "No Record found", "Record doesn't exist or ACL restricts the record retrieval")


def denied(verb: str) -> Response:
    """403: table or row ACLs deny a write. *verb* is Insert, Update or Delete."""
    return error(403, "Operation Failed", f"ACL Exception {verb} Failed due to security constraints")


def unreadable_filter() -> Response:
    """403: the query has a column that the user can't read."""
    detail = "Field(s) present in the query do not have permission to be read"
    return error(403, "Insufficient rights to query records", detail)


def not_supported(method: str) -> Response:
    """405: the API doesn't support this method."""
    return error(405, "Method not Supported", f"{method} method not supported for API")


def cancelled() -> Response:
    """500: a quota rule canceled the transaction, perhaps after it had saved."""
    more = "Check logs for error trace or enable glide.rest.debug property to verify REST request processing"
    return error(500, _CANCELLED, f"{_CANCELLED}. {more}")


def _written(body: Any, status: int) -> Response:
    if chosen(request.headers.get("Accept", ""), _OFFERED) in {"", _OFFERED[0]}:
        return Response(json.dumps(body, ensure_ascii=False), status, {"Content-Type": _JSON})
    return Response(xml_bodies.written(body), status, {"Content-Type": _XML})


def _transaction(response: Response) -> str:
    transaction = secrets.token_hex(6)
    response.headers["Server"] = "snow_adc"
    response.headers["Server-Timing"] = f't;desc="{transaction}", sem_wait;dur=0, sesh_wait;dur=0'
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Strict-Transport-Security"] = "max-age=63072000; includeSubDomains"
    return transaction


def _cookies(response: Response) -> None:
    """The first request gets a session. A client that sends it back gets fewer cookies."""
    add = response.headers.add
    node = f"glide_node_id_for_js={secrets.token_hex(32)}; Path=/; Secure"
    if "JSESSIONID" in request.cookies:
        add("Set-Cookie", f"glide_user_activity={secrets.token_urlsafe(48)}; Path=/; Secure; HttpOnly")
        add("Set-Cookie", node)
        return
    gone = "Max-Age=0; Expires=Thu, 01-Jan-1970 00:00:10 GMT; Path=/; Secure; HttpOnly"
    add("Set-Cookie", f"JSESSIONID={secrets.token_hex(16).upper()}; Path=/; HttpOnly")
    add("Set-Cookie", f"glide_user=; {gone}")
    add("Set-Cookie", f"glide_user_session=; {gone}")
    add("Set-Cookie", f"glide_user_route=glide.{secrets.token_hex(16)}; {_lasting(_LONG)}")
    add("Set-Cookie", node)
    add("Set-Cookie", f"glide_session_store={secrets.token_hex(16).upper()}; {_lasting(1800)}")


def _lasting(seconds: int) -> str:
    ends = datetime.now(UTC) + timedelta(seconds=seconds)
    return f"Max-Age={seconds}; Expires={ends:%a, %d-%b-%Y %H:%M:%S} GMT; Path=/; Secure; HttpOnly"


def _no_store(response: Response) -> None:
    response.headers["Pragma"] = "no-store,no-cache"
    response.headers["Cache-Control"] = "no-cache,no-store,must-revalidate,max-age=-1"
    response.headers["Expires"] = "0"
