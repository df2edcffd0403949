"""The REST API's errors as recorded: 400, 401, 403, 404 and an unknown route."""

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
def test_an_error_is_as_recorded(server: Replay, scene: Json) -> None:
    """Status and body match the recording."""
    assert server.play(scene) == []
