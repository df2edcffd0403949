"""Subscribing: one form makes one subscription, with the rights of whoever asks."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from core.subscriptions import TABLE
from sandbox.client import MattermostClient
from tests.scenarios.subscriptions.subscribing import (
    HERE,
    buttons,
    field,
    for_record,
    foreign_row,
    grants,
    install_component,
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

ROWS = f"/api/now/v2/table/{TABLE}"


@pytest.fixture
def agent(world: World) -> MattermostClient:
    """A connected agent who may subscribe, at an instance with the component; columns are warm."""
    install_component(world, "agent", "agent2", "newcomer")
    agent = world.connected("agent")
    opened(agent)
    world.servicenow.clear_requests()
    return agent


def test_the_form_as_it_opens_subscribes_the_channel(world: World, agent: MattermostClient) -> None:
    """Defaults: this channel, the whole table, state, priority and comments, threads, comment text shown."""
    form = opened(agent)
    assert field(form, "channel")["value"] == {"label": "Service Desk", "value": agent.channel("service-desk")}
    assert field(form, "kind")["value"]["value"] == "table"
    assert buttons(form) == ["Subscribe", "Test"]
    answer = press(agent, form, "save")

    assert answer["type"] == "ok"
    row = only(world)
    expected = {
        "channel_id": agent.channel("service-desk"),
        "user_id": agent.id,
        "server_url": world.config.app_url,
        "type": "object",
        "record_type": "incident",
        "record_id": "",
        "subscription_events": "state,priority,commented",
        "filter_query": "",
        "options": "",
        "name": "",
        "is_active": "true",
        "status": "active",
    }
    assert {column: row[column] for column in expected} == expected
    [grant] = grants(world)
    assert (grant["sys_id"], grant["owner_id"], grant["status"]) == (row["sys_id"], agent.id, "active")
    assert (grant["channel_id"], grant["table"], grant["events"]) == (
        row["channel_id"],
        "incident",
        row["subscription_events"],
    )


def test_it_takes_two_round_trips(world: World, agent: MattermostClient) -> None:
    """The form opens without one; saving inserts, then looks for an older twin."""
    form = opened(agent)
    assert world.asked() == []
    press(agent, form, "save")
    assert [(entry["method"], entry["path"]) for entry in world.asked()] == [("POST", ROWS), ("GET", ROWS)]


def test_the_channel_is_told_who_did_it(world: World, agent: MattermostClient) -> None:
    """A post of the bot names the person, what is followed, the events and the id; nobody is mentioned."""
    subscribe(agent, {"name": "All of *it* @all"})
    post = world.mattermost.posts_in("service-desk")[-1]
    assert world.mattermost.state.users[post["user_id"]]["username"] == "servicenow"
    [card] = post["props"]["attachments"]
    assert post["message"] == "**Amir Agent** subscribed this channel"
    facts = {fact["title"]: fact["value"] for fact in card["fields"]}
    assert facts["Name"] == "All of \\*it\\* @\u200ball"
    assert facts["Follows"].startswith("every [Incident](")
    assert facts["Events"] == "State changed, Priority changed, New comment"
    assert only(world)["sys_id"] in card["footer"]


def test_a_record_is_found_by_its_number(world: World, agent: MattermostClient) -> None:
    """Choosing one record brings a look-up, takes the filter and “created” away, and costs no more to save."""
    form, values = for_record(agent, "INC0010001")
    assert "record" in names(form)
    assert not {"priority", "assignment_group", "text", "filter"} & set(names(form))
    assert "created" not in {one["value"] for one in field(form, "events")["options"]}
    world.servicenow.clear_requests()
    answer = press(agent, form, "save", values)

    row = only(world)
    [incident] = [one for one in world.servicenow.rows("incident") if one["number"] == "INC0010001"]
    assert (row["type"], row["record_id"]) == ("record", incident["sys_id"])
    assert "[INC0010001](" in answer["text"]
    assert len(world.asked()) == 2


def test_created_is_dropped_when_a_record_is_chosen(agent: MattermostClient) -> None:
    """What was ticked for the table and means nothing for a record goes with the change; the rest stays."""
    form = opened(agent)
    values = {"events": options(form, "events", "created", "state"), "name": "Mine", "text": "VPN"}
    form = agent.refresh(form, "kind", values | {"kind": option(form, "kind", "record")}, **HERE)["form"]
    assert [one["value"] for one in field(form, "events")["value"]] == ["state"]
    assert field(form, "name")["value"] == "Mine"
    form = agent.refresh(form, "kind", {"kind": option(form, "kind", "table")}, **HERE)["form"]
    assert "value" not in field(form, "text")


def test_created_is_refused_for_a_record(world: World, agent: MattermostClient) -> None:
    """Even from a client that sends it nevertheless: it would never happen."""
    form, values = for_record(agent, "INC0010001")
    values["events"] = [{"label": "New record created", "value": "created"}]
    answer = press(agent, form, "save", values)
    assert "events" in answer["data"]["errors"]
    assert rows(world) == []


def test_another_table_clears_what_no_longer_fits(agent: MattermostClient) -> None:
    """A chosen record goes, a query on columns that the new table lacks goes, events that it has stay."""
    form = opened(agent)
    values = {"table": option(form, "table", "kb_knowledge"), "filter": "caller_idISNOTEMPTY"}
    form = agent.refresh(form, "table", values, **HERE)["form"]
    assert "value" not in field(form, "filter")
    assert not {"priority", "assignment_group", "cmdb_ci", "category"} & set(names(form))
    assert [one["value"] for one in field(form, "events")["options"]] == ["created", "state"]
    form, values = for_record(agent, "INC0010001")
    form = agent.refresh(form, "table", values | {"table": option(form, "table", "problem")}, **HERE)["form"]
    assert "value" not in field(form, "record")


def test_everything_that_was_entered_is_stored(world: World, agent: MattermostClient) -> None:
    """Filter, name and options arrive in their columns; the grant says the same."""
    form = opened(agent)
    [group] = agent.look_up(form, "assignment_group", "netw", **HERE)["data"]["items"]
    values = {
        "table": option(form, "table", "incident"),
        "events": options(form, "events", "resolved", "work_notes"),
        "priority": option(form, "priority", "2"),
        "assignment_group": group,
        "text": "VPN",
        "filter": "state!=6",
        "name": "Urgent network",
        "show_comment": False,
        "in_thread": False,
        "mention_assignee": True,
    }
    answer = press(agent, form, "save", values)
    assert answer["type"] == "ok"
    row = only(world)
    assert row["filter_query"] == (
        f"priorityIN1,2^assignment_group={group['value']}^short_descriptionLIKEVPN^ORdescriptionLIKEVPN^state!=6"
    )
    assert row["subscription_events"] == "work_notes,resolved"
    assert row["options"] == "hide_comment,in_channel,mention_assignee"
    assert row["name"] == "Urgent network"
    [grant] = grants(world)
    assert (grant["filter_query"], grant["options"], grant["events"]) == (
        row["filter_query"],
        row["options"],
        row["subscription_events"],
    )
    card = world.mattermost.posts_in("service-desk")[-1]["props"]["attachments"][0]
    only_fact = next(fact["value"] for fact in card["fields"] if fact["title"] == "Only")
    assert "assignment group Network" in only_fact
    assert "priority 2 \\- High or above" in only_fact


def test_a_label_that_a_client_made_up_is_told_nobody(world: World, agent: MattermostClient) -> None:
    """Only the id of a choice counts: its name is ServiceNow's, whatever the client calls it."""
    form = opened(agent)
    [group] = agent.look_up(form, "assignment_group", "netw", **HERE)["data"]["items"]
    press(agent, form, "save", {"assignment_group": group | {"label": "The board"}})
    card = world.mattermost.posts_in("service-desk")[-1]["props"]["attachments"][0]
    assert next(fact["value"] for fact in card["fields"] if fact["title"] == "Only") == "assignment group Network"


