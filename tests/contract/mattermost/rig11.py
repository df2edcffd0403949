"""The people and channels of the recordings of 11.6, for replays against the double as this version."""

import base64
import json
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from flask import Response, request
from flask.typing import ResponseReturnValue

from sandbox.mattermost import MattermostDouble
from sandbox.mattermost.server.state import Json, Session
from tests.contract.mattermost.listeners import Listener, recorded_events
from tests.contract.mattermost.rig import Recorder, Replay

RECORDED = Path(__file__).parent.parent.parent / "recorded" / "mattermost11"

AGENT, AGENT2, REQUESTER = "ginn75w8tjgtjryctwrw6pfpua", "xgm65crsepy3pn8yr5napuogto", "beor9f5bcidy5f7p9w3jhbjo3c"
TEAM_ADMIN, ADMIN, OUTSIDER = "ktgnm7tuu7gd9krow4fbjweu3w", "mtuysnemh3ytfdaw9pdgngsooh", "o" * 26
BOT = "7zmji8dseibxddhessrjq1t7pr"
TEAM, OTHER_TEAM = "siwx6sn4tbn4tf77eti5yp3gmo", "qki3onfaip8f5qkkkg4kzr41iw"
DESK, INNER, ARCHIVED = "tshf77wu6fyf5egcuakxhomywy", "1kaxho9bbfn8u8hp9fswxoiryo", "8mbsj7k6m7bdjeb5fz661gq3cr"
HIDDEN, PUBLIC = "74bkqsh9cjg4tc1ubkoanty8ih", "awhjzfkco38cbcwco8zdw9fsda"
DIRECT, GROUP = "zz9wzjr53bbf7prsnjf74cq1gr", "w8c37f5aupbsdmkqcqwdqhmr4c"
BOT_TOKEN = "zwm135ue9jdaxncywkepkt8wah"
PEOPLE = {  # id: (user name, system roles, login tokens)
    AGENT: (
        "agent",
        "system_user",
        ("8hxftc3y4bdmdm9no36wy11tse", "q51hgijw8bygijrhd443t19gke", "yw4qugy78bfw5f1b1zrxq93chr"),
    ),
    AGENT2: ("agent2", "system_user", ("mfbgae15z7d8bmu7k6ew4qsx1e",)),
    REQUESTER: (
        "requester",
        "system_user",
        ("qmb963d7btdqfpr8q6mi4zuq9w", "s6azgaeoqbgp7yhjydh4m9yygy", "fpcjsq9e9b88uxmh8ib1nyjd9e"),
    ),
    TEAM_ADMIN: ("teamadmin", "system_user", ("hsb3to1uufyiinwoocroo7fyhw",)),
    ADMIN: ("admin", "system_admin system_user", ("wco7s4iw8ib4xno7ewbq4ibk4e", "5wy8gdgdgprdbb5z5qp8f6s8py")),
    OUTSIDER: ("outsider", "system_user", ("8utryap3qfyxm8a444cpdxf7nr",)),
    BOT: ("helper", "system_user", (BOT_TOKEN,)),
}
# 11.x returns an empty list of files where 9.11 omits it, and actions can have a tooltip. No client depends on either.
_NOT_MODELED = (".file_ids: missing", ".tooltip: missing")
_MORE = re.compile(r"\.\.\. (\d+) more")  # omitted items of the same pattern
_HOSTS = {"mattermost.example": "", "integration.example": "", "nothing-listens.example": "127.0.0.1:9"}


