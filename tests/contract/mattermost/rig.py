"""
Replays recorded scenes against the Mattermost double, with the recorded client's requests.

The double gets the recorded people, channels and sessions. IDs, tokens and secrets that the double creates
are bound to the recorded ones when they are first seen, and must match from then on: in answers, in requests to
the app, and in the requests of later scenes.
"""

import base64
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import requests
from flask import Flask, Response, request
from flask.typing import ResponseReturnValue

from sandbox.common import SandboxServer
from sandbox.mattermost import MattermostDouble
from sandbox.mattermost.apps.protocol.registry import App
from sandbox.mattermost.server.state import Json, Session
from tests.contract.mattermost.listeners import Listener, recorded_events

RECORDED = Path(__file__).parent.parent.parent / "recorded" / "mattermost"
APP = "com.example.recorder"
BOT, APPS_BOT = "k1x9g93hxfb4jyw5rnhf1dfqdo", "riiiccyhepndxm6hitqazptanr"
TEAM, OTHER_TEAM = "3e6qmh4sgjyotrijuh3i5464gy", "5mw6911g5prybpbzdzjif3kqch"
INCIDENTS, PUBLIC, PRIVATE = "7ewbxffo6bfzdedq8toxgktt5h", "zui39mer83gbzfhe6hi81zioue", "ufc83imce3rei8pcqx654jntrr"
DIRECT = "83aoaiakpj8gtqajojh9c8f1rc"  # between alice and bob
INCIDENT_BOT = "xtnmjsz8hfdxzx3uy999cs3tnr"  # an ordinary bot account, made by an administrator
ALICE, BOB, ADMIN = "jmscywtegj8mdc87ebmq7gem6a", "ow7rjq44ifnd8j4y1e7yuhjs6e", "ob7k16x7ybbsbxs3tfpzgy5t8e"
PEOPLE = {  # id: (user name, first, last, system roles, login token)
    ALICE: ("alice", "Alice", "Archer", "system_user", "ryu4fw63bifh7dkiap6aho3wwa"),
    BOB: ("bob", "Bob", "Builder", "system_user", "6q39dju78bng8qdqaceesoyfer"),
    ADMIN: ("sysadmin", "Sys", "Admin", "system_admin system_user", "5rhk19xqhbfmjj71j4p4uyfk8o"),
}
# Opaque values: an ID or token, the random half of an OAuth state, a trigger ID, a private post's cookie.
_OPAQUE = re.compile(
    r"(?<![A-Za-z0-9])[a-z0-9]{26}(?![A-Za-z0-9])|(?<=state=)[\w-]{20}(?=\.)|^[\w-]{20}(?=\.[a-z0-9]*$)"
    r"|(?<![\w+/])[\w+/]{120,}={0,2}(?![\w+/=])"
)
_SINCE_2020 = 1_577_836_800
# Only developer servers set it, and no client depends on it, so the double leaves it empty.
_NOT_COMPARED = {"detailed_error"}


def scenes(name: str) -> list[Json]:
    """The scenes of a recorded file, in order. Single exchanges are also returned as lists."""
    found: list[Json] = json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))
    for scene in found:
        for key in ("client_to_mattermost", "app_calls_mattermost"):
            if isinstance(scene.get(key), dict):
                scene[key] = [scene[key]]
        if "mattermost_to_app" in scene:
            exchange = {key: scene.pop(key) for key in ("mattermost_to_app", "app_to_mattermost")}
            scene["exchanges"] = [exchange]
    return found


class Recorder:
    """The app. In a scene, it returns the recorded answers in order. Between scenes, it answers ok."""

    def __init__(self) -> None:
        self.got: list[str] = []
        self.tokens: list[str] = []
        self.playing = False
        self.told = threading.Condition()
        self.exchanges: list[Json] = []
        self.heard: Callable[[Json, Json], Json] = lambda _, answer: answer
        app = Flask("recorder", static_folder=None)
        for rule in ("/", "/<path:path>"):
            app.add_url_rule(rule, rule, self._answer, methods=["GET", "POST"])
        self.server = SandboxServer(app).start()

    def _answer(self, path: str = "") -> ResponseReturnValue:
        query = f"?{request.query_string.decode()}" if request.query_string else ""
        self.got.append(f"{request.method} /{path}{query}")
        if not self.playing:
            return {"type": "ok"}
        if not self.exchanges:
            return Response("the recorded app was not asked this", 599)
        token = request.headers.get("Mattermost-App-Authorization", "")
        if token:
            self.tokens.append(token.removeprefix("Bearer "))
        got = {"jwt": bool(token), "body": request.get_json(silent=True) if request.data else ""}
        answer = self.heard(self.exchanges.pop(0), got)
        with self.told:
            self.told.notify_all()
        return Response(_bytes(answer["body"]), answer["status"], answer["headers"])


