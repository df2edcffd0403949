"""Recorded facts that need a sequence of requests: tokens over time, OAuth states, webhooks and posts."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
import requests
from flask import Flask, jsonify, request
from flask.typing import ResponseReturnValue
from websocket import create_connection

from sandbox.client import PLUGIN, MattermostClient
from sandbox.common import SandboxServer
from sandbox.mattermost import MattermostDouble

Json = dict[str, Any]
SECRET = "a secret of thirty-two characters"
APPS = {"acting_user": "+summary", "locale": "all"}  # what the plugin's own commands expand


class Talkative:
    """An app that records every call and answers ok."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Json, str]] = []
        self._called = threading.Condition()
        self.manifest: Json = {}
        self.form: Json = {}
        app = Flask("talkative")
        app.add_url_rule("/manifest.json", "manifest", lambda: jsonify(self.manifest))
        app.add_url_rule("/static/icon.png", "icon", lambda: b"png")
        app.add_url_rule("/<path:path>", "any", self._answer, methods=["POST"])
        self.server = SandboxServer(app).start()
        self.manifest = {
            "app_id": "talkative",
            "display_name": "Talkative",
            "homepage_url": "https://example.com",
            "icon": "icon.png",
            "requested_permissions": ["act_as_bot", "act_as_user", "remote_oauth2", "remote_webhooks"],
            "requested_locations": ["/command"],
            "on_install": {"path": "/install", "expand": {"acting_user": "+summary", "app": "all"}},
            "http": {"root_url": self.server.url, "use_jwt": True},
        }

    def _answer(self, path: str) -> ResponseReturnValue:
        authorization = request.headers.get("Mattermost-App-Authorization", "").removeprefix("Bearer ")
        with self._called:
            self.calls.append((f"/{path}", request.get_json(), authorization))
            self._called.notify_all()
        if path == "form":
            return jsonify({"type": "form", "form": self.form})
        data = f"http://127.0.0.1/authorize?state={request.get_json().get('values', {}).get('state')}"
        return jsonify({"type": "ok", "data": data if path == "oauth2/connect" else []})

    def last(self, path: str) -> tuple[Json, str]:
        """Wait for a call to a path, as webhooks come after their sender's answer; returns its body and token."""
        with self._called:
            assert self._called.wait_for(lambda: any(called == path for called, _, _ in self.calls), timeout=5)
            return [(body, token) for called, body, token in self.calls if called == path][-1]


@pytest.fixture(scope="module")
def doubles() -> Iterator[tuple[MattermostDouble, Talkative]]:
    """A double and an app for the module."""
    app = Talkative()
    with MattermostDouble() as double:
        yield double, app
    app.server.stop()


@pytest.fixture
def world(doubles: tuple[MattermostDouble, Talkative]) -> tuple[MattermostDouble, Talkative, MattermostClient]:
    """The newly installed app and a person."""
    double, app = doubles
    double.reset()
    app.calls.clear()
    answer = MattermostClient(double.url, "admin").install(f"{app.server.url}/manifest.json", SECRET)
    assert answer["text"].startswith("Installed app `talkative`: Talkative.")
    return double, app, MattermostClient(double.url, "agent")


World = tuple[MattermostDouble, Talkative, MattermostClient]


def context_of(app: Talkative, agent: MattermostClient) -> Json:
    """The context of a new call."""
    agent.call({"path": "/do", "expand": {"acting_user_access_token": "all"}}, app_id="talkative")
    body, _ = app.last("/do")
    found: Json = body["context"]
    return found


def test_installing_pings_and_signs(world: World) -> None:
    """The signed ping names no person. The signed on_install call names the admin and has the webhook secret."""
    double, app, _ = world
    assert [path for path, _, _ in app.calls][:2] == ["/ping", "/install"]
    claims = jwt.decode(app.last("/ping")[1], SECRET, algorithms=["HS256"])
    assert set(claims) == {"exp"}
    body, token = app.last("/install")
    claims = jwt.decode(token, SECRET, algorithms=["HS256"])
    assert claims["acting_user_id"] == body["context"]["acting_user"]["id"]
    assert body["context"]["app"]["webhook_secret"] == double.registry.apps["talkative"].webhook_secret


def test_app_sessions_last_ten_minutes_and_are_extended_in_their_second_half(world: World) -> None:
    """Each call has the same token. A call in its last five minutes extends it to ten. After it expires, it is new."""
    double, app, agent = world
    first = context_of(app, agent)
    double.advance(200)
    assert context_of(app, agent)["bot_access_token"] == first["bot_access_token"]
    double.advance(200)
    assert context_of(app, agent)["bot_access_token"] == first["bot_access_token"]  # extended here
    double.advance(500)
    alive = {"Authorization": f"Bearer {first['bot_access_token']}"}
    assert requests.get(f"{double.url}/api/v4/users/me", headers=alive, timeout=10).status_code == 200
    double.advance(200)
    assert requests.get(f"{double.url}/api/v4/users/me", headers=alive, timeout=10).status_code == 401
    assert context_of(app, agent)["bot_access_token"] != first["bot_access_token"]


