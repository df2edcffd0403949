"""A record for whoever asks alone: its fields, its link, and what can be done with it as buttons."""

from typing import Any

import pytest

from sandbox.client import MattermostClient
from tests.acts import act, default, facts, labels, names, opened, row, view
from tests.world import World

Json = dict[str, Any]


@pytest.fixture
def agent(world: World) -> MattermostClient:
    """A connected agent."""
    agent = world.connected("agent")
    world.servicenow.clear_requests()
    return agent


def test_a_view_shows_fields_and_link_to_the_asker_alone(world: World, agent: MattermostClient) -> None:
    """One request; a form with the fields above and no post anywhere."""
    form = view(agent, "inc0010003")
    assert [entry["path"] for entry in world.asked()] == ["/api/now/v2/table/incident"]
    incident = row(world, "INC0010003")
    assert form["title"] == "Incident INC0010003"
    assert f"[INC0010003]({world.servicenow.url}/nav_to.do?uri=incident.do%3Fsys_id%3D" in form["header"]
    assert incident["sys_id"] in form["header"]
    assert "- State: New" in form["header"]
    assert "- Assignment group: N/A" in form["header"]
    assert world.mattermost.posts_in("service-desk") == []


@pytest.mark.parametrize(
    ("number", "actions"),
    [
        ("INC0010001", ["Comment", "State", "Assign to me", "Work note", "Assign", "Resolve", "Priority", "Watch"]),
        ("CHG0030001", ["Comment", "State", "Assign to me", "Work note", "Assign", "Watch"]),
        ("KB0010001", []),
    ],
)
def test_the_buttons_fit_the_table(agent: MattermostClient, number: str, actions: list[str]) -> None:
    """An article can be refreshed and nothing else; the rest is what the table can do."""
    offered = labels(view(agent, number), "action")
    others = {"Refresh", "Subscribe this channel"}
    assert [label for label in offered if label not in others] == actions
    assert "Refresh" in offered


def test_the_buttons_fit_the_state(world: World, agent: MattermostClient) -> None:
    """A resolved incident waits for close or reopen; a closed one takes comments and a new state."""
    sys_id = row(world, "INC0010001")["sys_id"]
    done = {"state": "6", "close_code": "Duplicate", "close_notes": "x"}
    world.administer("PATCH", f"/api/now/table/incident/{sys_id}", done)
    resolved = labels(view(agent, "INC0010001"), "action")
    assert resolved[:3] == ["Comment", "Close", "Reopen"]
    assert "Assign to me" not in resolved
    world.administer("PATCH", f"/api/now/table/incident/{sys_id}", {"state": "7"})
    closed = labels(view(agent, "INC0010001"), "action")
    assert closed[:2] == ["Comment", "State"]
    assert not {"Resolve", "Close", "Assign to me"} & set(closed)


@pytest.mark.parametrize(
    ("action", "title"),
    [
        ("comment", "Comments on INC0010001"),
        ("state", "State of INC0010001"),
        ("note", "Work notes on INC0010001"),
        ("assign", "Assign INC0010001"),
        ("resolve", "Resolve INC0010001"),
        ("priority", "Priority of INC0010001"),
    ],
)
def test_a_button_leads_to_its_form_in_the_same_modal(agent: MattermostClient, action: str, title: str) -> None:
    """The title names the record where a dialog's title has room for it."""
    expected = title if len(title) <= 24 else title.rpartition(" ")[0]
    assert opened(act(agent, "INC0010001", action))["title"] == expected


def test_a_refreshed_view_shows_the_record_as_it_is(world: World, agent: MattermostClient) -> None:
    """In the same modal."""
    form = view(agent, "INC0010001")
    world.administer("PATCH", f"/api/now/table/incident/{row(world, 'INC0010001')['sys_id']}", {"state": "2"})
    assert "- State: In Progress" in opened(agent.submit(form, {"action": "refresh"}))["header"]


def test_words_find_the_record_and_several_are_named(agent: MattermostClient) -> None:
    """One match is shown; several are named with their numbers, and the form asks which."""
    assert view(agent, "badge reader")["title"] == "Incident INC0010002"
    form = opened(agent.command("view", {"record": "vpn"}))
    assert names(form) == ["record"]
    assert "INC0010003: VPN drops every hour" in form["header"].replace("\\", "")
    assert "PRB0040001" in form["header"]


