"""Bot accounts: who can create them, where roles let them post and read, and which addresses their buttons can have."""

from collections.abc import Iterator

import pytest

from sandbox.mattermost.api.teams import give_roles
from sandbox.mattermost.server.state import Json
from tests.contract.mattermost.rig import (
    INCIDENT_BOT,
    INCIDENTS,
    TEAM,
    Replay,
    bot_account,
    post,
    replay,
    scenes,
)

_FAR = {"o6t8j3gcrbdwinmgowjcywmpfa": "http://10.0.0.1/x", "4rkhozfp9fbcpy4cypb4xfnino": "http://127.0.0.2:4000/x"}


@pytest.fixture(scope="module")
def server() -> Iterator[Replay]:
    """The bot account, and cards whose buttons have forbidden addresses."""
    with replay() as started:
        bot_account(started)
        for post_id, url in _FAR.items():
            action = {"id": "x", "name": "X", "type": "button", "integration": {"url": url}}
            post(started, post_id, INCIDENTS, props={"attachments": [{"actions": [action]}]})
        yield started


def before(server: Replay, what: str) -> None:
    """What an administrator did between the scenes."""
    state = server.double.state
    if what == "the same as team administrator":
        give_roles(state.team_members[TEAM, INCIDENT_BOT], "team", "team_user team_admin")
    elif what == "give the bot system_post_all":
        give_roles(state.team_members[TEAM, INCIDENT_BOT], "team", "team_user")
    elif what.startswith("bot with system_admin"):
        state.users[INCIDENT_BOT]["roles"] = "system_user system_admin"


@pytest.mark.parametrize("scene", scenes("rest_errors_bots"), ids=lambda scene: scene["what"][:60])
def test_a_bot_is_answered_as_recorded(server: Replay, scene: Json) -> None:
    """Status and body match the recording."""
    before(server, scene["what"])
    assert server.play(scene) == []
