"""
Turns an answer of ServiceNow into its result or an error. Pure.

The status alone says little: a hibernating instance answers 200 with a page, a cut list is also a 200, and a 403 can
mean a missing permission, a business rule or a mandatory field (API reference §3). Whether an answer is JSON is decided
by parsing it, never by its ``Content-Type``.
"""

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from core.upstream_errors import (
    AccessDenied,
    Broken,
    Busy,
    CredentialsRefused,
    CutShort,
    Dropped,
    GatewayFailed,
    Hibernating,
    InsertHidden,
    Misdirected,
    NotAccepted,
    NotFound,
    NotInstalled,
    Refused,
    ServiceNowError,
    TooLarge,
    TooLong,
)

_ASLEEP = re.compile(r"instance\s+(is\s+)?hibernating", re.IGNORECASE)
_TOKEN = re.compile(r"[!-~]+")  # because it is sent in a header
_RULE = re.compile(r"aborted by Business Rule '([^'^]*)")
_MANDATORY = re.compile(r"fields? (?:is|are) mandatory:\s*(.+)", re.DOTALL)
_MANDATORY_ONE = re.compile(r"(?:Data Policy Exception:|,|;|\n)\s*([^,;:\n]+?) is mandatory")
_HEAD = 4000  # characters of a page to examine


def read_answer(method: str, status: int, headers: Mapping[str, str], body: bytes) -> Any:
    """
    The decoded JSON of a successful answer, an object with ``result``; None for 204.

    Args:
        headers: Looked up without regard to case.

    Raises:
        ServiceNowError: The subclass for this kind of answer.
    """
    if status == 204:
        return None
    content = _json(body)
    if status == 202 and not (isinstance(content, dict) and "result" in content):
        raise Dropped("202: accepted without an answer")
    if content is None or 300 <= status < 400:
        raise _no_data(status, headers, body)
    if status in {200, 201, 202} and isinstance(content, dict) and "result" in content:
        if "error" in content:
            raise CutShort(f"{status}: result and error side by side")
        return content
    raise _refusal(method, status, headers, content)


def read_token_answer(status: int, headers: Mapping[str, str], body: bytes) -> bool:
    """
    Whether the token endpoint returned a token. False if it rejected the request.

    ServiceNow rejects every request with the same 401 and JSON (§4.4); a 400 counts as the same. A page or a server
    error says nothing about the token.

    Raises:
        ServiceNowError: Neither a token nor a rejection: asleep, a page, busy, a server error.
    """
    if status == 202:
        raise Dropped("202: accepted without an answer")
    content = _json(body)
    if not isinstance(content, dict) or 300 <= status < 400:
        error = _no_data(status, headers, body)
        raise Misdirected(error.log_message) if isinstance(error, CredentialsRefused) else error
    if status in {400, 401}:
        return False
    if status != 200:
        raise _refusal("", status, headers, content)
    if isinstance(token := content.get("access_token"), str) and _TOKEN.fullmatch(token):
        return True
    if "error" in content:
        return False
    raise Broken("200: neither token nor error")


def read_plain_answer(status: int, headers: Mapping[str, str], body: bytes) -> bool:
    """Whether an endpoint without a JSON answer (revocation) accepted the request. Raises as `read_token_answer`."""
    if status == 202:
        raise Dropped("202: accepted without an answer")
    if body.lstrip()[:1] == b"<" or status >= 500 or 300 <= status < 400 or status in {404, 429}:
        raise _no_data(status, headers, body)
    return status in {200, 204}


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _no_data(status: int, headers: Mapping[str, str], body: bytes) -> ServiceNowError:
    """The error for a page or an unreadable body."""
    text = body[:_HEAD].decode("utf-8", "replace")
    page = text.lstrip()[:1] == "<"
    target = urlsplit(headers.get("Location", "")).hostname
    if (page and _ASLEEP.search(text)) or (300 <= status < 400 and target == "developer.servicenow.com"):
        return Hibernating(f"{status}: hibernating")
    match status:
        case 401:
            return CredentialsRefused("401 without JSON", foreign=True)
        case 403:
            return AccessDenied("403 without JSON")
        case 404:
            return NotInstalled("404 without JSON")
        case 413:
            return TooLarge("413")
        case 414:
            return TooLong("414")
        case 429 | 503:
            return Busy(f"{status} without JSON", _retry_after(headers))
        case 502 | 504:
            return GatewayFailed(f"{status} without JSON")
        case _ if status >= 500:
            return Broken(f"{status} without JSON")
        case 200 | 201 if not page:
            return CutShort(f"{status}: cut short, or no JSON")
        case _:
            return Misdirected(f"{status}: a page or a redirect instead of data")


def _refusal(method: str, status: int, headers: Mapping[str, str], content: Any) -> ServiceNowError:
    error = content.get("error") if isinstance(content, dict) else None
    message, detail = "", ""
    if isinstance(error, dict):
        message, detail = str(error.get("message") or ""), str(error.get("detail") or "")
    what = f"{status} {message}"[:200].rstrip()
    if status in {200, 201, 403} and (refused := _values_refused(what, ": ".join(filter(None, (message, detail))))):
        return refused
    match status:
        case 400 | 404 if "does not represent any resource" in message:
            return NotInstalled(what)
        case 400 if message.startswith("Invalid table"):
            return NotInstalled(what)
        case 401:
            return CredentialsRefused(what)
        case 403 if method == "POST" and not _surely_not_inserted(message, detail):
            return InsertHidden(what)
        case 403:
            return AccessDenied(what)
        case 404:
            return NotFound(what)
        case 400 | 413 if status == 413 or "large REST payload" in detail:
            return TooLarge(what)
        case 414:
            return TooLong(what)
        case 429 | 503:
            return Busy(what, _retry_after(headers))
        case 502 | 504:
            return GatewayFailed(what)
        case 200 | 201:
            return Broken(f"{status}: error or nothing instead of a result")
        case _ if status >= 500:
            return Broken(what)
        case _:
            return NotAccepted(what)


def _values_refused(what: str, text: str) -> Refused | None:
    """The error of a data policy or business rule. It has names of fields and rules, never values."""
    if found := _MANDATORY.search(text):
        labels = [label.strip() for label in found[1].split(",") if label.strip()]
        return Refused(f"{what}: mandatory fields", labels=labels)
    if "Data Policy Exception" in text:
        return Refused(f"{what}: data policy", labels=[label.strip() for label in _MANDATORY_ONE.findall(text)])
    if found := _RULE.search(text):
        return Refused(f"{what}: business rule", rule=found[1].strip())
    if "Error during insert of" in text:
        return Refused(f"{what}: insert failed")
    return None


def _surely_not_inserted(message: str, detail: str) -> bool:
    return "ACL Exception" in detail or message == "User Not Authorized"


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds. A date, which ServiceNow doesn't send, is ignored."""
    value = headers.get("Retry-After", "")
    return float(value) if value.isascii() and value.isdecimal() else None