@pytest.mark.parametrize("typed", ["INC9999999", "nothing like this", "x"])
def test_what_is_not_there_is_said_and_asked_for_again(agent: MattermostClient, typed: str) -> None:
    """The modal opens with the reason above, and a look-up to choose from."""
    form = opened(agent.command("view", {"record": typed}))
    assert form["header"]
    [item] = agent.look_up(form, "record", "INC0010002")["data"]["items"]
    assert opened(agent.submit(form, {"record": item}))["title"] == "Incident INC0010002"


def test_nothing_typed_asks_for_the_record(agent: MattermostClient) -> None:
    """The modal with its one field, from the command and from the app bar."""
    assert names(opened(agent.command("view", {}))) == ["record"]
    menu = agent.press("/channel_header", "ServiceNow")["form"]
    assert names(opened(agent.submit(menu, {"action": "view"}))) == ["record"]


def test_somebody_else_s_record_is_not_shown_to_people_without_role(world: World, agent: MattermostClient) -> None:
    """The requester sees the own incident, and of another one only that it is hidden or not there."""
    requester = world.connected("requester")
    assert view(requester, "INC0010003")["title"] == "Incident INC0010003"
    form = opened(requester.command("view", {"record": "INC0010001"}))
    assert "may not see it" in form["header"]
    assert "Email" not in str(form)


def test_watching_and_stopping_leave_the_rest_of_the_list(world: World, agent: MattermostClient) -> None:
    """The own name comes and goes; others stay on the list."""
    incident = row(world, "INC0010001")
    other = row(world, "INC0010003")["caller_id"]
    world.administer("PATCH", f"/api/now/table/incident/{incident['sys_id']}", {"watch_list": other})
    answer = act(agent, "INC0010001", "watch")
    me = next(one["sys_id"] for one in world.servicenow.rows("sys_user") if one["user_name"] == "agent")
    assert "now watch" in answer["text"]
    assert row(world, "INC0010001")["watch_list"] == f"{other},{me}"
    assert "no longer watch" in act(agent, "INC0010001", "watch")["text"]
    assert row(world, "INC0010001")["watch_list"] == other


def test_taking_a_record_assigns_it(world: World, agent: MattermostClient) -> None:
    """Assign to me, from the view, with one read and one write."""
    form = view(agent, "INC0010001")
    world.servicenow.clear_requests()
    answer = agent.submit(form, {"action": "mine"})
    assert [entry["method"] for entry in world.asked()] == ["GET", "PATCH"]
    assert "Assigned to N/A → Amir Agent" in answer["text"]
    assert world.servicenow.store.display("sys_user", row(world, "INC0010001")["assigned_to"]) == "Amir Agent"
    assert "already" in act(agent, "INC0010001", "mine")["text"]


def test_what_somebody_else_took_meanwhile_is_shown_before_it_is_taken_away(
    world: World, agent: MattermostClient
) -> None:
    """The view is old: who has it now is shown, and a second press takes it."""
    form = view(agent, "INC0010001")
    incident = row(world, "INC0010001")
    other = next(one["sys_id"] for one in world.servicenow.rows("sys_user") if one["user_name"] == "agent2")
    world.administer("PATCH", f"/api/now/table/incident/{incident['sys_id']}", {"assigned_to": other})
    asked = opened(agent.submit(form, {"action": "mine"}))
    assert "Aiko Agent" in asked["header"]
    assert row(world, "INC0010001")["assigned_to"] == other
    agent.submit(asked, {})
    assert world.servicenow.store.display("sys_user", row(world, "INC0010001")["assigned_to"]) == "Amir Agent"