class Replay:
    """A double with the recorded state, and its app."""

    def __init__(self, double: MattermostDouble, recorder: Recorder) -> None:
        self.double = double
        self.recorder = recorder
        self.ours: dict[str, str] = {}  # recorded opaque text: the double's
        seeded = [*PEOPLE, BOT, APPS_BOT, TEAM, OTHER_TEAM, INCIDENTS, PUBLIC, PRIVATE, DIRECT]
        self.listening = [person[0] for person in PEOPLE.values()]
        self._listeners: dict[str, Listener] = {}
        self.ours |= {one: one for one in [*seeded, *(person[4] for person in PEOPLE.values())]}

    def session(self, token: str, user_id: str, csrf: str = "") -> None:
        """Add a recorded login session to the double."""
        self.double.state.sessions[token] = Session(user_id, csrf=csrf)
        self.ours[token] = token

    def app_session(self, token: str, user_id: str) -> None:
        """Bind a recorded token of the app to the one that the double issues for this user."""
        self.ours[token] = self.double.registry.token(self.double.registry.get(APP), user_id)

    def app(self, manifest: Json | None = None, **more: Any) -> App:
        """Install the recorded app without calling it, by default with the recorded manifest."""
        manifest = self.manifest() if manifest is None else manifest
        self.double.registry.apps[APP] = App(manifest, more.pop("secret", ""), BOT, **more)
        return self.double.registry.apps[APP]

    def manifest(self) -> Json:
        """The recorded manifest, with this run's URLs."""
        found: Json = json.loads(self.local(json.dumps(recorded_manifest())))
        return found

    def app_keeps_states(self) -> None:
        """Restore the recorded manifest, as after a reinstall, and keep the app's state."""
        self.double.registry.get(APP).manifest = self.manifest()

    def play(self, scene: Json) -> list[str]:
        """Play a scene; returns the differences from the recording, ideally none."""
        exchanges = [one for one in scene.get("exchanges", []) if one]
        differences: list[str] = []

        def heard(exchange: Json, got: Json) -> Json:
            """Compare before answering, since the recorded answer can repeat values of the request."""
            recorded = exchange["mattermost_to_app"]
            for key in recorded.keys() & {"jwt", "body"}:
                differences.extend(self.unlike(recorded[key], got[key], f"to app {recorded['path']} {key}"))
            return dict(self._translated(exchange["app_to_mattermost"]))

        if "websocket" in scene:
            self._listen()
        self.recorder.got, self.recorder.tokens = [], []
        self.recorder.exchanges, self.recorder.heard, self.recorder.playing = [*exchanges], heard, True
        for call in [*scene.get("client_to_mattermost", []), *scene.get("app_calls_mattermost", [])]:
            response = self._send(call["request"])
            differences += self._compare_answer(call["response"], response)
        with self.recorder.told:  # webhooks reach the app after their sender's answer
            self.recorder.told.wait_for(lambda: not self.recorder.exchanges, timeout=5)
        self.recorder.playing = False
        wanted = [f"{one['mattermost_to_app']['method']} {one['mattermost_to_app']['path']}" for one in exchanges]
        if "client_to_mattermost" in scene and wanted != self.recorder.got:
            differences.append(f"the app got {wanted}, here {self.recorder.got}")
        return differences + (self._compare_events(scene) if "websocket" in scene else [])

    def _listen(self) -> None:
        """Connect everyone's WebSocket and discard events from before the scene."""
        for name, *_, token in PEOPLE.values():
            if name in self.listening:
                if name not in self._listeners:
                    self._listeners[name] = Listener(self.double.url, token)
                self._listeners[name].events()

    def _compare_events(self, scene: Json) -> list[str]:
        recorded = recorded_events(scene)
        ours = {name: listener.events() for name, listener in self._listeners.items()}
        differences = []
        for name, heard in ours.items():
            wanted = [event for to, event in recorded if to == name]
            kinds = ([event["event"] for event in wanted], [event["event"] for event in heard])
            if kinds[0] != kinds[1]:
                differences.append(f"{name} heard {kinds[0]}, here {kinds[1]}")
                continue
            for event, mine in zip(wanted, heard, strict=True):
                mine.pop("seq")
                differences += self.unlike(event, mine, f"{name} heard {event['event']}")
        return differences

    def close(self) -> None:
        """Close the WebSockets."""
        for listener in self._listeners.values():
            listener.close()

    def _send(self, sent: Json) -> requests.Response:
        body = self._translated(sent["body"])
        text = body if body is None or isinstance(body, str) else json.dumps(body)
        headers = {name: self._translated(value) for name, value in (sent.get("headers") or {}).items()}
        data = text.encode() if isinstance(text, str) else None
        url = self.double.url + self._translated(sent["path"])
        # Set the URL directly, since requests would normalize `..` and `%2F` in the path.
        with requests.Session() as session:
            session.headers.update({"User-Agent": "recorder-client/1.0", "Accept-Encoding": "gzip, deflate"})
            session.trust_env = False
            unsent = requests.Request(sent["method"], self.double.url, data=data, headers=headers)
            prepared = session.prepare_request(unsent)
            prepared.url = url
            return session.send(prepared, allow_redirects=False, timeout=20)

    def _compare_answer(self, recorded: Json, response: requests.Response) -> list[str]:
        if response.status_code != recorded["status"]:
            text = f"{recorded['body']!r:.300}, here {response.text!r:.300}"
            return [f"status {recorded['status']}, here {response.status_code}: {text}"]
        body: Any = response.text
        if isinstance(recorded["body"], dict) and "_binary_base64" in recorded["body"]:
            body = {"_binary_base64": base64.b64encode(response.content).decode(), "_length": len(response.content)}
        elif body or not isinstance(recorded["body"], str):
            with suppress(ValueError):
                value = response.json()
                body = value if isinstance(value, type(recorded["body"])) else body
        if not response.content and not recorded["body"]:
            body = recorded["body"]  # the recordings represent an empty body in several ways
        differences = self.unlike(recorded["body"], body, "answer")
        if location := (recorded.get("headers") or {}).get("Location"):
            differences += self.unlike(location, response.headers.get("Location"), "Location")
        return differences

    # --- comparison except for IDs, tokens, times and URLs

    def local(self, text: str) -> str:
        """A recorded text with this run's URLs."""
        for port, ours in (("8065", self.double.url), ("4000", self.recorder.server.url)):
            text = text.replace(f"127.0.0.1:{port}", ours.removeprefix("http://"))
        return text

    def _translated(self, value: Any) -> Any:
        """A recorded value with the IDs and tokens of this run."""
        if isinstance(value, str):
            return _OPAQUE.sub(lambda found: self.ours.get(found[0], found[0]), self.local(value))
        if isinstance(value, dict):
            return {self._translated(key): self._translated(one) for key, one in value.items()}
        return [self._translated(one) for one in value] if isinstance(value, list) else value

    def unlike(self, recorded: Any, ours: Any, place: str) -> list[str]:
        """Differences, one per line. Opaque values are bound when they are first seen."""
        if isinstance(recorded, dict) and isinstance(ours, dict):
            found = [f"{place}.{key}: missing" for key in recorded if key not in ours]
            found += [f"{place}.{key}: not recorded" for key in ours if key not in recorded]
            for key in (recorded.keys() & ours.keys()) - _NOT_COMPARED:
                found += self.unlike(recorded[key], ours[key], f"{place}.{key}")
            return sorted(found)
        if isinstance(recorded, list) and isinstance(ours, list) and len(recorded) == len(ours):
            return [
                line
                for n, pair in enumerate(zip(recorded, ours, strict=True))
                for line in self.unlike(*pair, f"{place}[{n}]")
            ]
        if isinstance(recorded, str) and isinstance(ours, str):
            return (
                [] if self._bound(self.local(recorded), ours) else [f"{place}: {recorded!r:.400}, here {ours!r:.400}"]
            )
        both_times = all(type(one) is int and one > _SINCE_2020 for one in (recorded, ours))
        equal = type(recorded) is type(ours) and recorded == ours
        return [] if equal or both_times else [f"{place}: {recorded!r:.400}, here {ours!r:.400}"]

    def _bound(self, recorded: str, ours: str) -> bool:
        if _OPAQUE.sub("#", recorded) != _OPAQUE.sub("#", ours):
            return False
        pairs = zip(_OPAQUE.findall(recorded), _OPAQUE.findall(ours), strict=True)
        return all(self.ours.setdefault(one, other) == other for one, other in pairs)


