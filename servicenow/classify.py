"""
What an answer of ServiceNow means: its result, or an error. Pure.

An instance says little by statuses alone: a hibernating one answers 200 with a page, a cut list is a
200 too, and a 403 may stand for a right, a business rule or a mandatory field (API reference §3).
Whether an answer is JSON is decided by reading it, never by its ``Content-Type``.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from core.errors import (
    AccessDenied,
    Asleep,
    Broken,
    Busy,
    CredentialsRefused,
    Dropped,
    Misdirected,
    NotFound,
    NotInstalled,
    Refused,
    ServiceNowError,
    TooLong,
)

_ASLEEP = re.compile(r"instance\s+(is\s+)?hibernating", re.IGNORECASE)
_RULE = re.compile(r"aborted by Business Rule '([^'^]*)")
_MANDATORY = re.compile(r"fields? (?:is|are) mandatory:\s*(.+)", re.DOTALL)
_MANDATORY_ONE = re.compile(r"Data Policy Exception:\s*(.+?) is mandatory")
_HEAD = 4000  # characters of a page that are looked at


class InsertHidden(AccessDenied):
    """403 to an insert: the row may be there all the same, where its creator may not read it (KB2697679)."""

    may_have_been_saved = True


def read_answer(method: str, status: int, headers: Mapping[str, str], body: bytes) -> Any:
    """
    The decoded JSON of a good answer; None where there is none (204).

    Args:
        headers: With case-insensitive look-up.

    Raises:
        ServiceNowError: One of its classes, as their docstrings say.
    """
    content = _json(body)
    if status == 204:
        return None
    if status == 202:
        raise Dropped("202: accepted without an answer")
    if 300 <= status < 400:
        raise Misdirected(f"{status}: redirect")
    if content is None:
        raise _no_json(status, headers, body)
    if status in {200, 201}:
        if not isinstance(content, dict) or "result" not in content:
            raise _refusal(method, status, headers, content)
        if "error" in content:
            raise Broken(f"{status}: result and error side by side")
        return content
    raise _refusal(method, status, headers, content)


def read_token_answer(status: int, headers: Mapping[str, str], body: bytes) -> bool:
    """
    Whether the token endpoint answered with tokens; False when it refused.

    ServiceNow refuses everything alike, with 401 (§4.4); 400 is taken as the same.

    Raises:
        ServiceNowError: It answered neither: asleep, a page, busy, a fault of its own.
    """
    content = _json(body)
    if status in {400, 401} and isinstance(content, dict):
        return False
    if content is None or status != 200 or not isinstance(content, dict):
        raise (_no_json(status, headers, body) if content is None else _refusal("POST", status, headers, content))
    return "access_token" in content


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _no_json(status: int, headers: Mapping[str, str], body: bytes) -> ServiceNowError:
    text = body[:_HEAD].decode("utf-8", "replace")
    page = text.lstrip()[:1] == "<"
    if page and _ASLEEP.search(text):
        return Asleep(f"{status}: hibernating page")
    match status:
        case 401:
            return CredentialsRefused("401 without JSON")
        case 403:
            return AccessDenied("403 without JSON")
        case 404:
            return NotInstalled("404 without JSON")
        case 414:
            return TooLong("414")
        case 429 | 503:
            return Busy(f"{status} without JSON", _retry_after(headers))
        case _ if status >= 500:
            return Broken(f"{status} without JSON")
        case 200 | 201 if not page:
            return Broken(f"{status}: cut short, or no JSON")
        case _:
            return Misdirected(f"{status}: a page instead of data")


def _refusal(method: str, status: int, headers: Mapping[str, str], content: Any) -> ServiceNowError:
    error = content.get("error") if isinstance(content, dict) else None
    message, detail = "", ""
    if isinstance(error, dict):
        message, detail = str(error.get("message") or ""), str(error.get("detail") or "")
    what = f"{status} {message}"[:200]
    match status:
        case 400 if "Invalid table" in message or "does not represent any resource" in message:
            return NotInstalled(what)
        case 401:
            return CredentialsRefused(what)
        case 403:
            return _forbidden(method, what, message, detail)
        case 404:
            return NotFound(what)
        case 414:
            return TooLong(what)
        case 429 | 503:
            return Busy(what, _retry_after(headers))
        case 200 | 201:
            return Broken(f"{status}: error or nothing instead of a result")
        case _ if status >= 500:
            return Broken(what)
        case _:
            return ServiceNowError(what)


def _forbidden(method: str, what: str, message: str, detail: str) -> ServiceNowError:
    text = f"{message} {detail}"
    if found := _MANDATORY.search(text):
        labels = [label.strip() for label in found[1].split(",") if label.strip()]
        return Refused(f"{what}: mandatory fields", labels=labels)
    if found := _MANDATORY_ONE.search(text):
        return Refused(f"{what}: mandatory field", labels=[found[1].strip()])
    if "Data Policy" in text:
        return Refused(f"{what}: data policy")
    if found := _RULE.search(text):
        return Refused(f"{what}: business rule", rule=found[1].strip())
    if method == "POST" and "ACL Exception" not in text and message != "User Not Authorized":
        return InsertHidden(what)
    return AccessDenied(what)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    value = headers.get("Retry-After", "")
    return float(value) if value.isdigit() else None