@pytest.mark.parametrize(
    ("name", "entered", "at"),
    [
        ("filter", "priority=1^NQactive=true", "filter"),
        ("filter", "assigned_to=javascript:gs.getUserID()", "filter"),
        ("filter", "u_no_such_column=1", "filter"),
        ("filter", "caller_id.vip=true", "filter"),
        ("category", {"label": "x", "value": "network^NQactive=true"}, "category"),
        ("table", {"label": "Users", "value": "sys_user"}, "table"),
        ("channel", {"label": "x", "value": "../../users/me"}, "channel"),
        ("channel", None, "channel"),
        ("events", [], "events"),
        ("events", [{"label": "x", "value": "deleted"}], "events"),
        ("name", "x" * 101, "name"),
        ("assignment_group", {"label": "Nobody", "value": "No such group"}, "assignment_group"),
    ],
)
def test_what_does_not_fit_is_said_at_its_field(
    world: World, agent: MattermostClient, name: str, entered: object, at: str
) -> None:
    """The form stays open with what was typed; nothing is stored and nothing posted."""
    before = len(world.mattermost.posts_in("service-desk"))
    answer = subscribe(agent, {name: entered})
    assert answer["type"] == "error"
    assert set(answer["data"]["errors"]) == {at}
    assert rows(world) == []
    assert grants(world) == []
    assert len(world.mattermost.posts_in("service-desk")) == before


