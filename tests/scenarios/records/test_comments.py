"""Comments and work notes: saved in the right journal, shown newest first, never mixed up, lost or doubled."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from sandbox.client import MattermostClient
from tests.acts import act, default, field, labels, names, opened, row, view, written
from tests.world import World

Json = dict[str, Any]


@pytest.fixture
def agent(world: World) -> MattermostClient:
    """A connected agent."""
    agent = world.connected("agent")
    world.servicenow.clear_requests()
    return agent


def journal(world: World, number: str, element: str = "comments") -> list[str]:
    """Entries in ServiceNow, newest first."""
    return [entry["value"] for entry in world.servicenow.store.journal(row(world, number)["sys_id"], element)]


def insert_entry(world: World, number: str, text: str, element: str = "comments") -> None:
    """Someone writes in ServiceNow."""
    sys_id = row(world, number)["sys_id"]
    world.administer("PATCH", f"/api/now/table/incident/{sys_id}", {element: text})


def entries(form: Json) -> str:
    """The entries that the form shows."""
    return str(field(form, "entries")["description"])


def test_a_comment_by_command_is_added_to_the_journal(world: World, agent: MattermostClient) -> None:
    """Number and text in one line: one read, one write, a private answer with the link."""
    answer = agent.command("comment", {"record": "INC0010001", "comments": "We are **on** it"})
    assert answer["type"] == "ok", answer
    assert "Added a comment to [INC0010001](" in answer["text"]
    assert journal(world, "INC0010001") == ["We are **on** it"]
    assert journal(world, "INC0010001", "work_notes") == []
    assert [entry["method"] for entry in world.asked()] == ["GET", "PATCH"]


def test_a_note_by_command_is_added_to_the_work_notes(world: World, agent: MattermostClient) -> None:
    """It isn't added as a comment."""
    answer = agent.command("note", {"record": "INC0010001", "work_notes": "Disk is full"})
    assert "Added a work note" in answer["text"]
    assert journal(world, "INC0010001", "work_notes") == ["Disk is full"]
    assert journal(world, "INC0010001") == []


def test_the_form_shows_author_time_kind_and_text(world: World, agent: MattermostClient) -> None:
    """Entries are newest first, and work notes are marked."""
    insert_entry(world, "INC0010001", "First words")
    world.servicenow.advance(60)
    insert_entry(world, "INC0010001", "For us alone", "work_notes")
    form = opened(agent.command("comment", {"record": "INC0010001"}))
    first, second, end = entries(form).split("\n\n")
    assert first.startswith("Work note · **Ada Admin** · ")
    assert first.endswith("\n> For us alone")
    assert second.startswith("Comment · **Ada Admin** · ")
    assert second.endswith("\n> First words")
    assert end == "*These are all.*"
    assert names(form) == ["entries", "element", "comments"]
    assert labels(form, "element") == ["Comment (the caller sees it)", "Work note"]
    assert default(form, "element") == "comments"


def test_times_are_in_the_readers_time_zone(world: World) -> None:
    """The journal's text and its rows show the same hour to someone in New York."""
    for username in ("agent", "admin"):
        person = next(one for one in world.servicenow.rows("sys_user") if one["user_name"] == username)
        world.administer("PATCH", f"/api/now/table/sys_user/{person['sys_id']}", {"time_zone": "America/New_York"})
    insert_entry(world, "INC0010001", "When?")
    agent, admin = world.connected("agent"), world.connected("admin")
    [read_as_text, read_as_rows] = [
        entries(opened(person.command("comment", {"record": "INC0010001"}))) for person in (agent, admin)
    ]
    shown = [text.splitlines()[0].split(" · ")[2] for text in (read_as_text, read_as_rows)]
    assert shown[0] == shown[1]
    stored = world.servicenow.store.journal(row(world, "INC0010001")["sys_id"], "comments")[0]["sys_created_on"]
    assert shown[0].replace("\\", "") != stored[:16]


def test_the_form_remains_open_after_a_comment_and_shows_it(world: World, agent: MattermostClient) -> None:
    """
    The answer is the form again, with an empty field and the new entry first; the next comment works the same way.
    """
    form = opened(agent.command("comment", {"record": "INC0010001"}))
    world.servicenow.clear_requests()
    again = opened(agent.submit(form, {"comments": "One", "action": "add"}))
    assert "Added a comment" in again["header"]
    assert "> One" in entries(again)
    assert default(again, "comments") is None
    world.servicenow.advance(60)
    third = opened(agent.submit(again, {"comments": "Two", "action": "add"}))
    assert entries(third).index("> Two") < entries(third).index("> One")
    assert journal(world, "INC0010001") == ["Two", "One"]


