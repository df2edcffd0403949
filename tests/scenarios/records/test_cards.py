"""Every action updates its record's cards, never to an older state; a failed update doesn't undo the action."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from sandbox.client import MattermostClient
from tests.acts import act, attachment, facts, opened, row
from tests.markdown_oracle import drawn
from tests.reports import Component, grant, incident, pass_time, stored
from tests.world import World

Json = dict[str, Any]
NUMBER = "INC0010001"


@pytest.fixture
def agent(world: World) -> MattermostClient:
    """A connected agent."""
    return world.connected("agent")


def share(world: World, person: MattermostClient, channel: str = "service-desk") -> Json:
    """A shared card, as its channel holds it."""
    form = opened(person.command("share", {"record": NUMBER}, channel=channel))
    assert person.submit(form, {}, channel=channel)["type"] == "ok"
    return world.mattermost.posts_in(channel)[-1]


def current(person: MattermostClient, post: Json) -> Json:
    """The post as it is now."""
    found: Json = person.get(f"/api/v4/posts/{post['id']}")
    return found


def thread(person: MattermostClient, post: Json) -> list[str]:
    """The replies under a card."""
    posts = person.get(f"/api/v4/posts/{post['id']}/thread")["posts"].values()
    return [one["message"] for one in posts if one["root_id"]]


def administer(world: World, **columns: str) -> None:
    """Change the record in ServiceNow."""
    world.administer("PATCH", f"/api/now/table/incident/{row(world, NUMBER)['sys_id']}", columns)


def test_refresh_shows_the_current_record(world: World, agent: MattermostClient) -> None:
    """After a change in ServiceNow, refreshing updates fields and buttons; the rest of the post is kept."""
    post = share(world, agent)
    administer(world, state="6", close_code="Duplicate", close_notes="x")
    assert facts(current(agent, post))["State"] == "New"
    pressed = agent.press_action(post["id"], "More…", "refresh")
    assert "up to date" in pressed.texts[0]
    card = current(agent, post)
    assert facts(card)["State"] == "Resolved"
    assert [action["name"] for action in attachment(card)["actions"]] == ["Comment", "Close", "Reopen", "More…"]
    assert card["props"]["from_bot"] == "true"
    assert thread(agent, post) == []


def test_a_card_is_marked_as_edited_only_when_it_shows_something_new(world: World, agent: MattermostClient) -> None:
    """Mattermost compares message and attachment: a comment changes neither, a new state only the card."""
    post = share(world, agent)
    agent.submit(opened(act(agent, NUMBER, "comment")), {"comments": "Seen", "action": "add"}, channel="service-desk")
    agent.press_action(post["id"], "More…", "refresh")
    commented = current(agent, post)
    assert commented["props"]["servicenow"] != post["props"]["servicenow"]
    assert commented["edit_at"] == 0
    agent.command("state", {"record": NUMBER, "state": "In Progress"}, channel="service-desk")
    moved = current(agent, post)
    assert moved["edit_at"] > 0
    assert moved["message"] == post["message"]


def test_a_new_records_card_says_who_created_what(world: World, agent: MattermostClient) -> None:
    """Lists of threads and notifications show only the line above the card."""
    form = opened(agent.command("incident create", channel="service-desk"))
    agent.submit(form, {"short_description": "Printer *on* fire"}, channel="service-desk")
    post = world.mattermost.posts_in("service-desk")[-1]
    number, _, title = attachment(post)["title"].partition(": ")
    assert title == "Printer *on* fire"
    assert post["message"] == (
        f"Amir Agent created [{number}]({attachment(post)['title_link']}): Printer \\*on\\* fire"
    )


def test_a_card_never_goes_back(world: World, agent: MattermostClient) -> None:
    """A card that shows a later state than the one just read keeps it."""
    post = share(world, agent)
    world.mattermost.state.posts[post["id"]]["props"]["servicenow"]["sys_mod_count"] = "99"
    administer(world, state="2")
    agent.press_action(post["id"], "More…", "refresh")
    assert facts(current(agent, post))["State"] == "New"


def test_another_records_post_is_left_alone(world: World, agent: MattermostClient) -> None:
    """The post's own props decide, not the button."""
    post = share(world, agent)
    world.mattermost.state.posts[post["id"]]["props"]["servicenow"]["sys_id"] = "0" * 32
    administer(world, state="2")
    agent.press_action(post["id"], "More…", "refresh")
    assert facts(current(agent, post))["State"] == "New"


def test_every_action_says_who_did_what(world: World, agent: MattermostClient) -> None:
    """The bot posts a line in the thread, with the person's name and never a comment's text."""
    post = share(world, agent)
    agent.press_action(post["id"], "Assign to me")
    agent.press_action(post["id"], "More…", "watch")
    assert thread(agent, post)[0] == "Amir Agent set Assigned to N/A → Amir Agent"
    assert thread(agent, post)[1] == "Amir Agent watches this"
    assert facts(current(agent, post))["Assigned to"] == "Amir Agent"