def _bytes(body: Any) -> bytes:
    if isinstance(body, dict) and "_binary_base64" in body:
        return base64.b64decode(body["_binary_base64"])
    if isinstance(body, str):
        return body.encode()
    return b"" if body is None else json.dumps(body).encode()


def recorded_manifest() -> Json:
    """The recorded app's manifest, as the server stored it."""
    record = next(s for s in scenes("install") if s["what"] == "app record read by an administrator")
    body = record["client_to_mattermost"][0]["response"]["body"]
    own = ("deploy_type", "webhook_secret", "bot_", "mattermost_oauth2", "remote_oauth2", "granted_")
    return {key: value for key, value in body.items() if not key.startswith(own)}


@contextmanager
def replay() -> Iterator[Replay]:
    """A double with the recorded people, team, channels and login sessions, but without the app."""
    recorder = Recorder()
    with MattermostDouble() as double:
        state = double.state
        for table in (state.users, state.teams, state.channels, state.members, state.team_members):
            table.clear()
        for user_id, (name, first, last, roles, token) in PEOPLE.items():
            _person(double, user_id, name, first, last, roles)
            state.sessions[token] = Session(user_id)
        state.users[ALICE] |= {"nickname": "Al", "position": "SRE"}
        for bot_id, name, first in ((BOT, APP, "Recorder"), (APPS_BOT, "appsbot", "Mattermost Apps")):
            _person(double, bot_id, name, first, "", "system_user", bot=True)
        for team_id, name, label in ((TEAM, "ops", "Operations"), (OTHER_TEAM, "other", "Other")):
            state.teams[team_id] = state.teams.pop(state.add_team(name, label)["id"]) | {"id": team_id}
        for channel_id, name, kind in ((INCIDENTS, "incidents", "O"), (PUBLIC, "public", "O"), (PRIVATE, "priv", "P")):
            made = state.add_channel(name, name.capitalize(), kind, TEAM)
            state.channels[channel_id] = state.channels.pop(made["id"]) | {"id": channel_id}
        told = {"header": "header of incidents", "purpose": "purpose of incidents", "creator_id": ADMIN}
        state.channels[INCIDENTS] |= told
        for user_id in PEOPLE:
            state.join_team(TEAM, user_id)
            for channel_id in (INCIDENTS, PUBLIC, *([PRIVATE] if user_id == ALICE else [])):
                state.join(channel_id, user_id)
        made = state.direct(ALICE, BOB)
        state.channels[DIRECT] = state.channels.pop(made["id"]) | {"id": DIRECT}
        for user_id in (ALICE, BOB):
            del state.members[made["id"], user_id]
            state.join(DIRECT, user_id)
        # What alice had read when the recording started.
        state.members[INCIDENTS, ALICE] |= {"last_viewed_at": state.now(), "msg_count": 1, "msg_count_root": 1}
        started = Replay(double, recorder)
        yield started
        started.close()
    recorder.server.stop()