def test_a_record_that_one_may_not_see_is_refused(world: World, agent: MattermostClient) -> None:
    """A foreign id that was never offered is read first; hidden and missing look alike."""
    form, _ = for_record(agent, "INC0010001")
    answer = press(agent, form, "save", {"record": {"label": "INC0000000", "value": "f" * 32}})
    assert "may not see it" in answer["data"]["errors"]["record"]
    assert rows(world) == []


def test_one_form_makes_one_subscription_however_often_it_is_sent(world: World, agent: MattermostClient) -> None:
    """Eight parallel submits and one more later: one row, one post, the same answer."""
    form = opened(agent)
    before = len(world.mattermost.posts_in("service-desk"))
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: press(agent, form, "save"), range(8)))
    again = press(agent, form, "save")
    assert len(rows(world)) == 1
    assert len(world.mattermost.posts_in("service-desk")) == before + 1
    assert {answer["text"] for answer in answers if answer["type"] == "ok"} == {again["text"]}
    assert all("being saved" in answer["text"] for answer in answers if answer["type"] == "error")


def test_two_people_at_once_make_one(world: World, agent: MattermostClient) -> None:
    """Whoever comes second is shown the first one's, or asked to wait; there is never a second row."""
    other = world.connected("agent2")
    forms = [(person, opened(person)) for person in (agent, other) for _ in range(3)]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda pair: press(pair[0], pair[1], "save"), forms))
    assert len(rows(world)) == 1
    assert len(grants(world)) == 1
    assert [answer["type"] for answer in answers].count("ok") == 1


def test_the_same_once_more_offers_the_first_one(world: World, agent: MattermostClient) -> None:
    """Another form with the same channel, table and filter shows what there is, with its buttons."""
    subscribe(agent)
    answer = subscribe(world.connected("agent2"))
    assert answer["type"] == "form"
    assert "already" in answer["form"]["header"]
    assert only(world)["sys_id"] in answer["form"]["header"]
    assert buttons(answer["form"])[0] == "Edit"
    assert len(rows(world)) == 1


def test_an_older_twin_of_another_tool_wins(world: World, agent: MattermostClient) -> None:
    """A row that its owner wrote in ServiceNow counts as well: ours is removed again, and nothing is posted."""
    agent2 = world.connected("agent2")
    theirs = foreign_row(world, "agent2", channel_id=agent.channel("service-desk"), user_id=agent2.id)
    world.advance(2)
    before = len(world.mattermost.posts_in("service-desk"))
    answer = subscribe(agent)
    assert "already" in answer["form"]["header"]
    assert [one["sys_id"] for one in rows(world)] == [theirs]
    assert grants(world) == []
    assert len(world.mattermost.posts_in("service-desk")) == before


@pytest.mark.parametrize("named", ["agent", "nobody"])
def test_a_row_in_another_s_name_keeps_nobody_from_subscribing(
    world: World, agent: MattermostClient, named: str
) -> None:
    """Somebody with the role writes the same row in another's name: it posts nothing, so it's no reason to give way."""
    user_id = {"agent": agent.id, "nobody": ""}[named]
    planted = foreign_row(world, "agent2", channel_id=agent.channel("service-desk"), user_id=user_id)
    world.advance(2)
    assert subscribe(agent)["type"] == "ok"
    [granted] = grants(world)
    assert granted["owner_id"] == agent.id
    assert granted["sys_id"] != planted
    assert len(rows(world)) == 2


