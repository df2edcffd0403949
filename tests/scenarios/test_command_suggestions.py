"""Suggestions of commands: the text in the list and in the line, and the records they stand for."""

import re
from typing import Any

import pytest

from sandbox.client import MattermostClient
from tests.acts import default, opened, row
from tests.scenarios.subscriptions.subscribing import install_component, only, rows, subscribe
from tests.world import World

Json = dict[str, Any]
HERE: Json = {"channel": "service-desk"}
SYS_ID = re.compile(r"[0-9a-f]{32}")
TYPED = {
    "record": "INC001000",
    "caller_id": "agen",
    "assigned_to": "@agen",
    "assignment_group": "netw",
    "cmdb_ci": "mail",
    "subscription": "",
}


@pytest.fixture
def agent(world: World) -> MattermostClient:
    """A connected agent with a subscription, who can use every command with suggestions."""
    install_component(world, "agent")
    agent = world.connected("agent")
    answer = subscribe(agent, {"filter": "priority=1", "name": "Urgent"})
    assert answer["type"] == "ok", answer
    return agent


def suggest(agent: MattermostClient, words: str, name: str, typed: str) -> list[Json]:
    """Suggestions for a command's field."""
    form = agent.entries("/command")[f"servicenow {words}"]["form"]
    items: list[Json] = agent.look_up(form, name, typed, **HERE)["data"]["items"]
    return items


def insert_group(world: World, name: str, sys_id: str) -> None:
    """Another group with that name."""
    world.servicenow.store.insert("sys_user_group", {"name": name, "sys_id": sys_id}, "system")


def test_suggestions_show_and_insert_text(agent: MattermostClient) -> None:
    """Clients show the value and insert it into the line; no suggestion contains an ID, whatever the command."""
    seen = set()
    for words, leaf in agent.entries("/command").items():
        for field in leaf.get("form", {}).get("fields", []):
            if field["type"] != "dynamic_select":
                continue
            found = agent.look_up(leaf["form"], field["name"], TYPED[field["name"]], **HERE)["data"]["items"]
            assert found, (words, field["name"])
            shown = " ".join(f"{one['label']} {one['value']}" for one in found)
            assert not SYS_ID.search(shown), (words, shown)
            seen.add(field["name"])
    assert seen == set(TYPED)
    assert [one["value"] for one in suggest(agent, "view", "record", "INC0010001")] == ["INC0010001"]
    assert [one["value"] for one in suggest(agent, "assign", "assigned_to", "agen")] == ["agent2", "agent"]
    assert [one["value"] for one in suggest(agent, "assign", "assignment_group", "netw")] == ["Network"]


def test_the_inserted_text_finds_the_records(world: World, agent: MattermostClient) -> None:
    """Submitted as the line has it: the record, the person, the group, the item, the subscription."""
    [record] = suggest(agent, "assign", "record", "INC0010001")
    person = next(one for one in suggest(agent, "assign", "assigned_to", "aiko") if "Aiko" in one["label"])
    [team] = suggest(agent, "assign", "assignment_group", "netw")
    typed = {"record": record["value"], "assigned_to": person["value"], "assignment_group": team["value"]}
    assert agent.command("assign", typed, **HERE)["type"] == "ok"
    saved = row(world, "INC0010001")
    people = {one["user_name"]: one["sys_id"] for one in world.servicenow.rows("sys_user")}
    groups = {one["name"]: one["sys_id"] for one in world.servicenow.rows("sys_user_group")}
    assert (saved["assigned_to"], saved["assignment_group"]) == (people["agent2"], groups["Network"])

    [item, *_] = suggest(agent, "incident create", "cmdb_ci", TYPED["cmdb_ci"])
    incident = {"short_description": "By words", "caller_id": person["value"], "cmdb_ci": item["value"]}
    assert agent.command("incident create", incident, **HERE)["type"] == "ok"
    made = next(one for one in world.servicenow.rows("incident") if one["short_description"] == "By words")
    items = {one["sys_id"]: one["name"] for one in world.servicenow.rows("cmdb_ci")}
    assert (made["caller_id"], items[made["cmdb_ci"]]) == (people["agent2"], item["label"])

    [mine] = suggest(agent, "subscriptions pause", "subscription", "urg")
    assert agent.command("subscriptions pause", {"subscription": mine["value"]}, **HERE)["type"] == "ok"
    assert only(world)["is_active"] == "false"
    assert agent.command("subscriptions resume", {"subscription": "urgent"}, **HERE)["type"] == "ok"
    assert only(world)["is_active"] == "true"


