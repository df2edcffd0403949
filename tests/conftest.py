"""Fixtures: the doubles, and the world around the service."""

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

# How long one example takes says more about the machine than about us.
settings.register_profile("ours", deadline=None)
settings.load_profile("ours")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What waits comes first in its file, so that it is not what everybody waits for at the end."""
    items.sort(key=lambda item: item.get_closest_marker("waits") is None)


@pytest.fixture(scope="session")
def doubles() -> Iterator[tuple[MattermostDouble, ServiceNowDouble]]:
    """One of each for the whole run; reset before every world."""
    configure_logs("error", "console")
    with MattermostDouble() as mattermost, ServiceNowDouble() as servicenow:
        yield mattermost, servicenow


@pytest.fixture
def empty_world(doubles: tuple[MattermostDouble, ServiceNowDouble], tmp_path: Path) -> Iterator[World]:
    """The service runs, its OAuth client is registered; nothing is installed in Mattermost yet."""
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
    """ServiceNow's sender, whose key the service knows; `agent` is connected, the bot is in two channels."""
    world.connected("agent")
    invite_bot(world, "service-desk", "town-square")
    world.restart(webhook_keys=(WebhookKey(key_id=KEY_ID, secret=SECRET, from_environment=True),))
    return Component(world)
