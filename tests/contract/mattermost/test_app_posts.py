"""REST calls with the bot's and an acting user's token, in the recorded order."""

from collections.abc import Iterator

import pytest

from sandbox.mattermost.server.state import Json
from tests.contract.mattermost.rig import (
    ADMIN,
    ALICE,
    BOT,
    INCIDENTS,
    PRIVATE,
    PUBLIC,
    TEAM,
    Replay,
    person,
    post,
    replay,
    scenes,
)

# Differences in the file's order: the start of the scene, and why.
DIFFERENT: dict[str, str] = {
    "bot reads a public channel; bot is in the team": "how often a channel was written in before the recording",
    "bot adds a reaction": "the double has no reactions",
    "bot lists its channels in the team": "it lists channels of the recorded server that no scene uses",
    "bot calls an administrator route": "refused with 501: no settings here",
    "bot creates a bot": "refused with 501: bots are made by installing",
    "bot creates a slash command": "refused with 501: no slash commands of the server's own here",
    "read an archived channel": "how often a channel was written in before the recording",
}

_ROOT, _REPLY = "usbdbab6w7d1dpc3p5wbo8xtky", "1g6bejbdxibxxxaxg6fchu4j7r"
_HIDDEN, _ELSEWHERE = "bueji1ef1infbnwnbcr8f7dhya", "jmebiya1ubycjpsjwbueh6q16y"
_ARCHIVE, _ARCHIVED, _DELETED = "hzzjaksd8byztby51rifn7ua7o", "zijbun4o4tgt8dz89bsapwh6mc", "tk3593fh5bdr9j4f1dz87tfo9c"
_CAROL, _GONE = "3b63u5h113f3m8j6ai6guxrq7o", "5uf67w7q6tn3dqe8dmf88d9knc"


@pytest.fixture(scope="module")
def server() -> Iterator[Replay]:
    """The recorded app is installed; its tokens are the recorded ones."""
    with replay() as started:
        prepare(started)
        yield started


def prepare(server: Replay) -> None:
    """The app, its sessions, and what existed before."""
    server.app()
    server.listening = ["alice", "bob"]  # nobody else listened
    for scene in scenes("app_posts"):
        for call in scene.get("app_calls_mattermost", []):
            token = call["request"]["headers"]["Authorization"].removeprefix("Bearer ")
            server.app_session(token, BOT if "bot" in call["by"] else ALICE)
    person(server, _CAROL, "carol")
    person(server, _GONE, "gone")
    post(server, _ROOT, INCIDENTS, "Disk full on **db01**")
    post(server, _REPLY, INCIDENTS, "reply in thread", root_id=_ROOT)
    post(server, _HIDDEN, PRIVATE)
    post(server, _ELSEWHERE, PUBLIC)
    state = server.double.state
    made = state.add_channel("arch-1795492810", "Arch", "O", TEAM, ADMIN)
    state.channels[_ARCHIVE] = state.channels.pop(made["id"]) | {"id": _ARCHIVE}
    server.ours[_ARCHIVE] = _ARCHIVE
    for user_id in (ALICE, BOT):
        state.join(_ARCHIVE, user_id)
    for post_id, channel_id in ((_ARCHIVED, _ARCHIVE), (_DELETED, INCIDENTS)):
        post(server, post_id, channel_id)
        state.posts[post_id]["user_id"] = BOT


def before(server: Replay, scene: Json) -> None:
    """What happened between the recorded scenes."""
    state = server.double.state
    match scene["what"]:
        case "bot posts in the direct channel with a deactivated user":
            state.users[_GONE]["delete_at"] = state.now()
            channel = state.direct(BOT, _GONE)
            server.ours["g1c9fek6i7dnmyx9r4nw38drch"] = channel["id"]
        case "post in an archived channel":
            state.channels[_ARCHIVE]["delete_at"] = state.now()
        case "edit a deleted post":
            state.posts[_DELETED]["delete_at"] = state.now()
        case "the same pending_post_id after 31 s: a new post":
            server.double.advance(31)
        case "bot token after uninstall" | "bot token after disable":
            state.users[BOT]["delete_at"] = state.now()


@pytest.mark.parametrize("scene", scenes("app_posts"), ids=lambda scene: scene["what"][:60])
def test_an_apps_posts_are_answered_as_recorded(server: Replay, scene: Json) -> None:
    """Statuses, bodies and error texts match the recording."""
    if reason := next((why for what, why in DIFFERENT.items() if scene["what"].startswith(what)), ""):
        pytest.skip(reason)
    before(server, scene)
    assert server.play(scene) == []
