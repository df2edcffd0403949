"""Edit, pause, resume, delete and test a subscription: who can do it, and what happens to the row."""

from typing import Any

import pytest

from core.subscriptions import TABLE
from sandbox.client import MattermostClient
from tests.reports import pass_time, told
from tests.scenarios.subscriptions.subscribing import (
    HERE,
    buttons,
    field,
    for_record,
    foreign_row,
    grants,
    install_component,
    make_key,
    names,
    only,
    opened,
    option,
    options,
    press,
    rows,
    subscribe,
)
from tests.world import World

Json = dict[str, Any]
ROWS = f"/api/now/v2/table/{TABLE}"
WORDS = ("edit", "delete", "pause", "resume", "test")


@pytest.fixture
def agent(world: World) -> MattermostClient:
    """A connected agent who can subscribe and has subscribed the channel to urgent incidents."""
    install_component(world, "agent", "agent2", "approver")
    agent = world.connected("agent")
    answer = subscribe(agent, {"filter": "priority=1", "name": "Urgent"})
    assert answer["type"] == "ok", answer
    world.servicenow.clear_requests()
    return agent


def run(person: MattermostClient, word: str, sys_id: str, **where: Any) -> Json:
    """A command with an id."""
    return person.command(f"subscriptions {word}", {"subscription": sys_id}, **(where or HERE))


def make_channel_admin(world: World, name: str, channel: str = "service-desk") -> None:
    """Make someone a channel administrator."""
    person = world.person(name)
    member = world.mattermost.state.members[person.channel(channel), person.id]
    member["roles"] = "channel_user channel_admin"


def headlines(world: World, channel: str = "service-desk") -> list[str]:
    """The headlines of the bot's posts about subscriptions in a channel."""
    return [post["message"] for post in world.mattermost.posts_in(channel) if post["props"].get("attachments")]


def test_editing_shows_the_stored_values(world: World, agent: MattermostClient) -> None:
    """Every field has its value, references have their names, and recently read names aren't read again."""
    [group] = agent.look_up(opened(agent), "assignment_group", "netw", **HERE)["data"]["items"]
    subscribe(
        agent,
        {
            "priority": option(opened(agent), "priority", "3"),
            "assignment_group": group,
            "events": options(opened(agent), "events", "closed"),
            "in_thread": False,
        },
    )
    row = rows(world)[1]
    world.servicenow.clear_requests()
    form = run(agent, "edit", row["sys_id"])["form"]
    assert len(world.asked()) == 1
    assert field(form, "channel")["value"]["label"] == "Service Desk"
    assert field(form, "priority")["value"]["value"] == "3"
    assert field(form, "assignment_group")["value"] == group
    assert [one["value"] for one in field(form, "events")["value"]] == ["closed"]
    assert "value" not in field(form, "in_thread")
    assert field(form, "show_comment")["value"] is True
    assert buttons(form) == ["Save", "Test"]


def test_an_edit_sends_only_what_changed(world: World, agent: MattermostClient) -> None:
    """One column is written, the grant has the same, and the channel is told; a second submit changes nothing."""
    sys_id = only(world)["sys_id"]
    form = run(agent, "edit", sys_id)["form"]
    world.servicenow.clear_requests()
    values = {"name": "Most urgent"}
    answer = press(agent, form, "save", values)
    again = press(agent, form, "save", values)
    assert answer["type"] == "ok"
    assert again["text"] == answer["text"]
    assert only(world)["name"] == "Most urgent"
    assert only(world)["sys_mod_count"] == "1"
    [grant] = grants(world)
    assert (grant["name"], grant["owner_id"], grant["version"]) == ("Most urgent", agent.id, 2)
    assert headlines(world).count("**Amir Agent** changed a subscription of this channel") == 1
    assert [entry["method"] for entry in world.asked(path=ROWS)] == ["GET", "PATCH", "GET"]


