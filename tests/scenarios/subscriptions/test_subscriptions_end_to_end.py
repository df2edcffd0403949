"""From the form to the notice: what people subscribe to here is what ServiceNow reports and the channel sees."""

import pytest

from sandbox.client import MattermostClient
from tests.reports import Component, notices, pass_time
from tests.scenarios.subscriptions.subscribing import (
    HERE,
    for_record,
    install_component,
    make_key,
    only,
    opened,
    options,
    press,
    subscribe,
)
from tests.world import World


@pytest.fixture
def agent(world: World, component: Component) -> MattermostClient:
    """A connected agent, an instance with the component, and a key that both sides know."""
    install_component(world, "agent", "agent2")
    make_key(world)
    return world.connected("agent")


def change(world: World, number: str, **columns: str) -> None:
    """Somebody saves a record in ServiceNow; what follows happens."""
    record = next(row for row in world.servicenow.rows("incident") if row["number"] == number)
    world.administer("PATCH", f"/api/now/table/incident/{record['sys_id']}", dict(columns))
    world.servicenow.settle()
    pass_time(world, 3)


def test_a_change_of_a_followed_record_is_posted(world: World, agent: MattermostClient) -> None:
    """Subscribe to a record, change it in ServiceNow: the notice says from what to what; other records stay silent."""
    form, values = for_record(agent, "INC0010001")
    press(agent, form, "save", values)
    before = len(notices(world))
    change(world, "INC0010002", state="2")
    assert len(notices(world)) == before
    change(world, "INC0010001", state="2")
    [post] = notices(world)[before:]
    assert "State: New → In Progress" in post["message"]


def test_a_filter_that_was_entered_here_holds_there(world: World, agent: MattermostClient) -> None:
    """Only records that it fits are posted, and a paused one posts nothing."""
    form = opened(agent)
    events = options(form, "events", "state")
    answer = press(agent, form, "save", {"events": events, "filter": "short_descriptionLIKEzebra"})
    assert answer["type"] == "ok"
    before = len(notices(world))
    change(world, "INC0010001", state="2")
    assert len(notices(world)) == before
    change(world, "INC0010002", short_description="A zebra", state="2")
    assert len(notices(world)) == before + 1
    agent.command("subscriptions pause", {"subscription": only(world)["sys_id"]}, **HERE)
    change(world, "INC0010002", state="3", hold_reason="1")
    assert len(notices(world)) == before + 1


def test_an_edit_holds_from_then_on(world: World, agent: MattermostClient) -> None:
    """Moved to another channel by its maker: the next change is posted there."""
    subscribe(agent)
    form = agent.command("subscriptions edit", {"subscription": only(world)["sys_id"]}, **HERE)["form"]
    town = {"label": "Town Square", "value": agent.channel("town-square")}
    press(agent, form, "save", {"channel": town})
    here, there = len(notices(world)), len(notices(world, "town-square"))
    change(world, "INC0010001", state="2")
    assert len(notices(world)) == here
    assert len(notices(world, "town-square")) == there + 1


def test_a_test_arrives_in_the_channel(world: World, agent: MattermostClient) -> None:
    """“Send a test” posts the newest record that the subscription matches."""
    subscribe(agent)
    before = len(notices(world))
    answer = agent.command("subscriptions test", {"subscription": only(world)["sys_id"]}, **HERE)
    assert answer["type"] == "ok"
    world.servicenow.settle()
    pass_time(world, 3)
    assert len(notices(world)) == before + 1


def test_a_comment_that_another_follows_at_once_is_posted_as_well(world: World, agent: MattermostClient) -> None:
    """A rule of the instance answers a comment before the component's own rule looks: each is posted once, its own."""
    rule = {
        "name": "Answer comments", "collection": "incident", "active": True, "when": "after", "order": 1,
        "action_update": True, "condition": "current.comments.changes() && current.comments != 'We look at it'",
        "script": "var row = new GlideRecord('incident'); row.get(current.sys_id);"
        "row.comments = 'We look at it'; row.update();",
    }  # fmt: skip
    world.administer("POST", "/api/now/table/sys_script", rule)
    form, values = for_record(agent, "INC0010001")
    press(agent, form, "save", values | {"events": options(form, "events", "commented")})
    change(world, "INC0010001", comments="The printer burns")
    pass_time(world, 20)  # the second one is collected, because the first was posted a moment ago
    told = "\n".join(post["message"] for post in notices(world))
    assert (told.count("> The printer burns"), told.count("> We look at it")) == (1, 1)
