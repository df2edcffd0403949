"""Messages, threads and files are added to a record completely and once, with author, time and link."""

from typing import Any

import pytest

from sandbox.client import MattermostClient
from tests.acts import field, names, opened
from tests.world import World

Json = dict[str, Any]
MENU = "Add to ServiceNow record"


@pytest.fixture
def agent(world: World) -> MattermostClient:
    """A connected agent."""
    agent = world.connected("agent")
    world.servicenow.clear_requests()
    return agent


def open_form(person: MattermostClient, post: Json) -> Json:
    """The form from the post's menu."""
    return opened(person.press("/post_menu", MENU, channel="service-desk", post_id=post["id"]))


def send(person: MattermostClient, form: Json, **values: Any) -> Json:
    """Submit the form."""
    return person.submit(form, values, channel="service-desk")


def entries(world: World, number: str, element: str) -> list[str]:
    """A record's journal texts, newest first."""
    row = next(row for row in world.servicenow.rows("task") if row["number"] == number)
    return [entry["value"] for entry in world.servicenow.store.journal(row["sys_id"], element)]


NUMBER = "INC0010001"


def test_a_message_that_names_a_record_offers_it_first(world: World, agent: MattermostClient) -> None:
    """The form has the number; opening it sends nothing to ServiceNow; work notes are the default."""
    post = agent.say("service-desk", f"Same as {NUMBER.lower()}, it seems")
    form = open_form(agent, post)
    assert field(form, "record")["value"]["value"] == NUMBER
    assert field(form, "kind")["value"]["value"] == "work_notes"
    assert names(form) == ["record", "kind"]
    assert world.asked() == []


def test_numbers_of_an_added_table_are_recognized(world: World, agent: MattermostClient) -> None:
    """After an administrator adds the table, they are offered like those of the seven tables."""
    post = agent.say("service-desk", "Same as RITM0010001, it seems")
    assert field(open_form(agent, post), "record").get("value") is None
    world.restart(shared_tables=("sc_req_item",))
    assert field(open_form(agent, post), "record")["value"]["value"] == "RITM0010001"


@pytest.mark.parametrize(("kind", "word"), [("work_notes", "work note"), ("comments", "comment")])
def test_a_message_becomes_an_entry(world: World, agent: MattermostClient, kind: str, word: str) -> None:
    """Author, time, link and text are saved in the chosen journal and no other."""
    other = "comments" if kind == "work_notes" else "work_notes"
    before = entries(world, NUMBER, other)
    post = agent.say("service-desk", f"Seen on {NUMBER}: **two** lines\nand [code]<b>this</b>[/code]")
    answer = send(agent, open_form(agent, post), kind={"label": "x", "value": kind})
    assert answer["type"] == "ok"
    assert f"as a {word}" in answer["text"]
    assert NUMBER in answer["text"]
    [newest, *_] = entries(world, NUMBER, kind)
    heading, *text = newest.split("\n")
    assert heading.startswith("@agent, 20")
    assert heading.endswith(f"{world.mattermost.url}/sandbox/pl/{post['id']}")
    assert text == [f"Seen on {NUMBER}: **two** lines", "and [\u200bcode]<b>this</b>[\u200b/code]"]
    assert entries(world, NUMBER, other) == before


def test_the_whole_thread_is_one_entry(world: World, agent: MattermostClient) -> None:
    """All messages are in order, each with its author; the switch shows how many and is off by default."""
    other = world.person("requester")
    root = agent.say("service-desk", "First")
    other.say("service-desk", "Second", root["id"])
    reply = agent.say("service-desk", "Third", root["id"])
    form = open_form(agent, reply)
    assert "All 3 messages" in field(form, "whole_thread")["description"]
    answer = send(agent, form, record={"label": NUMBER, "value": NUMBER}, whole_thread=True)
    assert "3 messages are in" in answer["text"]
    [newest, *_] = entries(world, NUMBER, "work_notes")
    parts = [part.split("\n") for part in newest.split("\n\n")]
    assert [(part[0].partition(",")[0], part[1]) for part in parts] == [
        ("@agent", "First"),
        ("@requester", "Second"),
        ("@agent", "Third"),
    ]
    send(agent, open_form(agent, reply), record={"label": NUMBER, "value": NUMBER})
    assert entries(world, NUMBER, "work_notes")[0].endswith("\nThird")