def test_a_direct_message_is_called_a_conversation(world: World, agent: MattermostClient) -> None:
    """Messages about its subscription don't call it a channel."""
    answer = subscribe(agent, {"direct": True, "name": "Mine"})
    assert answer["type"] == "ok", answer
    row = next(one for one in rows(world) if one["name"] == "Mine")

    def headline() -> str:
        posts = [one for one in world.mattermost.state.posts.values() if one["channel_id"] == row["channel_id"]]
        return str(max(posts, key=lambda one: one["create_at"])["message"])

    assert headline() == "**Amir Agent** subscribed this conversation"
    press(agent, run(agent, "edit", row["sys_id"])["form"], "save", {"name": "Still mine"})
    assert headline() == "**Amir Agent** changed a subscription of this conversation"
    to_channel = {"direct": False, "channel": {"label": "Town Square", "value": agent.channel("town-square")}}
    press(agent, run(agent, "edit", row["sys_id"])["form"], "save", to_channel)
    assert headline() == "**Amir Agent** moved a subscription away from this conversation"
    assert headlines(world, "town-square")[-1] == "**Amir Agent** changed a subscription of this channel"
    press(agent, run(agent, "edit", row["sys_id"])["form"], "save", {"direct": True})
    form = run(agent, "delete", row["sys_id"])["form"]
    assert form["header"].endswith("Its conversation gets no more notifications, and a message there says so.")
    press(agent, form, "delete")
    assert headline() == "**Amir Agent** removed a subscription of this conversation"


def test_an_edit_without_a_change_writes_nothing(world: World, agent: MattermostClient) -> None:
    """Saved unchanged, it makes no write and no post."""
    form = run(agent, "edit", only(world)["sys_id"])["form"]
    before = headlines(world)
    answer = press(agent, form, "save")
    assert "Nothing was changed" in answer["text"]
    assert only(world)["sys_mod_count"] == "0"
    assert headlines(world) == before


def test_a_subscription_moves_to_another_channel(world: World, agent: MattermostClient) -> None:
    """Row and grant move, the bot joins, and both channels are told."""
    form = run(agent, "edit", only(world)["sys_id"])["form"]
    town = agent.channel("town-square")
    answer = press(agent, form, "save", {"channel": {"label": "Town Square", "value": town}})
    assert answer["type"] == "ok"
    assert only(world)["channel_id"] == town
    assert grants(world)[0]["channel_id"] == town
    assert headlines(world, "town-square")[-1] == "**Amir Agent** changed a subscription of this channel"
    assert headlines(world)[-1] == "**Amir Agent** moved a subscription away from this channel"


def test_an_edit_needs_write_access_in_the_old_and_the_new_channel(world: World, agent: MattermostClient) -> None:
    """Without it in either channel the edit is rejected, and row and grant are unchanged."""
    before = only(world)
    form = run(agent, "edit", before["sys_id"])["form"]
    secret = world.person("approver").channel("operations")
    answer = press(agent, form, "save", {"channel": {"label": "Operations", "value": secret}})
    assert "channel" in answer["data"]["errors"]
    del world.mattermost.state.members[agent.channel("service-desk"), agent.id]
    town = {"label": "Town Square", "value": agent.channel("town-square")}
    answer = press(agent, form, "save", {"channel": town}, channel="town-square")
    assert answer["type"] == "error"
    assert "may not post" in answer["text"]
    assert only(world) == before
    assert grants(world)[0]["channel_id"] == before["channel_id"]


def test_an_edit_that_makes_a_duplicate_is_rejected(world: World, agent: MattermostClient) -> None:
    """The existing one is shown instead."""
    subscribe(agent, {"filter": "priority=2"})
    first, second = rows(world)
    form = run(agent, "edit", second["sys_id"])["form"]
    answer = press(agent, form, "save", {"filter": "priority=1"})
    assert "already" in answer["form"]["header"]
    assert first["sys_id"] in answer["form"]["header"]
    assert [row["filter_query"] for row in rows(world)] == ["priority=1", "priority=2"]


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("sys_id", ["", "x", "F" * 32, "f" * 31, f"{'f' * 32}/../incident", f"x{'f' * 32}", "f" * 33])
def test_an_id_has_exactly_32_hex_digits(world: World, agent: MattermostClient, word: str, sys_id: str) -> None:
    """Anything else is rejected with a message, and nothing is sent to ServiceNow."""
    answer = run(agent, word, sys_id)
    assert answer["type"] == "error"
    assert "/servicenow subscriptions list" in answer["text"]
    assert world.asked() == []


@pytest.mark.parametrize("word", WORDS)
def test_an_unknown_id_is_reported(world: World, agent: MattermostClient, word: str) -> None:
    """A missing row and one that a person without the role asks for get the same answer."""
    answer = run(agent, word, "f" * 32)
    assert answer["type"] == "error"
    assert "no such subscription" in answer["text"]


