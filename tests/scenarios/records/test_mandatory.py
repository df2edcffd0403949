"""The incident form has a field of the right type for each column that the instance made mandatory."""

from typing import Any
from urllib.parse import unquote

import pytest

from sandbox.client import MattermostClient
from tests.acts import field, names, opened
from tests.world import World

Json = dict[str, Any]


def make_mandatory(world: World, element: str, label: str, kind: str = "string", **more: str) -> None:
    """An administrator makes a column of incident mandatory."""
    column = {"name": "incident", "element": element, "column_label": label, "internal_type": kind, "mandatory": "true"}
    world.administer("POST", "/api/now/table/sys_dictionary", column | more)


def incident_form(person: MattermostClient) -> Json:
    """The form from the app bar."""
    menu = person.press("/channel_header", "ServiceNow")["form"]
    return opened(person.submit(menu, {"action": "incident"}))


def created(world: World) -> list[dict[str, str]]:
    """Incidents, except the three of the seed."""
    return world.servicenow.rows("incident")[3:]


@pytest.mark.parametrize(
    ("element", "kind", "more", "drawn", "entered", "stored"),
    [
        ("u_floor", "string", {"max_length": "40"}, "text", "Third", "Third"),
        ("u_story", "string", {"max_length": "1000"}, "text", "One\ntwo", "One\ntwo"),
        ("u_seats", "integer", {}, "text", 12, "12"),
        ("u_when", "glide_date_time", {}, "text", "2027-03-01 20:00", "2027-03-01 20:00:00"),
        ("u_day", "glide_date", {}, "text", "2027-03-01", "2027-03-01"),
        ("u_urgent", "boolean", {}, "bool", True, "true"),
        ("contact_type", "string", {}, "static_select", {"label": "Phone", "value": "phone"}, "phone"),
    ],
)
def test_a_mandatory_column_has_a_field_for_its_type(
    world: World, element: str, kind: str, more: dict[str, str], drawn: str, entered: Any, stored: str
) -> None:
    """The field is required; without it nothing is sent; with it the record has the value."""
    make_mandatory(world, element, "Demanded here", kind, **more)
    agent = world.connected("agent")
    form = incident_form(agent)
    asked = field(form, element)
    assert (asked["modal_label"], asked["type"]) == ("Demanded here", drawn)
    assert asked.get("is_required", False) is (drawn != "bool")
    world.servicenow.clear_requests()
    if drawn != "bool":
        missing = agent.submit(form, {"short_description": "Lift"})
        assert missing["data"]["errors"] == {element: "ServiceNow demands this."}
        assert world.asked() == []
    answer = agent.submit(form, {"short_description": "Lift", element: entered})
    assert answer["type"] == "ok", answer
    assert created(world)[0][element] == stored


@pytest.mark.parametrize(
    ("table", "query", "label"),
    [
        ("sys_user", "tuter", "Abel Tuter (abel.tuter)"),
        ("problem", "PRB00400", "PRB0040001"),
        ("cmdb_ci", "vpn", "VPN"),
    ],
)
def test_a_mandatory_reference_is_looked_up_in_its_table(world: World, table: str, query: str, label: str) -> None:
    """By name, number or display value."""
    make_mandatory(world, "u_other", "Other", "reference", reference=table)
    agent = world.connected("agent")
    form = incident_form(agent)
    item = agent.look_up(form, "u_other", query)["data"]["items"][0]
    assert item["label"].startswith(label)
    assert agent.submit(form, {"short_description": "Lift", "u_other": item})["type"] == "ok"
    assert created(world)[0]["u_other"] == item["value"]


@pytest.mark.parametrize(
    ("element", "kind", "entered", "sentence"),
    [
        ("u_seats", "integer", "many", "Write a number."),
        ("u_when", "glide_date_time", "soon", "Write day and time like 2026-11-24 16:30."),
        ("u_day", "glide_date", "soon", "Write a day like 2026-11-24."),
        ("contact_type", "string", {"label": "x", "value": "smoke signals"}, "Choose one of the list."),
    ],
)
def test_a_value_of_the_wrong_type_is_reported_at_the_field(
    world: World, element: str, kind: str, entered: Any, sentence: str
) -> None:
    """Nothing is sent."""
    make_mandatory(world, element, "Demanded here", kind)
    agent = world.connected("agent")
    answer = agent.submit(incident_form(agent), {"short_description": "Lift", element: entered})
    assert answer["data"]["errors"] == {element: sentence}
    assert created(world) == []


def test_long_and_duplicate_labels_work(world: World) -> None:
    """Labels are cut to a dialog's limit and remain unique."""
    make_mandatory(world, "u_one", "A label that is far too long for any dialog")
    make_mandatory(world, "u_two", "Description")
    form = incident_form(world.connected("agent"))
    assert field(form, "u_one")["modal_label"] == "A label that is far too"
    assert field(form, "u_two")["modal_label"] == "Description 2"


def test_a_type_without_a_field_links_to_servicenow(world: World) -> None:
    """The message names the column and links to ServiceNow's own form with the values filled in."""
    make_mandatory(world, "u_list", "Involved people", "glide_list")
    agent = world.connected("agent")
    post = agent.say("town-square", "Lift is stuck^NQactive=true")
    form = opened(agent.press("/post_menu", "Create ServiceNow incident", post_id=post["id"]))
    assert "u_list" not in names(form)
    assert "Involved people" in form["header"]
    link = unquote(unquote(form["header"].partition("](")[2]))
    assert link.startswith(f"{world.servicenow.url}/nav_to.do?uri=incident.do?sys_id=-1&sysparm_query=")
    assert "short_description=Lift is stuck NQactive=true" in link


def test_a_column_that_becomes_mandatory_while_the_form_is_open_is_added(world: World) -> None:
    """
    ServiceNow's error names a label that the form lacks: the form comes back with its field and everything that was
    typed.
    """
    make_mandatory(world, "u_floor", "Floor")
    [row] = [one for one in world.servicenow.rows("sys_dictionary") if one["element"] == "u_floor"]
    world.administer("PATCH", f"/api/now/table/sys_dictionary/{row['sys_id']}", {"mandatory": "false"})
    agent = world.connected("agent")
    form = incident_form(agent)
    assert "u_floor" not in names(form)
    world.administer("PATCH", f"/api/now/table/sys_dictionary/{row['sys_id']}", {"mandatory": "true"})
    again = opened(agent.submit(form, {"short_description": "Lift", "description": "Since noon"}))
    assert "ServiceNow demands more: Floor" in again["header"]
    assert field(again, "description")["value"] == "Since noon"
    answer = agent.submit(again, {"u_floor": "3"})
    assert answer["type"] == "ok", answer
    assert (created(world)[0]["short_description"], created(world)[0]["u_floor"]) == ("Lift", "3")


def test_a_command_without_a_mandatory_column_opens_the_form(world: World) -> None:
    """The form has what was typed."""
    make_mandatory(world, "u_floor", "Floor")
    agent = world.connected("agent")
    form = opened(agent.command("incident create", {"short_description": "Lift"}))
    assert field(form, "short_description")["value"] == "Lift"
    assert "u_floor" in names(form)
