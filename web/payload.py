"""The JSON body of a request."""

import json
from collections.abc import Mapping
from typing import Any

from flask import Request

from core.errors import InvalidInput


def payload(request: Request) -> Mapping[str, Any]:
    """
    The JSON object of the body.

    Raises:
        InvalidInput: No JSON, no object, or nested too deep to read.
    """
    try:
        # UTF-8 and nothing else: given bytes, the library takes UTF-16 as well, and surrogates in either.
        text = request.get_data().decode()
        body = json.loads(text)
        if "\\ud" in text.lower():
            # Half a character (a lone surrogate) is legal JSON and breaks every encoder behind us.
            body = json.loads(json.dumps(body, ensure_ascii=False).encode(errors="replace"))
    except (ValueError, RecursionError) as error:
        raise _no_json(type(error).__name__) from error
    if not isinstance(body, dict):
        raise _no_json(type(body).__name__)
    return body


def _no_json(what: str) -> InvalidInput:
    return InvalidInput(
        {},
        "The app doesn't understand this request. Reload Mattermost.",
        log_message=f"body is no JSON object: {what}",
    )
