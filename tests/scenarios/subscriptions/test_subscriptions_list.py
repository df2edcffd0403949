"""The list of subscriptions: everybody's, page by page, of what the reader may see."""

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
    """A connected agent who may subscribe, at an instance with the component; columns are warm."""
    install_component(world, "agent", "agent2", "approver")
    agent = world.connected("agent")
    opened(agent)
    world.servicenow.clear_requests()
    return agent


def listed(person: MattermostClient, owner: str = "me", where: str = "this_channel", **place: Any) -> Json:
    """What the command answers."""
    values = {"owner": {"label": owner, "value": owner}, "where": {"label": where, "value": where}}
    form: Json = person.command("subscriptions list", values, **(place or HERE))["form"]
    return form


def numbers(form: Json) -> list[int]:
    """The numbers of the page's lines."""
    return [int(found) for found in re.findall(r"^\*\*(\d+)\.\*\*", form["header"], re.M)]


def picks(form: Json) -> list[str]:
    """The sys_ids of a page, in order."""
    return [one["value"] for one in field(form, "pick")["options"]] if "pick" in names(form) else []


def many(world: World, agent: MattermostClient, count: int, channel: str = "service-desk", **columns: str) -> list[str]:
    """Rows of the agent's in one second, as an import makes them."""
    row = {"channel_id": agent.channel(channel), "user_id": agent.id} | columns
    return [foreign_row(world, name=f"Number {number}", **row) for number in range(count)]


def test_nothing_is_said_to_be_nothing(agent: MattermostClient) -> None:
    """An empty list has no choice, but the way to make one and to look elsewhere."""
    form = listed(agent)
    assert "no such subscriptions" in form["header"]
    assert "pick" not in names(form)
    assert buttons(form) == ["Filter", "Add"]
    assert press(agent, form, "add")["form"]["title"] == "Add subscription"


def test_a_line_says_everything_that_one_needs(world: World, agent: MattermostClient) -> None:
    """Number, name, subject with link, events, channel, who made it, status and id."""
    form, values = for_record(agent, "INC0010001")
    press(agent, form, "save", values | {"name": "My *lift*"})
    form = listed(agent)
    line = form["header"]
    assert line.startswith("**1.** **My \\*lift\\*:** Incident [INC0010001](")
    for part in ("State changed, Priority changed", "in Service Desk", "by @agent", "active", only(world)["sys_id"]):
        assert part in line
    assert field(form, "pick")["options"] == [{"label": "1. My *lift*", "value": only(world)["sys_id"]}]


def test_every_page_is_reachable_there_and_back(world: World, agent: MattermostClient) -> None:
    """Pages of fifty, numbered from 1 to 220, each row once; the way back shows the same pages."""
    made = many(world, agent, 220)
    form = listed(agent)
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


def test_newer_rows_do_not_disturb_the_pages(world: World, agent: MattermostClient) -> None:
    """What is added while somebody reads neither repeats nor skips a row of the next page."""
    many(world, agent, 55)
    first = listed(agent)
    world.advance(5)
    many(world, agent, 3)
    second = press(agent, first, "next")["form"]
    assert len(picks(second)) == 5
    assert not set(picks(first)) & set(picks(second))


def test_rows_of_channels_that_one_is_not_in_leave_no_gaps(world: World, agent: MattermostClient) -> None:
    """Fifty of what may be seen are on the page, however many others lie between; nothing tells of those."""
    secret = world.person("approver").channel("operations")
    mine = []
    for _ in range(52):
        mine += many(world, agent, 1, user_id=world.person("agent2").id)
        world.advance(1)
        for _ in range(3):
            foreign_row(world, "agent2", channel_id=secret, user_id="x" * 26, name="Hidden")
        world.advance(1)
    for _ in range(250):  # more than are asked for at once
        foreign_row(world, "agent2", channel_id=secret, user_id="x" * 26, name="Hidden")
    world.servicenow.clear_requests()
    form = listed(agent, "anyone", "all_channels")
    assert len(world.asked(path=ROWS)) == 2
    second = press(agent, form, "next")["form"]
    assert (picks(form), picks(second)) == (mine[:1:-1], mine[1::-1])
    assert "Hidden" not in form["header"] + second["header"]
    assert "Next" not in buttons(second)


