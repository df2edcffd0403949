"""Subscribing fails with a clear message if ServiceNow or Mattermost lacks something or an answer is lost."""

from typing import Any

import pytest
from lxml import etree

from core.subscriptions import TABLE
from sandbox.client import MattermostClient
from tests.scenarios.subscriptions.subscribing import (
    HERE,
    field,
    foreign_row,
    give_role,
    grants,
    install,
    install_component,
    only,
    opened,
    press,
    rows,
    subscribe,
)
from tests.world import World
from updateset.build import RELEASE, build

Json = dict[str, Any]
ROWS = f"/api/now/v2/table/{TABLE}"
NEW_COLUMNS = {"name", "filter_query", "options", "status", "status_reason", "filter_error"}


@pytest.fixture
def agent(world: World) -> MattermostClient:
    """A connected agent who can subscribe, on an instance with the component; columns are cached."""
    install_component(world, "agent", "agent2")
    agent = world.connected("agent")
    opened(agent)
    world.servicenow.clear_requests()
    return agent


def as_version_2_1(xml: bytes) -> bytes:
    """The update set without the columns of later versions."""
    tree = etree.fromstring(xml, etree.XMLParser(strip_cdata=False, huge_tree=True))
    for row in tree.findall("sys_update_xml"):
        payload = etree.fromstring((row.findtext("payload") or "").encode())
        names = [(one.findtext("name"), one.findtext("element")) for one in payload.iter("sys_dictionary")]
        if any(table == TABLE and element in NEW_COLUMNS for table, element in names):
            tree.remove(row)
    return etree.tostring(tree)


# --- ServiceNow


def test_without_the_component_people_learn_whom_to_contact(world: World) -> None:
    """
    When saving and listing, people are told to contact an administrator, and administrators are sent to the setup.
    """
    agent, admin = world.connected("agent"), world.connected("admin")
    for person, word in ((agent, "Ask a Mattermost system administrator"), (admin, "/servicenow setup")):
        for answer in (subscribe(person), person.command("subscriptions list", {}, **HERE)):
            assert answer["type"] == "error"
            assert "not set up in ServiceNow yet" in answer["text"]
            assert word in answer["text"]


def test_an_older_component_is_named_and_keeps_nothing(world: World) -> None:
    """Its table would lose columns: the row is removed again, and people are told what to do."""
    install(world, as_version_2_1(build(RELEASE)))
    give_role(world, "agent")
    agent = world.connected("agent")
    answer = subscribe(agent, {"filter": "priority=1"})
    assert answer["type"] == "error"
    assert "older version" in answer["text"]
    assert "/servicenow setup" in answer["text"]
    assert rows(world) == []
    assert grants(world) == []


def test_without_the_role_people_learn_its_name(world: World, agent: MattermostClient) -> None:
    """Nothing is saved; the message names the role, and tells administrators how to grant it."""
    newcomer = world.connected("newcomer")
    answer = subscribe(newcomer)
    assert answer["type"] == "error"
    assert "x_830655_mm_std.user" in answer["text"]
    assert "403" not in answer["text"]
    assert rows(world) == []
    listed = newcomer.command("subscriptions list", {}, **HERE)  # they can't access the table at all, not only its rows
    assert listed["type"] == "error"
    assert "x_830655_mm_std.user" in listed["text"]
    assert "403" not in listed["text"]


def test_a_lost_role_is_noticed_at_every_step(world: World, agent: MattermostClient) -> None:
    """Existing subscriptions and their grants remain and can't be changed anymore."""
    subscribe(agent)
    sys_id = only(world)["sys_id"]
    form = agent.command("subscriptions edit", {"subscription": sys_id}, **HERE)["form"]
    for has in world.servicenow.rows("sys_user_has_role"):
        if world.servicenow.store.display("sys_user_role", has["role"]) == "x_830655_mm_std.user":
            world.servicenow.store.delete("sys_user_has_role", has["sys_id"])
    for answer in (
        press(agent, form, "save", {"name": "x"}),
        agent.command("subscriptions pause", {"subscription": sys_id}, **HERE),
    ):
        assert answer["type"] == "error"
        assert "x_830655_mm_std.user" in answer["text"]
    assert grants(world)[0]["status"] == "active"


