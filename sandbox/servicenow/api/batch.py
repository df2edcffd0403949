"""`POST /api/now/batch`: several requests in one, served one after another (API reference §9.3)."""

import base64
import binascii
import time
from http import HTTPStatus
from typing import Any

from flask import Blueprint, Flask, request
from flask.typing import ResponseReturnValue

from sandbox.common import INNER
from sandbox.servicenow.auth.access_control import AccessControl
from sandbox.servicenow.web import access, http

_METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE"}
# The headers that a response in a batch lists (documented), and those that an API adds.
_HEADERS = ("Pragma", "Expires", "Content-Length", "Content-Type", "Cache-Control", "Location", "Link", "X-Total-Count")
Json = dict[str, Any]


class _Malformed(Exception):
    """The batch can't be read. The text says why."""


class BatchApi:
    """The route, which calls the application itself."""

    def __init__(self, app: Flask, access_control: AccessControl) -> None:
        self._app = app
        self._access_control = access_control

    def blueprint(self) -> Blueprint:
        """The route, with and without version."""
        blueprint = Blueprint("batch_api", __name__)
        for version in ("", "/v1"):
            blueprint.add_url_rule(f"/api/now{version}/batch", f"batch{version}", self.batch, methods=["POST"])
        return blueprint

    def batch(self) -> ResponseReturnValue:
        """
        Serve the requests. Each response has its request's ID, whatever its status. There is no `result` around them.
        """
        access.authenticate(self._access_control)
        body: Any = request.get_json(force=True, silent=True)
        try:
            asked = _checked(body)
        except _Malformed as problem:
            return http.error(400, "Exception while reading request", str(problem))
        served = [self._serve(one) for one in asked]
        return http.answer(
            {
                "batch_request_id": str(body["batch_request_id"]),
                "serviced_requests": served,
                "unserviced_requests": [],
            }
        )

    def _serve(self, asked: Json) -> Json:
        began = time.monotonic()
        headers = [(str(one["name"]), str(one["value"])) for one in asked.get("headers", [])]
        headers = [pair for pair in headers if pair[0].lower() != "authorization"]
        headers.append(("Authorization", request.headers.get("Authorization", "")))
        with self._app.test_client(use_cookies=False) as client:
            answer = client.open(
                asked["url"],
                method=asked["method"],
                data=_decoded(asked),
                headers=headers,
                base_url=request.host_url,
                environ_overrides={INNER: True},
            )
            data = answer.get_data()
        named = {**dict(answer.headers), "Content-Length": str(len(data))}
        shown = [] if asked.get("exclude_response_headers") else [name for name in _HEADERS if name in named]
        return {
            "id": str(asked["id"]),
            "body": base64.b64encode(data).decode(),
            "status_code": answer.status_code,
            "status_text": HTTPStatus(answer.status_code).phrase,
            "headers": [{"name": name, "value": named[name]} for name in shown],
            "execution_time": int((time.monotonic() - began) * 1000),
        }


def _checked(body: Any) -> list[Json]:
    """Validate all requests before any is served. Raises _Malformed."""
    if not isinstance(body, dict) or "batch_request_id" not in body:
        raise _Malformed("batch_request_id is missing")
    asked = body.get("rest_requests")
    if not isinstance(asked, list) or not all(isinstance(one, dict) for one in asked):
        raise _Malformed("rest_requests must be a list of objects")
    for one in asked:
        if missing := [name for name in ("id", "url", "method") if not one.get(name)]:
            raise _Malformed(f"{', '.join(missing)} is missing")
        if one["method"] not in _METHODS or not str(one["url"]).startswith("/"):
            raise _Malformed(f"not a relative url and a method: {one['method']} {one['url']}")
        if not all(
            isinstance(header, dict) and {"name", "value"} <= header.keys() for header in one.get("headers", [])
        ):
            raise _Malformed("headers must be a list of name and value")
        _decoded(one)
    return asked


def _decoded(asked: Json) -> bytes:
    try:
        return base64.b64decode(str(asked.get("body") or ""), validate=True)
    except binascii.Error as problem:
        raise _Malformed(f"body of {asked['id']} is not base64") from problem
