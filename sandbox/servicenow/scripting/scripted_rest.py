"""Scripted REST APIs from update sets, at ``/api/{namespace}/{service}{path}`` (API reference §10)."""

import re
from typing import Any

from flask import Blueprint, Response, abort, request
from flask.typing import ResponseReturnValue

from sandbox.servicenow.auth.access_control import AccessControl, Caller
from sandbox.servicenow.queries.encoded_query import Unsupported
from sandbox.servicenow.records.store import Row, Store
from sandbox.servicenow.scripting.glide.engine import ScriptFailed, Source
from sandbox.servicenow.scripting.glide.scopes import Scopes
from sandbox.servicenow.scripting.runtime import SYSTEM, Runtime
from sandbox.servicenow.web import http

_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
_PARAMETER = re.compile(r"\{(\w+)\}")
Json = dict[str, Any]


class ScriptedRest:
    """Finds the resource, checks access, runs its script, and returns the result."""

    def __init__(self, store: Store, access_control: AccessControl, runtime: Runtime) -> None:
        self._store = store
        self._access_control = access_control
        self._runtime = runtime
        self._scopes = Scopes(store)

    def blueprint(self) -> Blueprint:
        """One route for all. The platform's own APIs have more specific routes."""
        blueprint = Blueprint("scripted_rest", __name__)
        blueprint.add_url_rule("/api/<namespace>/<path:path>", "resource", self.resource, methods=_METHODS)
        return blueprint

    def resource(self, namespace: str, path: str) -> ResponseReturnValue:
        """Run a resource, or fall through to the usual response for unknown paths."""
        found = self._resources(namespace, f"/{path}")
        if not found:
            abort(404)
        here = [one for one in found if one[1]["http_method"].upper() == request.method]
        if not here:
            return http.not_supported(request.method)
        definition, operation, parameters = here[0]
        caller = self._access_control.authenticate(request.headers.get("Authorization", ""))
        if caller is None and operation["requires_authentication"] != "false":
            return http.unauthenticated()
        if operation["requires_acl_authorization"] == "true":
            wanted = operation["enforce_acl"] or definition["enforce_acl"]
            if caller is None or not self._runtime.access.endpoint(caller, wanted):
                return http.error(403, "User Not Authorized", "Failed API level ACL Validation")
        return self._run(operation, parameters, caller or SYSTEM)

    def _resources(self, namespace: str, path: str) -> list[tuple[Row, Row, dict[str, str]]]:
        """The resources whose path matches. Literal segments come before parameters."""
        found = []
        for definition in self._store.rows("sys_ws_definition"):
            if definition["active"] != "true" or definition["namespace"] != namespace or not definition["service_id"]:
                continue  # without its service ID an API has no valid path
            if definition["is_versioned"] == "true":
                raise Unsupported("versioned scripted REST")
            for operation in self._store.rows("sys_ws_operation"):
                if operation["web_service_definition"] == definition["sys_id"] and operation["active"] == "true":
                    relative = operation["relative_path"].rstrip("/")
                    parameters = _parameters(f"/{definition['service_id']}{relative}", path.rstrip("/"))
                    if parameters is not None:
                        found.append((definition, operation, parameters))
        return sorted(found, key=lambda one: len(one[2]))

    def _run(self, operation: Row, parameters: dict[str, str], caller: Caller) -> Response:
        name = f"sys_ws_operation.{operation['sys_id']}.operation_script"
        source = Source(name, self._scopes.of(operation), operation["operation_script"])
        asked = {
            "pathParams": parameters,
            "queryParams": request.args.to_dict(flat=False),
            "headers": {key.lower(): value for key, value in request.headers.items()},
            "body": request.get_data(as_text=True),
            "json": "json" in request.headers.get("Content-Type", ""),
            "uri": request.path,
            "url": request.url,
            "queryString": request.query_string.decode(),
        }
        try:
            answer = self._runtime.engine.run(source, caller, {"request": asked}, then="answer")
        except ScriptFailed as problem:
            self._runtime.log("2", f"Evaluator: {problem}", name)
            return http.error(500, "Script execution failed", str(problem))
        return _answer(answer)


def _answer(answer: Json) -> Response:
    failure = answer["failure"]
    if failure is not None:
        return http.error(failure["status"], failure["message"], failure["detail"])
    status = answer["status"] or 200
    if status == 204:
        return http.without_body(204)
    response = http.answer({"result": answer.get("body", {})}, status)
    for name, value in answer["headers"]:
        response.headers[name] = value
    return response


def _parameters(pattern: str, path: str) -> dict[str, str] | None:
    """The values of the braces of *pattern* in *path*, or None if it doesn't match."""
    parts = _PARAMETER.split(pattern)
    expression = "".join(f"(?P<{part}>[^/]+)" if number % 2 else re.escape(part) for number, part in enumerate(parts))
    found = re.fullmatch(expression, path)
    return found.groupdict() if found else None
