"""A change in ServiceNow appears in the channel: signed report, stored, posted (design §9)."""

from typing import Any

import pytest

from core.notices import WebhookKey
from sandbox.client import MattermostClient
from tests.reports import KEY_ID, SECRET, Component, grant, invite_bot, stored
from tests.world import World

Json = dict[str, Any]


@pytest.fixture
def agent(world: World) -> MattermostClient:
    """A connected agent; the bot is in the service desk's channel, the component's key is known."""
    agent = world.connected("agent")
    invite_bot(world, "service-desk", "town-square")
    world.restart(webhook_keys=(WebhookKey(key_id=KEY_ID, secret=SECRET, from_environment=True),))
    return agent


@pytest.fixture
def component(world: World) -> Component:
    """ServiceNow's sender."""
    return Component(world)


def incident(world: World, number: int = 0) -> Json:
    """One of the double's incidents."""
    return dict(world.servicenow.rows("incident")[number])


def notices(world: World, channel: str = "service-desk") -> list[Json]:
    """What the bot posted in a channel, oldest first."""
    bot = world.mattermost.registry.apps["servicenow"].bot_user_id
    return [post for post in world.mattermost.posts_in(channel) if post["user_id"] == bot and not post["type"]]


def told(world: World, username: str) -> list[str]:
    """Direct messages of the bot to somebody, oldest first."""
    return [post["message"] for post in world.mattermost.direct_posts(username)]


def pass_time(world: World, seconds: float) -> None:
    """Let time pass, and what is due then be done."""
    world.advance(seconds)
    world.settle()


def test_a_change_appears_in_the_channel(world: World, agent: MattermostClient, component: Component) -> None:
    """Two seconds after the report: what changed from what to what, by whom, and the record's card with its link."""
    [one] = stored(world, grant(world))
    record = incident(world)
    component.changed(record, [one])
    world.settle()
    assert notices(world) == []
    pass_time(world, 2)
    [post] = notices(world)
    assert "**State changed** by Aiko Agent" in post["message"]
    assert "State: New → In Progress" in post["message"]
    [card] = post["props"]["attachments"]
    assert card["title"] == f"{record['number']}: {record['short_description']}"
    assert record["sys_id"] in card["title_link"]