UNSAVED = {
    "401": "rejected your connection, although it had just renewed it",
    "429": "busy",
    "429_bare": "busy",
    "500": "saved nothing",
    "html_login": "web page",
    "hibernating": "asleep",
}


@pytest.mark.parametrize("kind", UNSAVED)
def test_a_failed_insert_leaves_nothing_and_can_be_sent_again(world: World, agent: MattermostClient, kind: str) -> None:
    """The form remains open with the reason; the same form then succeeds once."""
    form = opened(agent)
    world.servicenow.fault(kind, ROWS, times=2 if kind == "401" else 1, method="POST")
    answer = press(agent, form, "save")
    assert answer["type"] == "error"
    assert UNSAVED[kind] in answer["text"]
    assert rows(world) == []
    if kind == "401":
        agent = world.connected("agent")  # rejected twice: asked to reconnect
    assert press(agent, form, "save")["type"] == "ok"
    assert len(rows(world)) == 1
    assert len(grants(world)) == 1


@pytest.mark.parametrize("kind", ["500_after_commit", "403_after_insert", "truncated"])
def test_an_insert_whose_answer_is_lost_is_found(world: World, agent: MattermostClient, kind: str) -> None:
    """The row exists: it is looked up, granted and announced, and there is only one."""
    world.servicenow.fault(kind, ROWS, method="POST")
    answer = subscribe(agent)
    assert answer["type"] == "ok", answer
    assert len(rows(world)) == 1
    assert grants(world)[0]["sys_id"] == only(world)["sys_id"]


def test_an_unconfirmed_insert_is_reported(world: World, agent: MattermostClient) -> None:
    """“May have been saved”, with the list; the same form sent again finds the row instead of inserting another."""
    form = opened(agent)
    world.servicenow.fault("500_after_commit", ROWS, method="POST")
    world.servicenow.fault("hibernating", ROWS, times=5, method="GET")
    answer = press(agent, form, "save")
    assert answer["type"] == "error"
    assert "may have been saved" in answer["text"]
    assert grants(world) == []
    world.servicenow.clear_faults()
    assert press(agent, form, "save")["type"] == "ok"
    assert len(rows(world)) == 1
    assert grants(world)[0]["sys_id"] == only(world)["sys_id"]


@pytest.mark.parametrize("kind", ["hibernating", "500", "html_login"])
def test_a_timeout_after_the_insert_loses_nothing(world: World, agent: MattermostClient, kind: str) -> None:
    """Duplicates can't be looked for: two equal rows would do no harm, a lost one would."""
    world.servicenow.fault(kind, ROWS, times=5, method="GET")
    assert subscribe(agent)["type"] == "ok"
    assert len(rows(world)) == 1
    assert len(grants(world)) == 1


def test_a_duplicate_that_cant_be_removed_is_reported(world: World, agent: MattermostClient) -> None:
    """ServiceNow refuses to delete the younger row: the answer names its ID, and nothing is posted for it."""
    agent2 = world.connected("agent2")
    foreign_row(world, "agent2", channel_id=agent.channel("service-desk"), user_id=agent2.id)
    world.advance(2)
    world.servicenow.fault("500", ROWS, method="DELETE")
    answer = subscribe(agent)
    assert answer["type"] == "error"
    mine = rows(world)[1]["sys_id"]
    assert f"/servicenow subscriptions delete {mine}" in answer["text"]
    assert grants(world) == []


@pytest.mark.parametrize("kind", ["429", "500", "hibernating"])
def test_a_failed_change_leaves_everything_unchanged(world: World, agent: MattermostClient, kind: str) -> None:
    """Neither grant nor row changes; the same form then succeeds."""
    subscribe(agent)
    before = only(world)
    form = agent.command("subscriptions edit", {"subscription": before["sys_id"]}, **HERE)["form"]
    world.servicenow.fault(kind, ROWS, method="PATCH")
    answer = press(agent, form, "save", {"name": "New"})
    assert answer["type"] == "error"
    assert only(world) == before
    assert grants(world)[0]["name"] == ""
    assert press(agent, form, "save", {"name": "New"})["type"] == "ok"
    assert (only(world)["name"], grants(world)[0]["name"]) == ("New", "New")


