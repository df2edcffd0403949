"""Subscribing where something is missing: in ServiceNow, in Mattermost, or an answer in between."""

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
    """A connected agent who may subscribe, at an instance with the component; columns are warm."""
    install_component(world, "agent", "agent2")
    agent = world.connected("agent")
    opened(agent)
    world.servicenow.clear_requests()
    return agent


def as_version_2_1(xml: bytes) -> bytes:
    """The update set without the columns that came later."""
    tree = etree.fromstring(xml, etree.XMLParser(strip_cdata=False, huge_tree=True))
    for row in tree.findall("sys_update_xml"):
        payload = etree.fromstring((row.findtext("payload") or "").encode())
        names = [(one.findtext("name"), one.findtext("element")) for one in payload.iter("sys_dictionary")]
        if any(table == TABLE and element in NEW_COLUMNS for table, element in names):
            tree.remove(row)
    return etree.tostring(tree)


# --- ServiceNow


def test_without_the_component_people_are_told_whom_to_ask(world: World) -> None:
    """Saving and listing: an ordinary person is sent to an administrator, an administrator to the setup."""
    agent, admin = world.connected("agent"), world.connected("admin")
    for person, word in ((agent, "Ask a Mattermost system administrator"), (admin, "/servicenow setup")):
        for answer in (subscribe(person), person.command("subscriptions list", {}, **HERE)):
            assert answer["type"] == "error"
            assert "not set up in ServiceNow yet" in answer["text"]
            assert word in answer["text"]


def test_an_older_component_is_named_and_leaves_nothing(world: World) -> None:
    """What its table has no column for would be lost: the row is removed again, and people are told what to do."""
    install(world, as_version_2_1(build(RELEASE)))
    give_role(world, "agent")
    agent = world.connected("agent")
    answer = subscribe(agent, {"filter": "priority=1"})
    assert answer["type"] == "error"
    assert "older version" in answer["text"]
    assert "/servicenow setup" in answer["text"]
    assert rows(world) == []
    assert grants(world) == []


def test_without_the_role_people_are_told_which(world: World, agent: MattermostClient) -> None:
    """Nothing is saved; the words name the role, and to an administrator the way to give it."""
    newcomer = world.connected("newcomer")
    answer = subscribe(newcomer)
    assert answer["type"] == "error"
    assert "x_830655_mm_std.user" in answer["text"]
    assert "403" not in answer["text"]
    assert rows(world) == []
    listed = newcomer.command("subscriptions list", {}, **HERE)  # the table is closed to them, not only its rows
    assert listed["type"] == "error"
    assert "x_830655_mm_std.user" in listed["text"]
    assert "403" not in listed["text"]


def test_a_lost_role_is_noticed_at_every_step(world: World, agent: MattermostClient) -> None:
    """What one made stays, and can't be changed any more; the grant stays as it was."""
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
def test_a_failed_insert_leaves_nothing_and_may_be_sent_again(world: World, agent: MattermostClient, kind: str) -> None:
    """The form stays open with what happened; the very same form works afterwards, once."""
    form = opened(agent)
    world.servicenow.fault(kind, ROWS, times=2 if kind == "401" else 1, method="POST")
    answer = press(agent, form, "save")
    assert answer["type"] == "error"
    assert UNSAVED[kind] in answer["text"]
    assert rows(world) == []
    if kind == "401":
        agent = world.connected("agent")  # twice refused: asked to connect anew
    assert press(agent, form, "save")["type"] == "ok"
    assert len(rows(world)) == 1
    assert len(grants(world)) == 1


@pytest.mark.parametrize("kind", ["500_after_commit", "403_after_insert", "truncated"])
def test_an_insert_whose_answer_is_lost_is_found(world: World, agent: MattermostClient, kind: str) -> None:
    """The row is there all the same: it is looked for, granted and told, and there is one of it."""
    world.servicenow.fault(kind, ROWS, method="POST")
    answer = subscribe(agent)
    assert answer["type"] == "ok", answer
    assert len(rows(world)) == 1
    assert grants(world)[0]["sys_id"] == only(world)["sys_id"]


def test_where_nothing_can_be_found_out_it_says_so(world: World, agent: MattermostClient) -> None:
    """“May have been saved”, with the list; the same form sent again finds the row instead of making another."""
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
def test_silence_after_the_insert_loses_nothing(world: World, agent: MattermostClient, kind: str) -> None:
    """Twins can't be looked for: two alike would be harmless, a lost one not."""
    world.servicenow.fault(kind, ROWS, times=5, method="GET")
    assert subscribe(agent)["type"] == "ok"
    assert len(rows(world)) == 1
    assert len(grants(world)) == 1


def test_a_twin_that_can_t_be_removed_is_told(world: World, agent: MattermostClient) -> None:
    """The younger row should go and ServiceNow refuses: the id is named, nothing is posted of it."""
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
def test_a_failed_change_leaves_all_as_it_was(world: World, agent: MattermostClient, kind: str) -> None:
    """Neither the grant nor the row changes; the same form works afterwards."""
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


def test_a_change_that_may_have_been_saved_says_so(world: World, agent: MattermostClient) -> None:
    """Where looking is no help the grant waits for the row: sent again, both say the same."""
    subscribe(agent)
    form = agent.command("subscriptions edit", {"subscription": only(world)["sys_id"]}, **HERE)["form"]
    world.servicenow.fault("202", ROWS, method="PATCH")
    answer = press(agent, form, "save", {"name": "New"})
    assert "may have been saved" in answer["text"]
    assert press(agent, form, "save", {"name": "New"})["type"] == "ok"
    assert (only(world)["name"], grants(world)[0]["name"]) == ("New", "New")


