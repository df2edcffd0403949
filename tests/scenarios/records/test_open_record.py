"""`/servicenow open`: the link to a record, visible only to the person who asks."""

from typing import Any

import pytest

from sandbox.client import MattermostClient
from tests.acts import names, opened
from tests.world import World

Json = dict[str, Any]


@pytest.fixture
def agent(world: World) -> MattermostClient:
    """A connected agent."""
    agent = world.connected("agent")
    world.servicenow.clear_requests()
    return agent


def insert(world: World, table: str, number: str) -> Json:
    """A record of *table* with *number*."""
    answer = world.administer(
        "POST", f"/api/now/table/{table}", {"number": number, "short_description": "Check the *fan*"}
    )
    row: Json = answer.json()["result"]
    return row


@pytest.mark.parametrize("typed", ["{}", "see {} please", "{}:"])
def test_a_number_is_answered_with_its_link(world: World, agent: MattermostClient, typed: str) -> None:
    """Records of every kind, with and without text around the number: one request, the link, and no post."""
    added = {"task": "TASK0020077", "change_task": "CTASK0010077"}
    for table, number in added.items():
        insert(world, table, number)
    world.servicenow.clear_requests()
    posts = len(world.mattermost.posts_in("service-desk"))
    tables = {"incident": "INC0010001", "change_request": "CHG0030001", "problem": "PRB0040001"}
    for table, number in {**tables, "kb_knowledge": "KB0010001", **added}.items():
        answer = agent.command("open", {"record": typed.format(number.lower())}, channel="service-desk")
        assert answer["type"] == "ok", answer
        [row] = [one for one in world.servicenow.store.rows(table) if one["number"] == number]
        link = f"{world.servicenow.url}/nav_to.do?uri={table}.do%3Fsys_id%3D{row['sys_id']}"
        assert answer["text"].startswith(f"[{number}]({link}): ")
    assert r"Check the \*fan\*" in answer["text"]
    assert [entry["path"] for entry in world.asked()] == [
        f"/api/now/v2/table/{table}" for table in (*tables, "kb_knowledge", *added)
    ]
    assert len(world.mattermost.posts_in("service-desk")) == posts


def test_words_find_the_record(agent: MattermostClient) -> None:
    """One match is answered with its link; several are named, and a form asks which."""
    assert agent.command("open", {"record": "badge reader"})["text"].startswith("[INC0010002](")
    form = opened(agent.command("open", {"record": "vpn"}))
    assert names(form) == ["record"]
    assert "PRB0040001" in form["header"]
    [item] = agent.look_up(form, "record", "INC0010003")["data"]["items"]
    assert agent.submit(form, {"record": item})["text"].startswith("[INC0010003](")


@pytest.mark.parametrize(
    ("typed", "told"),
    [("INC9999999", "no record INC9999999, or your account may not see it"), ("nothing like this", "no record for")],
)
def test_a_missing_record_is_asked_for_again(agent: MattermostClient, typed: str, told: str) -> None:
    """The form shows the reason and lets the person choose a record."""
    form = opened(agent.command("open", {"record": typed}))
    assert told in form["header"]
    assert names(form) == ["record"]


def test_a_hidden_record_looks_like_one_that_does_not_exist(world: World) -> None:
    """Someone without a role gets the link to their own incident, and no link or title of another's."""
    requester = world.connected("requester")
    assert requester.command("open", {"record": "INC0010003"})["text"].startswith("[INC0010003](")
    form = opened(requester.command("open", {"record": "INC0010001"}))
    assert "no record INC0010001, or your account may not see it" in form["header"]
    assert "nav_to.do" not in str(form)
    assert "Email" not in str(form)


def test_a_record_of_a_table_that_is_not_shared_is_refused(world: World, agent: MattermostClient) -> None:
    """The answer names the setting, and neither a link nor a title."""
    row = insert(world, "sc_task", "SCTASK0010077")
    answer = agent.command("open", {"record": f"sc_task.{row['sys_id']}"})
    assert answer["type"] == "error", answer
    assert "`SHARED_TABLES`" in answer["text"]
    assert "fan" not in str(answer)


def test_without_text_it_asks_for_the_record(agent: MattermostClient) -> None:
    """A form with one field."""
    assert names(opened(agent.command("open", {}))) == ["record"]


def test_open_is_offered_only_to_connected_people(world: World) -> None:
    """The menu of someone who isn't connected lacks it; a client with an older menu gets the link to connect."""
    newcomer = world.person("newcomer")
    assert "servicenow open" not in newcomer.entries("/command", "town-square")
    submit = world.connected("agent").entries("/command", "town-square")["servicenow open"]["form"]["submit"]
    answer = newcomer.call(submit, values={"record": "INC0010001"})
    assert answer["type"] == "error", answer
    assert "oauth2/remote" in answer["text"], answer
    assert "INC0010001" not in answer["text"]
