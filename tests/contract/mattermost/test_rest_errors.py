"""The REST API refuses in the recorded words: 400, 401, 403, 404 and what an unknown route gets."""

from collections.abc import Iterator

import pytest

from sandbox.mattermost.server.state import Json
from tests.contract.mattermost.rig import Replay, replay, scenes


@pytest.fixture(scope="module")
def server() -> Iterator[Replay]:
    """The recorded people and places."""
    with replay() as started:
        yield started


@pytest.mark.parametrize("scene", scenes("rest_errors"), ids=lambda scene: scene["what"][:60])
def test_a_refusal_has_the_recorded_words(server: Replay, scene: Json) -> None:
    """Status and whole body are the recorded ones."""
    assert server.play(scene) == []