def test_a_comment_costs_one_request_and_the_entries_another(world: World, agent: MattermostClient) -> None:
    """Once it is known how this person can read journals."""
    form = opened(agent.submit(opened(agent.command("comment", {"record": "INC0010001"})), {"comments": "x"}))
    world.servicenow.clear_requests()
    opened(agent.submit(form, {"comments": "One", "action": "add"}))
    assert [entry["method"] for entry in world.asked()] == ["PATCH", "GET"]


@pytest.mark.parametrize("text", ["", "   ", "\n\t", "\u200b\u2060"])
def test_a_blank_comment_is_rejected_at_its_field(world: World, agent: MattermostClient, text: str) -> None:
    """Nothing is sent; the form remains open."""
    form = opened(agent.command("comment", {"record": "INC0010001"}))
    world.servicenow.clear_requests()
    answer = agent.submit(form, {"comments": text, "action": "add"})
    assert answer["type"] == "error"
    assert set(answer["data"]["errors"]) == {"comments"}
    assert written(world) == []


def test_a_comment_that_is_too_long_is_rejected(world: World, agent: MattermostClient) -> None:
    """4,000 characters fit; one more doesn't."""
    form = opened(agent.command("comment", {"record": "INC0010001"}))
    assert "4,000" in agent.submit(form, {"comments": "x" * 4001, "action": "add"})["data"]["errors"]["comments"]
    assert opened(agent.submit(form, {"comments": "x" * 4000, "action": "add"}))
    assert len(journal(world, "INC0010001")[0]) == 4000


def test_a_work_note_is_added_with_the_same_form(world: World, agent: MattermostClient) -> None:
    """The chosen kind decides and remains chosen."""
    form = opened(agent.command("comment", {"record": "INC0010001"}))
    note = {"label": "Work note", "value": "work_notes"}
    again = opened(agent.submit(form, {"comments": "Between us", "element": note, "action": "add"}))
    assert journal(world, "INC0010001", "work_notes") == ["Between us"]
    assert default(again, "element") == "work_notes"


def test_older_entries_come_ten_at_a_time_and_keep_the_typed_text(world: World, agent: MattermostClient) -> None:
    """Twenty-three entries are shown as ten, ten and three; the last page has no button for more."""
    for number in range(23):
        world.servicenow.advance(60)
        insert_entry(world, "INC0010001", f"Entry number {number}.")
    form = opened(agent.command("comment", {"record": "INC0010001"}))
    seen = []
    for last in (False, False, True):
        found = [line for line in entries(form).splitlines() if line.startswith("> ")]
        seen += found
        assert ("action" in names(form) and "Older" in labels(form, "action")) is not last
        if not last:
            form = opened(agent.submit(form, {"comments": "half a sent", "action": "older"}))
            assert default(form, "comments") == "half a sent"
    assert len(seen) == 23
    assert seen[0] == "> Entry number 22\\."
    assert seen[-1] == "> Entry number 0\\."
    assert len(journal(world, "INC0010001")) == 23


def test_blank_lines_dont_split_an_entry_and_long_entries_are_cut(world: World, agent: MattermostClient) -> None:
    """Entries over 500 characters end with an ellipsis."""
    insert_entry(world, "INC0010001", "First line\n\nthird line\n\n\nsixth")
    insert_entry(world, "INC0010001", "word " * 400)
    form = opened(agent.command("comment", {"record": "INC0010001"}))
    assert entries(form).count("Comment · ") == 2
    assert "> First line\n>\n> third line" in entries(form)
    longest = max(entries(form).splitlines(), key=len)
    assert longest.endswith("…")
    assert len(longest) < 510


def test_a_person_without_a_role_reads_and_writes_only_comments(world: World, agent: MattermostClient) -> None:
    """No work note is shown or offered, and one by command is rejected."""
    insert_entry(world, "INC0010003", "Internal only", "work_notes")
    insert_entry(world, "INC0010003", "Dear caller")
    requester = world.connected("requester")
    form = opened(requester.command("comment", {"record": "INC0010003"}))
    assert "Internal" not in str(form)
    assert "> Dear caller" in entries(form)
    assert "element" not in names(form)
    form = opened(requester.submit(form, {"comments": "Thank you", "action": "add"}))
    assert journal(world, "INC0010003")[0] == "Thank you"
    smuggled = {"label": "Work note", "value": "work_notes"}
    refused = requester.submit(form, {"comments": "Sneaky", "element": smuggled, "action": "add"})
    assert refused["type"] == "error"
    assert requester.command("note", {"record": "INC0010003", "work_notes": "Sneaky"})["type"] == "error"
    assert journal(world, "INC0010003", "work_notes") == ["Internal only"]
    assert "no work notes" in requester.command("note", {"record": "INC0010003"})["text"]