def test_a_name_that_was_offered_is_remembered_for_that_person_alone(world: World, agent: MattermostClient) -> None:
    """Another person who sends the same id gets the name that this person's own account reads."""
    [group] = agent.look_up(opened(agent), "assignment_group", "netw", **HERE)["data"]["items"]
    world.administer("PATCH", f"/api/now/table/sys_user_group/{group['value']}", {"name": "Renamed"})
    agent2 = world.connected("agent2")
    answer = press(agent2, opened(agent2), "save", {"assignment_group": group})
    assert answer["type"] == "ok"
    [card] = world.mattermost.posts_in("service-desk")[-1]["props"]["attachments"]
    facts = {fact["title"]: fact["value"] for fact in card["fields"]}
    assert facts["Only"] == "assignment group Renamed"


def test_a_lost_answer_is_not_mistaken_for_a_row_in_one_s_name(world: World, agent: MattermostClient) -> None:
    """The insert fails, and somebody else's row that names this person is there: nothing of it is taken for saved."""
    foreign_row(world, "agent2", channel_id=agent.channel("service-desk"), user_id=agent.id)
    world.servicenow.fault("500", ROWS, method="POST")
    answer = subscribe(agent)
    assert "saved nothing" in answer["text"]
    assert grants(world) == []


def test_another_filter_is_another_subscription(world: World, agent: MattermostClient) -> None:
    """Two filters on one table in one channel are two subscriptions."""
    subscribe(agent)
    subscribe(agent, {"filter": "priority=1"})
    assert len(rows(world)) == 2


def test_testing_keeps_the_form_open(world: World, agent: MattermostClient) -> None:
    """How many records of the last day match, with three samples; what was entered stays, nothing is saved."""
    for number in range(5):
        world.administer("POST", "/api/now/table/incident", {"short_description": f"*Zebra* {number}"})
    world.administer("POST", "/api/now/table/incident", {"short_description": "Printer"})
    form = opened(agent)
    world.servicenow.clear_requests()
    answer = press(agent, form, "test", {"text": "zebra", "name": "Mine"})
    header = answer["form"]["header"]
    assert "5 matching records" in header
    assert header.count("\n- ") == 3
    assert "\\*Zebra\\*" in header
    assert field(answer["form"], "text")["value"] == "zebra"
    assert field(answer["form"], "name")["value"] == "Mine"
    assert len(world.asked()) == 1
    assert rows(world) == []
    saved = press(agent, answer["form"], "save")
    assert saved["type"] == "ok"
    assert only(world)["name"] == "Mine"


def test_a_test_without_a_match_says_so(world: World, agent: MattermostClient) -> None:
    """Changes of two days ago are no changes of the last 24 hours."""
    world.advance(2 * 86_400)
    answer = press(agent, opened(agent), "test")
    assert "none of the records" in answer["form"]["header"]


def test_the_switch_of_the_incident_form_subscribes_to_the_new_incident(world: World, agent: MattermostClient) -> None:
    """One record subscription with the five events; the answer tells both, a second submit makes nothing new."""
    menu = agent.press("/channel_header", "ServiceNow", **HERE)["form"]
    form = agent.submit(menu, {"action": "incident"}, **HERE)["form"]
    values = {"short_description": "Disk full", "subscribe": True}
    answer = agent.submit(form, values, **HERE)
    again = agent.submit(form, values, **HERE)
    row = only(world)
    [incident] = [one for one in world.servicenow.rows("incident") if one["short_description"] == "Disk full"]
    assert row["record_id"] == incident["sys_id"]
    assert row["subscription_events"] == "state,priority,commented,assigned_to,assignment_group"
    assert "Created [" in answer["text"]
    assert "Subscribed: " in answer["text"]
    assert again["text"] == answer["text"]


def test_a_refused_subscription_does_not_hide_the_new_incident(world: World, agent: MattermostClient) -> None:
    """Without the role the incident is made, and the answer says what was not done and why."""
    requester = world.connected("requester")
    menu = requester.press("/channel_header", "ServiceNow", **HERE)["form"]
    form = requester.submit(menu, {"action": "incident"}, **HERE)["form"]
    answer = requester.submit(form, {"short_description": "Disk full", "subscribe": True}, **HERE)
    assert answer["type"] == "ok"
    assert "Created [" in answer["text"]
    assert "was not subscribed" in answer["text"]
    assert "x_830655_mm_std.user" in answer["text"]
    assert rows(world) == []
