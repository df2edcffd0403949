"""Dialogs on 11.6: what a server accepts, forwards and answers, as recorded."""

from collections.abc import Iterator

import pytest

from sandbox.mattermost.server.state import Json
from tests.contract.mattermost.rig11 import Replay11, replay11, scenes


@pytest.fixture(scope="module")
def server() -> Iterator[Replay11]:
    """The recorded people."""
    with replay11() as started:
        yield started


@pytest.mark.parametrize("scene", scenes("dialog_lookup"), ids=lambda scene: scene["what"][:60])
def test_a_lookup_goes_as_recorded(server: Replay11, scene: Json) -> None:
    """What reaches the integration, and what the client gets for every answer and failure."""
    assert server.play(scene) == []


@pytest.mark.parametrize("scene", scenes("dialog_submit"), ids=lambda scene: scene["what"][:60])
def test_a_submission_goes_as_recorded(server: Replay11, scene: Json) -> None:
    """Submissions and refreshes: what reaches the integration, and what the client gets."""
    assert server.play(scene) == []


@pytest.mark.parametrize("scene", scenes("dialog_open"), ids=lambda scene: scene["what"][:60])
def test_a_dialog_opens_as_recorded(server: Replay11, scene: Json) -> None:
    """Every kind of element, whatever is wrong with it: what the client is told to draw, and what is refused."""
    server.trigger_for(scene)
    assert server.play(scene) == []
