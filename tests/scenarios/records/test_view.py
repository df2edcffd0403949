"""View a record privately: its fields, its link, and buttons for the available actions."""

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


def test_only_the_asker_sees_fields_and_link(world: World, agent: MattermostClient) -> None:
    """One request; a form shows the fields, and nothing is posted."""
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
def test_the_buttons_depend_on_the_table(agent: MattermostClient, number: str, actions: list[str]) -> None:
    """An article can only be refreshed; other tables have their actions."""
    offered = labels(view(agent, number), "action")
    others = {"Refresh", "Subscribe this channel"}
    assert [label for label in offered if label not in others] == actions
    assert "Refresh" in offered


def test_the_buttons_depend_on_the_state(world: World, agent: MattermostClient) -> None:
    """A resolved incident can be closed or reopened; a closed one can be commented and its state changed."""
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
def test_a_button_opens_its_form_in_the_same_modal(agent: MattermostClient, action: str, title: str) -> None:
    """The title names the record if it fits in a dialog's title."""
    expected = title if len(title) <= 24 else title.rpartition(" ")[0]
    assert opened(act(agent, "INC0010001", action))["title"] == expected


def test_a_refreshed_view_shows_the_current_record(world: World, agent: MattermostClient) -> None:
    """It is updated in the same modal."""
    form = view(agent, "INC0010001")
    world.administer("PATCH", f"/api/now/table/incident/{row(world, 'INC0010001')['sys_id']}", {"state": "2"})
    assert "- State: In Progress" in opened(agent.submit(form, {"action": "refresh"}))["header"]


def test_words_find_the_record_and_several_are_listed(agent: MattermostClient) -> None:
    """One match is shown; several are listed with their numbers, and the form asks which."""
    assert view(agent, "badge reader")["title"] == "Incident INC0010002"
    form = opened(agent.command("view", {"record": "vpn"}))
    assert names(form) == ["record"]
    assert "INC0010003: VPN drops every hour" in form["header"].replace("\\", "")
    assert "PRB0040001" in form["header"]


@pytest.mark.parametrize("typed", ["INC9999999", "nothing like this", "x"])
def test_a_missing_record_is_reported_and_asked_for_again(agent: MattermostClient, typed: str) -> None:
    """The form opens with the reason and a lookup."""
    form = opened(agent.command("view", {"record": typed}))
    assert form["header"]
    [item] = agent.look_up(form, "record", "INC0010002")["data"]["items"]
    assert opened(agent.submit(form, {"record": item}))["title"] == "Incident INC0010002"


def test_without_text_it_asks_for_the_record(agent: MattermostClient) -> None:
    """The form has one field, from the command and from the app bar."""
    assert names(opened(agent.command("view", {}))) == ["record"]
    menu = agent.press("/channel_header", "ServiceNow")["form"]
    assert names(opened(agent.submit(menu, {"action": "view"}))) == ["record"]


def test_someone_elses_record_isnt_shown_to_a_person_without_a_role(world: World, agent: MattermostClient) -> None:
    """The requester sees their own incident; another one is hidden or doesn't exist."""
    requester = world.connected("requester")
    assert view(requester, "INC0010003")["title"] == "Incident INC0010003"
    form = opened(requester.command("view", {"record": "INC0010001"}))
    assert "may not see it" in form["header"]
    assert "Email" not in str(form)


def test_watching_and_unwatching_keep_the_rest_of_the_list(world: World, agent: MattermostClient) -> None:
    """Only the person's own entry is added and removed."""
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
    """Assign to me works from the view, with one read and one write."""
    form = view(agent, "INC0010001")
    world.servicenow.clear_requests()
    answer = agent.submit(form, {"action": "mine"})
    assert [entry["method"] for entry in world.asked()] == ["GET", "PATCH"]
    assert "Assigned to N/A → Amir Agent" in answer["text"]
    assert world.servicenow.store.display("sys_user", row(world, "INC0010001")["assigned_to"]) == "Amir Agent"
    assert "already" in act(agent, "INC0010001", "mine")["text"]