def test_a_form_sent_twice_adds_once(world: World, agent: MattermostClient) -> None:
    """The second submit gets the first one's answer."""
    form = open_form(agent, agent.say("service-desk", f"Once, {NUMBER}"))
    first, second = send(agent, form), send(agent, form)
    assert first["text"] == second["text"]
    assert len([text for text in entries(world, NUMBER, "work_notes") if "Once, " in text]) == 1


def test_an_unconfirmed_entry_is_looked_up(world: World, agent: MattermostClient) -> None:
    """ServiceNow saved it but its answer was lost: it is found, not written again."""
    form = open_form(agent, agent.say("service-desk", f"Lost answer, {NUMBER}"))
    world.servicenow.fault("500_after_commit", "/api/now/v2/table/incident/", method="PATCH")
    answer = send(agent, form)
    assert answer["type"] == "ok", answer
    assert len([text for text in entries(world, NUMBER, "work_notes") if "Lost answer" in text]) == 1


def test_what_cant_be_added_is_reported(world: World, agent: MattermostClient) -> None:
    """No record, an unknown number, an article: the error is at the field, and nothing is written."""
    post = agent.say("service-desk", "Nothing named here")
    form = open_form(agent, post)
    for value, words in [(None, "Choose the record"), ("INC9999999", "no record"), ("KB0010001", "no comments")]:
        record = {"label": value, "value": value} if value else None
        answer = send(agent, form, record=record)
        assert answer["type"] == "error"
        assert words in answer["data"]["errors"]["record"]
    assert not world.asked(method="PATCH")


def test_a_person_without_a_role_can_only_add_comments(world: World) -> None:
    """A work note that ServiceNow drops silently is reported, not confirmed."""
    requester = world.connected("requester")
    form = opened(requester.command("incident create"))
    requester.submit(form, {"short_description": "Mine"})
    number = next(row for row in world.servicenow.rows("incident") if row["short_description"] == "Mine")["number"]
    post = requester.say("service-desk", f"About {number}")
    refused = send(requester, open_form(requester, post))
    assert refused["type"] == "error"
    assert entries(world, number, "work_notes") == []
    told = send(requester, open_form(requester, post), kind={"label": "Comment", "value": "comments"})
    assert told["type"] == "ok", told
    assert len(entries(world, number, "comments")) == 1


def test_a_thread_longer_than_an_entry_becomes_several(world: World, agent: MattermostClient) -> None:
    """Nothing is cut: what doesn't fit in an entry continues in the next, in order."""
    root = agent.say("service-desk", "Start")
    agent.say("service-desk", "".join(f"{number:05}" for number in range(2000)), root["id"])
    answer = send(agent, open_form(agent, root), record={"label": NUMBER, "value": NUMBER}, whole_thread=True)
    assert "2 messages are in" in answer["text"]
    written = [text for text in reversed(entries(world, NUMBER, "work_notes")) if "/pl/" in text]
    assert all(len(text) <= 4000 for text in written)
    assert "Start" in written[0]
    digits = "".join(line for text in written for line in text.splitlines() if line.isdigit())
    assert digits == "".join(f"{number:05}" for number in range(2000))


def test_an_endless_thread_is_cut_with_a_link(world: World, agent: MattermostClient) -> None:
    """There are at most twelve entries; the last one says that there is more, with a link."""
    root = agent.say("service-desk", "Start")
    for _ in range(4):
        agent.say("service-desk", "x" * 16_000, root["id"])
    send(agent, open_form(agent, root), record={"label": NUMBER, "value": NUMBER}, whole_thread=True)
    newest, *others = (text for text in entries(world, NUMBER, "work_notes") if "/pl/" in text)
    assert len(others) == 11
    assert len(newest) <= 4000
    assert "… more than fits here: " in newest


