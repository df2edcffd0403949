"""The faults that tests can arm (API reference §3.2 to §3.4)."""

import time
from pathlib import Path

from flask import Response, request

from sandbox.common import Fault, Faults, is_control
from sandbox.servicenow.delayed_requests import DelayedRequests
from sandbox.servicenow.web import http

KINDS = {
    "hibernating": "200 with the HTML page of a hibernating developer instance",
    "401": "401 as for wrong credentials or an expired token",
    "429": "429 by a rate limit rule, with `Retry-After` (`seconds`, 1 by default) and `X-RateLimit-…` headers",
    "429_bare": "429 without any of these headers, as a node with a full queue answers",
    "500": "500 `Transaction cancelled: maximum execution time exceeded`; nothing is saved",
    "500_after_commit": "the same 500, after the write was saved (Table API and Change Management API)",
    "403_after_insert": "403 `Insufficient rights to query records`, after the row was inserted (Table API)",
    "202": "202 without a body, as when too many requests wait in one session; nothing is done",
    "truncated": "a JSON answer that ends in the middle",
    "html_login": "200 with an HTML login page",
    "slow": "no answer for `seconds` (65 by default), then the usual one; clearing the faults ends the wait",
    "late": "504 at once, as from a gateway that gave up; the request is carried out at `POST /_sandbox/release`",
    "empty_acl": "a list without rows whose `X-Total-Count` still counts them; 404 for a single record",
    "short_page": "a list with the first half of its page only",
    "strip_field": "rows without `correlation_id`, as if the person couldn't read that column",
    "no_refresh_token": "a token answer without `refresh_token`",
    "refresh_refused": "401 `server_error` for a refresh token that is good",
    "414": "414 with an HTML page",
    "drop_unknown_terms": "no rows for a query with an invalid term, as with `glide.invalid_query.returns_no_rows`",
    "class_dropped": "a list as if the terms on `sys_class_name` were dropped, as for a column that can't be queried",
    "meta_refused": "403 for `/api/now/ui/meta/{table}`",
}  # fmt: skip
# Faults that respond instead of the handler.
_BEFORE = ("hibernating", "401", "429", "429_bare", "500", "202", "html_login", "slow", "late", "414")
_SLOW_SECONDS = 65.0  # longer than the 60 s quota, so the client's own timeout ends it
_ASLEEP = (Path(__file__).parent / "templates" / "hibernating.html").read_bytes()
_LOG_IN = "<!DOCTYPE html><html><head><title>ServiceNow</title></head><body>Log in</body></html>"
_GATEWAY = "<html><head><title>504 Gateway Time-out</title></head></html>"
_TOO_LONG = "<html><head><title>414 Request-URI Too Large</title></head></html>"


def before_request(faults: Faults, delayed: DelayedRequests) -> Response | None:
    """Return the response of an armed fault, or None to let the request through."""
    if is_control(request.path) or delayed.now():
        return None
    fault = faults.take(request.path, *_BEFORE)
    if fault and fault.kind == "late":
        delayed.keep()
        return Response(_GATEWAY, 504, {"Content-Type": "text/html", "Server": "snow_adc"})
    return _faulty(fault, faults) if fault else None


def after_request(faults: Faults, response: Response) -> Response:
    """Cut off the body of a successful JSON response, as when it was streamed and then canceled."""
    whole = response.status_code in {200, 201} and response.mimetype == "application/json"
    if whole and not is_control(request.path) and faults.take(request.path, "truncated"):
        data = response.get_data()
        response.set_data(data[: len(data) // 2])
    return response


def too_long() -> Response:
    """The edge's HTML response to a URL beyond 8 KiB."""
    return Response(_TOO_LONG, 414, {"Content-Type": "text/html", "Server": "snow_adc"})


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
            return too_long()
        case _:  # slow
            faults.cleared.wait(_SLOW_SECONDS if fault.seconds is None else fault.seconds)
            return None


def _limited(seconds: int) -> Response:
    """The response of a rate limit rule (API reference §3.2)."""
    detail = "Rate limit of 100 requests per hour for Table API exceeded"
    response = http.error(429, "Rate limit exceeded", detail)
    response.headers["X-RateLimit-Limit"] = "100"
    response.headers["X-RateLimit-Reset"] = str(int(time.time()) + seconds)
    response.headers["X-RateLimit-Rule"] = "3" * 32
    response.headers["Retry-After"] = str(seconds)
    return response
