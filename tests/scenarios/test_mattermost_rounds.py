"""How many rounds to Mattermost an action takes (design §11), and that nothing is requested twice."""

from typing import Any

import pytest

from sandbox.client import MattermostClient
from tests.acts import act, choice, opened, view
from tests.rounds import CARD, CHANNEL, MEMBER, PATCH, POST, ROLES, USER, rounds
from tests.scenarios.plain.test_plain_cards import card_of, set_version
from tests.scenarios.subscriptions import subscribing
from tests.world import World

Json = dict[str, Any]
HERE: Json = {"channel": "service-desk"}
DIRECT = "POST /channels/direct"
BOT = MEMBER  # the bot's membership has the same shape as the person's


@pytest.fixture
def agent(world: World) -> MattermostClient:
    """A connected agent whose first card was posted, so the bot is in the channel and all caches are filled."""
    set_version(world, "11.6.0")
    agent = world.connected("agent")
    agent.submit(opened(agent.command("incident create", **HERE)), {"short_description": "Warm"}, **HERE)
    return agent


def test_modals(world: World, agent: MattermostClient) -> None:
    """
    A create and a share take two rounds, an action on a record with a card three. The call carries the current channel
    and the person's roles, so neither is requested.
    """
    form = opened(agent.command("incident create", **HERE))
    with rounds(world, [MEMBER], [POST]):
        assert agent.submit(form, {"short_description": "Two"}, **HERE)["type"] == "ok"
    number = "INC0010001"
    with rounds(world):
        form = opened(agent.command("share", {"record": number}, **HERE))
    with rounds(world, [MEMBER], [POST]):
        assert agent.submit(form, {}, **HERE)["type"] == "ok"
    with rounds(world, [CHANNEL, MEMBER], [POST]):  # from another channel
        town = opened(agent.command("share", {"record": number}, channel="town-square"))
        there = {"channel": {"label": "Service Desk", "value": agent.channel("service-desk")}}
        assert agent.submit(town, there, channel="town-square")["type"] == "ok"
    person = {"person": {"label": "requester", "value": world.person("requester").id}, "channel": None}
    with rounds(world, [DIRECT, USER], [POST]):  # the person's own post, which Mattermost checks
        answer = agent.submit(opened(agent.command("share", {"record": number}, **HERE)), person, **HERE)
        assert answer["type"] == "ok", answer
    box = opened(act(agent, number, "comment"))
    with rounds(world, [CARD, CARD, MEMBER], [PATCH, PATCH, POST]):  # this channel has two cards
        agent.submit(box, {"comments": "Hello", "action": "add"}, **HERE)
    states = opened(act(agent, number, "state"))
    with rounds(world, [CARD, CARD, MEMBER], [PATCH, PATCH, POST]):
        agent.submit(states, {"state": choice(states, "state", "In Progress")}, **HERE)
    with rounds(world, [CARD, CARD, MEMBER], [PATCH, PATCH, POST]):
        agent.submit(view(agent, number), {"action": "mine"}, **HERE)


def test_dialogs_and_buttons(world: World, agent: MattermostClient) -> None:
    """
    A dialog opens in two rounds. Its comment or state takes three: channel and permissions, the card, then the card's
    update together with the thread line. A button that acts at once takes as many.
    """
    card, _ = card_of(world, agent)
    agent.press_action(card["id"], "comment")  # now the service knows the server and the presser
    open_dialog = "POST /actions/dialogs/open"
    for word, values in (("comment", {"comments": "Hello"}), ("state", {"state": "2"})):
        with rounds(world, [CARD, MEMBER], [open_dialog]):
            pressed = agent.press_action(card["id"], word)
        assert pressed.dialog is not None
        with rounds(world, [CHANNEL, MEMBER, USER], [CARD], [PATCH, POST]):
            assert agent.submit_dialog(pressed.dialog, values) == {}
    with rounds(world, [CARD, CHANNEL, MEMBER, USER], [CARD], [PATCH, POST]):
        agent.press_action(card["id"], "mine")