@pytest.mark.parametrize("expand", [{}, None, {"channel": "summary"}, {"acting_user": ""}])
def test_a_builtin_command_without_expand_panics(world: World, expand: Json | None) -> None:
    """The plugin reads the acting user's language before it checks that there is an acting user."""
    double, _, _ = world
    call = {"path": "/install-http"} | ({"expand": expand} if expand is not None else {})
    answer = MattermostClient(double.url, "admin").call(call, app_id="apps", values={"url": "http://127.0.0.1:1/"})
    assert answer["type"] == "ok"
    assert answer["text"].startswith("Call `/install-http` panic-ed.")


def test_a_builtin_command_needs_the_acting_user(world: World) -> None:
    """With only the locale, the plugin reports the missing acting user. `/apps info` doesn't need one."""
    double, _, _ = world
    admin = MattermostClient(double.url, "admin")
    for path in ("/install-http", "/install-consent", "/disable", "/enable", "/uninstall"):
        answer = admin.call({"path": path, "expand": {"locale": "all"}}, app_id="apps")
        assert answer["type"] == "error"
        why = f"no or invalid ActingUser in the context for {path}, please make sure Expand.ActingUser is set"
        assert answer["text"] == f"{why}: invalid input"
    assert admin.call({"path": "/info", "expand": {"locale": "all"}}, app_id="apps")["type"] == "ok"


def test_an_unknown_command_is_rejected_as_recorded(world: World) -> None:
    """The API names the trigger without its slash. The web client shows a different message."""
    double, _, agent = world
    body = {"channel_id": agent.channel("town-square"), "command": "/nosuchcommand x", "team_id": agent.team_id}
    answer = agent.browser.post(f"{double.url}/api/v4/commands/execute", json=body)
    assert answer.status_code == 404
    assert answer.json()["id"] == "api.command.execute_command.not_found.app_error"
    assert answer.json()["message"] == (
        "Command with a trigger of 'nosuchcommand' not found. To send a message beginning with \"/\", try adding an "
        "empty space at the beginning of the message."
    )


def test_repeated_switches_and_uninstall_answer_as_the_plugin_does(world: World) -> None:
    """The texts are the plugin's. A disabled app whose on_uninstall call has an expand can't be uninstalled."""
    double, app, _ = world
    admin = MattermostClient(double.url, "admin")

    def apps(path: str) -> str:
        return str(admin.call({"path": path, "expand": APPS}, app_id="apps", values={"app": "talkative"})["text"])

    assert apps("/enable") == "Talkative is already enabled"
    assert apps("/disable") == "Disabled Talkative"
    assert apps("/disable") == "Already disabled"
    double.registry.apps["talkative"].manifest["on_uninstall"] = {"path": "/removed", "expand": {"locale": "all"}}
    assert apps("/uninstall") == (
        "app canceled uninstall request: failed to expand context: app is disabled by the administrator: "
        "talkative: forbidden"
    )
    double.registry.apps["talkative"].manifest["on_uninstall"] = {"path": "/removed"}
    assert apps("/uninstall") == "Uninstalled Talkative, with message: "
    body, token = app.last("/removed")
    assert "acting_user" not in body["context"]
    assert body["context"]["bot_access_token"]
    assert "acting_user_id" not in jwt.decode(token, options={"verify_signature": False})
    alive = {"Authorization": f"Bearer {body['context']['bot_access_token']}"}
    assert requests.get(f"{double.url}/api/v4/users/me", headers=alive, timeout=10).status_code == 401