def test_own_rows_stay_in_sight_after_leaving_the_channel(world: World, agent: MattermostClient) -> None:
    """Whoever made one can still find it to remove it; the channel's name is not told."""
    many(world, agent, 1, channel="town-square")
    state = world.mattermost.state
    state.channels[agent.channel("town-square")]["type"] = "P"
    town = agent.channel("town-square")
    del state.members[town, agent.id]
    form = listed(agent, "me", "all_channels")
    assert len(picks(form)) == 1
    assert "a channel that you may not see" in form["header"]


def test_a_system_administrator_sees_all(world: World, agent: MattermostClient) -> None:
    """Also rows of channels where only others are."""
    foreign_row(world, "agent", channel_id="c" * 26, user_id=agent.id)
    admin = world.connected("admin")
    assert len(picks(listed(admin, "anyone", "all_channels"))) == 1


def test_names_of_other_channels_cost_one_request_each(world: World, agent: MattermostClient) -> None:
    """A system administrator sees rows of channels that only others are in, by name; each is asked for once."""
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
    form = listed(admin, "anyone", "all_channels")
    asked = [entry["path"] for entry in world.mattermost.requests() if "/channels/0000" in entry["path"]]
    assert len(asked) == len(set(asked)) >= 20
    text = form["header"] + press(admin, form, "next")["form"]["header"]
    assert [text.count(f"in Far {number} ·") for number in range(25)] == [2] * 25
    assert text.count("in a channel that you may not see") == 1


def test_the_list_costs_one_round_trip_and_one_for_each_table(world: World, agent: MattermostClient) -> None:
    """Whatever the number of rows: the rows at once, then the titles of each table at once."""
    ids = {table: [row["sys_id"] for row in world.servicenow.rows(table)] for table in ("incident", "problem")}
    for index in range(50):
        table = "incident" if index % 2 else "problem"
        record = ids[table][index % len(ids[table])]
        many(world, agent, 1, type="record", record_type=table, record_id=record)
    world.advance(1)
    many(world, agent, 50)
    world.servicenow.clear_requests()
    form = listed(agent)
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
    """Owner, channel, table and status, each by itself and together; a changed filter starts at the first page."""
    mine = many(world, agent, 1)
    elsewhere = many(world, agent, 1, channel="town-square")
    theirs = many(world, agent, 1, user_id=world.person("agent2").id)
    problem = many(world, agent, 1, record_type="problem")
    paused = many(world, agent, 1, status="paused")
    form = listed(agent)
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


def test_another_server_s_rows_are_not_ours(world: World, agent: MattermostClient) -> None:
    """Rows of another Mattermost server are neither listed nor opened by their id."""
    sys_id = many(world, agent, 1, server_url="https://other.example.org")[0]
    assert picks(listed(agent, "anyone", "all_channels")) == []
    for word in ("edit", "delete", "pause", "resume", "test"):
        answer = agent.command(f"subscriptions {word}", {"subscription": sys_id}, **HERE)
        assert answer["type"] == "error"
        assert "no such subscription" in answer["text"]
    assert len(rows(world)) == 1


@pytest.mark.parametrize(("name", "word"), [("owner", "everybody"), ("where", "there")])
def test_words_that_the_list_does_not_know_are_said(agent: MattermostClient, name: str, word: str) -> None:
    """A wrong owner or scope is answered with the right ones."""
    answer = agent.command("subscriptions list", {name: {"label": word, "value": word}}, **HERE)
    assert answer["type"] == "error"
    assert "The list knows" in answer["text"]


def test_the_app_bar_lists_what_is_subscribed_here(world: World, agent: MattermostClient) -> None:
    """By anybody, in the channel where it was opened, and still there after paging and looking at one."""
    many(world, agent, 52, user_id=world.person("agent2").id)
    menu = agent.press("/channel_header", "ServiceNow", **HERE)["form"]
    form = agent.submit(menu, {"action": "subscriptions"}, **HERE)["form"]
    form = press(agent, form, "next", channel="town-square")["form"]
    assert numbers(form) == [51, 52]
    detail = press(agent, form, "open", {"pick": field(form, "pick")["options"][0]}, channel="town-square")["form"]
    back = press(agent, detail, "back", channel="town-square")["form"]
    assert (numbers(back), picks(back)) == (numbers(form), picks(form))


