"""Tokens in every spelling, tokens for bots, and what roles let a bot do, as recorded (rest_errors)."""

from collections.abc import Iterator

import pytest
import requests

from sandbox.mattermost.server.state import Json
from tests.contract.mattermost.rig import ADMIN, PEOPLE, TEAM, Replay, person, replay, scenes

_BOT = "xtnmjsz8hfdxzx3uy999cs3tnr"
_TOKEN, _REVOKED, _PERSONAL = "bnhbscwshbgaxrjqexuykk156e", "drnkqw89cigt3efa7ao3z56pmw", "eatuyryms3nam8n433ajuhruaa"


@pytest.fixture(scope="module")
def server() -> Iterator[Replay]:
    """The recorded bot with two tokens, and an administrator with one."""
    with replay() as started:
        person(started, _BOT, "incidentbot")
        bot = started.double.state.users[_BOT]
        bot |= {"is_bot": True, "bot_description": "native bot", "first_name": "Incident bot"}
        bot["email"] = "incidentbot@localhost"
        del bot["remote_id"]
        started.double.state.join_team(TEAM, _BOT)
        for token in (_TOKEN, _REVOKED):
            started.session(token, _BOT)
        started.session(_PERSONAL, ADMIN)
        started.double.state.access_tokens["o7pgswa77jfxddroqamh38z5fo"] = _REVOKED
        started.ours["o7pgswa77jfxddroqamh38z5fo"] = "o7pgswa77jfxddroqamh38z5fo"
        yield started


def before(server: Replay, scene: Json) -> None:
    """What an administrator did to the bot between the scenes."""
    state = server.double.state
    match scene["what"]:
        case "users/me with the token of a disabled bot":
            state.users[_BOT]["delete_at"] = state.now()
        case "users/me after the bot is enabled again":
            state.users[_BOT]["delete_at"] = 0
        case "the same as team administrator":
            state.team_members[TEAM, _BOT]["roles"] = "team_user team_admin"
        case "give the bot system_post_all":
            state.team_members[TEAM, _BOT]["roles"] = "team_user"
        case "bot with system_admin sends an ephemeral post":
            state.users[_BOT]["roles"] = "system_user system_admin"


@pytest.mark.parametrize("scene", scenes("rest_tokens"), ids=lambda scene: scene["what"][:60])
def test_tokens_and_roles_work_as_recorded(server: Replay, scene: Json) -> None:
    """Statuses, bodies and error texts match the recording."""
    before(server, scene)
    assert server.play(scene) == []


def test_an_administrator_creates_a_permanent_bot_token(server: Replay) -> None:
    """With the recorded keys; it still works a year later, until it is revoked."""
    users = f"{server.double.url}/api/v4/users"
    admin = {"Authorization": f"Bearer {PEOPLE[ADMIN][4]}"}
    made = requests.post(f"{users}/{_BOT}/tokens", json={"description": "x"}, headers=admin, timeout=10).json()
    assert set(made) == {"id", "token", "user_id", "description", "is_active"}
    server.double.advance(365 * 86400)
    bot = {"Authorization": f"Bearer {made['token']}"}
    assert requests.get(f"{users}/me", headers=bot, timeout=10).json()["id"] == _BOT
    requests.post(f"{users}/tokens/revoke", json={"token_id": made["id"]}, headers=admin, timeout=10)
    assert requests.get(f"{users}/me", headers=bot, timeout=10).status_code == 401