def test_commands_on_an_installed_app_are_offered_as_recorded(world: World) -> None:
    """Only administrators are offered `disable`, `enable` and `uninstall`, with the apps that each applies to."""
    double, _, agent = world
    admin = MattermostClient(double.url, "admin")
    offered = admin.entries("/command")
    assert offered["apps disable"] == {
        "app_id": "apps",
        "location": "disable",
        "label": "disable",
        "hint": "[ App ID ]",
        "description": "Disable an App",
        "form": {
            "submit": {"path": "/disable", "expand": APPS},
            "fields": [
                {
                    "name": "app",
                    "type": "dynamic_select",
                    "is_required": True,
                    "description": "Select an App or enter the App ID",
                    "label": "app",
                    "position": 1,
                    "lookup": {"path": "/q/app_id", "expand": APPS, "state": "enabled"},
                }
            ],
        },
    }
    assert {one for one in agent.entries("/command") if one.startswith("apps ")} == {"apps info"}

    def apps(word: str) -> list[Json]:
        [field, *_] = offered[f"apps {word}"]["form"]["fields"]
        found: list[Json] = admin.call(field["lookup"], app_id="apps", selected_field="app")["data"]["items"]
        return found

    talkative = [{"label": "Talkative", "value": "talkative"}]
    assert (apps("disable"), apps("enable"), apps("uninstall")) == (talkative, [], talkative)
    admin.call({"path": "/disable", "expand": APPS}, app_id="apps", values={"app": "talkative"})
    assert (apps("disable"), apps("enable"), apps("uninstall")) == ([], talkative, talkative)


def test_values_that_go_omits_do_not_reach_clients(world: World) -> None:
    """``omitempty`` drops a false flag, an empty text, a zero and an empty list, but not a field's value."""
    _, app, agent = world
    empty = {"is_required": False, "readonly": False, "hint": "", "position": 0, "options": [], "refresh": False}
    fields = [{"name": "a", "type": "bool", "value": False} | empty, {"name": "b", "type": "text", "is_required": True}]
    app.form = {"title": "", "submit": {"path": "/x"}, "fields": fields}
    answer = agent.call({"path": "/form"}, app_id="talkative")
    assert answer["form"] == {
        "submit": {"path": "/x"},
        "fields": [
            {"name": "a", "type": "bool", "value": False, "label": "a"},
            {"name": "b", "type": "text", "is_required": True, "label": "b"},
        ],
    }


def test_disabling_ends_the_bot_s_session_but_not_the_person_s(world: World) -> None:
    """As recorded, the acting user's token remains valid until it expires."""
    double, app, agent = world
    context = context_of(app, agent)
    MattermostClient(double.url, "admin").call(
        {"path": "/disable", "expand": APPS}, app_id="apps", values={"app": "talkative"}
    )
    statuses = [
        requests.get(
            f"{double.url}/api/v4/users/me", headers={"Authorization": f"Bearer {context[name]}"}, timeout=10
        ).status_code
        for name in ("bot_access_token", "acting_user_access_token")
    ]
    assert statuses == [401, 200]


def test_an_oauth_state_works_once_within_15_minutes_for_one_person(world: World) -> None:
    """Connecting redirects with 307. Each refusal has the recorded status and text."""
    double, _, agent = world
    other = MattermostClient(double.url, "requester")
    remote = f"{double.url}{PLUGIN}/apps/talkative/oauth2/remote"

    def begin() -> str:
        answer = agent.browser.get(f"{remote}/connect", allow_redirects=False)
        assert answer.status_code == 307
        return answer.headers["Location"].partition("state=")[2]

    def complete(who: MattermostClient, **query: str) -> tuple[int, str]:
        answer = who.browser.get(f"{remote}/complete", params=query)
        return answer.status_code, answer.text

    state = begin()
    assert complete(other, code="c", state=state) == (403, "forbidden\n")
    assert complete(agent, code="c", state=state)[0] == 200
    assert complete(agent, code="c", state=state) == (403, "state mismatch: forbidden\n")
    assert complete(agent, code="c") == (401, "no state arg in the URL: unauthorized\n")
    assert complete(agent, code="c", state="garbage") == (403, "forbidden\n")
    late = begin()
    double.advance(901)
    assert complete(agent, code="c", state=late) == (403, "state mismatch: forbidden\n")


def test_the_oauth_user_store_belongs_to_the_person(world: World) -> None:
    """Only the person's app session can write it, which refreshes the menus. The bot and a login session can't."""
    double, app, agent = world
    context = context_of(app, agent)
    url = f"{double.url}{PLUGIN}/api/v1/oauth2/user"
    cookie = "; ".join(f"{name}={value}" for name, value in agent.browser.cookies.items())
    socket = create_connection(double.url.replace("http", "ws") + "/api/v4/websocket", cookie=cookie, timeout=10)
    try:
        assert json.loads(socket.recv())["event"] == "hello"
        mine = {"Authorization": f"Bearer {context['acting_user_access_token']}"}
        assert requests.post(url, json={"connected": True}, headers=mine, timeout=10).status_code == 200
        assert json.loads(socket.recv())["event"] == "custom_com.mattermost.apps_refresh_bindings"
    finally:
        socket.close()
    bot = {"Authorization": f"Bearer {context['bot_access_token']}"}
    assert requests.post(url, json={}, headers=bot, timeout=10).status_code == 401
    assert agent.browser.post(url, json={}).text == "not an app session: unauthorized\n"
    assert requests.post(url, data="x" * 9000, headers=mine, timeout=10).status_code == 500


