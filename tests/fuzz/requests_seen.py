"""Requests of each kind that reached the service, to be sent again with changes."""

import io
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from flask import Flask

Json = dict[str, Any]
_HEADERS = ("HTTP_MATTERMOST_APP_AUTHORIZATION", "HTTP_X_SERVICENOW_KEY", "HTTP_USER_AGENT", "CONTENT_TYPE")
_MOST_OF_A_KIND = 12


@dataclass(frozen=True)
class Seen:
    """One request; *body* is None without JSON."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any

    def document(self) -> Json:
        """All parts that can be changed, as one value."""
        return {"path": self.path, "query": self.query, "headers": self.headers, "body": self.body}


@dataclass
class Notebook:
    """Requests by path. New ones are dropped once there are enough with the same path and answer."""

    by_path: dict[str, list[Seen]] = field(default_factory=dict)
    writing: bool = True

    def watch(self, app: Flask) -> None:
        """Record all future requests to *app*."""
        inner = app.wsgi_app

        def noting(environ: Json, start_response: Callable[..., Any]) -> Iterable[bytes]:
            if self.writing:
                raw = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
                environ["wsgi.input"] = io.BytesIO(raw)
                self._note(environ, raw)
            return inner(environ, start_response)

        app.wsgi_app = noting  # type: ignore[method-assign]

    def _note(self, environ: Json, raw: bytes) -> None:
        try:
            body = json.loads(raw) if raw else None
        except ValueError:
            body = None
        headers = {name: str(environ[name]) for name in _HEADERS if name in environ}
        query = dict(parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True))
        seen = Seen(environ["REQUEST_METHOD"], environ["PATH_INFO"], query, headers, body)
        of_path = self.by_path.setdefault(seen.path, [])
        if len(of_path) < _MOST_OF_A_KIND:
            of_path.append(seen)
