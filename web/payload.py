"""The JSON body of a request."""

import json
from collections.abc import Mapping
from typing import Any

from flask import Request

from core.errors import InvalidInput


def json_body(request: Request) -> Mapping[str, Any]:
    """
    The JSON object of the body.

    Raises:
        InvalidInput: It isn't a JSON object, or it is nested too deeply.
    """
    try:
        # Only UTF-8. From bytes, `json` would also read UTF-16, and surrogates in both.
        text = request.get_data().decode()
        body = json.loads(text)
        if "\\ud" in text.lower():
            # A lone surrogate is valid JSON, but no encoder accepts it.
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
