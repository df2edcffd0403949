"""One form makes one subscription, with the person's own rights."""

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
    """A connected agent who can subscribe, on an instance with the component; columns are cached."""
    install_component(world, "agent", "agent2", "newcomer")
    agent = world.connected("agent")
    opened(agent)
    world.servicenow.clear_requests()
    return agent


def test_the_form_subscribes_the_channel_by_default(world: World, agent: MattermostClient) -> None:
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
    """The form opens without one; saving inserts, then looks for an older duplicate."""
    form = opened(agent)
    assert world.asked() == []
    press(agent, form, "save")
    assert [(entry["method"], entry["path"]) for entry in world.asked()] == [("POST", ROWS), ("GET", ROWS)]


def test_the_channel_learns_who_subscribed(world: World, agent: MattermostClient) -> None:
    """The bot's post names the person, the record, the events and the ID, and mentions nobody."""
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
    """Choosing one record shows a lookup, hides the filter and “created”, and costs no more to save."""
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


def test_created_is_dropped_if_a_record_is_chosen(agent: MattermostClient) -> None:
    """An event that means nothing for a single record is dropped; the others are kept."""
    form = opened(agent)
    values = {"events": options(form, "events", "created", "state"), "name": "Mine", "text": "VPN"}
    form = agent.refresh(form, "kind", values | {"kind": option(form, "kind", "record")}, **HERE)["form"]
    assert [one["value"] for one in field(form, "events")["value"]] == ["state"]
    assert field(form, "name")["value"] == "Mine"
    form = agent.refresh(form, "kind", {"kind": option(form, "kind", "table")}, **HERE)["form"]
    assert "value" not in field(form, "text")


def test_created_is_rejected_for_a_record(world: World, agent: MattermostClient) -> None:
    """A client that sends it anyway gets an error: a record is created only once."""
    form, values = for_record(agent, "INC0010001")
    values["events"] = [{"label": "New record created", "value": "created"}]
    answer = press(agent, form, "save", values)
    assert "events" in answer["data"]["errors"]
    assert rows(world) == []


def test_another_table_clears_what_no_longer_fits(agent: MattermostClient) -> None:
    """A chosen record and a filter on missing columns are cleared; events that the new table has are kept."""
    form = opened(agent)
    values = {"table": option(form, "table", "kb_knowledge"), "filter": "caller_idISNOTEMPTY"}
    form = agent.refresh(form, "table", values, **HERE)["form"]
    assert "value" not in field(form, "filter")
    assert not {"priority", "assignment_group", "cmdb_ci", "category"} & set(names(form))
    assert [one["value"] for one in field(form, "events")["options"]] == ["created", "state"]
    form, values = for_record(agent, "INC0010001")
    form = agent.refresh(form, "table", values | {"table": option(form, "table", "problem")}, **HERE)["form"]
    assert "value" not in field(form, "record")


def test_everything_entered_is_stored(world: World, agent: MattermostClient) -> None:
    """Filter, name and options are in their columns, and the grant has the same."""
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


def test_a_label_made_up_by_a_client_is_ignored(world: World, agent: MattermostClient) -> None:
    """Only a choice's ID counts: its name comes from ServiceNow."""
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
def test_invalid_values_are_reported_at_their_field(
    world: World, agent: MattermostClient, name: str, entered: object, at: str
) -> None:
    """The form remains open with what was typed; nothing is stored or posted."""
    before = len(world.mattermost.posts_in("service-desk"))
    answer = subscribe(agent, {name: entered})
    assert answer["type"] == "error"
    assert set(answer["data"]["errors"]) == {at}
    assert rows(world) == []
    assert grants(world) == []
    assert len(world.mattermost.posts_in("service-desk")) == before


def test_a_record_without_access_is_rejected(world: World, agent: MattermostClient) -> None:
    """An ID that was never offered is read first; hidden and missing records get the same answer."""
    form, _ = for_record(agent, "INC0010001")
    answer = press(agent, form, "save", {"record": {"label": "INC0000000", "value": "f" * 32}})
    assert "may not see it" in answer["data"]["errors"]["record"]
    assert rows(world) == []