def test_a_card_in_a_thread_is_answered_in_that_thread(world: World, agent: MattermostClient) -> None:
    """The line replies to the root, because a reply can't have replies."""
    root = agent.say("service-desk", "The lift is stuck")
    form = agent.press("/post_menu", "Create ServiceNow incident", channel="service-desk", post_id=root["id"])["form"]
    agent.submit(form, {}, channel="service-desk", post_id=root["id"])
    card = world.mattermost.posts_in("service-desk")[-1]
    assert card["root_id"] == root["id"]
    agent.press_action(card["id"], "Assign to me")
    assert thread(agent, root)[-1].startswith("Amir Agent set Assigned to")


def test_a_new_incidents_card_is_updated_like_others(world: World, agent: MattermostClient) -> None:
    """It knows its record from the start."""
    form = opened(agent.command("incident create", channel="service-desk"))
    agent.submit(form, {"short_description": "Lift"}, channel="service-desk")
    card = world.mattermost.posts_in("service-desk")[-1]
    agent.press_action(card["id"], "Assign to me")
    assert facts(current(agent, card))["Assigned to"] == "Amir Agent"


def test_a_deleted_card_undoes_nothing(world: World, agent: MattermostClient) -> None:
    """The post was deleted while the dialog was open: the record is changed, and the person is told."""
    post = share(world, agent)
    dialog = agent.press_action(post["id"], "Comment").dialog
    assert dialog is not None
    world.mattermost.state.posts[post["id"]]["delete_at"] = world.mattermost.state.now()
    answer = agent.submit_dialog(dialog, {"comments": "Still there"})
    assert not answer.get("error"), answer
    sys_id = row(world, NUMBER)["sys_id"]
    assert [one["value"] for one in world.servicenow.store.journal(sys_id, "comments")] == ["Still there"]


def test_an_unavailable_mattermost_undoes_nothing(world: World, agent: MattermostClient) -> None:
    """The card can't be updated now; the record is changed, and the next action updates the card."""
    post = share(world, agent)
    world.mattermost.fault("500", f"/api/v4/posts/{post['id']}/patch")
    pressed = agent.press_action(post["id"], "Assign to me")
    assert NUMBER in pressed.texts[0]
    assert row(world, NUMBER)["assigned_to"]
    agent.press_action(post["id"], "More…", "refresh")
    assert facts(current(agent, post))["Assigned to"] == "Amir Agent"


def test_a_card_doesnt_take_over_work_without_asking(world: World, agent: MattermostClient) -> None:
    """The record was assigned to someone in the meantime: a dialog says to whom, and submitting it takes over."""
    post = share(world, agent)
    other = next(one["sys_id"] for one in world.servicenow.rows("sys_user") if one["user_name"] == "agent2")
    administer(world, assigned_to=other)
    pressed = agent.press_action(post["id"], "Assign to me")
    assert pressed.dialog is not None
    assert row(world, NUMBER)["assigned_to"] == other
    agent.submit_dialog(pressed.dialog, {})
    assert world.servicenow.store.display("sys_user", row(world, NUMBER)["assigned_to"]) == "Amir Agent"


@pytest.mark.waits
@pytest.mark.parametrize("button", ["Comment", "State"])
def test_a_dialog_opens_although_servicenow_times_out(world: World, agent: MattermostClient, button: str) -> None:
    """After three seconds it opens with what is known; the submit is checked as always."""
    post = share(world, agent)
    world.servicenow.fault("slow", "/api/now/v2/table", times=3, seconds=8)
    dialog = agent.press_action(post["id"], button).dialog
    world.servicenow.clear_faults()
    assert dialog is not None
    assert "did not answer in time" in str(dialog.form)
    values = {"comments": "Late"} if button == "Comment" else {"state": "2"}
    answer = agent.submit_dialog(dialog, values)
    assert not answer.get("error"), answer
    found = row(world, NUMBER)
    late = [one["value"] for one in world.servicenow.store.journal(found["sys_id"], "comments")]
    assert (late == ["Late"]) if button == "Comment" else (found["state"] == "2")


def test_a_command_updates_the_channels_cards_and_replies_in_the_newest_thread(
    world: World, agent: MattermostClient
) -> None:
    """Both cards show the new state, the line is posted once, and the sharer is still named above the card."""
    older, newer = share(world, agent), share(world, agent)
    [card] = world.mattermost.state.posts[older["id"]]["props"]["attachments"]
    card["pretext"] = "Shared by Amir Agent"  # as earlier versions wrote it
    elsewhere = share(world, agent, "town-square")
    answer = agent.command("state", {"record": NUMBER, "state": "In Progress"}, channel="service-desk")
    assert "New → In Progress" in answer["text"]
    for post in (older, newer):
        assert facts(current(agent, post))["State"] == "In Progress"
        assert current(agent, post)["message"].startswith("Amir Agent shared [INC")
    assert attachment(current(agent, older))["pretext"] == "Shared by Amir Agent"
    assert thread(agent, newer) == ["Amir Agent set State New → In Progress"]
    assert thread(agent, older) == []
    assert facts(current(agent, elsewhere))["State"] == "New"