@pytest.mark.parametrize("word", WORDS)
def test_other_members_cant_change_it(world: World, agent: MattermostClient, word: str) -> None:
    """A channel member with the role in ServiceNow who didn't create it has no rights, whatever `user_id` says."""
    before = only(world)
    other = world.connected("agent2")
    world.servicenow.clear_requests()
    answer = run(other, word, before["sys_id"])
    assert answer["type"] == "error"
    assert "may change it" in answer["text"]
    assert [entry["method"] for entry in world.asked()] == ["GET"]
    assert only(world) == before


def test_a_forged_user_id_gives_no_rights(world: World, agent: MattermostClient) -> None:
    """A row that names someone as its creator is theirs only if ServiceNow confirms it."""
    other = world.connected("agent2")
    channel = agent.channel("service-desk")
    sys_id = foreign_row(world, "agent", channel_id=channel, user_id=other.id, record_type="problem")
    assert "may change it" in run(other, "pause", sys_id)["text"]
    assert "Paused" in run(agent, "pause", sys_id)["text"]


def test_a_role_that_starts_like_an_administrators_gives_no_rights(world: World, agent: MattermostClient) -> None:
    """Roles are compared by their full names."""
    other = world.connected("agent2")
    world.mattermost.state.users[other.id]["roles"] = "system_user system_admin_assistant"
    world.mattermost.state.members[agent.channel("service-desk"), other.id]["roles"] = "channel_user channel_admins"
    assert "may change it" in run(other, "pause", only(world)["sys_id"])["text"]


def test_an_administrator_of_both_systems_can_edit_and_delete(world: World, agent: MattermostClient) -> None:
    """A system administrator who is also ServiceNow's administrator: the creator still owns the notices."""
    admin = world.connected("admin")
    sys_id = only(world)["sys_id"]
    answer = press(admin, run(admin, "edit", sys_id)["form"], "save", {"name": "By the administrator"})
    assert answer["type"] == "ok"
    assert only(world)["name"] == "By the administrator"
    assert grants(world)[0]["owner_id"] == agent.id
    answer = press(admin, run(admin, "delete", sys_id)["form"], "delete")
    assert answer["text"].startswith("Deleted")
    assert rows(world) == []
    assert grants(world) == []
    assert headlines(world)[-1] == "**Ada Admin** removed a subscription of this channel"


def test_a_channel_administrator_can_stop_what_servicenow_protects(world: World, agent: MattermostClient) -> None:
    """
    ServiceNow lets only the creator write the row: an edit is rejected with a message, a pause stops the posts here.
    """
    boss = world.connected("agent2")
    make_channel_admin(world, "agent2")
    sys_id = only(world)["sys_id"]
    form = run(boss, "edit", sys_id)["form"]
    refused = press(boss, form, "save", {"name": "Mine now"})
    assert "You can pause or delete it" in refused["text"]
    assert grants(world)[0]["name"] == "Urgent"
    assert grants(world)[0]["status"] == "active"
    answer = run(boss, "pause", sys_id)
    assert "Stopped" in answer["text"]
    [grant] = grants(world)
    assert (grant["status"], grant["owner_id"]) == ("broken", agent.id)
    assert "Aiko Agent" in grant["reason"]
    assert only(world)["name"] == "Urgent"
    header = agent.command("subscriptions list", {}, **HERE)["form"]["header"]
    assert "broken: Aiko Agent, who administrates the channel, stopped it" in header
    for _ in range(3):
        pass_time(world, 60)
    [text] = [one for one in told(world, "agent") if "stopped posting" in one]
    assert "Aiko Agent, who administrates the channel, stopped it" in text


def test_a_channel_administrators_delete_stops_it_too(world: World, agent: MattermostClient) -> None:
    """Even a row written directly in ServiceNow, which would otherwise be adopted as its creator's."""
    boss = world.connected("agent2")
    make_channel_admin(world, "agent2")
    sys_id = foreign_row(world, "agent", channel_id=agent.channel("service-desk"), user_id=agent.id)
    answer = press(boss, run(boss, "delete", sys_id)["form"], "delete")
    assert "Stopped" in answer["text"]
    grant = next(one for one in grants(world) if one["sys_id"] == sys_id)
    assert (grant["status"], grant["owner_id"]) == ("broken", "")
    assert "It is active" in run(agent, "resume", sys_id)["text"]
    grant = next(one for one in grants(world) if one["sys_id"] == sys_id)
    assert (grant["status"], grant["owner_id"]) == ("active", agent.id)


