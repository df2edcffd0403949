"""Fixtures: the doubles and the world around the service."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from core.notices import WebhookKey
from sandbox.mattermost import MattermostDouble
from sandbox.servicenow import ServiceNowDouble
from tests.log_lines import every_log_line
from tests.reports import KEY_ID, SECRET, Component, invite_bot
from tests.world import World
from web.logs import configure_logs

__all__ = ["every_log_line"]

# How long one example takes depends more on the machine than on us.
settings.register_profile("ours", deadline=None)
settings.load_profile("ours")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests that wait first in their file, so that nobody waits for them at the end."""
    items.sort(key=lambda item: item.get_closest_marker("waits") is None)


@pytest.fixture(scope="session")
def doubles() -> Iterator[tuple[MattermostDouble, ServiceNowDouble]]:
    """One of each for the whole run, reset before every world."""
    configure_logs("error", "console")
    with MattermostDouble() as mattermost, ServiceNowDouble() as servicenow:
        yield mattermost, servicenow


@pytest.fixture
def empty_world(doubles: tuple[MattermostDouble, ServiceNowDouble], tmp_path: Path) -> Iterator[World]:
    """The service runs and its OAuth client is registered, but nothing is installed in Mattermost."""
    mattermost, servicenow = doubles
    world = World.begin(mattermost, servicenow, tmp_path)
    yield world
    servicenow.clear_faults()
    mattermost.clear_faults()
    world.end()


@pytest.fixture
def world(empty_world: World) -> World:
    """The app is installed."""
    empty_world.install()
    return empty_world


@pytest.fixture
def component(world: World) -> Component:
    """ServiceNow as a sender with a known key; `agent` is connected, and the bot is in two channels."""
    world.connected("agent")
    invite_bot(world, "service-desk", "town-square")
    world.restart(webhook_keys=(WebhookKey(key_id=KEY_ID, secret=SECRET, from_environment=True),))
    return Component(world)