def test_an_unconfirmed_change_says_so(world: World, agent: MattermostClient) -> None:
    """If a lookup doesn't help, the grant waits for the row: sent again, both have the same values."""
    subscribe(agent)
    form = agent.command("subscriptions edit", {"subscription": only(world)["sys_id"]}, **HERE)["form"]
    world.servicenow.fault("202", ROWS, method="PATCH")
    answer = press(agent, form, "save", {"name": "New"})
    assert "may have been saved" in answer["text"]
    assert press(agent, form, "save", {"name": "New"})["type"] == "ok"
    assert (only(world)["name"], grants(world)[0]["name"]) == ("New", "New")


def test_a_change_whose_answer_is_lost_is_found(world: World, agent: MattermostClient) -> None:
    """The row has the new values: it was saved, whatever the answer was."""
    subscribe(agent)
    form = agent.command("subscriptions edit", {"subscription": only(world)["sys_id"]}, **HERE)["form"]
    world.servicenow.fault("500_after_commit", ROWS, method="PATCH")
    assert press(agent, form, "save", {"name": "New"})["type"] == "ok"
    assert (only(world)["name"], grants(world)[0]["name"]) == ("New", "New")


@pytest.mark.parametrize("word", ["edit", "delete", "pause", "resume", "test"])
def test_a_timeout_is_reported_and_changes_nothing(world: World, agent: MattermostClient, word: str) -> None:
    """While ServiceNow doesn't answer, every command says so."""
    subscribe(agent)
    before = only(world)
    world.servicenow.fault("hibernating", ROWS, times=5)
    answer = agent.command(f"subscriptions {word}", {"subscription": before["sys_id"]}, **HERE)
    assert answer["type"] == "error"
    assert "asleep" in answer["text"]
    world.servicenow.clear_faults()
    assert only(world) == before
    assert grants(world)[0]["status"] == "active"


def test_a_list_without_titles_is_still_shown(world: World, agent: MattermostClient) -> None:
    """Records that can't be read are marked; the rest of the page is shown."""
    record = world.servicenow.rows("incident")[0]["sys_id"]
    row = {"channel_id": agent.channel("service-desk"), "user_id": agent.id, "type": "record", "record_id": record}
    foreign_row(world, **row)
    world.servicenow.fault("500", "/api/now/v2/table/incident", times=5)
    form = agent.command("subscriptions list", {}, **HERE)["form"]
    assert "a record that you may not see, or that is gone" in form["header"]
    assert len(field(form, "pick")["options"]) == 1


# --- Mattermost


def test_guests_are_rejected(world: World, agent: MattermostClient) -> None:
    """When opening, listing and by ID; nothing is sent to ServiceNow."""
    subscribe(agent)
    form = opened(agent)
    world.mattermost.state.users[agent.id]["roles"] = "system_guest"
    world.servicenow.clear_requests()
    for answer in (
        press(agent, form, "save"),
        agent.command("subscriptions add", {}, **HERE),
        agent.command("subscriptions list", {}, **HERE),
        agent.command("subscriptions pause", {"subscription": only(world)["sys_id"]}, **HERE),
    ):
        assert answer["type"] == "error"
        assert "Guests" in answer["text"]
    assert world.asked() == []


@pytest.mark.parametrize("how", ["archived", "left", "reader", "other"])
def test_a_channel_without_write_access_is_rejected(world: World, agent: MattermostClient, how: str) -> None:
    """Archived, left, without the permission, or someone else's: the error is at the field, and nothing is stored."""
    state, channel = world.mattermost.state, agent.channel("service-desk")
    chosen = {"label": "Service Desk", "value": channel}
    form = opened(agent, channel="town-square")
    match how:
        case "archived":
            state.channels[channel]["delete_at"] = 1
        case "left":
            del state.members[channel, agent.id]
        case "reader":
            state.members[channel, agent.id]["roles"] = "channel_reader"
        case _:
            chosen = {"label": "Operations", "value": world.person("approver").channel("operations")}
    answer = press(agent, form, "save", {"channel": chosen}, channel="town-square")
    assert set(answer["data"]["errors"]) == {"channel"}
    assert rows(world) == []


