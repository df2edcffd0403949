"""
Change requests: a command for each type, dates in the person's time zone, conflicts shown before anything is created.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from sandbox.client import MattermostClient
from tests.acts import attachment, choice, default, facts, field, labels, names, opened, written
from tests.markdown_oracle import seen
from tests.world import World

Json = dict[str, Any]
START, END = "2027-03-01 20:00", "2027-03-01 22:00"


@pytest.fixture
def agent(world: World) -> MattermostClient:
    """A connected agent in Berlin; the choices are cached."""
    person = next(one for one in world.servicenow.rows("sys_user") if one["user_name"] == "agent")
    world.administer("PATCH", f"/api/now/table/sys_user/{person['sys_id']}", {"time_zone": "Europe/Berlin"})
    agent = world.connected("agent")
    change_form(agent)
    world.servicenow.clear_requests()
    return agent


def change_form(person: MattermostClient) -> Json:
    """The form from the app bar."""
    menu = person.press("/channel_header", "ServiceNow", channel="service-desk")["form"]
    return opened(person.submit(menu, {"action": "change"}, channel="service-desk"))


def created(world: World) -> list[dict[str, str]]:
    """Changes, except the four of the seed."""
    return world.servicenow.rows("change_request")[4:]


def test_opening_sends_nothing_to_servicenow(world: World, agent: MattermostClient) -> None:
    """The form shows the three types and what a change needs."""
    form = change_form(agent)
    assert world.asked() == []
    assert labels(form, "type") == ["Normal", "Emergency", "Standard, from a template"]
    assert default(form, "type") == "normal"
    assert names(form) == [
        "type",
        "short_description",
        "justification",
        "assignment_group",
        "cmdb_ci",
        "start_date",
        "end_date",
        "risk",
        "impact",
    ]
    assert "Europe/Berlin" in field(form, "start_date")["description"]


@pytest.mark.parametrize("kind", ["Normal", "Emergency"])
def test_a_change_has_the_entered_values(world: World, agent: MattermostClient, kind: str) -> None:
    """
    One request to the Change Management API creates it; times are stored in UTC; the card has the change's fields.
    """
    form = change_form(agent)
    [group] = agent.look_up(form, "assignment_group", "netw")["data"]["items"]
    world.servicenow.clear_requests()
    values = {
        "type": choice(form, "type", kind),
        "short_description": "Replace the router",
        "justification": "It is old",
        "assignment_group": group,
        "start_date": START,
        "end_date": END,
        "risk": choice(form, "risk", "High"),
    }
    answer = agent.submit(form, values, channel="service-desk")
    assert answer["type"] == "ok", answer
    assert [(entry["method"], entry["path"]) for entry in world.asked()] == [
        ("POST", f"/api/sn_chg_rest/v1/change/{kind.lower()}")
    ]
    [row] = created(world)
    assert (row["type"], row["short_description"], row["justification"]) == (
        kind.lower(),
        "Replace the router",
        "It is old",
    )
    assert (row["start_date"], row["end_date"]) == ("2027-03-01 19:00:00", "2027-03-01 21:00:00")
    assert (row["assignment_group"], row["risk"]) == (group["value"], "2")
    assert row["number"] in answer["text"]
    card = world.mattermost.posts_in("service-desk")[-1]
    assert attachment(card)["title"] == f"{row['number']}: Replace the router"
    shown = facts(card)
    assert (shown["Type"], shown["Risk"], shown["Assignment group"]) == (kind, "High", "Network")
    assert seen(shown["Planned start"]) == "2027-03-01 19:00 UTC"
    assert shown["Approval"] == "Not Yet Requested"


def test_a_standard_change_comes_from_a_template(world: World, agent: MattermostClient) -> None:
    """The template field appears with the type, is found by name, and fills in its values."""
    form = change_form(agent)
    standard = choice(form, "type", "Standard, from a template")
    missing = agent.submit(form, {"type": standard, "short_description": "x"}, channel="service-desk")
    assert set(missing["data"]["errors"]) == {"std_change_producer_version"}
    form = opened(agent.refresh(form, "type", {"type": standard, "justification": "Half typed"}))
    assert default(form, "justification") == "Half typed"
    assert not field(form, "short_description").get("is_required")
    template = world.servicenow.rows("std_change_producer_version")[0]
    words = template["name"].split()[0]
    [item] = agent.look_up(form, "std_change_producer_version", words)["data"]["items"]
    assert item == {"label": template["name"], "value": template["sys_id"]}
    answer = agent.submit(form, {"std_change_producer_version": item}, channel="service-desk")
    assert answer["type"] == "ok", answer
    [row] = created(world)
    assert (row["type"], row["approval"]) == ("standard", "approved")
    assert row["short_description"] == template["short_description"]
    assert facts(world.mattermost.posts_in("service-desk")[-1])["Approval"] == "Approved"


@pytest.mark.parametrize(
    ("values", "field_name"),
    [
        ({"short_description": "  "}, "short_description"),
        ({"start_date": "tomorrow"}, "start_date"),
        ({"start_date": END, "end_date": START}, "end_date"),
        ({"start_date": START, "end_date": START}, "end_date"),
        ({"start_date": "2027-03-28 02:30"}, "start_date"),  # skipped by daylight saving time
        ({"justification": "x" * 4001}, "justification"),
        ({"risk": {"label": "x", "value": "9"}}, "risk"),
    ],
)
def test_invalid_values_are_reported_at_their_field(
    world: World, agent: MattermostClient, values: Json, field_name: str
) -> None:
    """Nothing is sent to ServiceNow."""
    form = change_form(agent)
    answer = agent.submit(form, {"short_description": "Router", **values}, channel="service-desk")
    assert set(answer["data"]["errors"]) == {field_name}
    assert world.asked() == []


def test_a_conflict_is_shown_before_anything_is_created(world: World, agent: MattermostClient) -> None:
    """The error at the dates names the other change; another time, or a switch, creates it."""
    form = change_form(agent)
    [item] = agent.look_up(form, "cmdb_ci", "vpn gate")["data"]["items"]
    first = {"short_description": "One", "cmdb_ci": item, "start_date": START, "end_date": END}
    assert "conflicts" not in agent.submit(form, first, channel="service-desk")["text"]
    form = change_form(agent)
    world.servicenow.clear_requests()
    second = first | {"short_description": "Two", "start_date": "2027-03-01 21:30", "end_date": "2027-03-01 23:00"}
    again = opened(agent.submit(form, second, channel="service-desk"))
    assert written(world) == []
    number = created(world)[0]["number"]
    assert f"{number}, {START} to {END}" in field(again, "start_date")["description"]
    assert number in again["header"]
    assert default(again, "short_description") == "Two"
    later = agent.submit(again, {"start_date": "2027-03-02 10:00", "end_date": "2027-03-02 11:00"})
    assert later["type"] == "ok"
    assert len(created(world)) == 2


def test_an_accepted_conflict_is_created_and_shown(world: World, agent: MattermostClient) -> None:
    """ServiceNow's own check finds it too, and the record has its result."""
    form = change_form(agent)
    [item] = agent.look_up(form, "cmdb_ci", "vpn gate")["data"]["items"]
    first = {"short_description": "One", "cmdb_ci": item, "start_date": START, "end_date": END}
    agent.submit(form, first, channel="service-desk")
    again = opened(agent.submit(change_form(agent), first | {"short_description": "Two"}, channel="service-desk"))
    answer = agent.submit(again, {"despite": True}, channel="service-desk")
    assert answer["type"] == "ok"
    assert "check for conflicts says: Conflict" in answer["text"]
    assert [row["conflict_status"] for row in created(world)] == ["No Conflict", "Conflict"]


