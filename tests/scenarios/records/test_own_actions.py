"""People aren't mentioned for their own actions, wherever they act; a notice mentions its assignee."""

from typing import Any

from sandbox.client import MattermostClient
from tests.acts import act, opened, row
from tests.reports import Component, grant, incident, pass_time, stored
from tests.scenarios.plain.test_plain_actions import CASES as CARD_CASES
from tests.scenarios.plain.test_plain_actions import finish, open_dialog
from tests.scenarios.records.test_actions import CASES as FORM_CASES
from tests.scenarios.subscriptions import subscribing
from tests.world import World

Json = dict[str, Any]
DESK = "service-desk"


def mentions(person: MattermostClient) -> dict[str, int]:
    """Every place that mentions the person, as the server counts them: channels by name, and threads."""
    team = f"/api/v4/users/me/teams/{person.team_id}"
    names = {one["id"]: one["name"] for one in person.get(f"{team}/channels")}
    found = {names[one["channel_id"]]: one["mention_count"] for one in person.get(f"{team}/channels/members")}
    found["threads"] = person.get(f"{team}/threads", totalsOnly="true")["total_unread_mentions"]
    return {place: count for place, count in found.items() if count}


def read_everything(person: MattermostClient) -> None:
    """Read every channel."""
    for one in person.get(f"/api/v4/users/me/teams/{person.team_id}/channels"):
        person.post("/api/v4/channels/members/me/view", {"channel_id": one["id"]})


def shared(world: World, person: MattermostClient, number: str, note: str = "") -> Json:
    """The record's card, shared by the person, who replied to it and so follows its thread."""
    form = opened(person.command("share", {"record": number}, channel=DESK))
    assert person.submit(form, {"note": note}, channel=DESK)["type"] == "ok"
    post = world.mattermost.posts_in(DESK)[-1]
    person.say(DESK, "I have it", post["id"])
    return post


def told(person: MattermostClient, post: Json) -> int:
    """How many lines of the thread name the person."""
    posts = person.get(f"/api/v4/posts/{post['id']}/thread")["posts"].values()
    return sum("Amir Agent" in one["message"] for one in posts if one["root_id"])


def resolving_last(word: str) -> bool:
    """A resolved record offers fewer actions."""
    return word == "resolve"


def test_nobody_is_mentioned_for_their_own_actions(world: World) -> None:
    """
    Every action by button, dialog, form and command, including subscribing and creating, in threads that the person
    follows.
    """
    subscribing.install_component(world, "agent")
    agent = world.connected("agent")
    read_everything(agent)

    post = shared(world, agent, "INC0010001", "For @agent, who has it")
    assert mentions(agent) == {}, "share"
    for case in sorted(CARD_CASES, key=lambda one: resolving_last(one.word)):
        finish(agent, post, case, open_dialog(agent, post, case))
        assert mentions(agent) == {}, f"{case} by button"
    assert told(agent, post) == len(CARD_CASES)

    post = shared(world, agent, "INC0010002")
    for form in sorted(FORM_CASES, key=lambda one: resolving_last(one.button)):
        answer = act(agent, "INC0010002", form.button)
        if form.form:
            agent.submit(opened(answer), form.values)
        assert mentions(agent) == {}, f"{form} by form"
    assert told(agent, post) == len(FORM_CASES) - 1  # after “assign” to oneself, “mine” changes nothing

    post = shared(world, agent, "INC0010003")
    for words, values in COMMANDS.items():
        answer = agent.command(words, {"record": "INC0010003"} | values, channel=DESK)
        assert answer["type"] == "ok", (words, answer)
        assert mentions(agent) == {}, f"{words} by command"
    assert told(agent, post) == len(COMMANDS)

    subscribing.subscribe(agent, {"name": "All of it, for @agent"})
    assert "Amir Agent" in str(world.mattermost.posts_in(DESK)[-1]["props"])
    assert mentions(agent) == {}, "subscribe"
    agent.submit(
        opened(agent.command("incident create", channel=DESK)), {"short_description": "For @agent"}, channel=DESK
    )
    assert "INC0010004" in str(world.mattermost.posts_in(DESK)[-1]["props"])
    assert mentions(agent) == {}, "create"


COMMANDS: dict[str, Json] = {
    "comment": {"comments": "Hello @agent"},
    "note": {"work_notes": "Hello @agent"},
    "state": {"state": "In Progress"},
    "assign": {"assigned_to": "me"},
    "resolve": {"close_code": "Duplicate", "close_notes": "Done, @agent"},
}


def test_a_notice_mentions_only_its_assignee(world: World, component: Component) -> None:
    """
    With the option it mentions them, first in the channel and then in the thread; the author and others get no mention.
    """
    agent, agent2 = world.connected("agent"), world.connected("agent2")
    for person in (agent, agent2):
        read_everything(person)
    [subscription] = stored(world, grant(world, options="mention_assignee"))
    record = incident(world)
    assignee = next(one for one in world.servicenow.rows("sys_user") if one["user_name"] == "agent2")
    path = f"/api/now/table/incident/{record['sys_id']}"
    world.administer("PATCH", path, {"assigned_to": assignee["sys_id"], "state": "2"})
    component.changed(record, [subscription])
    pass_time(world, 30)
    assert mentions(agent2) == {DESK: 1}
    assert mentions(agent) == {}
    world.administer("PATCH", path, {"state": "3", "hold_reason": "4"})
    component.changed(record, [subscription])
    pass_time(world, 30)
    assert mentions(agent2) == {DESK: 2, "threads": 1}
    assert mentions(agent) == {}
    assert row(world, record["number"])["state"] == "3"
