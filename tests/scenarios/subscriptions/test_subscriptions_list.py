"""The list shows everyone's subscriptions that the reader can see, page by page."""

import re
from itertools import chain
from typing import Any

import pytest

from core.subscriptions import TABLE
from sandbox.client import MattermostClient
from tests.markdown_oracle import seen
from tests.scenarios.subscriptions.subscribing import (
    HERE,
    buttons,
    field,
    for_record,
    foreign_row,
    install_component,
    names,
    only,
    opened,
    option,
    press,
    rows,
    subscribe,
)
from tests.world import World

Json = dict[str, Any]
ROWS = f"/api/now/v2/table/{TABLE}"


@pytest.fixture
def agent(world: World) -> MattermostClient:
    """A connected agent who can subscribe, on an instance with the component; columns are cached."""
    install_component(world, "agent", "agent2", "approver")
    agent = world.connected("agent")
    opened(agent)
    world.servicenow.clear_requests()
    return agent


def run_list(person: MattermostClient, owner: str = "me", where: str = "this_channel", **place: Any) -> Json:
    """The command's answer."""
    values = {"owner": {"label": owner, "value": owner}, "where": {"label": where, "value": where}}
    form: Json = person.command("subscriptions list", values, **(place or HERE))["form"]
    return form


def numbers(form: Json) -> list[int]:
    """The numbers of the page's lines."""
    return [int(found) for found in re.findall(r"^\*\*(\d+)\.\*\*", form["header"], re.M)]


def picks(form: Json) -> list[str]:
    """The sys_ids of a page, in order."""
    return [one["value"] for one in field(form, "pick")["options"]] if "pick" in names(form) else []


def insert_many(
    world: World, agent: MattermostClient, count: int, channel: str = "service-desk", **columns: str
) -> list[str]:
    """Rows of the agent's with the same second, as an import creates them."""
    row = {"channel_id": agent.channel(channel), "user_id": agent.id} | columns
    return [foreign_row(world, name=f"Number {number}", **row) for number in range(count)]


def test_an_empty_list_says_so(agent: MattermostClient) -> None:
    """It has no choices, but links to creating one and to other filters."""
    form = run_list(agent)
    assert "no such subscriptions" in form["header"]
    assert "pick" not in names(form)
    assert buttons(form) == ["Filter", "Add"]
    assert press(agent, form, "add")["form"]["title"] == "Add subscription"


def test_a_line_has_all_details(world: World, agent: MattermostClient) -> None:
    """Number, name, subject with link, events, channel, creator, status and ID."""
    form, values = for_record(agent, "INC0010001")
    press(agent, form, "save", values | {"name": "My *lift*"})
    form = run_list(agent)
    line = form["header"]
    assert line.startswith("**1.** **My \\*lift\\*:** Incident [INC0010001](")
    for part in ("State changed, Priority changed", "in Service Desk", "by @agent", "active", only(world)["sys_id"]):
        assert part in line
    assert field(form, "pick")["options"] == [{"label": "1. My *lift*", "value": only(world)["sys_id"]}]


def test_every_page_can_be_reached_in_both_directions(world: World, agent: MattermostClient) -> None:
    """Pages of fifty are numbered from 1 to 220, each row appears once, and going back shows the same pages."""
    made = insert_many(world, agent, 220)
    form = run_list(agent)
    pages = [form]
    while "Next" in buttons(form):
        form = press(agent, form, "next")["form"]
        pages.append(form)
    assert [len(picks(page)) for page in pages] == [50, 50, 50, 50, 20]
    assert sorted(chain.from_iterable(map(picks, pages))) == sorted(made)
    assert list(chain.from_iterable(map(numbers, pages))) == list(range(1, 221))
    for page in reversed(pages[:-1]):
        form = press(agent, form, "previous")["form"]
        assert picks(form) == picks(page)
        assert numbers(form) == numbers(page)
    assert "Previous" not in buttons(form)


def test_newer_rows_dont_change_the_pages(world: World, agent: MattermostClient) -> None:
    """A row added while someone pages neither repeats nor skips a row of the next page."""
    insert_many(world, agent, 55)
    first = run_list(agent)
    world.advance(5)
    insert_many(world, agent, 3)
    second = press(agent, first, "next")["form"]
    assert len(picks(second)) == 5
    assert not set(picks(first)) & set(picks(second))