def scenes(name: str) -> list[Json]:
    """The scenes of a recorded file, with the omitted parts of long texts and lists."""
    found: list[Json] = _whole(json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8")))
    return found


def _whole(value: Any) -> Any:
    if isinstance(value, dict):
        if set(value) == {"_text_head", "_length"}:
            return (value["_text_head"][:1] * value["_length"])[: value["_length"]]
        return {key: _whole(one) for key, one in value.items()}
    if isinstance(value, list) and value and isinstance(value[-1], str) and (cut := _MORE.fullmatch(value[-1])):
        kept = value[:-1]
        more = range(len(kept), len(kept) + int(cut[1]))
        return kept + [{"text": f"T{number}", "value": str(number)} for number in more]
    return [_whole(one) for one in value] if isinstance(value, list) else value


class _Recorder(Recorder):
    """Closes the connection where the recorded integration did."""

    def _answer(self, path: str = "") -> ResponseReturnValue:
        if self.playing and self.exchanges and "note" in self.exchanges[0]["app_to_mattermost"]:
            self.got.append(f"{request.method} /{path}")
            self.exchanges.pop(0)
            request.environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            return Response()
        return super()._answer(path)


class Replay11(Replay):
    """A `Replay` with the hosts of these recordings."""

    def local(self, text: str) -> str:
        """A recorded text with this run's URLs."""
        found = _HOSTS | {
            "mattermost.example": self.double.url.removeprefix("http://"),
            "integration.example": self.recorder.server.url.removeprefix("http://"),
        }
        return re.sub("|".join(map(re.escape, found)), lambda host: found[host[0]], text)

    def unlike(self, recorded: Any, ours: Any, place: str) -> list[str]:
        """Differences, except for fields that the double doesn't model."""
        return [line for line in super().unlike(recorded, ours, place) if not line.endswith(_NOT_MODELED)]

    def _listen(self) -> None:
        """Connect the agent's WebSocket and discard events from before the scene."""
        if "user agent" not in self._listeners:
            self._listeners["user agent"] = Listener(self.double.url, PEOPLE[AGENT][2][0])
        self._listeners["user agent"].events()

    def _compare_events(self, scene: Json) -> list[str]:
        """Compare the types and contents of the agent's events."""
        wanted = [event for to, event in recorded_events(scene) if to == "user agent"]
        heard = self._listeners["user agent"].events()
        kinds = ([event["event"] for event in wanted], [event["event"] for event in heard])
        if kinds[0] != kinds[1]:
            return [f"heard {kinds[0]}, here {kinds[1]}"]
        # Long events were recorded only with their type.
        pairs = [pair for pair in zip(wanted, heard, strict=True) if pair[0]["data"]]
        return [line for one, mine in pairs for line in self.unlike(one["data"], mine["data"], one["event"])]

    def trigger_for(self, scene: Json) -> None:
        """Bind a trigger of this run's agent to the recorded one."""
        body = scene["client_to_mattermost"][0]["request"]["body"]
        recorded = body.get("trigger_id", "") if isinstance(body, dict) else ""
        if len(parts := _decoded(recorded).split(":")) == 4 and recorded not in self.ours:
            client_id, trigger_id = self.double.trigger_ids.create(AGENT)
            self.ours |= {recorded: trigger_id, parts[0]: client_id}


def _decoded(trigger_id: str) -> str:
    try:
        return base64.b64decode(trigger_id, validate=True).decode()
    except ValueError:
        return ""


@contextmanager
def replay11() -> Iterator[Replay11]:
    """A double of 11.6 with the recorded people, teams, channels and sessions."""
    recorder = _Recorder()
    with MattermostDouble() as double:
        state = double.state
        requests.post(f"{double.url}/_sandbox/version", json={"version": "11.6.0"}, timeout=10).raise_for_status()
        for table in (state.users, state.teams, state.channels, state.members, state.team_members):
            table.clear()
        ours: dict[str, str] = {}
        for user_id, (name, roles, tokens) in PEOPLE.items():
            made = state.add_user(name, name.capitalize(), "", roles, bot=user_id == BOT)
            state.users[user_id] = state.users.pop(made["id"]) | {"id": user_id}
            for token in tokens:
                state.sessions[token] = Session(user_id)
                ours[token] = token
        for team_id, name in ((TEAM, "operations"), (OTHER_TEAM, "elsewhere")):
            state.teams[team_id] = state.teams.pop(state.add_team(name, name.capitalize())["id"]) | {"id": team_id}
        for channel_id, name, kind in (
            (DESK, "desk", "O"),
            (INNER, "inner", "P"),
            (ARCHIVED, "arch1795545337", "O"),
            (HIDDEN, "hidden", "P"),
            (PUBLIC, "public", "O"),
        ):
            made = state.add_channel(name, name.capitalize(), kind, TEAM)
            state.channels[channel_id] = state.channels.pop(made["id"]) | {"id": channel_id}
        for user_id in PEOPLE:
            state.join_team(OTHER_TEAM if user_id == OUTSIDER else TEAM, user_id)
        state.join_team(OTHER_TEAM, AGENT2)
        for user_id in (AGENT, AGENT2, REQUESTER, BOT):
            state.join(DESK, user_id)
            state.join(ARCHIVED, user_id)
        for user_id in (AGENT, BOT):
            state.join(INNER, user_id)
        _private(double, DIRECT, AGENT, BOT)
        started = Replay11(double, recorder)
        started.ours = ours | {one: one for one in (*PEOPLE, TEAM, OTHER_TEAM, *state.channels)}
        yield started
        started.close()
    recorder.server.stop()


def _private(double: MattermostDouble, channel_id: str, *people: str) -> None:
    """Create the recorded direct message channel."""
    state = double.state
    made = state.direct(*people)
    state.channels[channel_id] = state.channels.pop(made["id"]) | {"id": channel_id}
    for user_id in people:
        del state.members[made["id"], user_id]
        state.join(channel_id, user_id)
