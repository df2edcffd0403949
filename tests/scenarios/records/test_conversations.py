"""Direct and group messages: cards are posted there, their buttons work, and everyone learns the result of a press."""

from typing import Any

import pytest

from sandbox.client import MattermostClient
from tests.acts import facts, opened, row
from tests.world import World

Json = dict[str, Any]
NUMBER = "INC0010001"


def conversation(world: World, agent: MattermostClient, kind: str) -> str:
    """A conversation of that kind with the agent."""
    other, third = world.person("agent2").id, world.person("requester").id
    bot = next(one["id"] for one in world.mattermost.state.users.values() if one["username"] == "servicenow")
    if kind == "group":
        found = agent.post("/api/v4/channels/group", [agent.id, other, third])
    else:
        found = agent.post("/api/v4/channels/direct", [agent.id, bot if kind == "with the bot" else other])
    return str(found["id"])


def posts_in(world: World, channel_id: str) -> list[Json]:
    """Its posts, oldest first."""
    return [one for one in world.mattermost.state.posts.values() if one["channel_id"] == channel_id]


every_kind = pytest.mark.parametrize("kind", ["direct", "group", "with the bot"])


@every_kind
def test_an_incident_is_created_and_its_card_posted(world: World, kind: str) -> None:
    """The bot posts it if it is a member; otherwise the person does."""
    agent = world.connected("agent")
    channel_id = conversation(world, agent, kind)
    before = len(posts_in(world, channel_id))
    form = opened(agent.command("incident create", channel_id=channel_id))
    answer = agent.submit(form, {"short_description": "Between us"}, channel_id=channel_id)
    assert answer["type"] == "ok", answer
    assert "not posted" not in answer["text"]
    [card] = posts_in(world, channel_id)[before:]
    assert facts(card)["State"] == "New"
    assert (card["user_id"] == agent.id) == (kind != "with the bot")


@every_kind
def test_a_shared_cards_buttons_work(world: World, kind: str) -> None:
    """They act at once or with a dialog; without a thread line, the person is told directly."""
    agent = world.connected("agent")
    channel_id = conversation(world, agent, kind)
    form = opened(agent.command("share", {"record": NUMBER}, channel_id=channel_id))
    assert agent.submit(form, {}, channel_id=channel_id)["type"] == "ok"
    card = posts_in(world, channel_id)[-1]
    pressed = agent.press_action(card["id"], "Assign to me")
    assert "Amir Agent" in pressed.texts[0]
    assert world.servicenow.store.display("sys_user", row(world, NUMBER)["assigned_to"]) == "Amir Agent"
    dialog = agent.press_action(card["id"], "Comment").dialog
    assert dialog is not None
    assert agent.submit_dialog(dialog, {"comments": "Quietly"}, channel_id=channel_id) == {}
    world.settle()
    assert world.servicenow.store.journal(row(world, NUMBER)["sys_id"], "comments")[0]["value"] == "Quietly"
    said = [post["message"] for post in world.mattermost.state.posts.values()]
    told = [text for text in said if "added a comment" in text or "Added a comment to" in text]
    assert len(told) == 1
    if kind == "with the bot":
        assert facts(agent.get(f"/api/v4/posts/{card['id']}"))["Assigned to"] == "Amir Agent"


def test_someone_who_left_the_channel_cant_act_there(world: World) -> None:
    """The dialog was open: nothing is written in ServiceNow or the thread, and the person is told."""
    agent = world.connected("agent")
    channel_id = agent.channel("service-desk")
    form = opened(agent.command("share", {"record": NUMBER}, channel="service-desk"))
    assert agent.submit(form, {}, channel="service-desk")["type"] == "ok"
    card = posts_in(world, channel_id)[-1]
    dialog = agent.press_action(card["id"], "Comment").dialog
    assert dialog is not None
    agent.browser.delete(f"{agent.url}/api/v4/channels/{channel_id}/members/{agent.id}").raise_for_status()
    told = agent.submit_dialog(dialog, {"comments": "Late"})["error"]
    assert "You aren't a member of this channel, so nothing was done" in told
    world.settle()
    assert world.servicenow.store.journal(row(world, NUMBER)["sys_id"], "comments") == []
    assert not [post for post in posts_in(world, channel_id) if "added a comment" in post["message"]]
