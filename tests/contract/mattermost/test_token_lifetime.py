"""An app's session lasts ten minutes and is extended when five or less are left, as recorded."""

from collections.abc import Iterator

import pytest

from tests.contract.mattermost.rig import BOB, Replay, replay, scenes


@pytest.fixture
def server() -> Iterator[Replay]:
    """The recorded app is installed."""
    with replay() as started:
        started.app()
        yield started


def test_sessions_last_as_recorded(server: Replay) -> None:
    """The recorded calls at the recorded times get the same token with the recorded seconds left."""
    recorded = scenes("token_lifetime")
    before = recorded[0]["now"]
    for scene in recorded:
        server.double.advance((scene["now"] - before) / 1000)
        before = scene["now"]
        assert server.play(scene) == [], scene["what"]
        token = server.ours[scene["acting_user_access_token"]]
        session = server.double.state.sessions[token]
        assert session.user_id == BOB
        assert session.expires_at - server.double.state.clock.now() == pytest.approx(scene["expires_in_seconds"], abs=2)
