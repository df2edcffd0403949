"""Cards in direct and group messages: a person's own posts, which only the answer to a press can update (design §8)."""

from typing import Any

import pytest
import requests

from sandbox.client import MattermostClient
from tests.acts import attachment, facts, field, opened, row
from tests.scenarios.plain.test_plain_cards import set_version
from tests.scenarios.plain.test_plain_dialogs import administer, journal, press
from tests.scenarios.subscriptions.subscribing import install_component
from tests.world import World

Json = dict[str, Any]
NUMBER = "INC0010001"


@pytest.fixture
def agent(world: World) -> MattermostClient:
    """A connected agent on a server of 11.6."""
    set_version(world, "11.6.0")
    return world.connected("agent")


def share(world: World, person: MattermostClient, *with_: str) -> Json:
    """The record's card in a direct or group message with these people."""
    ids = [person.id, *(world.person(name).id for name in with_)]
    channel = person.post(f"/api/v4/channels/{'direct' if len(ids) == 2 else 'group'}", ids)["id"]
    form = opened(person.command("share", {"record": NUMBER}, channel_id=channel))
    assert field(form, "channel")["value"]["value"] == channel
    assert person.submit(form, {"note": "Look at this"}, channel_id=channel)["type"] == "ok"
    return next(one for one in world.mattermost.state.posts.values() if one["channel_id"] == channel)


def forward_for(world: World, post: Json, person: MattermostClient, action: str) -> str:
    """The answer to a press that Mattermost forwards for someone outside the conversation."""
    found = next(one for one in attachment(post)["actions"] if one["id"] == action)
    channel = world.mattermost.state.channels[post["channel_id"]]
    body = {
        "user_id": person.id,
        "channel_id": channel["id"],
        "channel_name": channel["name"],
        "post_id": post["id"],
        "trigger_id": world.mattermost.trigger_ids.create(person.id)[1],
        "context": found["integration"]["context"],
    }
    answer = requests.post(f"{world.config.app_url}/plain/press", json=body, timeout=20).json()
    assert list(answer) == ["ephemeral_text"]
    return str(answer["ephemeral_text"])


@pytest.mark.parametrize("with_", [("agent2",), ("agent2", "requester")], ids=["direct", "group"])
def test_a_press_updates_the_card(world: World, agent: MattermostClient, with_: tuple[str, ...]) -> None:
    """Its answer does. The note, the sharer and the buttons are kept, and the next press works too."""
    post = share(world, agent, *with_)
    assert post["user_id"] == agent.id
    assert post["message"].startswith("Amir Agent shared [INC")
    assert post["message"].endswith("> Look at this")
    assert "| as of 20" in attachment(post)["footer"]
    other = world.connected("agent2")
    done = other.press_action(post["id"], "Assign to me")
    assert NUMBER in done.texts[0]
    card = other.get(f"/api/v4/posts/{post['id']}")
    assert facts(card)["Assigned to"] == "Aiko Agent"
    assert card["message"] == post["message"]
    assert card["props"]["servicenow"]["sys_mod_count"] == row(world, NUMBER)["sys_mod_count"]

    administer(world, NUMBER, short_description="Changed meanwhile")
    world.advance(120)
    refreshed = other.press_action(post["id"], "More…", "refresh")
    assert "is up to date" in refreshed.texts[0]
    again = other.get(f"/api/v4/posts/{post['id']}")
    assert "Changed meanwhile" in attachment(again)["title"]
    assert attachment(again)["footer"] != attachment(card)["footer"]
    assert again["message"] == post["message"]


def test_a_dialog_doesnt_update_the_card_and_says_so(world: World, agent: MattermostClient) -> None:
    """A dialog's answer can't: the card shows when it was made, and the next press updates it."""
    post = share(world, agent, "agent2")
    assert agent.submit_dialog(press(agent, post, "Comment"), {"comments": "In private"}) == {}
    assert agent.submit_dialog(press(agent, post, "State"), {"state": "2"}) == {}
    world.settle()
    assert journal(world, NUMBER) == ["In private"]
    assert facts(agent.get(f"/api/v4/posts/{post['id']}"))["State"] == "New"
    told = [
        one["message"] for one in world.mattermost.state.posts.values() if "state New → In Progress" in one["message"]
    ]
    assert len(told) == 1
    agent.press_action(post["id"], "More…", "refresh")
    assert facts(agent.get(f"/api/v4/posts/{post['id']}"))["State"] == "In Progress"