def test_one_press_adds_one_comment_however_often_it_is_sent(world: World, agent: MattermostClient) -> None:
    """Ten parallel submits of one form add one entry."""
    form = opened(agent.command("comment", {"record": "INC0010001"}))
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda _: agent.submit(form, {"comments": "Once", "action": "add"}), range(10)))
    assert journal(world, "INC0010001") == ["Once"]


@pytest.mark.parametrize("kind", ["500_after_commit", "truncated"])
def test_a_comment_whose_answer_was_lost_is_found(world: World, agent: MattermostClient, kind: str) -> None:
    """It is in ServiceNow: it is confirmed and not sent again."""
    form = opened(agent.command("comment", {"record": "INC0010001"}))
    world.servicenow.fault(kind, "/api/now/v2/table/incident")
    again = opened(agent.submit(form, {"comments": "Kept", "action": "add"}))
    assert "Added a comment" in again["header"]
    assert journal(world, "INC0010001") == ["Kept"]


def answer_comments(world: World, times: int) -> None:
    """The instance adds this many comments of its own after each one, before anyone gets an answer."""
    rule = {
        "name": "Answer comments", "collection": "incident", "active": True, "when": "after", "order": 1,
        "action_update": True, "condition": "current.comments.changes() && current.comments != 'Noted'",
        "script": f"for (var i = 0; i < {times}; i++) {{"
        " var row = new GlideRecord('incident'); row.get(current.sys_id); row.comments = 'Noted'; row.update(); }",
    }  # fmt: skip
    world.administer("POST", "/api/now/table/sys_script", rule)


@pytest.mark.parametrize("username", ["agent", "admin"])
def test_a_comment_is_found_behind_many_newer_ones(world: World, username: str) -> None:
    """Whatever was added before the answer arrived, it is confirmed and saved once, even if that answer was lost."""
    writer = world.connected(username)
    insert_entry(world, "INC0010001", "So that it shows who may read rows of the journal")
    form = opened(writer.command("comment", {"record": "INC0010001"}))
    answer_comments(world, 60)
    form = opened(writer.submit(form, {"comments": "Behind", "action": "add"}))
    assert "Added a comment" in form["header"]
    world.servicenow.fault("500_after_commit", "/api/now/v2/table/incident")
    form = opened(writer.submit(form, {"comments": "Farther behind", "action": "add"}))
    assert "Added a comment" in form["header"]
    noted = ["Noted"] * 60
    assert journal(world, "INC0010001")[:122] == [*noted, "Farther behind", *noted, "Behind"]


def test_a_comment_that_might_be_saved_is_reported(world: World, agent: MattermostClient) -> None:
    """A 202 says nothing: it is looked up, not found, and reported with a link to the record."""
    form = opened(agent.command("comment", {"record": "INC0010001"}))
    world.servicenow.fault("202", "/api/now/v2/table/incident")
    answer = agent.submit(form, {"comments": "Maybe", "action": "add"})
    assert answer["type"] == "error"
    assert "may have been saved" in answer["text"]
    assert "[Check the record](" in answer["text"]


def test_articles_cant_be_commented(agent: MattermostClient) -> None:
    """The answer says so instead of opening a form."""
    assert "no comments" in agent.command("comment", {"record": "KB0010001", "comments": "x"})["text"]


def test_a_comment_without_a_record_asks_for_it_and_keeps_the_text(world: World, agent: MattermostClient) -> None:
    """The form has the typed text; choosing the record adds it."""
    form = opened(agent.command("comment", {"comments": "Typed already"}))
    assert default(form, "comments") == "Typed already"
    [item] = agent.look_up(form, "record", "INC0010002")["data"]["items"]
    assert agent.submit(form, {"record": item})["type"] == "ok"
    assert journal(world, "INC0010002") == ["Typed already"]


def test_hostile_entries_are_escaped(world: World, agent: MattermostClient) -> None:
    """Markdown, mentions and links of an entry have no effect in the form."""
    insert_entry(
        world, "INC0010001", "# Head\n[x](http://evil.example) @all ~town-square ![i](http://evil.example/i.png)"
    )
    shown = entries(opened(act(agent, "INC0010001", "comment")))
    assert "](http" not in shown
    assert "@all" not in shown
    assert "~town" not in shown
    assert view(agent, "INC0010001")
