"""The fuzzed service, called in its own process, with both doubles on real sockets."""

import io
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import requests
from werkzeug.test import run_wsgi_app

from core.notices import WebhookKey
from tests.fuzz.checkpoint import Checkpoint
from tests.fuzz.crawler import Crawler, end, press_everything, reports, wake_up
from tests.fuzz.mutations import Plan
from tests.fuzz.requests_seen import Notebook, Seen
from tests.reports import grant, invite_bot, signed, stored
from tests.scenarios.plain.test_plain_cards import card_of, set_version
from tests.scenarios.subscriptions.subscribing import foreign_row, install_component, make_key
from tests.world import World

Json = dict[str, Any]


@dataclass
class Answer:
    """An answer and its duration in seconds."""

    status: int
    body: bytes
    seconds: float


class Site:
    """
    A world with its recorded requests and a checkpoint.

    The service is called without sockets. They would make each of thousands of requests three times slower and hide
    exceptions behind a closed connection. The service's own connections are real.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.notebook = Notebook()
        self.pool: list[Any] = []
        self._checkpoint: Checkpoint | None = None

    @classmethod
    def begin(cls, world: World, folder: Path, key: WebhookKey) -> "Site":
        """Install, connect, create cards and subscriptions, do everything once, then restore the state from before."""
        site = cls(world)
        set_version(world, "11.6.0")
        site.notebook.watch(world.running.service.app)
        world.install()
        world.restart(webhook_keys=(key,))
        site.notebook.watch(world.running.service.app)
        for name in ("admin", "agent", "agent2"):
            world.connected(name)
        steps = world.person("admin").command("setup")["form"]["header"]
        requests.get(steps.partition("[the update set](")[2].partition(")")[0], timeout=20).raise_for_status()
        install_component(world, "admin", "agent")
        make_key(world)
        invite_bot(world, "service-desk", "town-square")
        agent = world.person("agent")
        card, _ = card_of(world, agent)
        agent.command("share", {"record": "CHG0030001"}, channel="service-desk")
        row = {"channel_id": agent.channel("service-desk"), "user_id": agent.id, "name": "All incidents"}
        stored(world, grant(world, sys_id=foreign_row(world, "agent", **row)))
        legacy_webhook = world.running.service.services.legacy_webhook
        legacy_webhook.switch_on()
        message = agent.say("service-desk", "The printer of INC0010001 is on fire")
        site._checkpoint = Checkpoint(world, folder)
        site._see(card["id"], message["id"], legacy_webhook.secret())
        return site

    def _see(self, card_id: str, message_id: str, old_secret: str) -> None:
        self.notebook.watch(self.world.running.service.app)
        agent, admin = self.world.person("agent"), self.world.person("admin")
        cards = [
            post["id"] for post in self.world.mattermost.posts_in("service-desk") if post["props"].get("attachments")
        ]
        press_everything(self.world, agent, [card_id, *cards])
        reports(self.world, old_secret)
        wake_up(self.world)
        known: dict[str, int] = {}
        Crawler(agent, known).menus(message_id)
        Crawler(admin, known).menus(message_id)
        self.world.person("newcomer").connect()
        end(self.world)
        self.notebook.writing = False
        self.pool = sorted(
            {json.dumps(one) for of in self.notebook.by_path.values() for seen in of for one in _leaves(seen.body)}
        )
        self.pool = [json.loads(one) for one in self.pool]
        self.restore()

    def restore(self) -> None:
        """Restore the state from before the first request."""
        assert self._checkpoint is not None
        self._checkpoint.restore()

    def of(self, path: str) -> list[Seen]:
        """The requests of a path, or of all paths below it if it ends in a slash."""
        if path.endswith("/"):
            return [one for at, of in sorted(self.notebook.by_path.items()) if at.startswith(path) for one in of]
        return self.notebook.by_path.get(path, [])

    def of_call(self, path: str) -> list[Seen]:
        """
        The call's own requests and those of its siblings, sent to its path, since no form leads to some calls.

        Anyone can send them, and a form's state is valid for all calls of its path.
        """
        own = self.of(path)
        siblings = self.of(path.rpartition("/")[0] + "/") or self.of("/" + path.split("/")[1] + "/")
        moved = [replace(one, path=path, body=one.body | {"path": path}) for one in siblings if one.path != path]
        return own + moved[: max(6, len(own) // 2)]

    def send(self, bases: Sequence[Seen], plan: Plan) -> tuple[Json, Answer]:
        """Send one of the requests with changes."""
        base = bases[plan.base % len(bases)]
        document = plan.changed(base.document(), self.pool)
        body = document.get("body")
        if base.path == "/plain/press" and isinstance(body, dict) and body.get("trigger_id") == base.body["trigger_id"]:
            body["trigger_id"] = self.world.mattermost.trigger_ids.create(base.body["user_id"])[1]  # each works once
        raw = plan.encoded(body)
        headers = document.get("headers")
        headers = {str(key): _text(value) for key, value in headers.items()} if isinstance(headers, dict) else {}
        if "HTTP_X_SERVICENOW_KEY" in headers:
            proof = signed(raw, self.world.now(), headers["HTTP_X_SERVICENOW_KEY"])
            headers |= {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in proof.items()}
        query = document.get("query")
        environ = {
            "REQUEST_METHOD": base.method,
            "PATH_INFO": "/" + _text(document.get("path", base.path)).lstrip("/"),
            "QUERY_STRING": urlencode(query, doseq=True, errors="replace") if isinstance(query, dict) else _text(query),
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "CONTENT_LENGTH": str(len(raw)),
            "REMOTE_ADDR": "127.0.0.1",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(raw),
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        } | headers  # fmt: skip
        began = time.perf_counter()
        parts, status, _ = run_wsgi_app(self.world.running.service.app, environ, buffered=True)
        content = b"".join(parts)
        return document, Answer(int(status.split()[0]), content, time.perf_counter() - began)


def _text(value: Any) -> str:
    """The text as a server provides it: bytes as Latin-1, without line breaks."""
    text = value if isinstance(value, str) else json.dumps(value)
    return text.encode("utf-8", "replace").decode("latin-1").replace("\r", " ").replace("\n", " ")


def _leaves(value: Any) -> list[Any]:
    """Texts and selected options of a body."""
    if isinstance(value, dict):
        own = [value] if set(value) == {"label", "value"} else []
        return own + [leaf for child in value.values() for leaf in _leaves(child)]
    if isinstance(value, list):
        return [leaf for child in value for leaf in _leaves(child)]
    return [value] if isinstance(value, str) and 0 < len(value) < 2000 else []