def test_other_peoples_direct_message_is_closed(world: World, agent: MattermostClient) -> None:
    """The channel's name shows its members: a press forwarded for anyone else does nothing."""
    post = share(world, agent, "agent2")
    admin = world.connected("admin")
    world.servicenow.clear_requests()
    for action in ("comment", "mine"):
        assert "You aren't a member of this channel" in forward_for(world, post, admin, action)
    assert world.asked() == []


def test_other_peoples_group_message_is_closed(world: World, agent: MattermostClient) -> None:
    """Its cards list the members: a press forwarded for anyone else does nothing, even on an updated card."""
    post = share(world, agent, "agent2", "requester")
    admin = world.connected("admin")
    made = attachment(post)["footer"]
    for _ in range(2):
        world.servicenow.clear_requests()
        for action in ("comment", "mine"):
            assert "You aren't a member of this channel" in forward_for(world, post, admin, action)
        assert world.asked() == []
        world.advance(120)
        assert "is up to date" in agent.press_action(post["id"], "More…", "refresh").texts[0]
    assert attachment(post)["footer"] != made


def test_members_of_another_group_message_prove_nothing(world: World, agent: MattermostClient) -> None:
    """A card whose list of members belongs to another channel, or was made up, is rejected."""
    post, other = share(world, agent, "agent2", "requester"), share(world, agent, "agent2", "admin")
    admin = world.connected("admin")
    world.servicenow.clear_requests()
    [theirs, mine] = [
        next(one for one in attachment(card)["actions"] if one["id"] == "mine")["integration"]["context"]["kept"]
        for card in (other, post)
    ]
    for members in (theirs["members"], mine["members"].replace(".", "x."), "made up"):
        mine["members"] = members
        assert "could not be verified" in forward_for(world, post, admin, "mine")
    assert world.asked() == []


def test_a_group_messages_card_without_members_isnt_updated(world: World, agent: MattermostClient) -> None:
    """
    A card from an earlier version does what was pressed and says that it wasn't updated: its members can't be checked.
    """
    post = share(world, agent, "agent2", "requester")
    for action in attachment(post)["actions"]:
        del action["integration"]["context"]["kept"]["members"]
    agent2 = world.connected("agent2")
    assert NUMBER in agent2.press_action(post["id"], "Assign to me").texts[0]
    assert agent2.press_action(post["id"], "More…", "refresh").texts[0].startswith("This card couldn't be updated.")
    assert facts(agent2.get(f"/api/v4/posts/{post['id']}"))["Assigned to"] != "Aiko Agent"


def test_a_card_that_cant_be_updated_isnt_called_current(world: World, agent: MattermostClient) -> None:
    """Mattermost rejects the bot's change: the answer says so and links to the record."""
    form = opened(agent.command("share", {"record": NUMBER}, channel="service-desk"))
    assert agent.submit(form, {}, channel="service-desk")["type"] == "ok"
    post = world.mattermost.posts_in("service-desk")[-1]
    administer(world, NUMBER, short_description="Changed meanwhile")
    world.mattermost.fault("500", f"/api/v4/posts/{post['id']}/patch")
    told = agent.press_action(post["id"], "More…", "refresh").texts[0]
    assert told.startswith("This card couldn't be updated. Open [INC0010001](")
    assert "Changed meanwhile" not in str(agent.get(f"/api/v4/posts/{post['id']}")["props"])
    assert "is up to date" in agent.press_action(post["id"], "More…", "refresh").texts[0]
    assert "Changed meanwhile" in str(agent.get(f"/api/v4/posts/{post['id']}")["props"])


@pytest.mark.parametrize("version", ["9.11.0", "11.6.0"])
def test_the_subscription_dialog_shows_no_id(world: World, version: str) -> None:
    """The bot can't read the conversation's name, so the dialog leaves it out."""
    set_version(world, version)
    install_component(world, "agent")
    agent = world.connected("agent")
    post = share(world, agent, "agent2")
    dialog = agent.press_action(post["id"], "More…", "subscribe").dialog
    assert dialog is not None
    assert dialog.element("channel")["default"] == post["channel_id"]
    assert not [name for name in dialog.names if post["channel_id"] in dialog.element(name).get("help_text", "")]