def test_rows_of_other_channels_leave_no_gaps(world: World, agent: MattermostClient) -> None:
    """Each page has fifty visible rows, however many hidden ones are between them, and nothing reveals those."""
    secret = world.person("approver").channel("operations")
    mine = []
    for _ in range(52):
        mine += insert_many(world, agent, 1, user_id=world.person("agent2").id)
        world.advance(1)
        for _ in range(3):
            foreign_row(world, "agent2", channel_id=secret, user_id="x" * 26, name="Hidden")
        world.advance(1)
    for _ in range(250):  # more than one request returns
        foreign_row(world, "agent2", channel_id=secret, user_id="x" * 26, name="Hidden")
    world.servicenow.clear_requests()
    form = run_list(agent, "anyone", "all_channels")
    assert len(world.asked(path=ROWS)) == 2
    second = press(agent, form, "next")["form"]
    assert (picks(form), picks(second)) == (mine[:1:-1], mine[1::-1])
    assert "Hidden" not in form["header"] + second["header"]
    assert "Next" not in buttons(second)


def test_own_rows_are_visible_after_leaving_the_channel(world: World, agent: MattermostClient) -> None:
    """Their creator can still find and remove them; the channel's name is hidden."""
    insert_many(world, agent, 1, channel="town-square")
    state = world.mattermost.state
    state.channels[agent.channel("town-square")]["type"] = "P"
    town = agent.channel("town-square")
    del state.members[town, agent.id]
    form = run_list(agent, "me", "all_channels")
    assert len(picks(form)) == 1
    assert "a channel that you may not see" in form["header"]


def test_a_system_administrator_sees_all(world: World, agent: MattermostClient) -> None:
    """Including rows of channels that they aren't in."""
    foreign_row(world, "agent", channel_id="c" * 26, user_id=agent.id)
    admin = world.connected("admin")
    assert len(picks(run_list(admin, "anyone", "all_channels"))) == 1


def test_names_of_other_channels_cost_one_request_each(world: World, agent: MattermostClient) -> None:
    """A system administrator sees channels that they aren't in by name; each is requested once."""
    channels = world.mattermost.state.channels
    town = channels[agent.channel("town-square")]
    for number in range(25):
        channel_id = f"{number:026d}"
        channels[channel_id] = {**town, "id": channel_id, "name": f"far-{number}", "display_name": f"Far {number}"}
        for _ in range(2):
            foreign_row(world, channel_id=channel_id, user_id=agent.id)
    foreign_row(world, channel_id="../users/me", user_id=agent.id)
    admin = world.connected("admin")
    world.mattermost.clear_requests()
    form = run_list(admin, "anyone", "all_channels")
    asked = [entry["path"] for entry in world.mattermost.requests() if "/channels/0000" in entry["path"]]
    assert len(asked) == len(set(asked)) >= 20
    text = form["header"] + press(admin, form, "next")["form"]["header"]
    assert [text.count(f"in Far {number} ·") for number in range(25)] == [2] * 25
    assert text.count("in a channel that you may not see") == 1


def test_the_list_costs_one_round_trip_plus_one_per_table(world: World, agent: MattermostClient) -> None:
    """However many rows there are: first all rows, then the titles of all tables at the same time."""
    ids = {table: [row["sys_id"] for row in world.servicenow.rows(table)] for table in ("incident", "problem")}
    for index in range(50):
        table = "incident" if index % 2 else "problem"
        record = ids[table][index % len(ids[table])]
        insert_many(world, agent, 1, type="record", record_type=table, record_id=record)
    world.advance(1)
    insert_many(world, agent, 50)
    world.servicenow.clear_requests()
    form = run_list(agent)
    assert len(world.asked()) == 1
    while "Next" in buttons(form):
        world.servicenow.clear_requests()
        form = press(agent, form, "next")["form"]
        tables = {entry["path"] for entry in world.asked()} - {ROWS}
        assert len(world.asked()) == 1 + len(tables)
    assert {entry["path"] for entry in world.asked()} == {
        ROWS,
        "/api/now/v2/table/incident",
        "/api/now/v2/table/problem",
    }


