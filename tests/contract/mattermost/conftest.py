"""A new double and its people, for tests without a recording."""

from collections.abc import Iterator

import pytest

from sandbox.client import MattermostClient
from sandbox.mattermost import MattermostDouble


@pytest.fixture(scope="module")
def running() -> Iterator[MattermostDouble]:
    """One for the module."""
    with MattermostDouble() as double:
        yield double


@pytest.fixture
def double(running: MattermostDouble) -> MattermostDouble:
    """The double as after its start."""
    running.reset()
    return running


@pytest.fixture
def admin(double: MattermostDouble) -> MattermostClient:
    """The system administrator."""
    return MattermostClient(double.url, "admin")


@pytest.fixture
def agent(double: MattermostDouble) -> MattermostClient:
    """A person."""
    return MattermostClient(double.url, "agent")
