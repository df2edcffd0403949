"""What every answer of an instance has in common: headers, cookies, error envelopes, faults."""

import json
import secrets
import time
from typing import Any

from flask import Response, request

from sandbox.common import Fault, Faults

KINDS = (
    "hibernating", "401", "429", "429_bare", "500", "500_after_commit", "403_after_insert", "202",
    "truncated", "html_login", "slow", "empty_acl", "short_page", "strip_field", "no_refresh_token",
    "refresh_refused", "414", "drop_unknown_terms", "meta_refused",
)  # fmt: skip
# Those that answer instead of the handler.
_BEFORE = ("hibernating", "401", "429", "429_bare", "500", "202", "html_login", "slow", "414")
_SLOW_SECONDS = 65.0

# The real page has 5,904 bytes; the comment brings ours to that size.
_ASLEEP_HEAD = (
    '<!DOCTYPE html><html lang="en"><head><title>Instance Hibernating page</title></head><body>'
    "<h1>Your instance is hibernating</h1><p>Somebody has to sign in to the developer site to wake it.</p><!--"
)
_ASLEEP = _ASLEEP_HEAD + "z" * (5904 - len(_ASLEEP_HEAD) - len("--></body></html>")) + "--></body></html>"


def answer(body: Any, status: int = 200, **headers: str) -> Response:
    """JSON with the headers of a logged-in answer (recorded, Australia 2026)."""
    response = Response(json.dumps(body, ensure_ascii=False), status)
    response.headers["Content-Type"] = "application/json;charset=UTF-8"
    _no_store(response)
    for name, value in headers.items():
        response.headers[name.replace("_", "-")] = value
    return logged_in(response)


def logged_in(response: Response) -> Response:
    """Transaction id, login state and the session cookies that even Bearer calls get."""
    transaction = secrets.token_hex(6)
    response.headers["Server"] = "snow_adc"
    response.headers["Server-Timing"] = f't;desc="{transaction}", sem_wait;dur=0, sesh_wait;dur=0'
    response.headers["X-Is-Logged-In"] = "true"
    response.headers["X-Transaction-ID"] = transaction
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Strict-Transport-Security"] = "max-age=63072000; includeSubDomains"
    set_cookie = response.headers.add
    if "JSESSIONID" in request.cookies:
        set_cookie("Set-Cookie", f"glide_user_activity={secrets.token_hex(32)}; Path=/; Secure; HttpOnly")
        set_cookie("Set-Cookie", f"glide_node_id_for_js={secrets.token_hex(32)}; Path=/; Secure")
        return response
    gone = "Max-Age=0; Expires=Thu, 01-Jan-1970 00:00:10 GMT; Path=/; Secure; HttpOnly"
    set_cookie("Set-Cookie", f"JSESSIONID={secrets.token_hex(16).upper()}; Path=/; HttpOnly")
    set_cookie("Set-Cookie", f"glide_user=; {gone}")
    set_cookie("Set-Cookie", f"glide_user_session=; {gone}")
    route = f"glide_user_route=glide.{secrets.token_hex(16)}; Max-Age=2147483647; Path=/; Secure; HttpOnly"
    set_cookie("Set-Cookie", route)
    set_cookie("Set-Cookie", f"glide_node_id_for_js={secrets.token_hex(32)}; Path=/; Secure")
    store = f"glide_session_store={secrets.token_hex(16).upper()}; Max-Age=1800; Path=/; HttpOnly"
    set_cookie("Set-Cookie", store)
    return response


def error(status: int, message: str, detail: str | None = None) -> Response:
    """The envelope of every refusal."""
    return answer({"error": {"message": message, "detail": detail}, "status": "failure"}, status)


def unauthenticated() -> Response:
    """401: every cause looks alike; neither cookies nor login headers."""
    body = {
        "error": {
            "message": "User is not authenticated",
            "detail": "Required to provide Auth information",
        },
        "status": "failure",
    }
    response = Response(json.dumps(body), 401)
    response.headers["Content-Type"] = "application/json;charset=UTF-8"
    response.headers["WWW-Authenticate"] = 'Basic realm="Service-now"'
    response.headers["Server"] = "snow_adc"
    response.headers["Server-Timing"] = f't;desc="{secrets.token_hex(6)}", sem_wait;dur=0, sesh_wait;dur=0'
    return response


def no_record() -> Response:
    """404: missing or hidden, nobody says which."""
    return error(404, "No Record found", "Record doesn't exist or ACL restricts the record retrieval")


def before_request(faults: Faults) -> Response | None:
    """What a fault answers instead of the handler; None lets the request through."""
    if request.path.startswith("/_sandbox/"):
        return None
    fault = faults.take(request.path, *_BEFORE)
    return _faulty(fault, faults) if fault else None


def _faulty(fault: Fault, faults: Faults) -> Response | None:
    match fault.kind:
        case "hibernating":
            return Response(_ASLEEP, 200, {"Content-Type": "text/html", "Server": "snow_adc"})
        case "401":
            return unauthenticated()
        case "429":
            seconds = int(fault.seconds or 1)
            detail = "Rate limit of 100 requests per hour for Table API exceeded"
            response = error(429, "Rate limit exceeded", detail)
            response.headers["X-RateLimit-Limit"] = "100"
            response.headers["X-RateLimit-Reset"] = str(int(time.time()) + seconds)
            response.headers["X-RateLimit-Rule"] = "3" * 32
            response.headers["Retry-After"] = str(seconds)
            return response
        case "429_bare":
            return Response("", 429, {"Server": "snow_adc"})
        case "500":
            cancelled = "Transaction cancelled: maximum execution time exceeded"
            more = f"{cancelled}. Check logs for error trace or enable glide.rest.debug property"
            return error(500, cancelled, f"{more} to verify REST request processing")
        case "202":
            return logged_in(Response("", 202))
        case "html_login":
            page = "<!DOCTYPE html><html><head><title>ServiceNow</title></head><body>Log in</body></html>"
            return Response(page, 200, {"Content-Type": "text/html;charset=UTF-8"})
        case "414":
            page = "<html><head><title>414 Request-URI Too Large</title></head></html>"
            return Response(page, 414, {"Content-Type": "text/html"})
        case "slow":
            faults.cleared.wait(_SLOW_SECONDS if fault.seconds is None else fault.seconds)
    return None


def _no_store(response: Response) -> None:
    response.headers["Pragma"] = "no-store,no-cache"
    response.headers["Cache-Control"] = "no-cache,no-store,must-revalidate,max-age=-1"
    response.headers["Expires"] = "0"
