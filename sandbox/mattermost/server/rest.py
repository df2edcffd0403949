"""Shared by all REST routes: the requesting user, and errors with the server's texts (recorded in rest_errors)."""

from typing import Any

from flask import Response, g, jsonify, request

from sandbox.mattermost.server.state import Session, State, new_id


class ApiError(Exception):
    """An error response of the REST API."""

    def __init__(self, status: int, error_id: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.error_id = error_id
        self.message = message


def forbidden() -> ApiError:
    """403: no permission. Also used for missing objects whose absence must not show."""
    return ApiError(403, "api.context.permissions.app_error", "You do not have the appropriate permissions.")


def not_found() -> ApiError:
    """404: no such route."""
    return ApiError(404, "api.context.404.app_error", "Sorry, we could not find the page.")


def invalid_body(what: str) -> ApiError:
    """400: the body isn't JSON of the right type."""
    text = f"Invalid or missing {what} in request body."
    return ApiError(400, "api.context.invalid_body_param.app_error", text)


def answer_error(error: ApiError, request_id: bool = True) -> tuple[Response, int]:
    """The error envelope. Only unknown routes have no request ID."""
    body = {
        "id": error.error_id,
        "message": error.message,
        "detailed_error": "",
        "request_id": new_id(),
        "status_code": error.status,
    }
    if not request_id:
        del body["request_id"]
    return jsonify(body), error.status


def token_of_request() -> tuple[str, bool]:
    """The token, and whether it came from a cookie."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() in {"bearer", "token"} and token:
        return token, False
    return request.cookies.get("MMAUTHTOKEN", ""), True


def anonymous_or_session(state: State) -> Session | None:
    """The session, if any. A cookie on a writing request needs its CSRF token."""
    token, cookie = token_of_request()
    session = state.session(token)
    if session is None:
        return None
    if cookie and request.method not in {"GET", "HEAD"}:
        ajax = request.headers.get("X-Requested-With") == "XMLHttpRequest"
        if request.headers.get("X-CSRF-Token") != session.csrf and not ajax:
            return None
    return session


def me(state: State) -> str:
    """The requesting user's ID. Raises ApiError 401."""
    in_query = state.session(request.args.get("access_token", ""))
    if in_query is not None and not in_query.app_id:
        text = "Session is not OAuth but token was provided in the query string."
        raise ApiError(401, "api.context.token_provided.app_error", text)
    session = anonymous_or_session(state)
    if session is None:
        message = "Invalid or expired session, please login again."
        raise ApiError(401, "api.context.session_expired.app_error", message)
    g.session = session
    return session.user_id


def own(state: State, user_id: str) -> str:
    """The requesting user's ID, given as such or as ``me``. Raises ApiError 401, or 403 for another user's."""
    person = me(state)
    if user_id not in {"me", person}:
        raise forbidden()
    return person


def named(state: State, user_id: str) -> str:
    """A user ID from a URL, where ``me`` is the requesting user."""
    return me(state) if user_id == "me" else user_id


def administrator(state: State) -> str:
    """The requesting user's ID, who must be a system admin. Raises ApiError 401 or 403."""
    person = me(state)
    if not state.is_admin(person):
        raise forbidden()
    return person


def body(what: str) -> Any:
    """The JSON body. Raises ApiError 400."""
    if (request.content_length or 0) > 300_000:
        raise invalid_body(what)
    content = request.get_json(force=True, silent=True)
    if content is None:
        raise invalid_body(what)
    return content