def test_a_rejected_first_entry_leaves_nothing(world: World, agent: MattermostClient) -> None:
    """ServiceNow is busy: nothing is written, and the form can be sent again."""
    root = agent.say("service-desk", "Start")
    agent.say("service-desk", "x" * 9_000, root["id"])
    form = open_form(agent, root)
    values = {"record": {"label": NUMBER, "value": NUMBER}, "whole_thread": True}
    world.servicenow.fault("429_bare", "/api/now/v2/table/incident/", times=1, method="PATCH")
    refused = send(agent, form, **values)
    assert refused["type"] == "error"
    assert not [text for text in entries(world, NUMBER, "work_notes") if "/pl/" in text]
    assert send(agent, form, **values)["type"] == "ok"
    assert len([text for text in entries(world, NUMBER, "work_notes") if "/pl/" in text]) == 4


def test_a_thread_that_stops_in_the_middle_is_continued(world: World, agent: MattermostClient) -> None:
    """The second part is rejected: the answer says what was added, and submitting again adds only the rest."""
    root = agent.say("service-desk", "Start")
    agent.say("service-desk", "x" * 9_000, root["id"])
    form = open_form(agent, root)
    values = {"record": {"label": NUMBER, "value": NUMBER}, "whole_thread": True}
    world.servicenow.fault("slow", "/api/now/v2/table/incident/", seconds=0, method="PATCH")
    world.servicenow.fault("429_bare", "/api/now/v2/table/incident/", method="PATCH")
    refused = send(agent, form, **values)
    assert refused["type"] == "error"
    assert refused["text"].startswith(f"1 of 4 parts are in [{NUMBER}](")
    assert "Submit this form again to add the rest." in refused["text"]
    assert send(agent, form, **values)["type"] == "ok"
    written = [text for text in entries(world, NUMBER, "work_notes") if "/pl/" in text]
    assert len(written) == len(set(written)) == 4


def test_a_deleted_message_is_reported(world: World, agent: MattermostClient) -> None:
    """It was deleted between opening and submitting: nothing is written."""
    post = agent.say("service-desk", f"Soon gone {NUMBER}")
    form = open_form(agent, post)
    agent.browser.delete(f"{agent.url}/api/v4/posts/{post['id']}").raise_for_status()
    answer = send(agent, form)
    assert answer["type"] == "error"
    assert not world.asked(method="PATCH")


def files_of(world: World, number: str) -> dict[str, str]:
    """Names and media types of a record's attachments."""
    row = next(row for row in world.servicenow.rows("task") if row["number"] == number)
    found = [one for one in world.servicenow.rows("sys_attachment") if one["table_sys_id"] == row["sys_id"]]
    return {one["file_name"]: one["content_type"] for one in found}


def incident(world: World, short_description: str) -> dict[str, str]:
    """A new incident."""
    return next(one for one in world.servicenow.rows("incident") if one["short_description"] == short_description)


def with_files(person: MattermostClient, message: str, **files: bytes) -> Json:
    """A message with files; ``__`` in a name stands for the dot."""
    channel_id = person.channel("service-desk")
    ids = [person.upload(channel_id, name.replace("__", "."), content) for name, content in files.items()]
    post: Json = person.post("/api/v4/posts", {"channel_id": channel_id, "message": message, "file_ids": ids})
    return post


def test_files_become_attachments(world: World, agent: MattermostClient) -> None:
    """Each has its name and media type; the entry lists them; the switch is on."""
    post = with_files(agent, f"Log of {NUMBER}", trace__txt=b"stack", screen__png=b"\x89PNG\r\n")
    form = open_form(agent, post)
    assert field(form, "files")["value"] is True
    answer = send(agent, form)
    assert "2 files attached." in answer["text"]
    assert set(files_of(world, NUMBER)) == {"trace.txt", "screen.png"}
    assert entries(world, NUMBER, "work_notes")[0].endswith("Files: trace.txt, screen.png")