def test_priority_follows_from_impact_and_urgency(world: World, agent: MattermostClient) -> None:
    """Both are preselected as they are; ServiceNow makes the priority of them."""
    form = opened(act(agent, "INC0010001", "priority"))
    assert (default(form, "impact"), default(form, "urgency")) == ("3", "2")
    answer = agent.submit(form, {"impact": {"label": "1 - High", "value": "1"}})
    assert "4 \\- Low → 2 \\- High" in answer["text"]
    assert row(world, "INC0010001")["priority"] == "2"
    assert "nothing was changed" in agent.submit(opened(act(agent, "INC0010001", "priority")), {})["text"]


@pytest.mark.parametrize("who", ["me", "@agent2", "Aiko Agent", "aiko", "agent2", "Aiko Agent (agent2)"])
def test_a_record_is_assigned_to_somebody_by_command(world: World, agent: MattermostClient, who: str) -> None:
    """Me, somebody here whose account is connected or bears the same name, or a name in ServiceNow."""
    answer = agent.command("assign", {"record": "INC0010001", "assigned_to": who})
    assert answer["type"] == "ok", answer
    wanted = "Amir Agent" if who == "me" else "Aiko Agent"
    assert world.servicenow.store.display("sys_user", row(world, "INC0010001")["assigned_to"]) == wanted


def test_an_ambiguous_name_is_answered_with_its_candidates(world: World, agent: MattermostClient) -> None:
    """Nothing is written; both are named."""
    answer = agent.command("assign", {"record": "INC0010001", "assigned_to": "age"})
    assert answer["type"] == "error"
    assert "Amir Agent" in answer["text"]
    assert "Aiko Agent" in answer["text"]
    assert row(world, "INC0010001")["assigned_to"] == ""
    nobody = agent.command("assign", {"record": "INC0010001", "assigned_to": "@nobody"})
    assert "nobody called" in nobody["text"]


def test_an_exact_user_name_wins(world: World, agent: MattermostClient) -> None:
    """Others whose name or user name contains it don't make it ambiguous; with an `@` it is found while typing."""
    answer = agent.command("assign", {"record": "INC0010001", "assigned_to": "agent"})
    assert answer["type"] == "ok", answer
    assert world.servicenow.store.display("sys_user", row(world, "INC0010001")["assigned_to"]) == "Amir Agent"
    form = opened(act(agent, "INC0010001", "assign"))
    items = agent.look_up(form, "assigned_to", "@ag")["data"]["items"]
    assert [item["label"] for item in items] == ["Aiko Agent (agent2)", "Amir Agent (agent)"]


def test_the_connected_account_counts_whatever_its_name(world: World, agent: MattermostClient) -> None:
    """Somebody here who connected as another ServiceNow user is that user."""
    other = world.person("agent2")
    assert "Completed connecting" in other.connect(as_user="newcomer").text
    agent.command("assign", {"record": "INC0010001", "assigned_to": "@agent2"})
    assert world.servicenow.store.display("sys_user", row(world, "INC0010001")["assigned_to"]) == "Nora Newcomer"


def test_a_group_is_assigned_in_the_form_and_a_cleared_person_is_cleared(world: World, agent: MattermostClient) -> None:
    """The form holds who has it; clearing the person and choosing a group writes both."""
    agent.command("assign", {"record": "INC0010001", "assigned_to": "me"})
    form = opened(agent.command("assign", {"record": "INC0010001"}))
    assert default(form, "assigned_to") == row(world, "INC0010001")["assigned_to"]
    [group] = agent.look_up(form, "assignment_group", "netw")["data"]["items"]
    answer = agent.submit(form, {"assigned_to": None, "assignment_group": group})
    assert "Amir Agent → N/A" in answer["text"]
    assert (row(world, "INC0010001")["assigned_to"], row(world, "INC0010001")["assignment_group"]) == (
        "",
        group["value"],
    )


def test_a_shared_card_is_what_a_view_shows(world: World, agent: MattermostClient) -> None:
    """Card and view name the same fields with the same texts."""
    form = opened(agent.command("share", {"record": "INC0010003"}, channel="service-desk"))
    agent.submit(form, {}, channel="service-desk")
    shown = facts(world.mattermost.posts_in("service-desk")[-1])
    lines = view(agent, "INC0010003")["header"].splitlines()[2:]
    assert {line[2:].split(": ")[0]: line[2:].split(": ")[1] for line in lines} == shown