def test_filters_narrow_the_list(world: World, agent: MattermostClient) -> None:
    """Owner, channel, table and status work alone and together; a changed filter starts at the first page."""
    mine = insert_many(world, agent, 1)
    elsewhere = insert_many(world, agent, 1, channel="town-square")
    theirs = insert_many(world, agent, 1, user_id=world.person("agent2").id)
    problem = insert_many(world, agent, 1, record_type="problem")
    paused = insert_many(world, agent, 1, status="paused")
    form = run_list(agent)
    assert set(picks(form)) == {*mine, *problem, *paused}
    by = {name: [one["value"] for one in field(form, name)["options"]] for name in ("owner", "where", "status")}
    assert by == {
        "owner": ["me", "anyone"],
        "where": ["this_channel", "all_channels"],
        "status": ["any", "active", "paused", "broken", "waiting"],
    }
    anyone = {"owner": option(form, "owner", "anyone")}
    assert set(picks(press(agent, form, "filter", anyone)["form"])) == {*mine, *theirs, *problem, *paused}
    everywhere = {"where": option(form, "where", "all_channels")}
    assert set(picks(press(agent, form, "filter", everywhere)["form"])) == {*mine, *elsewhere, *problem, *paused}
    problems = press(agent, form, "filter", {"table": option(form, "table", "problem")})["form"]
    assert picks(problems) == problem
    stopped = press(agent, form, "filter", {"status": option(form, "status", "paused")})["form"]
    assert picks(stopped) == paused
    assert field(stopped, "status")["value"]["value"] == "paused"
    both = {"status": option(form, "status", "paused"), "table": option(form, "table", "problem")}
    assert picks(press(agent, form, "filter", both)["form"]) == []


def test_another_servers_rows_are_hidden(world: World, agent: MattermostClient) -> None:
    """Rows of another Mattermost server can be neither listed nor opened by ID."""
    sys_id = insert_many(world, agent, 1, server_url="https://other.example.org")[0]
    assert picks(run_list(agent, "anyone", "all_channels")) == []
    for word in ("edit", "delete", "pause", "resume", "test"):
        answer = agent.command(f"subscriptions {word}", {"subscription": sys_id}, **HERE)
        assert answer["type"] == "error"
        assert "no such subscription" in answer["text"]
    assert len(rows(world)) == 1


@pytest.mark.parametrize(("name", "word"), [("owner", "everybody"), ("where", "there")])
def test_an_unknown_filter_word_is_reported(agent: MattermostClient, name: str, word: str) -> None:
    """A wrong owner or scope is answered with the valid ones."""
    answer = agent.command("subscriptions list", {name: {"label": word, "value": word}}, **HERE)
    assert answer["type"] == "error"
    assert "The list knows" in answer["text"]


def test_the_app_bar_lists_the_channels_subscriptions(world: World, agent: MattermostClient) -> None:
    """It lists everyone's in the channel where it was opened, even after paging and opening one."""
    insert_many(world, agent, 52, user_id=world.person("agent2").id)
    menu = agent.press("/channel_header", "ServiceNow", **HERE)["form"]
    form = agent.submit(menu, {"action": "subscriptions"}, **HERE)["form"]
    form = press(agent, form, "next", channel="town-square")["form"]
    assert numbers(form) == [51, 52]
    detail = press(agent, form, "open", {"pick": field(form, "pick")["options"][0]}, channel="town-square")["form"]
    back = press(agent, detail, "back", channel="town-square")["form"]
    assert (numbers(back), picks(back)) == (numbers(form), picks(form))


def test_next_and_previous_walk_through_the_page(world: World, agent: MattermostClient) -> None:
    """They stop at its ends."""
    insert_many(world, agent, 3)
    form = run_list(agent)
    detail = press(agent, form, "open", {"pick": field(form, "pick")["options"][0]})["form"]
    seen = [detail["header"].splitlines()[-1]]
    for way in ("next", "next", "next", "previous"):
        detail = press(agent, detail, way)["form"]
        seen.append(detail["header"].splitlines()[-1])
    assert [next(i for i, one in enumerate(picks(form)) if one in line) for line in seen] == [0, 1, 2, 2, 1]


