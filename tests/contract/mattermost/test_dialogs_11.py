"""Dialogs on 11.6 as recorded: what a server accepts, forwards and answers."""

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
def test_a_lookup_works_as_recorded(server: Replay11, scene: Json) -> None:
    """The integration's request, and the client's result for every answer and failure."""
    assert server.play(scene) == []


@pytest.mark.parametrize("scene", scenes("dialog_submit"), ids=lambda scene: scene["what"][:60])
def test_a_submission_works_as_recorded(server: Replay11, scene: Json) -> None:
    """Submissions and refreshes: the integration's request, and the client's result."""
    assert server.play(scene) == []


@pytest.mark.parametrize("scene", scenes("dialog_open"), ids=lambda scene: scene["what"][:60])
def test_a_dialog_opens_as_recorded(server: Replay11, scene: Json) -> None:
    """Every kind of element with every flaw: what the client shows, and what is rejected."""
    server.trigger_for(scene)
    assert server.play(scene) == []
