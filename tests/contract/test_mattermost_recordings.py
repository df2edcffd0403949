"""
The Mattermost double answers as a real server did: recorded exchanges, replayed as they were sent.

The double's state is given the recorded people, places and tokens, so that requests go out verbatim;
an app in the test answers as the recorded app did. What differs stands in DIFFERENT, with its reason.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask, Response, request
from flask.typing import ResponseReturnValue

from sandbox.common import SandboxServer
from sandbox.mattermost import MattermostDouble
from sandbox.mattermost.apps.registry import App
from sandbox.mattermost.state import Session

Json = dict[str, Any]

RECORDED = Path(__file__).parent.parent / "recorded" / "mattermost"
APP = "com.example.recorder"
TEAM, OTHER_TEAM = "3e6qmh4sgjyotrijuh3i5464gy", "5mw6911g5prybpbzdzjif3kqch"
INCIDENTS, PUBLIC, PRIVATE = "7ewbxffo6bfzdedq8toxgktt5h", "zui39mer83gbzfhe6hi81zioue", "ufc83imce3rei8pcqx654jntrr"
PEOPLE = {
    "alice": ("jmscywtegj8mdc87ebmq7gem6a", "Alice", "Archer", "system_user", "ryu4fw63bifh7dkiap6aho3wwa"),
    "bob": ("ow7rjq44ifnd8j4y1e7yuhjs6e", "Bob", "Baker", "system_user", "6q39dju78bng8qdqaceesoyfer"),
    "sysadmin": (
        "ob7k16x7ybbsbxs3tfpzgy5t8e",
        "Sys",
        "Admin",
        "system_admin system_user",
        "5rhk19xqhbfmjj71j4p4uyfk8o",
    ),
}
ROOT, REPLY = "usbdbab6w7d1dpc3p5wbo8xtky", "1g6bejbdxibxxxaxg6fchu4j7r"
HIDDEN, ELSEWHERE = "bueji1ef1infbnwnbcr8f7dhya", "jmebiya1ubycjpsjwbueh6q16y"
BOT = "k1x9g93hxfb4jyw5rnhf1dfqdo"

# Scene (its beginning): why the double differs, in order of the files.
DIFFERENT = {
    "empty path": "the plugin panics; the double says what is wrong instead of a stack",
    "connection closed": "the test's app cannot hang up in the middle of nothing",
    "app is down": "the recorded app was stopped; scenarios stop ours",
    "HTTP 302 redirect": "the recorded target path is not served by the test's app",
    "HTTP 307 redirect": "the recorded target path is not served by the test's app",
    "GET on the call route": "Werkzeug names the allowed methods in the body",
    "path that climbs": "the recorded app answered 404 where the test's app answers the scene",
    "type call": "never offered by us: `call` in an answer is decoded, and clients refuse it",
    "direct message": "the recorded direct channel is not among the seeded places",
}


def scenes(name: str) -> list[Any]:
    """The scenes of a file, as test parameters."""
    found = json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))
    return [pytest.param(scene, id=f"{name}-{n}-{scene['what'][:50]}") for n, scene in enumerate(found)]


class Recorder:
    """The app behind the double: says what the scene's app said, and keeps what it was sent."""

    def __init__(self) -> None:
        self.got: list[Json] = []
        self.answer: Json = {}
        app = Flask("recorder")
        app.add_url_rule("/", "root", self._answer, methods=["POST", "GET"], defaults={"path": ""})
        app.add_url_rule("/<path:path>", "any", self._answer, methods=["POST", "GET"])
        self.server = SandboxServer(app).start()

    def _answer(self, path: str) -> ResponseReturnValue:
        self.got.append({"path": f"/{path}", "body": request.get_json(silent=True)})
        body = self.answer.get("body")
        text = body if isinstance(body, str) else json.dumps(body)
        kind = (self.answer.get("headers") or {}).get("Content-Type", "application/json")
        return Response(text if body is not None else "", self.answer.get("status", 200), {"Content-Type": kind})


@pytest.fixture(scope="module")
def recorder() -> Iterator[Recorder]:
    """One app for the module."""
    recorder = Recorder()
    yield recorder
    recorder.server.stop()


@pytest.fixture(scope="module")
def server(recorder: Recorder) -> Iterator[MattermostDouble]:
    """The double, with the recorded people, places, tokens and app."""
    with MattermostDouble() as double:
        state = double.state
        for username, (user_id, first, last, roles, token) in PEOPLE.items():
            user = state.add_user(username, first, last, roles)
            del state.users[user["id"]]
            user["id"] = user_id
            state.users[user_id] = user
            state.sessions[token] = Session(user_id)
        state.users[PEOPLE["alice"][0]] |= {"nickname": "Al", "position": "SRE"}
        bot = state.add_user(APP, "Recorder", "", bot=True)
        del state.users[bot["id"]]
        state.users[BOT] = bot | {"id": BOT}
        state.teams.clear()
        for team_id, name, label in ((TEAM, "ops", "Operations"), (OTHER_TEAM, "other", "Other")):
            team = {"id": team_id, "name": name, "display_name": label, "type": "O", "delete_at": 0}
            state.teams[team_id] = team
        for channel_id, name, kind in ((INCIDENTS, "incidents", "O"), (PUBLIC, "public", "O"), (PRIVATE, "priva", "P")):
            channel = state.add_channel(name, name.capitalize(), kind, TEAM)
            del state.channels[channel["id"]]
            state.channels[channel_id] = channel | {"id": channel_id, "shared": None}
        alice = PEOPLE["alice"][0]
        places = ((ROOT, "", INCIDENTS), (REPLY, ROOT, INCIDENTS), (HIDDEN, "", PRIVATE), (ELSEWHERE, "", PUBLIC))
        for post_id, root_id, channel_id in places:
            state.posts[post_id] = {
                "id": post_id,
                "root_id": root_id,
                "type": "",
                "user_id": alice,
                "channel_id": channel_id,
                "message": "reply in thread" if root_id else "Disk full on **db01**",
                "delete_at": 0,
            }
        for username, (user_id, *_) in PEOPLE.items():
            state.join_team(TEAM, user_id)
            state.join(INCIDENTS, user_id)
            state.join(PUBLIC, user_id)
            if username == "alice":
                state.join(PRIVATE, user_id)
        manifest = {
            "app_id": APP,
            "display_name": "Recorder",
            "version": "v1.0.0",
            "requested_permissions": ["act_as_bot", "act_as_user", "remote_oauth2", "remote_webhooks"],
            "requested_locations": ["/command", "/channel_header", "/post_menu"],
            "http": {"root_url": recorder.server.url},
        } | {
            f"on_{name}": {"path": f"/{name}"}
            for name in ("install", "uninstall", "enable", "disable", "version_changed")
        }
        double.registry.apps[APP] = App(manifest, "", BOT)
        yield double


