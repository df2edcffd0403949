"""Dialogs from press to submit, on old and new servers: closed when done, nothing reported twice, never a dead end."""

from typing import Any

import pytest
from markdown_it import MarkdownIt

from sandbox.client import MattermostClient
from sandbox.dialog import Client, OpenDialog
from tests.acts import attachment, facts, row
from tests.scenarios.plain.test_plain_cards import card_of, set_version
from tests.scenarios.subscriptions.subscribing import install_component
from tests.world import World

Json = dict[str, Any]

VERSIONS = ["9.11.0", "11.6.0"]
CLIENTS: list[Client] = ["web", "mobile"]
every_server = pytest.mark.parametrize("version", VERSIONS)
every_client = pytest.mark.parametrize("client", CLIENTS)


def press(person: MattermostClient, post: Json, *action: str) -> OpenDialog:
    """The dialog that a press opens."""
    found = person.press_action(post["id"], *action)
    assert found.dialog is not None, found.texts
    return found.dialog


def journal(world: World, number: str) -> list[str]:
    """The comments, newest first."""
    return [entry["value"] for entry in world.servicenow.store.journal(row(world, number)["sys_id"], "comments")]


def administer(world: World, number: str, **columns: str) -> None:
    """Someone changes the incident in ServiceNow."""
    world.administer("PATCH", f"/api/now/table/incident/{row(world, number)['sys_id']}", columns)


@every_client
@every_server
def test_a_comment_closes_its_dialog(world: World, version: str, client: Client) -> None:
    """Its one button says Add, the answer is empty, the thread shows it, and nobody gets another message."""
    set_version(world, version)
    agent = world.connected("agent")
    post, number = card_of(world, agent)
    before = len(world.mattermost.state.posts)
    dialog = press(agent, post, "Comment")
    assert dialog.form["submit_label"] == "Add"
    assert not [name for name in dialog.names if name.startswith("action")]
    assert agent.submit_dialog(dialog, {"comments": "Once"}, client=client) == {}
    world.settle()
    assert journal(world, number) == ["Once"]
    assert len(world.mattermost.state.posts) == before + 1


@every_server
def test_what_dialogs_cost_servicenow(world: World, version: str) -> None:
    """
    Each reads once before it opens. A comment is one write; a state is a check for concurrent changes and a write.
    """
    set_version(world, version)
    agent = world.connected("agent")
    post, number = card_of(world, agent)
    agent.submit_dialog(press(agent, post, "Comment"), {"comments": "Warm"})
    press(agent, post, "State")
    press(agent, post, "Comment")
    world.servicenow.clear_requests()

    def asked() -> list[str]:
        methods = [entry["method"] for entry in world.asked()]
        world.servicenow.clear_requests()
        return methods

    comment = press(agent, post, "Comment")
    assert asked() == ["GET"]
    agent.submit_dialog(comment, {"comments": "Once"})
    assert asked() == ["PATCH"]
    state = press(agent, post, "State")
    assert asked() == ["GET"]
    if version == "11.6.0":
        state = agent.refresh_dialog(state, "state", {"state": "2"})
        assert asked() == []
    agent.submit_dialog(state, {"state": "2"})
    assert asked() == ["GET", "PATCH"]
    assert row(world, number)["state"] == "2"
    agent.press_action(post["id"], "Assign to me")
    assert asked() == ["GET", "PATCH"]


@every_client
def test_older_comments_are_a_step_of_a_new_servers_dialog(world: World, client: Client) -> None:
    """
    Each step shows ten. What is written then is added, although the client sends the choices of earlier steps again.
    """
    set_version(world, "11.6.0")
    agent = world.connected("agent")
    post, number = card_of(world, agent)
    for count in range(22):
        world.servicenow.advance(60)
        administer(world, number, comments=f"Entry number {count}")
    dialog = press(agent, post, "Comment")
    for first in ("Entry number 11", "Entry number 1"):
        buttons = next(name for name in dialog.names if name.startswith("action"))
        assert [option["text"] for option in dialog.element(buttons)["options"]] == ["Older"]
        values = {buttons: "older", "Comment": "half"}
        answer = agent.submit_dialog(dialog, values, client=client)
        dialog = dialog.step(answer, dialog.submission(values, client))
        assert f"{first}\n" in dialog.form["introduction_text"]
        assert dialog.element("Comment")["default"] == "half"
    assert not [name for name in dialog.names if name.startswith("action")]
    assert agent.submit_dialog(dialog, {"Comment": "whole"}, client=client) == {}
    assert journal(world, number)[0] == "whole"