def test_a_change_whose_answer_is_lost_is_found(world: World, agent: MattermostClient) -> None:
    """The row says what was wanted: it was saved, whatever the answer was."""
    subscribe(agent)
    form = agent.command("subscriptions edit", {"subscription": only(world)["sys_id"]}, **HERE)["form"]
    world.servicenow.fault("500_after_commit", ROWS, method="PATCH")
    assert press(agent, form, "save", {"name": "New"})["type"] == "ok"
    assert (only(world)["name"], grants(world)[0]["name"]) == ("New", "New")


@pytest.mark.parametrize("word", ["edit", "delete", "pause", "resume", "test"])
def test_silence_is_said_and_changes_nothing(world: World, agent: MattermostClient, word: str) -> None:
    """While ServiceNow does not answer, every command says so."""
    subscribe(agent)
    before = only(world)
    world.servicenow.fault("hibernating", ROWS, times=5)
    answer = agent.command(f"subscriptions {word}", {"subscription": before["sys_id"]}, **HERE)
    assert answer["type"] == "error"
    assert "asleep" in answer["text"]
    world.servicenow.clear_faults()
    assert only(world) == before
    assert grants(world)[0]["status"] == "active"


def test_a_list_without_titles_is_still_a_list(world: World, agent: MattermostClient) -> None:
    """Records that can't be read are called so; the rest of the page stays."""
    record = world.servicenow.rows("incident")[0]["sys_id"]
    row = {"channel_id": agent.channel("service-desk"), "user_id": agent.id, "type": "record", "record_id": record}
    foreign_row(world, **row)
    world.servicenow.fault("500", "/api/now/v2/table/incident", times=5)
    form = agent.command("subscriptions list", {}, **HERE)["form"]
    assert "a record that you may not see, or that is gone" in form["header"]
    assert len(field(form, "pick")["options"]) == 1


# --- Mattermost


def test_guests_are_refused(world: World, agent: MattermostClient) -> None:
    """At opening, listing and by id; nothing is asked of ServiceNow."""
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
def test_a_channel_where_one_may_not_write_is_refused(world: World, agent: MattermostClient, how: str) -> None:
    """Archived, left, without the right, or one's own no more: said at the field, nothing is stored."""
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


def test_the_bot_joins_with_the_person_s_rights(world: World, agent: MattermostClient) -> None:
    """A private channel in which only the person is: the bot comes in, and posts there."""
    state = world.mattermost.state
    made = agent.post("/api/v4/channels", {"team_id": agent.team_id, "name": "lab", "display_name": "Lab", "type": "P"})
    answer = subscribe(agent, channel="lab")
    assert answer["type"] == "ok"
    bot = next(user["id"] for user in state.users.values() if user["username"] == "servicenow")
    assert (made["id"], bot) in state.members
    assert world.mattermost.posts_in("lab")[-1]["user_id"] == bot


def test_where_the_bot_can_t_join_nothing_is_saved(world: World, agent: MattermostClient) -> None:
    """The words say who has to do what; afterwards the very same form works."""
    agent.post("/api/v4/channels", {"team_id": agent.team_id, "name": "lab", "display_name": "Lab", "type": "P"})
    form = opened(agent, channel="lab")
    world.mattermost.fault("500", f"/api/v4/channels/{agent.channel('lab')}/members", method="POST")
    answer = press(agent, form, "save", channel="lab")
    assert answer["type"] == "error"
    assert "/invite @servicenow" in answer["text"]
    assert rows(world) == []
    assert press(agent, form, "save", channel="lab")["type"] == "ok"


def test_a_direct_message_of_two_people_is_no_place(world: World, agent: MattermostClient) -> None:
    """Opened there, the form offers the person alone; a client that insists is refused in words."""
    other = world.person("agent2")
    direct = agent.post("/api/v4/channels/direct", [agent.id, other.id])["id"]
    form = opened(agent, channel=None, channel_id=direct)
    assert field(form, "direct")["value"] is True
    assert "value" not in field(form, "channel")
    answer = press(agent, form, "save", {"direct": False, "channel": {"label": "x", "value": direct}})
    assert answer["type"] == "error"
    assert "direct and group messages" in answer["text"]
    assert rows(world) == []


def test_a_channel_that_can_t_be_told_is_said(world: World, agent: MattermostClient) -> None:
    """The subscription works; the answer says that its post is missing."""
    world.mattermost.fault("500", "/api/v4/posts", times=5)
    answer = subscribe(agent)
    assert answer["type"] == "ok"
    assert "was not told" in answer["text"]
    assert len(rows(world)) == 1
    assert len(grants(world)) == 1


@pytest.mark.parametrize("path", ["/api/v4/channels", "/api/v4/roles"])
def test_mattermost_s_silence_saves_nothing(world: World, agent: MattermostClient, path: str) -> None:
    """Where rights can't be checked nothing is done."""
    form = opened(agent)
    world.mattermost.fault("down", path, times=20)
    answer = press(agent, form, "save")
    world.mattermost.clear_faults()
    assert answer["type"] == "error"
    assert rows(world) == []
    assert press(agent, form, "save")["type"] == "ok"


# --- what travels through the client


def test_a_form_of_somebody_else_or_changed_is_refused(world: World, agent: MattermostClient) -> None:
    """The state is bound to person and path: neither another person nor another form may use it."""
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


def test_a_form_that_was_open_for_too_long_is_refused(world: World, agent: MattermostClient) -> None:
    """After twelve hours it has to be opened again."""
    form = opened(agent)
    world.advance(13 * 3600)
    assert "open for too long" in press(agent, form, "save")["text"]
    assert rows(world) == []
