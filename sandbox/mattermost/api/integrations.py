"""Requests from the server to integrations, for post actions and dialogs."""

import json
from typing import Any

import requests

from sandbox.mattermost.apps.protocol.errors import PluginError
from sandbox.mattermost.apps.protocol.go_json import Undecodable, decode_json, struct
from sandbox.mattermost.apps.protocol.outbound import ask
from sandbox.mattermost.server.ephemeral import integration_error
from sandbox.mattermost.server.state import Json

SECONDS = 30.0
_HEADERS = {"Content-Type": "application/json", "Accept": "application/json"}


def sent(url: str, content: Json) -> bytes:
    """
    Post to an integration, following redirects, and return the response body.

    Raises:
        ApiError: 400 if the URL isn't allowed, nothing answers, or the status isn't 200.
    """
    try:
        response = ask("POST", url, SECONDS, data=json.dumps(content), headers=_HEADERS)
    except (PluginError, requests.RequestException):
        raise integration_error() from None
    if response.status_code != 200:
        raise integration_error()
    return response.content


def decoded(content: bytes, kinds: Json) -> Json:
    """
    Decode a response as the server's struct; an empty body is an empty response. Raises ApiError 400 if it doesn't
    decode.
    """
    if not content:
        return {}
    try:
        value: Any = decode_json(content)
        json.loads(content)  # nothing may follow the value
        if not isinstance(value, dict):
            raise integration_error()
        return struct(value, kinds, "PostActionIntegrationResponse", "")
    except (Undecodable, ValueError):
        raise integration_error() from None