@every_client
def test_a_button_of_an_earlier_step_isnt_pressed_again(world: World, client: Client) -> None:
    """A client can leave out untouched values and sends again what it sent in the step before."""
    set_version(world, "11.6.0")
    agent = world.connected("agent")
    post, number = card_of(world, agent)
    for count in range(22):
        world.servicenow.advance(60)
        administer(world, number, comments=f"Entry number {count}")
    dialog = press(agent, post, "Comment")
    values = {next(name for name in dialog.names if name.startswith("action")): "older"}
    dialog = dialog.step(agent.submit_dialog(dialog, values, client=client), dialog.submission(values, client))
    sent = dialog.submission({"Comment": "between"}, client)
    sent.pop(next(name for name in dialog.names if name.startswith("action")), None)
    body = dialog.body(sent, client) | {"channel_id": post["channel_id"], "team_id": agent.team_id}
    assert agent.post("/api/v4/actions/dialogs/submit", body) == {}
    assert journal(world, number)[0] == "between"


def test_an_old_servers_dialog_links_to_older_comments(world: World) -> None:
    """It can't show another step."""
    set_version(world, "9.11.0")
    agent = world.connected("agent")
    post, number = card_of(world, agent)
    for count in range(12):
        world.servicenow.advance(60)
        administer(world, number, comments=f"Entry number {count}")
    dialog = press(agent, post, "Comment")
    assert "Older entries: [" in dialog.form["introduction_text"]


CHANGES = [
    (("State",), {"state": "2"}, "state", "2"),
    (("More…", "priority"), {"impact": "1", "urgency": "1"}, "priority", "1"),
    (("More…", "assign"), {"assignment_group": "Network"}, "assignment_group", "Network"),
]
every_change = pytest.mark.parametrize(("action", "values", "column", "then"), CHANGES)


def shown(world: World, number: str, column: str) -> str:
    """A column's value; a reference by its name."""
    value = row(world, number)[column]
    return world.servicenow.store.display("sys_user_group", value) if column == "assignment_group" else value


@every_client
@every_change
def test_a_concurrent_change_isnt_a_dead_end_on_an_old_server(
    world: World, client: Client, action: tuple[str, ...], values: Json, column: str, then: str
) -> None:
    """The error says who changed what and what to do. The same dialog never overwrites; a new press does."""
    set_version(world, "9.11.0")
    agent = world.connected("agent")
    post, number = card_of(world, agent)
    dialog = press(agent, post, *action)
    administer(world, number, description="Worse")
    for _ in range(2):
        told = agent.submit_dialog(dialog, values, client=client)["error"]
        assert told.startswith(f":warning: admin changed {number} since you opened it.")
        assert "press the button again" in told
        assert "/servicenow" not in told
        assert shown(world, number, column) != then
    assert agent.submit_dialog(press(agent, post, *action), values, client=client) == {}
    assert shown(world, number, column) == then


@every_client
@every_change
def test_a_concurrent_change_is_a_step_on_a_new_server(
    world: World, client: Client, action: tuple[str, ...], values: Json, column: str, then: str
) -> None:
    """The dialog keeps the entered values and says what changed; submitted again it overwrites."""
    set_version(world, "11.6.0")
    agent = world.connected("agent")
    post, number = card_of(world, agent)
    dialog = press(agent, post, *action)
    administer(world, number, description="Worse")
    answer = agent.submit_dialog(dialog, values, client=client)
    again = dialog.step(answer, dialog.submission(values, client))
    assert f"**admin** changed {number}" in again.form["introduction_text"]
    assert shown(world, number, column) != then
    assert agent.submit_dialog(again, {}, client=client) == {}
    assert shown(world, number, column) == then


@every_client
def test_a_choice_is_shown_by_name_when_a_dialog_comes_back(world: World, client: Client) -> None:
    """Dialogs send only a choice's value; the next step shows its name, also if the mobile app chose it."""
    set_version(world, "11.6.0")
    agent = world.connected("agent")
    post, number = card_of(world, agent)
    dialog = press(agent, post, "More…", "assign")
    found = agent.look_up_dialog(dialog, "assigned_to", "aiko", {}, client=client)
    if client == "mobile":
        assert found[0]["text"] == "Amir Agent (agent)"
        assert agent.look_up_dialog(dialog, "assignment_group", "", {}, client=client)
    chosen = next(one["value"] for one in found if one["text"] == "Aiko Agent (agent2)")
    administer(world, number, description="Worse")
    answer = agent.submit_dialog(dialog, {"assigned_to": chosen}, client=client)
    again = dialog.step(answer, dialog.submission({"assigned_to": chosen}, client))
    assert again.element("Assigned to")["default"] == "Aiko Agent (agent2)"
    assert agent.submit_dialog(again, {}, client=client) == {}
    assert world.servicenow.store.display("sys_user", row(world, number)["assigned_to"]) == "Aiko Agent"


def test_errors_of_old_dialogs_are_plain_text_at_an_element(world: World) -> None:
    """
    If nothing is selected, the error is above the fields: an error for a missing element would close the dialog
    silently.
    """
    set_version(world, "9.11.0")
    install_component(world, "agent")
    agent = world.connected("agent")
    post, _ = card_of(world, agent)
    dialog = press(agent, post, "More…", "subscribe")
    nothing = {name: False for name in dialog.names if name.startswith("events__")}
    assert nothing
    answer = agent.submit_dialog(dialog, nothing)
    assert "at least one event" in answer["error"]
    assert set(answer.get("errors", {})) <= set(dialog.names)
    agent.command("disconnect")
    told = agent.submit_dialog(dialog, {})["error"]
    assert "Connect it (http" in told
    assert "](" not in told