def test_a_record_taken_by_someone_else_is_shown_before_it_is_reassigned(world: World, agent: MattermostClient) -> None:
    """The view is outdated: the current assignee is shown, and a second press takes over."""
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
    """Both current values are preselected; ServiceNow computes the priority."""
    form = opened(act(agent, "INC0010001", "priority"))
    assert (default(form, "impact"), default(form, "urgency")) == ("3", "2")
    answer = agent.submit(form, {"impact": {"label": "1 - High", "value": "1"}})
    assert "4 \\- Low → 2 \\- High" in answer["text"]
    assert row(world, "INC0010001")["priority"] == "2"
    assert "nothing was changed" in agent.submit(opened(act(agent, "INC0010001", "priority")), {})["text"]


@pytest.mark.parametrize("who", ["me", "@agent2", "Aiko Agent", "aiko", "agent2", "Aiko Agent (agent2)"])
def test_a_record_is_assigned_by_command(world: World, agent: MattermostClient, who: str) -> None:
    """To me, to a Mattermost user who is connected or has the same name, or to a name in ServiceNow."""
    answer = agent.command("assign", {"record": "INC0010001", "assigned_to": who})
    assert answer["type"] == "ok", answer
    wanted = "Amir Agent" if who == "me" else "Aiko Agent"
    assert world.servicenow.store.display("sys_user", row(world, "INC0010001")["assigned_to"]) == wanted


def test_an_ambiguous_name_is_answered_with_its_candidates(world: World, agent: MattermostClient) -> None:
    """Nothing is written; both are listed."""
    answer = agent.command("assign", {"record": "INC0010001", "assigned_to": "age"})
    assert answer["type"] == "error"
    assert "Amir Agent" in answer["text"]
    assert "Aiko Agent" in answer["text"]
    assert row(world, "INC0010001")["assigned_to"] == ""
    nobody = agent.command("assign", {"record": "INC0010001", "assigned_to": "@nobody"})
    assert "nobody called" in nobody["text"]


def test_an_exact_user_name_wins(world: World, agent: MattermostClient) -> None:
    """Longer names that contain it don't make it ambiguous; with an `@` it is found while typing."""
    answer = agent.command("assign", {"record": "INC0010001", "assigned_to": "agent"})
    assert answer["type"] == "ok", answer
    assert world.servicenow.store.display("sys_user", row(world, "INC0010001")["assigned_to"]) == "Amir Agent"
    form = opened(act(agent, "INC0010001", "assign"))
    items = agent.look_up(form, "assigned_to", "@ag")["data"]["items"]
    assert [item["label"] for item in items] == ["Aiko Agent (agent2)", "Amir Agent (agent)"]


def test_the_connected_account_counts_whatever_its_name(world: World, agent: MattermostClient) -> None:
    """A Mattermost user who connected as another ServiceNow user is assigned as that user."""
    other = world.person("agent2")
    assert "Completed connecting" in other.connect(as_user="newcomer").text
    agent.command("assign", {"record": "INC0010001", "assigned_to": "@agent2"})
    assert world.servicenow.store.display("sys_user", row(world, "INC0010001")["assigned_to"]) == "Nora Newcomer"


def test_a_group_is_assigned_and_a_cleared_person_is_unassigned(world: World, agent: MattermostClient) -> None:
    """The form shows the assignee; clearing the person and choosing a group writes both."""
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


def test_a_shared_card_shows_the_same_as_a_view(world: World, agent: MattermostClient) -> None:
    """Card and view have the same fields and texts."""
    form = opened(agent.command("share", {"record": "INC0010003"}, channel="service-desk"))
    agent.submit(form, {}, channel="service-desk")
    shown = facts(world.mattermost.posts_in("service-desk")[-1])
    lines = view(agent, "INC0010003")["header"].splitlines()[2:]
    assert {line[2:].split(": ")[0]: line[2:].split(": ")[1] for line in lines} == shown