def test_ambiguous_text_is_rejected_with_all_matches(world: World, agent: MattermostClient) -> None:
    """Nothing is guessed; the suggestion for each match finds exactly that one."""
    insert_group(world, "Network", "0" * 26 + "abcdef")
    refused = agent.command("assign", {"record": "INC0010001", "assignment_group": "Network"}, **HERE)
    assert refused["type"] == "error"
    assert "Several match: Network · " in refused["text"]
    assert "Network · abcdef" in refused["text"]
    words = next(
        one["value"] for one in suggest(agent, "assign", "assignment_group", "netw") if "abcdef" in one["value"]
    )
    assert agent.command("assign", {"record": "INC0010001", "assignment_group": words}, **HERE)["type"] == "ok"
    assert row(world, "INC0010001")["assignment_group"] == "0" * 26 + "abcdef"

    twin = {"number": "INC0010001", "short_description": "Of another number range", "sys_id": "0" * 26 + "fedcba"}
    world.servicenow.store.put("incident", {**row(world, "INC0010001"), **twin})
    form = opened(agent.command("view", {"record": "INC0010001"}, **HERE))
    assert "Several records bear the number INC0010001" in form["header"]
    assert "Of another number range · fedcba" in form["header"]
    found = [one["value"] for one in suggest(agent, "view", "record", "INC0010001")]
    assert "INC0010001 · fedcba" in found
    shown = opened(agent.command("view", {"record": "INC0010001 · fedcba"}, **HERE))
    assert "Of another number range" in shown["header"]

    assert subscribe(agent, {"filter": "priority=2", "name": "Urgent"})["type"] == "ok"
    refused = agent.command("subscriptions pause", {"subscription": "Urgent"}, **HERE)
    assert refused["type"] == "error"
    for one in rows(world):
        assert f"Urgent · {one['sys_id'][-6:]}" in refused["text"]


def test_an_exact_user_name_is_suggested_among_more_than_fit(world: World, agent: MattermostClient) -> None:
    """Twenty names come before it in the alphabet: the person is suggested and can be assigned."""
    for number in range(20):
        world.servicenow.store.insert(
            "sys_user", {"name": f"AA agent {number:02}", "user_name": f"a{number}"}, "system"
        )
    assert suggest(agent, "assign", "assigned_to", "agent")[0]["value"] == "agent"
    assert agent.command("assign", {"record": "INC0010002", "assigned_to": "agent"}, **HERE)["type"] == "ok"
    people = {one["user_name"]: one["sys_id"] for one in world.servicenow.rows("sys_user")}
    assert row(world, "INC0010002")["assigned_to"] == people["agent"]


def test_a_form_opened_by_a_command_has_the_typed_choices(world: World, agent: MattermostClient) -> None:
    """Text that matches one item is chosen in the form; ambiguous text is reported above it."""
    form = opened(agent.command("incident create", {"caller_id": "agent2", "assignment_group": "Network"}, **HERE))
    people = {one["user_name"]: one["sys_id"] for one in world.servicenow.rows("sys_user")}
    assert default(form, "caller_id") == people["agent2"]
    groups = {one["name"]: one["sys_id"] for one in world.servicenow.rows("sys_user_group")}
    assert default(form, "assignment_group") == groups["Network"]
    form = opened(agent.command("change create", {"assignment_group": "e"}, **HERE))
    assert default(form, "assignment_group") is None
    assert "Several match" in form["header"]