@pytest.mark.waits
@pytest.mark.parametrize(
    ("action", "values", "column"),
    [("priority", {"impact": "1", "urgency": "1"}, "priority"), ("assign", {"assigned_to": "agent2"}, "assigned_to")],
)
def test_dialogs_of_more_open_although_servicenow_times_out(
    world: World, action: str, values: Json, column: str
) -> None:
    """They have static choices; fields left empty keep their value, because the dialog couldn't show it."""
    set_version(world, "9.11.0")
    agent = world.connected("agent")
    post, number = card_of(world, agent)
    group = world.servicenow.rows("sys_user_group")[0]["sys_id"]
    administer(world, number, assignment_group=group)
    world.servicenow.fault("slow", "/api/now/v2/table", times=3, seconds=8)
    dialog = press(agent, post, "More…", action)
    world.servicenow.clear_faults()
    assert "did not answer in time" in dialog.form["introduction_text"]
    before = row(world, number)[column]
    assert agent.submit_dialog(dialog, values) == {}
    assert row(world, number)[column] != before
    assert row(world, number)["assignment_group"] == group


@pytest.mark.waits
def test_a_changes_state_dialog_opens_without_its_next_states(world: World) -> None:
    """The base system's states are offered; ServiceNow decides when it is saved."""
    agent = world.connected("agent")
    form = agent.command("share", {"record": "CHG0030001"}, channel="service-desk")["form"]
    assert agent.submit(form, {}, channel="service-desk")["type"] == "ok"
    post = world.mattermost.posts_in("service-desk")[-1]
    world.servicenow.fault("slow", "/api/sn_chg_rest", times=3, seconds=8)
    dialog = press(agent, post, "State")
    world.servicenow.clear_faults()
    assert "Assess" in [option["text"] for option in dialog.element("state")["options"]]
    assert agent.submit_dialog(dialog, {"state": "-4"}) == {}
    assert row(world, "CHG0030001")["state"] == "-4"
    assert facts(agent.get(f"/api/v4/posts/{post['id']}"))["State"] == "Assess"
    assert attachment(post)


def test_candidates_in_private_answers_are_escaped(world: World) -> None:
    """If several records match, their text has no effect above the form or in an error."""
    agent = world.connected("agent")
    for number in ("INC0010001", "INC0010002"):
        administer(world, number, short_description=f"zebra [x](http://evil.example) @all **b** {number}")
    form = agent.command("view", {"record": "zebra"})["form"]
    answer = agent.submit(form, {"record": {"label": "zebra", "value": "zebra"}})
    for text in (form["header"], answer["text"] if answer["type"] == "error" else answer["form"]["header"]):
        assert "evil" in text
        assert "@all" not in text
        inline = [token for block in MarkdownIt("commonmark").parse(text) for token in block.children or []]
        assert {token.type for token in inline} <= {"text", "text_special", "softbreak"}


def test_an_input_error_has_no_reference_code(world: World) -> None:
    """A missing field shows no code for administrators, neither in a dialog nor after a command."""
    set_version(world, "9.11.0")
    agent = world.connected("agent")
    post, number = card_of(world, agent)
    refused = agent.submit_dialog(press(agent, post, "State"), {"state": "3"})
    assert refused["error"] == "Please correct what is marked below. Nothing was saved."
    assert refused["errors"] == {"hold_reason": "This state needs it."}
    assert agent.submit_dialog(press(agent, post, "More…", "assign"), {"assigned_to": "@nobody"})["error"] == (
        "Please correct what is marked below. Nothing was saved."
    )
    answer = agent.command("incident create", {"short_description": "x", "urgency": "9"})
    assert (answer["type"], answer["text"]) == ("error", "--urgency: Choose one of the list.")
    assert row(world, number)["state"] == "1"


@every_server
def test_taking_someone_elses_work_names_the_assignee(world: World, version: str) -> None:
    """
    A card's button doesn't know what the card showed, so the answer doesn't claim that someone changed the record.
    """
    set_version(world, version)
    agent = world.connected("agent")
    post, number = card_of(world, agent)
    other = next(one["sys_id"] for one in world.servicenow.rows("sys_user") if one["user_name"] == "agent2")
    administer(world, number, assigned_to=other)
    dialog = press(agent, post, "Assign to me")
    told = f":warning: {number} is assigned to **Aiko Agent**. Submit to assign it to you instead."
    assert dialog.form["introduction_text"] == told
    assert row(world, number)["assigned_to"] == other
    assert agent.submit_dialog(dialog, {}) == {}
    assert world.servicenow.store.display("sys_user", row(world, number)["assigned_to"]) == "Amir Agent"
