"""Helpers for tests of the chat page: an app that records its requests, and a window with the page."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from flask import Flask, jsonify, request, send_file
from flask.typing import ResponseReturnValue
from playwright.sync_api import Page, expect
from werkzeug.serving import WSGIRequestHandler, make_server

from sandbox.client import PASSWORD, MattermostClient
from sandbox.mattermost import MattermostDouble

Json = dict[str, Any]

ICON = Path(__file__).parent.parent.parent / "static" / "icon.png"


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:
        """Do nothing."""


class RecorderApp:
    """
    An HTTP app of the framework.

    ``bindings`` is answered as it is; ``answers`` are by path (an answer, or a function of the request's body);
    a path without an answer says ok with "Done.". ``calls`` holds every call but bindings and lifecycle.
    """

    def __init__(self) -> None:
        self.bindings: list[Json] = []
        self.answers: dict[str, Any] = {}
        self.calls: list[Json] = []
        self.arrived = threading.Condition()
        app = Flask(__name__)
        app.add_url_rule("/manifest.json", "manifest", self._manifest)
        app.add_url_rule("/static/icon.png", "icon", lambda: send_file(ICON))
        app.add_url_rule("/<path:path>", "call", self._call, methods=["POST"])
        self._server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.005,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def reset(self) -> None:
        """Forget bindings, answers and calls."""
        self.bindings, self.answers, self.calls = [], {}, []

    def wait(self, path: str, count: int = 1) -> list[Json]:
        """All calls of *path* once there are *count*; at most ten seconds."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self._of(path)) >= count, 10), self.calls
            return self._of(path)

    def _of(self, path: str) -> list[Json]:
        return [body for body in self.calls if body["path"] == path]

    def _manifest(self) -> ResponseReturnValue:
        return jsonify(
            {
                "app_id": "recorder",
                "version": "v1.0.0",
                "homepage_url": "https://example.com/recorder",
                "display_name": "Recorder",
                "icon": "icon.png",
                "requested_permissions": ["act_as_bot", "act_as_user"],
                "requested_locations": ["/command", "/channel_header", "/post_menu"],
                "deploy": None,
                "http": {"root_url": self.url, "use_jwt": False},
            }
        )

    def _call(self, path: str) -> ResponseReturnValue:
        body: Json = request.get_json(force=True)
        if path == "bindings":
            return jsonify({"type": "ok", "data": self.bindings})
        if path == "ping":
            return jsonify({"type": "ok"})
        with self.arrived:
            self.calls.append(body)
            self.arrived.notify_all()
        answer = self.answers.get(f"/{path}", {"type": "ok", "text": "Done."})
        return jsonify(answer(body) if callable(answer) else answer)


@dataclass
class Chat:
    """The double with the app installed, one window, and the calls that the page sent."""

    double: MattermostDouble
    app: RecorderApp
    page: Page
    _sent: list[Json] = field(default_factory=list)

    def person(self, username: str) -> MattermostClient:
        """Someone else at another client."""
        return MattermostClient(self.double.url, username)

    @property
    def sent(self) -> list[Json]:
        """Calls of the page so far; asks the page first, so that what it has sent has been told."""
        self.page.evaluate("0")
        return self._sent

    def sign_in(self, username: str = "agent", path: str = "/sandbox/channels/service-desk") -> None:
        """Sign in at an address of the page."""
        self.page.goto(self.double.url + path)
        self.page.get_by_test_id("login-username").fill(username)
        self.page.get_by_test_id("login-password").fill(PASSWORD)
        with self.page.expect_response("**/api/v1/bindings?*"):
            self.page.get_by_test_id("login-submit").click()
        expect(self.page.get_by_test_id("composer")).to_be_visible()

    def offer(self, location: str, *bindings: Json) -> None:
        """Set the app's bindings for one location, used when menus are requested next."""
        self.app.bindings = [top for top in self.app.bindings if top["location"] != location]
        self.app.bindings.append({"location": location, "bindings": list(bindings)})

    def open_form(self, form: Json) -> None:
        """Open *form* from the app bar."""
        self.offer("/channel_header", {"location": "form", "label": "Form", "icon": "icon.png", "form": form})
        self.sign_in()
        self.page.get_by_test_id("app-bar-form").click()
        expect(self.page.get_by_test_id("modal")).to_be_visible()

    def submit(self) -> None:
        """Press the modal's button."""
        self.page.get_by_test_id("modal-submit").click()

    def choose(self, name: str, option: str, typed: str = "") -> None:
        """Open a select, type, and choose an option."""
        box = self.page.get_by_test_id(f"field-{name}")
        box.locator("input").click()
        if typed:
            box.locator("input").press_sequentially(typed)
        box.get_by_role("option", name=option, exact=True).click()

    def suggestions(self, line: str) -> list[str]:
        """What is offered for a typed line, as title and description."""
        composer = self.page.get_by_test_id("composer")
        composer.fill("")
        composer.fill(line)
        shown = self.page.get_by_test_id("suggestions")
        expect(shown).to_have_attribute("data-line", line)
        expect(shown).to_be_visible()
        found = self.page.get_by_test_id("suggestion").locator(".suggestion-text").all()
        return [" | ".join(one.inner_text().split("\n")) for one in found]


@contextmanager
def serving() -> Iterator[tuple[MattermostDouble, RecorderApp]]:
    """The double, which serves the page, and the app."""
    with MattermostDouble() as double, RecorderApp() as app:
        yield double, app


def installed(servers: tuple[MattermostDouble, RecorderApp], page: Page) -> Chat:
    """A new server with the app installed, and a list of the calls that *page* sends."""
    double, app = servers
    double.reset()
    app.reset()
    answer = MattermostClient(double.url, "admin").install(f"{app.url}/manifest.json", "no secret needed")
    assert answer["type"] == "ok", answer
    chat = Chat(double, app, page)

    def note(request: Any) -> None:
        if request.url.endswith("/api/v1/call"):
            chat._sent.append(request.post_data_json)

    page.on("request", note)
    return chat


def text(name: str, **more: Any) -> Json:
    """A text field."""
    return {"name": name, "type": "text", "modal_label": name.title(), **more}


def option(label: str, value: str) -> Json:
    """An option in the framework's format."""
    return {"label": label, "value": value}