def post(
    server: Replay, post_id: str, channel_id: str, message: str = "x", token: str = PEOPLE[ALICE][4], **more: Any
) -> None:
    """
    Add a recorded post to the double, by default as alice.

    Alice's read state of the channel remains as recorded, although she posts in it here.
    """
    state = server.double.state
    member = state.members.get((channel_id, ALICE), {})
    before = dict(member)
    alice = {"Authorization": f"Bearer {token}"}
    given = {"channel_id": channel_id, "message": message, **more}
    made = requests.post(f"{server.double.url}/api/v4/posts", json=given, headers=alice, timeout=10).json()
    state.posts[post_id] = state.posts.pop(made["id"]) | {"id": post_id}
    member |= before
    server.ours[post_id] = post_id


def bot_account(server: Replay) -> None:
    """The recorded bot account, with its token, in the team and its channel."""
    state = server.double.state
    _person(server.double, INCIDENT_BOT, "incidentbot", "Incident bot", "", "system_user", bot=True)
    server.session("bnhbscwshbgaxrjqexuykk156e", INCIDENT_BOT)
    server.ours[INCIDENT_BOT] = INCIDENT_BOT
    state.join_team(TEAM, INCIDENT_BOT)
    state.join(INCIDENTS, INCIDENT_BOT)


def _person(
    double: MattermostDouble, user_id: str, name: str, first: str, last: str, roles: str, bot: bool = False
) -> None:
    made = double.state.add_user(name, first, last, roles, bot=bot)
    double.state.users[user_id] = double.state.users.pop(made["id"]) | {"id": user_id}


def person(server: Replay, user_id: str, name: str) -> None:
    """Add a recorded person who isn't in any team."""
    _person(server.double, user_id, name, name.capitalize(), "", "system_user")
    server.ours[user_id] = user_id