def test_the_bot_joins_with_the_persons_rights(world: World, agent: MattermostClient) -> None:
    """In a private channel that only the person is in, the bot joins and posts."""
    state = world.mattermost.state
    made = agent.post("/api/v4/channels", {"team_id": agent.team_id, "name": "lab", "display_name": "Lab", "type": "P"})
    answer = subscribe(agent, channel="lab")
    assert answer["type"] == "ok"
    bot = next(user["id"] for user in state.users.values() if user["username"] == "servicenow")
    assert (made["id"], bot) in state.members
    assert world.mattermost.posts_in("lab")[-1]["user_id"] == bot


def test_if_the_bot_cant_join_nothing_is_saved(world: World, agent: MattermostClient) -> None:
    """The message says who has to do what; afterwards the same form succeeds."""
    agent.post("/api/v4/channels", {"team_id": agent.team_id, "name": "lab", "display_name": "Lab", "type": "P"})
    form = opened(agent, channel="lab")
    world.mattermost.fault("500", f"/api/v4/channels/{agent.channel('lab')}/members", method="POST")
    answer = press(agent, form, "save", channel="lab")
    assert answer["type"] == "error"
    assert "/invite @servicenow" in answer["text"]
    assert rows(world) == []
    assert press(agent, form, "save", channel="lab")["type"] == "ok"


def test_a_direct_message_of_two_people_cant_be_subscribed(world: World, agent: MattermostClient) -> None:
    """Opened there, the form offers only the person themselves; a client that sends the channel anyway is rejected."""
    other = world.person("agent2")
    direct = agent.post("/api/v4/channels/direct", [agent.id, other.id])["id"]
    form = opened(agent, channel=None, channel_id=direct)
    assert field(form, "direct")["value"] is True
    assert "value" not in field(form, "channel")
    answer = press(agent, form, "save", {"direct": False, "channel": {"label": "x", "value": direct}})
    assert answer["type"] == "error"
    assert "direct and group messages" in answer["text"]
    assert rows(world) == []


def test_a_channel_that_cant_be_told_is_reported(world: World, agent: MattermostClient) -> None:
    """The subscription works; the answer says that its post is missing."""
    world.mattermost.fault("500", "/api/v4/posts", times=5)
    answer = subscribe(agent)
    assert answer["type"] == "ok"
    assert "was not told" in answer["text"]
    assert len(rows(world)) == 1
    assert len(grants(world)) == 1


@pytest.mark.parametrize("path", ["/api/v4/channels", "/api/v4/roles"])
def test_an_unavailable_mattermost_saves_nothing(world: World, agent: MattermostClient, path: str) -> None:
    """Without a permission check nothing is done."""
    form = opened(agent)
    world.mattermost.fault("down", path, times=20)
    answer = press(agent, form, "save")
    world.mattermost.clear_faults()
    assert answer["type"] == "error"
    assert rows(world) == []
    assert press(agent, form, "save")["type"] == "ok"


# --- form states


def test_another_persons_or_a_changed_form_is_rejected(world: World, agent: MattermostClient) -> None:
    """The state is bound to person and path."""
    subscribe(agent)
    other = world.connected("agent2")
    form = agent.command("subscriptions edit", {"subscription": only(world)["sys_id"]}, **HERE)["form"]
    before = only(world)
    for person, call in (
        (other, form["submit"]),
        (agent, form["submit"] | {"state": form["submit"]["state"][:-2] + "xx"}),
        (agent, form["submit"] | {"path": "/subscriptions/delete/submit"}),
    ):
        answer = person.call(call, values={"action": "delete"}, **HERE)
        assert answer["type"] == "error"
        assert "could not be verified" in answer["text"]
    assert only(world) == before


def test_a_form_open_for_too_long_is_rejected(world: World, agent: MattermostClient) -> None:
    """After twelve hours it has to be opened again."""
    form = opened(agent)
    world.advance(13 * 3600)
    assert "open for too long" in press(agent, form, "save")["text"]
    assert rows(world) == []
