"""What can be made to go wrong (API reference §3.2 to §3.4)."""

import time
from pathlib import Path

from flask import Response, request

from sandbox.common import Fault, Faults
from sandbox.servicenow import http

KINDS = (
    "hibernating", "401", "429", "429_bare", "500", "500_after_commit", "403_after_insert", "202",
    "truncated", "html_login", "slow", "empty_acl", "short_page", "strip_field", "no_refresh_token",
    "refresh_refused", "414", "drop_unknown_terms", "meta_refused",
)  # fmt: skip
# Those that answer instead of the handler.
_BEFORE = ("hibernating", "401", "429", "429_bare", "500", "202", "html_login", "slow", "414")
_SLOW_SECONDS = 65.0  # longer than the 60 s quota, so that a client's own time-out ends it
_ASLEEP = (Path(__file__).parent / "templates" / "hibernating.html").read_bytes()
_LOG_IN = "<!DOCTYPE html><html><head><title>ServiceNow</title></head><body>Log in</body></html>"
_TOO_LONG = "<html><head><title>414 Request-URI Too Large</title></head></html>"


def before_request(faults: Faults) -> Response | None:
    """What a fault answers instead of the handler; None lets the request through."""
    if request.path.startswith("/_sandbox/"):
        return None
    fault = faults.take(request.path, *_BEFORE)
    return _faulty(fault, faults) if fault else None


def after_request(faults: Faults, response: Response) -> Response:
    """A 200 whose body ends in the middle: streamed, then cancelled."""
    whole = response.status_code in {200, 201} and response.mimetype == "application/json"
    if whole and not request.path.startswith("/_sandbox/") and faults.take(request.path, "truncated"):
        data = response.get_data()
        response.set_data(data[: len(data) // 2])
    return response


def _faulty(fault: Fault, faults: Faults) -> Response | None:
    match fault.kind:
        case "hibernating":
            return Response(_ASLEEP, 200, {"Content-Type": "text/html", "Server": "snow_adc"})
        case "401":
            return http.unauthenticated()
        case "429":
            return _limited(int(fault.seconds or 1))
        case "429_bare":
            return Response("", 429, {"Server": "snow_adc"})
        case "500":
            return http.cancelled()
        case "202":
            return http.logged_in(Response("", 202))
        case "html_login":
            return Response(_LOG_IN, 200, {"Content-Type": "text/html;charset=UTF-8", "Server": "snow_adc"})
        case "414":
            return Response(_TOO_LONG, 414, {"Content-Type": "text/html", "Server": "snow_adc"})
        case _:  # slow
            faults.cleared.wait(_SLOW_SECONDS if fault.seconds is None else fault.seconds)
            return None


def _limited(seconds: int) -> Response:
    """A rate-limit rule refuses (API reference §3.2)."""
    detail = "Rate limit of 100 requests per hour for Table API exceeded"
    response = http.error(429, "Rate limit exceeded", detail)
    response.headers["X-RateLimit-Limit"] = "100"
    response.headers["X-RateLimit-Reset"] = str(int(time.time()) + seconds)
    response.headers["X-RateLimit-Rule"] = "3" * 32
    response.headers["Retry-After"] = str(seconds)
    return response