def test_opening_without_a_choice_is_reported_at_the_field(world: World, agent: MattermostClient) -> None:
    """An ID that isn't on the page can't be opened either."""
    insert_many(world, agent, 1)
    form = run_list(agent)
    for pick in (None, {"label": "x", "value": "f" * 32}):
        answer = press(agent, form, "open", {"pick": pick})
        assert "pick" in answer["data"]["errors"]


def test_broken_ones_are_listed_with_their_reason(world: World, agent: MattermostClient) -> None:
    """The reason comes from the status column, or is a filter that ServiceNow couldn't evaluate."""
    insert_many(world, agent, 1, status="broken", status_reason="The channel is archived.")
    insert_many(world, agent, 1, filter_query="priority=1", filter_error="bad term")
    insert_many(world, agent, 1)
    form = run_list(agent)
    broken = press(agent, form, "filter", {"status": option(form, "status", "broken")})["form"]
    assert len(picks(broken)) == 2
    assert "broken: The channel is archived." in seen(broken["header"])
    assert "can't evaluate its filter: bad term" in seen(broken["header"])


def test_a_subscription_in_direct_messages_is_the_persons_own(world: World, agent: MattermostClient) -> None:
    """“Send to me alone” posts in the channel with the bot; the list shows it as direct messages."""
    answer = subscribe(agent, {"direct": True})
    assert answer["type"] == "ok"
    channel = world.mattermost.state.channels[only(world)["channel_id"]]
    assert channel["type"] == "D"
    assert agent.id in channel["name"]
    assert "in direct messages" in run_list(agent, "me", "all_channels")["header"]
    other = world.connected("agent2")
    assert picks(run_list(other, "anyone", "all_channels")) == []


def test_a_row_in_anothers_name_shows_its_creator_and_is_pending(world: World, agent: MattermostClient) -> None:
    """`agent2` writes a row with the agent's ID: it posts nothing, and list and details say so."""
    [planted] = insert_many(world, agent, 1)
    other = world.connected("agent2")
    sys_id = foreign_row(world, "agent2", channel_id=agent.channel("service-desk"), user_id=agent.id)
    for person in (agent, other):
        [line] = [one for one in run_list(person, "anyone")["header"].splitlines() if sys_id in one]
        assert "by agent2 (in ServiceNow)" in line
        assert "waiting: not created through this app" in line
        assert "@agent" not in line
        assert "active" not in line
    shown = agent.command("subscriptions edit", {"subscription": sys_id}, **HERE)
    assert shown["type"] == "error"
    form = run_list(agent, "anyone")
    form = press(agent, form, "open", {"pick": option(form, "pick", sys_id)})["form"]
    assert "**Made by:** agent2 (in ServiceNow)" in form["header"]
    assert "**Status:** waiting: not created through this app" in form["header"]
    assert planted != sys_id


def test_a_granted_row_that_was_changed_or_recreated_is_pending(world: World, agent: MattermostClient) -> None:
    """
    Its filter was changed directly in ServiceNow, or someone else deleted it and created it again with the same ID.
    """
    subscribe(agent)
    row = only(world)
    assert "active" in run_list(agent)["header"]
    world.administer("PATCH", f"/api/now/table/{TABLE}/{row['sys_id']}", {"filter_query": "priority=1"})
    assert "waiting: changed in ServiceNow, not through this app" in run_list(agent)["header"]
    assert "by @agent" in run_list(agent)["header"]
    form = run_list(agent)
    assert picks(press(agent, form, "filter", {"status": option(form, "status", "active")})["form"]) == []
    found = press(agent, form, "filter", {"status": option(form, "status", "waiting")})["form"]
    assert picks(found) == [row["sys_id"]]
    world.administer("DELETE", f"/api/now/table/{TABLE}/{row['sys_id']}", {})
    columns = {"sys_id": row["sys_id"], "channel_id": row["channel_id"], "user_id": agent.id}
    foreign_row(world, "agent2", **columns)
    assert "by agent2 (in ServiceNow) · waiting" in run_list(agent)["header"]