def test_cards_are_remembered_across_a_restart_and_forgotten_after_thirty_days(
    world: World, agent: MattermostClient
) -> None:
    """A restarted service updates them; a month later it leaves them alone."""
    post = share(world, agent)
    world.restart()
    agent.command("assign", {"record": NUMBER, "assigned_to": "me"}, channel="service-desk")
    assert facts(current(agent, post))["Assigned to"] == "Amir Agent"
    world.advance(31 * 24 * 3600.0)
    agent.command("state", {"record": NUMBER, "state": "In Progress"}, channel="service-desk")
    assert row(world, NUMBER)["state"] == "2"
    assert facts(current(agent, post))["State"] == "New"


def test_a_notice_updates_shared_cards(world: World, component: Component) -> None:
    """The channel is subscribed to the record: its shared card is updated along with the notice's own."""
    [subscription] = stored(world, grant(world))
    post = share(world, world.person("agent"))
    record = incident(world)
    number = attachment(post)["title"].partition(":")[0]
    assert record["number"] == number
    administer(world, state="2")
    component.changed(record, [subscription])
    pass_time(world, 2)
    assert facts(current(world.person("agent"), post))["State"] == "In Progress"


def test_the_newest_of_concurrent_updates_wins(world: World, agent: MattermostClient) -> None:
    """Eight people's commands and presses end with a card that shows the record's final state."""
    post = share(world, agent)
    other = world.connected("agent2")

    def press(number: int) -> object:
        if number % 2:
            return other.press_action(post["id"], "More…", "watch")
        state = ("New", "In Progress")[number // 2 % 2]
        return agent.command("state", {"record": NUMBER, "state": state}, channel="service-desk")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(press, range(8)))
    found = row(world, NUMBER)
    assert int(found["sys_mod_count"]) > 4
    assert current(agent, post)["props"]["servicenow"]["sys_mod_count"] == found["sys_mod_count"]


def test_a_notices_card_has_buttons_and_is_updated(world: World, component: Component) -> None:
    """A press updates it at once; the next notice updates it again, a late one doesn't revert it."""
    [subscription] = stored(world, grant(world))
    agent = world.person("agent")
    administer(world, state="2")
    component.changed(incident(world), [subscription])
    pass_time(world, 2)
    post = next(one for one in reversed(world.mattermost.state.posts.values()) if one["props"].get("attachments"))
    assert agent.press_action(post["id"], "Assign to me").texts
    assert facts(current(agent, post))["Assigned to"] == "Amir Agent"
    assert current(agent, post)["message"] == post["message"]
    administer(world, state="3", hold_reason="4")
    component.changed(incident(world), [subscription])
    pass_time(world, 21)
    assert facts(current(agent, post))["State"] == "On Hold"
    assert current(agent, post)["message"] == post["message"]


def test_requested_approvals_show_on_the_changes_card(world: World, agent: MattermostClient) -> None:
    """Leaving New requests them: the pressed card shows it with the new state."""
    form = opened(agent.command("share", {"record": "CHG0030001"}, channel="service-desk"))
    assert agent.submit(form, {}, channel="service-desk")["type"] == "ok"
    post = world.mattermost.posts_in("service-desk")[-1]
    assert facts(post)["Approval"] == "Not Yet Requested"
    dialog = agent.press_action(post["id"], "State").dialog
    assert dialog is not None
    assert agent.submit_dialog(dialog, {"state": "-4"}) == {}
    assert (facts(current(agent, post))["State"], facts(current(agent, post))["Approval"]) == ("Assess", "Requested")


def test_own_actions_mention_nobody(world: World) -> None:
    """Cards and thread lines name the person without mentioning them."""
    agent = world.connected("agent")
    form = opened(agent.command("share", {"record": "INC0010001"}, channel="service-desk"))
    assert agent.submit(form, {"note": "For @agent"}, channel="service-desk")["type"] == "ok"
    post = world.mattermost.posts_in("service-desk")[-1]
    agent.press_action(post["id"], "Assign to me")
    agent.press_action(post["id"], "More…", "watch")
    agent.submit(opened(act(agent, "INC0010001", "comment")), {"comments": "Seen", "action": "add"})
    posts = [one for one in world.mattermost.posts_in("service-desk") if one["create_at"] >= post["create_at"]]
    assert len(posts) == 4
    for one in posts:
        texts = [one["message"], *(card["pretext"] for card in one["props"].get("attachments", []))]
        assert not {"mention", "channel"} & {kind for text in texts for kind in drawn(text).meanings}, texts
        assert "Amir Agent" in str(texts)