def test_pause_and_resume(world: World, agent: MattermostClient) -> None:
    """Row and grant agree; a paused subscription is listed as paused and can be resumed."""
    sys_id = only(world)["sys_id"]
    assert "Paused" in run(agent, "pause", sys_id)["text"]
    assert (only(world)["status"], only(world)["is_active"]) == ("paused", "false")
    assert grants(world)[0]["status"] == "paused"
    form = agent.command("subscriptions list", {}, **HERE)["form"]
    assert "paused" in form["header"]
    detail = press(agent, form, "open", {"pick": field(form, "pick")["options"][0]})["form"]
    assert buttons(detail)[1] == "Resume"
    detail = press(agent, detail, "resume")["form"]
    assert "It is active" in detail["header"]
    assert buttons(detail)[1] == "Pause"
    assert (only(world)["status"], only(world)["is_active"]) == ("active", "true")
    assert grants(world)[0]["status"] == "active"


def test_editing_a_paused_one_keeps_it_paused(world: World, agent: MattermostClient) -> None:
    """Changing the name doesn't resume it."""
    sys_id = only(world)["sys_id"]
    run(agent, "pause", sys_id)
    press(agent, run(agent, "edit", sys_id)["form"], "save", {"name": "Quiet"})
    assert (only(world)["status"], only(world)["is_active"], only(world)["name"]) == ("paused", "false", "Quiet")
    assert grants(world)[0]["status"] == "paused"


def test_deleting_always_asks_first(world: World, agent: MattermostClient) -> None:
    """By command, by the legacy command and by button: a confirmation describes the subscription, and Keep keeps it."""
    sys_id = only(world)["sys_id"]
    by_command = run(agent, "delete", sys_id)["form"]
    by_old_word = agent.command("unsubscribe", {"subscription": sys_id}, **HERE)["form"]
    listed = agent.command("subscriptions list", {}, **HERE)["form"]
    detail = press(agent, listed, "open", {"pick": field(listed, "pick")["options"][0]})["form"]
    by_button = press(agent, detail, "delete")["form"]
    for form in (by_command, by_old_word, by_button):
        assert "Delete this subscription? every [Incident](" in form["header"]
        assert buttons(form) == ["Delete", "Keep"]
    assert "stays" in press(agent, by_command, "keep")["text"]
    assert len(rows(world)) == 1
    answer = press(agent, by_button, "delete")
    assert answer["text"].startswith("Deleted: every [Incident](")
    assert rows(world) == []
    assert grants(world) == []
    assert headlines(world)[-1] == "**Amir Agent** removed a subscription of this channel"
    again = press(agent, by_command, "delete")
    assert "no such subscription" in again["text"]


def test_a_broken_one_is_resumed_with_one_press(world: World, agent: MattermostClient) -> None:
    """While the channel is archived Try again is rejected; afterwards row and grant are active again."""
    sys_id = only(world)["sys_id"]
    world.servicenow.store.update(TABLE, sys_id, {"status": "broken", "status_reason": "The channel is archived."}, "x")
    channel = world.mattermost.state.channels[agent.channel("service-desk")]
    channel["delete_at"] = 1
    form = agent.command("subscriptions list", {"where": "all_channels"}, channel="town-square")["form"]
    detail = press(agent, form, "open", {"pick": field(form, "pick")["options"][0]}, channel="town-square")["form"]
    assert "broken: The channel is archived" in detail["header"]
    assert buttons(detail)[1] == "Try again"
    refused = press(agent, detail, "resume", channel="town-square")
    assert "archived" in refused["text"]
    assert only(world)["status"] == "broken"
    channel["delete_at"] = 0
    detail = press(agent, detail, "resume", channel="town-square")["form"]
    assert "It is active" in detail["header"]
    assert (only(world)["status"], only(world)["status_reason"]) == ("active", "")
    assert grants(world)[0]["status"] == "active"


def test_a_subscription_to_a_deleted_record_cant_be_resumed(world: World, agent: MattermostClient) -> None:
    """Rights are checked again: a record that the person can't read can't be subscribed to."""
    form, values = for_record(agent, "INC0010001")
    press(agent, form, "save", values)
    row = rows(world)[1]
    world.servicenow.store.delete("incident", row["record_id"])
    run(agent, "pause", row["sys_id"])
    answer = run(agent, "resume", row["sys_id"])
    assert "may not see its record any more" in answer["text"]
    assert rows(world)[1]["status"] == "paused"