def test_one_goes_on_from_one_to_the_next(world: World, agent: MattermostClient) -> None:
    """Next and Previous in the detail walk through the page and stop at its ends."""
    many(world, agent, 3)
    form = listed(agent)
    detail = press(agent, form, "open", {"pick": field(form, "pick")["options"][0]})["form"]
    seen = [detail["header"].splitlines()[-1]]
    for way in ("next", "next", "next", "previous"):
        detail = press(agent, detail, way)["form"]
        seen.append(detail["header"].splitlines()[-1])
    assert [next(i for i, one in enumerate(picks(form)) if one in line) for line in seen] == [0, 1, 2, 2, 1]


def test_opening_without_a_choice_is_said_at_the_field(world: World, agent: MattermostClient) -> None:
    """Nor can an id be opened that is not on the page."""
    many(world, agent, 1)
    form = listed(agent)
    for pick in (None, {"label": "x", "value": "f" * 32}):
        answer = press(agent, form, "open", {"pick": pick})
        assert "pick" in answer["data"]["errors"]


def test_broken_ones_are_listed_with_their_reason(world: World, agent: MattermostClient) -> None:
    """The status column's, and a filter that ServiceNow could not evaluate."""
    many(world, agent, 1, status="broken", status_reason="The channel is archived.")
    many(world, agent, 1, filter_query="priority=1", filter_error="bad term")
    many(world, agent, 1)
    form = listed(agent)
    broken = press(agent, form, "filter", {"status": option(form, "status", "broken")})["form"]
    assert len(picks(broken)) == 2
    assert "broken: The channel is archived." in seen(broken["header"])
    assert "can't evaluate its filter: bad term" in seen(broken["header"])


def test_a_subscription_in_direct_messages_is_the_person_s_own(world: World, agent: MattermostClient) -> None:
    """“Send to me alone” posts in the channel with the bot; the list calls it direct messages."""
    answer = subscribe(agent, {"direct": True})
    assert answer["type"] == "ok"
    channel = world.mattermost.state.channels[only(world)["channel_id"]]
    assert channel["type"] == "D"
    assert agent.id in channel["name"]
    assert "in direct messages" in listed(agent, "me", "all_channels")["header"]
    other = world.connected("agent2")
    assert picks(listed(other, "anyone", "all_channels")) == []


def test_a_row_in_one_s_name_shows_who_created_it_and_that_it_waits(world: World, agent: MattermostClient) -> None:
    """`agent2` writes a row with the agent's id: it posts nothing, and lists and details don't claim otherwise."""
    [planted] = many(world, agent, 1)
    other = world.connected("agent2")
    sys_id = foreign_row(world, "agent2", channel_id=agent.channel("service-desk"), user_id=agent.id)
    for person in (agent, other):
        [line] = [one for one in listed(person, "anyone")["header"].splitlines() if sys_id in one]
        assert "by agent2 (in ServiceNow)" in line
        assert "waiting: not created through this app" in line
        assert "@agent" not in line
        assert "active" not in line
    shown = agent.command("subscriptions edit", {"subscription": sys_id}, **HERE)
    assert shown["type"] == "error"
    form = listed(agent, "anyone")
    form = press(agent, form, "open", {"pick": option(form, "pick", sys_id)})["form"]
    assert "**Made by:** agent2 (in ServiceNow)" in form["header"]
    assert "**Status:** waiting: not created through this app" in form["header"]
    assert planted != sys_id


def test_a_granted_row_that_was_changed_or_created_again_waits(world: World, agent: MattermostClient) -> None:
    """Its filter was changed past us; or it was deleted and written again by somebody else under the same id."""
    subscribe(agent)
    row = only(world)
    assert "active" in listed(agent)["header"]
    world.administer("PATCH", f"/api/now/table/{TABLE}/{row['sys_id']}", {"filter_query": "priority=1"})
    assert "waiting: changed in ServiceNow, not through this app" in listed(agent)["header"]
    assert "by @agent" in listed(agent)["header"]
    form = listed(agent)
    assert picks(press(agent, form, "filter", {"status": option(form, "status", "active")})["form"]) == []
    found = press(agent, form, "filter", {"status": option(form, "status", "waiting")})["form"]
    assert picks(found) == [row["sys_id"]]
    world.administer("DELETE", f"/api/now/table/{TABLE}/{row['sys_id']}", {})
    columns = {"sys_id": row["sys_id"], "channel_id": row["channel_id"], "user_id": agent.id}
    foreign_row(world, "agent2", **columns)
    assert "by agent2 (in ServiceNow) · waiting" in listed(agent)["header"]