def test_one_form_makes_one_subscription_however_often_it_is_sent(world: World, agent: MattermostClient) -> None:
    """Eight parallel submits and one later: one row, one post, the same answer."""
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
    """The second is shown the first one's subscription, or asked to wait; there is never a second row."""
    other = world.connected("agent2")
    forms = [(person, opened(person)) for person in (agent, other) for _ in range(3)]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda pair: press(pair[0], pair[1], "save"), forms))
    assert len(rows(world)) == 1
    assert len(grants(world)) == 1
    assert [answer["type"] for answer in answers].count("ok") == 1


def test_a_duplicate_offers_the_existing_one(world: World, agent: MattermostClient) -> None:
    """Another form with the same channel, table and filter shows the existing subscription with its buttons."""
    subscribe(agent)
    answer = subscribe(world.connected("agent2"))
    assert answer["type"] == "form"
    assert "already" in answer["form"]["header"]
    assert only(world)["sys_id"] in answer["form"]["header"]
    assert buttons(answer["form"])[0] == "Edit"
    assert len(rows(world)) == 1


def test_an_older_duplicate_from_another_tool_wins(world: World, agent: MattermostClient) -> None:
    """A row that its owner wrote in ServiceNow counts too: ours is removed again, and nothing is posted."""
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
def test_a_row_in_another_persons_name_blocks_nobody(world: World, agent: MattermostClient, named: str) -> None:
    """Someone with the role writes the same row in another person's name: it posts nothing, so it isn't a duplicate."""
    user_id = {"agent": agent.id, "nobody": ""}[named]
    planted = foreign_row(world, "agent2", channel_id=agent.channel("service-desk"), user_id=user_id)
    world.advance(2)
    assert subscribe(agent)["type"] == "ok"
    [granted] = grants(world)
    assert granted["owner_id"] == agent.id
    assert granted["sys_id"] != planted
    assert len(rows(world)) == 2


def test_an_offered_name_is_remembered_only_for_that_person(world: World, agent: MattermostClient) -> None:
    """Another person who sends the same ID gets the name that their own account can read."""
    [group] = agent.look_up(opened(agent), "assignment_group", "netw", **HERE)["data"]["items"]
    world.administer("PATCH", f"/api/now/table/sys_user_group/{group['value']}", {"name": "Renamed"})
    agent2 = world.connected("agent2")
    answer = press(agent2, opened(agent2), "save", {"assignment_group": group})
    assert answer["type"] == "ok"
    [card] = world.mattermost.posts_in("service-desk")[-1]["props"]["attachments"]
    facts = {fact["title"]: fact["value"] for fact in card["fields"]}
    assert facts["Only"] == "assignment group Renamed"


def test_a_lost_answer_isnt_confirmed_by_someone_elses_row(world: World, agent: MattermostClient) -> None:
    """The insert fails, and someone else's row names this person: it isn't taken for theirs."""
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
    """
    It shows how many records of the last day match, with three samples; entered values are kept, and nothing is saved.
    """
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
    """Changes from two days ago are outside the last 24 hours."""
    world.advance(2 * 86_400)
    answer = press(agent, opened(agent), "test")
    assert "none of the records" in answer["form"]["header"]


def test_the_incident_forms_switch_subscribes_to_the_new_incident(world: World, agent: MattermostClient) -> None:
    """
    It creates a subscription to the record with the five events; the answer reports both, and a second submit creates
    nothing.
    """
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


def test_a_rejected_subscription_doesnt_hide_the_new_incident(world: World, agent: MattermostClient) -> None:
    """Without the role the incident is created, and the answer says why the subscription wasn't."""
    requester = world.connected("requester")
    menu = requester.press("/channel_header", "ServiceNow", **HERE)["form"]
    form = requester.submit(menu, {"action": "incident"}, **HERE)["form"]
    answer = requester.submit(form, {"short_description": "Disk full", "subscribe": True}, **HERE)
    assert answer["type"] == "ok"
    assert "Created [" in answer["text"]
    assert "was not subscribed" in answer["text"]
    assert "x_830655_mm_std.user" in answer["text"]
    assert rows(world) == []