def test_expired_caches_need_no_extra_round(world: World, agent: MattermostClient) -> None:
    """A role's permissions and the presser are requested in the same round as the rest."""
    card, _ = card_of(world, agent)
    world.restart()
    form = opened(agent.command("incident create", **HERE))
    with rounds(world, [MEMBER, ROLES], [POST]):
        agent.submit(form, {"short_description": "Cold"}, **HERE)
    agent2 = world.connected("agent2")
    agent.press_action(card["id"], "comment")
    with rounds(world, [CARD, MEMBER, USER], ["POST /actions/dialogs/open"]):
        agent2.press_action(card["id"], "comment")


def test_subscriptions(world: World, agent: MattermostClient) -> None:
    """Saving and changing a subscription takes two rounds, and three for a direct message, because of its channel."""
    subscribing.install_component(world, "agent")
    form = subscribing.opened(agent)
    with rounds(world, [MEMBER, BOT], [POST]):
        assert subscribing.press(agent, form, "save")["type"] == "ok"
    sys_id = subscribing.only(world)["sys_id"]
    edit = opened(agent.command("subscriptions edit", {"subscription": sys_id}, **HERE))
    with rounds(world, [MEMBER, BOT], [POST]):
        assert subscribing.press(agent, edit, "save", {"name": "Another"})["type"] == "ok"
    form = subscribing.opened(agent)
    with rounds(world, [DIRECT], [MEMBER, BOT], [POST]):
        assert subscribing.press(agent, form, "save", {"direct": True})["type"] == "ok"


def test_servicenow(world: World, agent: MattermostClient) -> None:
    """
    Requests to ServiceNow, with a fresh token and cached choices, including the first time and on a record without
    entries.
    """
    subscribing.install_component(world, "agent")
    subscribing.opened(agent)
    change, number = opened(agent.command("change create", {}, **HERE)), "INC0010001"
    agent.submit(change, {"short_description": "Router"}, **HERE)
    counted: dict[str, int] = {}

    def count(what: str, answer: Json) -> Json:
        assert answer["type"] in {"ok", "form"}, answer
        counted[what] = len(world.asked())
        world.servicenow.clear_requests()
        return answer

    world.servicenow.clear_requests()
    form = opened(count("open a form", agent.command("incident create", {}, **HERE)))
    count("create an incident", agent.submit(form, {"short_description": "One"}, **HERE))
    form = opened(count("choose what to share", agent.command("share", {"record": number}, **HERE)))
    count("share", agent.submit(form, {}, **HERE))
    seen = opened(count("view", agent.command("view", {"record": number}, **HERE)))
    count("view comments by command", agent.command("comment", {"record": number}, **HERE))
    box = opened(count("view comments", agent.submit(seen, {"action": "comment"}, **HERE)))
    count("comment and see the latest", agent.submit(box, {"comments": "Hello", "action": "add"}, **HERE))
    states = opened(count("open the state", agent.submit(seen, {"action": "state"}, **HERE)))
    progress = {"state": choice(states, "state", "In Progress")}
    count("save the state", agent.submit(states, progress, **HERE))
    seen = view(agent, "CHG0030001")
    world.servicenow.clear_requests()
    count("open the state of a change", agent.submit(seen, {"action": "state"}, **HERE))
    form = subscribing.opened(agent)
    world.servicenow.clear_requests()
    count("subscribe", subscribing.press(agent, form, "save"))
    card, _ = card_of(world, agent)
    dialog = agent.press_action(card["id"], "comment").dialog
    assert dialog is not None
    world.servicenow.clear_requests()
    assert agent.submit_dialog(dialog, {"comments": "Hello"}) == {}
    count("comment in a dialog", {"type": "ok"})
    assert counted == {
        "open a form": 0,
        "create an incident": 1,
        "choose what to share": 1,
        "share": 1,
        "view": 1,
        "view comments by command": 2,
        "view comments": 1,
        "comment and see the latest": 2,
        "open the state": 1,
        "save the state": 2,
        "open the state of a change": 2,
        "subscribe": 2,
        "comment in a dialog": 1,
    }
