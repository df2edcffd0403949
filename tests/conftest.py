"""Fixtures: the doubles, and the world around the service."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from config import Config
from sandbox.mattermost import MattermostDouble
from sandbox.servicenow import ServiceNowDouble
from tests.world import CLIENT_ID, CLIENT_SECRET, JWT_SECRET, Running, World, free_port
from web.logs import configure_logs


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
    mattermost.reset()
    servicenow.reset()
    port = free_port()
    config = Config(
        app_url=f"http://127.0.0.1:{port}",
        mattermost_url=mattermost.url,
        app_secrets=("a secret of more than sixteen characters",),
        mattermost_app_jwt_secret=JWT_SECRET,
        servicenow_url=servicenow.url,
        servicenow_client_id=CLIENT_ID,
        servicenow_client_secret=CLIENT_SECRET,
        servicenow_hosts=(servicenow.url,),
        storage_url=f"tinydb://{tmp_path}/data",
        rate_limits=False,
    )
    world = World(mattermost, servicenow, config, port, None)  # type: ignore[arg-type]
    world.running = Running.start(config, world.now, port)
    complete = f"{mattermost.url}/plugins/com.mattermost.apps/apps/servicenow/oauth2/remote/complete"
    client = {"name": "Mattermost", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    world.administer("POST", "/api/now/table/oauth_entity", client | {"redirect_url": complete})
    yield world
    servicenow.clear_faults()
    mattermost.clear_faults()
    world.running.stop()


@pytest.fixture
def world(empty_world: World) -> World:
    """The app is installed, through the door that administrators use."""
    answer = empty_world.person("admin").install(f"{empty_world.config.app_url}/manifest.json", JWT_SECRET)
    assert answer["type"] == "ok", answer
    empty_world.servicenow.clear_requests()
    return empty_world