def test_editing_ones_own_row_from_servicenow_adopts_it(world: World, agent: MattermostClient) -> None:
    """Its creator edits it here, and from then on it is granted."""
    sys_id = foreign_row(world, "agent", channel_id=agent.channel("service-desk"), user_id=agent.id)
    press(agent, run(agent, "edit", sys_id)["form"], "save", {"name": "Mine"})
    grant = next(one for one in grants(world) if one["sys_id"] == sys_id)
    assert (grant["owner_id"], grant["name"], grant["status"]) == (agent.id, "Mine", "active")


def test_events_and_options_of_later_versions_are_kept(world: World, agent: MattermostClient) -> None:
    """An edit keeps what this version doesn't know."""
    sys_id = foreign_row(
        world,
        channel_id=agent.channel("service-desk"),
        user_id=agent.id,
        subscription_events="state,escalated",
        options="in_channel,loud",
    )
    press(agent, run(agent, "edit", sys_id)["form"], "save", {"name": "Kept"})
    row = next(one for one in rows(world) if one["sys_id"] == sys_id)
    assert (row["subscription_events"], row["options"]) == ("state,escalated", "in_channel,loud")


def test_commands_suggest_subscriptions(world: World, agent: MattermostClient) -> None:
    """The person's own, by name or table, without a request to ServiceNow; other people's aren't suggested."""
    [leaf] = [one for words, one in agent.entries("/command").items() if words == "servicenow subscriptions edit"]
    found = agent.look_up(leaf["form"], "subscription", "", **HERE)["data"]["items"]
    assert [one["value"] for one in found] == [f"Urgent · {only(world)['sys_id'][-6:]}"]
    assert found[0]["label"].startswith("Urgent")
    assert agent.look_up(leaf["form"], "subscription", "nothing", **HERE)["data"]["items"] == []
    other = world.connected("agent2")
    assert other.look_up(leaf["form"], "subscription", "", **HERE)["data"]["items"] == []
    assert world.asked(path=ROWS) == []


def test_a_test_goes_through_servicenow(world: World, agent: MattermostClient) -> None:
    """The component is called once with this subscription; its outbox has the report."""
    make_key(world)
    world.administer("POST", "/api/now/table/incident", {"short_description": "Fire", "impact": "1", "urgency": "1"})
    answer = run(agent, "test", only(world)["sys_id"])
    assert "A test is on its way to Service Desk" in answer["text"]
    assert [entry["status"] for entry in world.asked(path="/api/x_830655_mm_std/component/test")] == [202]


def test_a_test_without_a_matching_record_says_so(world: World, agent: MattermostClient) -> None:
    """If nothing matches, or the component has no key yet, the answer says what to do instead."""
    assert "has no key" in run(agent, "test", only(world)["sys_id"])["text"]
    make_key(world)
    subscribe(agent, {"filter": "short_description=nothing has this title"})
    answer = run(agent, "test", rows(world)[1]["sys_id"])
    assert answer["type"] == "error"
    assert "No record matches" in answer["text"]


def test_editing_a_table_that_is_no_longer_offered(world: World, agent: MattermostClient) -> None:
    """It is shown with its name and can't be saved; no other table takes its place."""
    sys_id = foreign_row(world, channel_id=agent.channel("service-desk"), user_id=agent.id, record_type="sc_task")
    form = run(agent, "edit", sys_id)["form"]
    assert field(form, "table")["value"]["value"] == "sc_task"
    assert "name" in names(form)
    answer = press(agent, form, "save", {"name": "x"})
    assert "table" in answer["data"]["errors"]


@pytest.mark.parametrize("table", ["*/*", "no_such_table", "../incident", "x" * 5000])
def test_a_client_can_send_any_text_as_the_table(world: World, agent: MattermostClient, table: str) -> None:
    """ServiceNow isn't asked about a table that isn't offered, neither in a refresh nor for a foreign row."""
    subscribe(agent)
    form = run(agent, "edit", rows(world)[1]["sys_id"])["form"]
    world.servicenow.clear_requests()
    answer = agent.refresh(form, "kind", {"table": {"label": "Incident", "value": table}})
    assert answer["type"] == "form"
    assert not world.asked()
    sys_id = foreign_row(world, channel_id=agent.channel("service-desk"), user_id=agent.id, record_type=table[:40])
    assert field(run(agent, "edit", sys_id)["form"], "table")["value"]["value"] == table[:40]