def test_files_can_be_left_out(world: World, agent: MattermostClient) -> None:
    """With the switch off, only the text is added."""
    form = open_form(agent, with_files(agent, f"Log of {NUMBER}", trace__txt=b"stack"))
    answer = send(agent, form, files=False)
    assert "attached" not in answer["text"]
    assert files_of(world, NUMBER) == {}


def test_a_rejected_file_is_named_and_the_others_are_attached(world: World, agent: MattermostClient) -> None:
    """The instance allows only some extensions: each rejection is listed with what to do."""
    world.administer(
        "POST", "/api/now/table/sys_properties", {"name": "glide.attachment.extensions", "value": "txt,png"}
    )
    post = with_files(agent, f"Log of {NUMBER}", trace__txt=b"stack", tool__exe=b"MZ")
    answer = send(agent, open_form(agent, post))
    assert answer["type"] == "ok"
    assert "1 file attached." in answer["text"]
    assert "tool\\.exe: ServiceNow does not take it: files of this type" in answer["text"]
    assert set(files_of(world, NUMBER)) == {"trace.txt"}


def test_a_file_over_the_instances_limit_is_named(world: World, agent: MattermostClient) -> None:
    """The instance's limit is smaller than ours: the error says so, and the small file is attached."""
    limit = {"name": "com.glide.attachment.max_size", "value": "0.0001"}
    world.administer("POST", "/api/now/table/sys_properties", limit)
    post = with_files(agent, f"Log of {NUMBER}", big__txt=b"x" * 1000, small__txt=b"x")
    answer = send(agent, open_form(agent, post))
    assert "big\\.txt: it is larger than this ServiceNow takes" in answer["text"]
    assert set(files_of(world, NUMBER)) == {"small.txt"}


def test_a_file_without_write_access_is_named(world: World) -> None:
    """An approver can read the change but not write it: entry and file are rejected with the reason."""
    approver = world.connected("approver")
    post = with_files(approver, "Log of CHG0030002", trace__txt=b"stack")
    answer = send(approver, open_form(approver, post))
    assert answer["type"] == "error"
    assert "your account may not" in answer["text"]
    assert files_of(world, "CHG0030002") == {}


def test_an_incident_takes_its_thread(world: World, agent: MattermostClient) -> None:
    """
    From the message menu, the thread becomes work notes, its files become attachments, and the card is in the thread.
    """
    root = with_files(agent, "The printer is on fire", photo__png=b"\x89PNG")
    world.person("requester").say("service-desk", "Confirmed", root["id"])
    form = opened(agent.press("/post_menu", "Create ServiceNow incident", channel="service-desk", post_id=root["id"]))
    assert "All 2 messages" in field(form, "whole_thread")["description"]
    chosen = {"label": "Hardware", "value": "hardware"}
    form = opened(agent.refresh(form, "category", {"whole_thread": True, "category": chosen}, channel="service-desk"))
    assert field(form, "whole_thread")["value"] is True
    answer = agent.submit(form, {}, channel="service-desk")
    assert answer["type"] == "ok", answer
    assert "The thread (2 messages) is in its work notes." in answer["text"]
    assert "1 file attached." in answer["text"]
    made = next(
        one for one in world.servicenow.rows("incident") if one["short_description"] == "The printer is on fire"
    )
    [entry] = entries(world, made["number"], "work_notes")
    assert "Confirmed" in entry
    assert set(files_of(world, made["number"])) == {"photo.png"}


def test_a_requesters_thread_becomes_comments(world: World) -> None:
    """Someone who can't write work notes gets comments instead and is told."""
    requester = world.connected("requester")
    root = requester.say("service-desk", "My screen flickers")
    requester.say("service-desk", "Since Monday", root["id"])
    form = opened(
        requester.press("/post_menu", "Create ServiceNow incident", channel="service-desk", post_id=root["id"])
    )
    answer = requester.submit(form, {"whole_thread": True}, channel="service-desk")
    assert "in its comments" in answer["text"], answer
    made = incident(world, "My screen flickers")
    assert len(entries(world, made["number"], "comments")) == 1
    assert entries(world, made["number"], "work_notes") == []
