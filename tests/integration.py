"""An integration that records its requests and returns set answers; a press can open a dialog."""

import threading
from collections.abc import Callable
from typing import Any, Self

import requests
from flask import Flask, jsonify, request
from flask.typing import ResponseReturnValue

from sandbox.common import SandboxServer

Json = dict[str, Any]


class Integration:
    """
    A server on a free port.

    ``answers`` are by path: an answer, or a function of the request's body. ``got`` holds every body by path.
    """

    def __init__(self, mattermost: str) -> None:
        self.mattermost = mattermost
        self.answers: dict[str, Json | Callable[[Json], Json]] = {}
        self.got: list[tuple[str, Json]] = []
        self._arrived = threading.Condition()
        app = Flask("integration", static_folder=None)
        app.add_url_rule("/<path:path>", "any", self._answer, methods=["POST"])
        self._server = SandboxServer(app)
        self.url = self._server.url

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()

    def _answer(self, path: str) -> ResponseReturnValue:
        body: Json = request.get_json()
        with self._arrived:
            self.got.append((path, body))
            self._arrived.notify_all()
        answer = self.answers.get(path, {})
        return jsonify(answer(body) if callable(answer) else answer)

    def wait(self, path: str, count: int) -> list[Json]:
        """Every body that came to a path, once there are *count*; at most ten seconds."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self._of(path)) >= count, 10), self.got
            return self._of(path)

    def _of(self, path: str) -> list[Json]:
        return [body for got, body in self.got if got == path]

    def last(self, path: str) -> Json:
        """The last body that came to a path."""
        return self._of(path)[-1]

    def opens(self, dialog: Json) -> Callable[[Json], Json]:
        """An answer to a press that opens *dialog* first; submissions go to ``/dialog``."""

        def open_it(body: Json) -> Json:
            asked = {"trigger_id": body["trigger_id"], "url": f"{self.url}/dialog", "dialog": dialog}
            requests.post(f"{self.mattermost}/api/v4/actions/dialogs/open", json=asked, timeout=10).raise_for_status()
            return {}

        return open_it

    def button(self, name: str = "Go", **more: Any) -> Json:
        """An action of a card that leads to ``/press``."""
        action: Json = {"id": "go", "name": name, "type": "button"}
        action["integration"] = {"url": f"{self.url}/press", "context": {"mac": "secret"}}
        return action | more

    def card(self, *actions: Json) -> Json:
        """Props of a post with one attachment."""
        return {"attachments": [{"title": "Card", "actions": [*actions] or [self.button()]}]}