def test_webhooks_need_the_secret_and_answer_with_an_empty_body(world: World) -> None:
    """The answer is 400 without it and an empty 200 with it. The token names the bot as the acting user."""
    double, app, _ = world
    registered = double.registry.apps["talkative"]
    url = f"{double.url}{PLUGIN}/apps/talkative/webhook/notice"
    assert requests.post(url, json={"a": 1}, timeout=10).status_code == 400
    good = requests.post(url, params={"secret": registered.webhook_secret}, json={"a": 1}, timeout=10)
    assert (good.status_code, good.text) == (200, "")
    body, token = app.last("/webhook/notice")
    assert body["values"]["data"] == {"a": 1}
    assert "acting_user" not in body["context"]
    claims = jwt.decode(token, SECRET, algorithms=["HS256"])
    assert claims["acting_user_id"] == registered.bot_user_id
    assert requests.post(f"{url}/deeper", timeout=10).status_code == 404


def test_a_webhook_an_hour_later_has_a_valid_token(world: World) -> None:
    """The bot token of the last call has expired. The webhook's call has a new one."""
    double, app, agent = world
    old = context_of(app, agent)["bot_access_token"]
    double.advance(3600)
    me = f"{double.url}/api/v4/users/me"
    assert requests.get(me, headers={"Authorization": f"Bearer {old}"}, timeout=10).status_code == 401
    registered = double.registry.apps["talkative"]
    url = f"{double.url}{PLUGIN}/apps/talkative/webhook/wake"
    assert requests.post(url, params={"secret": registered.webhook_secret}, timeout=10).status_code == 200
    token = app.last("/webhook/wake")[0]["context"]["bot_access_token"]
    answer = requests.get(me, headers={"Authorization": f"Bearer {token}"}, timeout=10)
    assert answer.json()["id"] == registered.bot_user_id


def test_posts_are_rejected_as_recorded(world: World) -> None:
    """Membership, archived channels, roots and length are checked. A pending ID creates one post in 30 seconds."""
    double, app, agent = world
    bot = {"Authorization": f"Bearer {context_of(app, agent)['bot_access_token']}"}
    desk, archive = agent.channel("service-desk"), agent.channel("archive")

    def error(body: Json, headers: Json | None = None) -> tuple[int, str]:
        answer = (
            requests.post(f"{double.url}/api/v4/posts", json=body, headers=headers, timeout=10)
            if headers
            else agent.browser.post(f"{double.url}/api/v4/posts", json=body)
        )
        return answer.status_code, answer.json()["id"]

    root = agent.say("service-desk", "root")
    reply = agent.say("service-desk", "reply", root["id"])
    assert error({"channel_id": desk, "message": "x"}, bot) == (403, "api.context.permissions.app_error")
    assert error({"channel_id": archive, "message": "x"}) == (400, "api.post.create_post.can_not_post_to_deleted.error")
    assert error({"channel_id": desk, "root_id": reply["id"]}) == (400, "api.post.create_post.root_id.app_error")
    assert error({"channel_id": desk, "message": "x" * 16384}) == (400, "model.post.is_valid.msg.app_error")
    pending = {"channel_id": desk, "message": "once", "pending_post_id": "p1"}
    first = agent.post("/api/v4/posts", pending)["id"]
    assert agent.post("/api/v4/posts", pending)["id"] == first
    double.advance(31)
    assert agent.post("/api/v4/posts", pending)["id"] != first


def test_unsupported_endpoints_answer_501(world: World) -> None:
    """Slash commands, reactions and timers answer 501 with the path."""
    double, _, agent = world
    for path in ("/api/v4/commands", "/api/v4/reactions", f"{PLUGIN}/api/v1/timer"):
        answer = agent.browser.post(double.url + path, json={})
        assert answer.status_code == 501
        assert path in answer.text


def test_only_administrators_can_read_plugin_statuses() -> None:
    """State 2 means running. Other people get 403, as recorded."""
    with MattermostDouble() as double:
        rows = MattermostClient(double.url, "admin").get("/api/v4/plugins/statuses")
        assert [(row["plugin_id"], row["state"]) for row in rows] == [("com.mattermost.apps", 2)]
        keys = {"plugin_id", "cluster_id", "plugin_path", "state", "error", "name", "description", "version"}
        assert set(rows[0]) == keys
        refused = MattermostClient(double.url, "agent").browser.get(f"{double.url}/api/v4/plugins/statuses")
        assert (refused.status_code, refused.json()["id"]) == (403, "api.context.permissions.app_error")
