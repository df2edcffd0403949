"""From the form to the notice: ServiceNow reports what people subscribe to here, and the channel sees it."""

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
    """A connected agent, an instance with the component, and a key known to both sides."""
    install_component(world, "agent", "agent2")
    make_key(world)
    return world.connected("agent")


def save_record(world: World, number: str, **columns: str) -> None:
    """Someone saves a record in ServiceNow; the component's jobs run."""
    record = next(row for row in world.servicenow.rows("incident") if row["number"] == number)
    world.administer("PATCH", f"/api/now/table/incident/{record['sys_id']}", dict(columns))
    world.servicenow.settle()
    pass_time(world, 3)


def test_a_change_of_a_subscribed_record_is_posted(world: World, agent: MattermostClient) -> None:
    """
    Subscribe to a record and change it in ServiceNow: the notice shows the old and new value; other records post
    nothing.
    """
    form, values = for_record(agent, "INC0010001")
    press(agent, form, "save", values)
    before = len(notices(world))
    save_record(world, "INC0010002", state="2")
    assert len(notices(world)) == before
    save_record(world, "INC0010001", state="2")
    [post] = notices(world)[before:]
    assert "State: New → In Progress" in post["message"]


def test_an_entered_filter_applies_in_servicenow(world: World, agent: MattermostClient) -> None:
    """Only matching records are posted, and a paused subscription posts nothing."""
    form = opened(agent)
    events = options(form, "events", "state")
    answer = press(agent, form, "save", {"events": events, "filter": "short_descriptionLIKEzebra"})
    assert answer["type"] == "ok"
    before = len(notices(world))
    save_record(world, "INC0010001", state="2")
    assert len(notices(world)) == before
    save_record(world, "INC0010002", short_description="A zebra", state="2")
    assert len(notices(world)) == before + 1
    agent.command("subscriptions pause", {"subscription": only(world)["sys_id"]}, **HERE)
    save_record(world, "INC0010002", state="3", hold_reason="1")
    assert len(notices(world)) == before + 1


def test_an_edit_applies_to_the_next_change(world: World, agent: MattermostClient) -> None:
    """Its creator moves it to another channel: the next change is posted there."""
    subscribe(agent)
    form = agent.command("subscriptions edit", {"subscription": only(world)["sys_id"]}, **HERE)["form"]
    town = {"label": "Town Square", "value": agent.channel("town-square")}
    press(agent, form, "save", {"channel": town})
    here, there = len(notices(world)), len(notices(world, "town-square"))
    save_record(world, "INC0010001", state="2")
    assert len(notices(world)) == here
    assert len(notices(world, "town-square")) == there + 1


def test_a_test_arrives_in_the_channel(world: World, agent: MattermostClient) -> None:
    """“Send a test” posts the newest matching record."""
    subscribe(agent)
    before = len(notices(world))
    answer = agent.command("subscriptions test", {"subscription": only(world)["sys_id"]}, **HERE)
    assert answer["type"] == "ok"
    world.servicenow.settle()
    pass_time(world, 3)
    assert len(notices(world)) == before + 1


def test_two_comments_in_quick_succession_are_both_posted(world: World, agent: MattermostClient) -> None:
    """A rule of the instance adds a comment before the component's own rule runs: each is posted once."""
    rule = {
        "name": "Answer comments", "collection": "incident", "active": True, "when": "after", "order": 1,
        "action_update": True, "condition": "current.comments.changes() && current.comments != 'We look at it'",
        "script": "var row = new GlideRecord('incident'); row.get(current.sys_id);"
        "row.comments = 'We look at it'; row.update();",
    }  # fmt: skip
    world.administer("POST", "/api/now/table/sys_script", rule)
    form, values = for_record(agent, "INC0010001")
    press(agent, form, "save", values | {"events": options(form, "events", "commented")})
    save_record(world, "INC0010001", comments="The printer burns")
    pass_time(world, 20)  # the second is collected, because the first was just posted
    told = "\n".join(post["message"] for post in notices(world))
    assert (told.count("> The printer burns"), told.count("> We look at it")) == (1, 1)