def test_one_form_creates_one_change(world: World, agent: MattermostClient) -> None:
    """Ten parallel submits and one lost answer make one change and one card."""
    form = change_form(agent)
    world.servicenow.fault("truncated", "/api/sn_chg_rest")
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda _: agent.submit(form, {"short_description": "Once"}, channel="service-desk"), range(10)))
    answer = agent.submit(form, {"short_description": "Once"}, channel="service-desk")
    assert answer["type"] == "ok", answer
    assert len(created(world)) == 1
    assert len(world.mattermost.posts_in("service-desk")) == 1


def test_a_required_field_of_the_instance_is_reported_at_its_field(world: World, agent: MattermostClient) -> None:
    """The group is mandatory here: the error is at the group, and the form works once it is filled in."""
    column = {"name": "change_request", "element": "assignment_group", "column_label": "Assignment group"}
    form = change_form(agent)
    world.administer("POST", "/api/now/table/sys_dictionary", column | {"mandatory": "true"})
    answer = agent.submit(form, {"short_description": "Router"}, channel="service-desk")
    assert answer["data"]["errors"] == {"assignment_group": "ServiceNow demands this: Assignment group."}
    [group] = agent.look_up(form, "assignment_group", "netw")["data"]["items"]
    values = {"short_description": "Router", "assignment_group": group}
    assert agent.submit(form, values, channel="service-desk")["type"] == "ok"


def test_a_person_without_a_role_cant_create_a_change(world: World) -> None:
    """The Change Management API rejects them; nothing is created."""
    requester = world.connected("requester")
    answer = requester.submit(change_form(requester), {"short_description": "Router"}, channel="service-desk")
    assert answer["type"] == "error"
    assert "your account may not do this" in answer["text"]
    assert created(world) == []


def test_a_timeout_creates_nothing_and_the_form_works_later(world: World, agent: MattermostClient) -> None:
    """ServiceNow doesn't answer at first."""
    form = change_form(agent)
    world.servicenow.fault("hibernating", "/api/sn_chg_rest")
    assert "asleep" in agent.submit(form, {"short_description": "Later"}, channel="service-desk")["text"]
    assert created(world) == []
    assert agent.submit(form, {"short_description": "Later"}, channel="service-desk")["type"] == "ok"


def test_a_change_in_one_line(world: World, agent: MattermostClient) -> None:
    """Typed flags create it; without a short description the form opens with what was typed."""
    form = opened(agent.command("change create", {"start_date": START}))
    assert default(form, "start_date") == START
    typed = {"short_description": "Router", "type": {"label": "emergency", "value": "emergency"}}
    answer = agent.command("change create", typed, channel="service-desk")
    assert answer["type"] == "ok", answer
    assert created(world)[0]["type"] == "emergency"
    ambiguous = agent.command("change create", {"short_description": "x", "cmdb_ci": "Mail server"})
    assert "Mail server 01, Mail server 02" in ambiguous["text"]