def replayed(server: MattermostDouble, recorder: Recorder, scene: Json) -> requests.Response:
    """Send what the client sent."""
    sent = scene["client_to_mattermost"]["request"]
    recorder.got.clear()
    recorder.answer = scene.get("app_to_mattermost") or {}
    body = sent["body"]
    data = body if isinstance(body, str) else None if body is None else json.dumps(body)
    return requests.request(
        sent["method"], server.url + sent["path"], data=data, headers=sent["headers"], timeout=20, allow_redirects=False
    )


def local(value: Any, server: MattermostDouble, recorder: Recorder) -> Any:
    """A recorded value with this run's addresses."""
    text = json.dumps(value).replace("http://127.0.0.1:8065", server.url).replace("127.0.0.1:8065", server.url[7:])
    return json.loads(text.replace("http://127.0.0.1:4000", recorder.server.url))


def skip_if_different(scene: Json) -> None:
    """A scene that is known to differ is not replayed; the reason is in the report."""
    for beginning, reason in DIFFERENT.items():
        if beginning in scene["what"]:
            pytest.skip(reason)


@pytest.mark.parametrize("scene", [*scenes("calls"), *scenes("forms")])
def test_a_call_is_answered_as_recorded(server: MattermostDouble, recorder: Recorder, scene: Json) -> None:
    """Status and body to the client, and what reached the app, are the recorded ones."""
    skip_if_different(scene)
    answer = replayed(server, recorder, scene)
    expected = scene["client_to_mattermost"]["response"]
    assert answer.status_code == expected["status"]
    body = answer.json() if "json" in answer.headers.get("Content-Type", "") else answer.text
    assert body == local(expected["body"], server, recorder)
    if "mattermost_to_app" not in scene:
        assert recorder.got == []
        return
    got, sent = recorder.got[0], scene["mattermost_to_app"]
    assert got["path"] == sent["path"].partition("?")[0]
    for key in ("path", "state", "values", "raw_command", "selected_field", "query"):
        assert got["body"].get(key) == sent["body"].get(key), key
    assert set(got["body"]["context"]) == set(sent["body"]["context"])


@pytest.mark.parametrize("scene", scenes("expand"))
def test_a_context_is_expanded_as_recorded(server: MattermostDouble, recorder: Recorder, scene: Json) -> None:
    """Which keys reach the app at which level, and the words of those that fail."""
    response = replayed(server, recorder, scene)
    expected = local(scene["client_to_mattermost"]["response"]["body"], server, recorder)
    if response.status_code != 200:
        assert response.text == expected
        return
    answer = response.json()
    assert answer["type"] == expected["type"], answer
    if answer["type"] == "error":
        assert answer["text"] == expected["text"]
        assert recorder.got == []
        return
    context, recorded = recorder.got[0]["body"]["context"], scene["mattermost_to_app"]["body"]["context"]
    assert set(context) == set(recorded)
    for key in set(context) & {"acting_user", "channel", "team", "post"}:
        for name in ("id", "username", "type", "team_id", "name", "root_id", "channel_id", "message"):
            if name in recorded[key]:
                assert context[key].get(name, "") == recorded[key][name], (key, name)


@pytest.mark.parametrize("scene", scenes("rest_errors"))
def test_a_refusal_of_the_rest_api_has_the_recorded_words(
    server: MattermostDouble, recorder: Recorder, scene: Json
) -> None:
    """Status, id and message of 400, 401, 403 and 404."""
    expected = scene["client_to_mattermost"]["response"]
    answer = replayed(server, recorder, scene)
    assert answer.status_code == expected["status"]
    assert answer.json()["id"] == expected["body"]["id"]
    assert answer.json()["message"] == expected["body"]["message"]


def in_order(bindings: Any) -> Any:
    """Top locations by name: the plugin's order among them is not fixed."""
    return sorted(bindings, key=lambda one: str(one["location"])) if isinstance(bindings, list) else bindings


@pytest.mark.parametrize("scene", scenes("bindings"))
def test_bindings_are_cleaned_as_recorded(server: MattermostDouble, recorder: Recorder, scene: Json) -> None:
    """What a client gets of an app's answer: normalised, dropped and merged as the plugin does."""
    skip_if_different(scene)
    answer = replayed(server, recorder, scene)
    expected = scene["client_to_mattermost"]["response"]
    assert answer.status_code == expected["status"]
    assert in_order(answer.json()) == in_order(local(expected["body"], server, recorder))
