"""Dialogs of cards as the real web client of 11.6 submits them: it encodes, repeats and omits values in its own way."""

from typing import Any

import pytest
import requests

from sandbox.client import MattermostClient
from sandbox.dialog import OpenDialog
from tests.acts import row
from tests.scenarios.plain.test_plain_cards import card_of, set_version
from tests.scenarios.plain.test_plain_dialogs import journal, press
from tests.scenarios.subscriptions.subscribing import install_component
from tests.world import World

Json = dict[str, Any]

SUBSCRIPTIONS = "x_830655_mm_std_servicenow_for_mattermost_subscriptions"


@pytest.fixture
def agent(world: World) -> MattermostClient:
    """A connected agent on a server of 11.6."""
    set_version(world, "11.6.0")
    return world.connected("agent")


def texts(items: list[Json]) -> list[str]:
    """The items of a lookup."""
    return [one["text"] for one in items]


def test_a_group_is_found_after_a_person_is_chosen(world: World, agent: MattermostClient) -> None:
    """A lookup carries what was chosen as label and value; opened again, the dialog shows the names."""
    post, number = card_of(world, agent)
    dialog = press(agent, post, "More…", "assign")
    [aiko] = agent.look_up_dialog(dialog, "assigned_to", "aiko", {})
    chosen = {"assigned_to": aiko["value"]}
    beside = dialog.beside_look_up(chosen)
    assert beside["assigned_to"] == {"label": "Aiko Agent (agent2)", "value": aiko["value"]}
    [network] = agent.look_up_dialog(dialog, "assignment_group", "netw", chosen)
    assert network["text"] == "Network"
    assert agent.submit_dialog(dialog, {**chosen, "assignment_group": network["value"]}) == {}
    now = row(world, number)
    assert (now["assigned_to"], now["assignment_group"]) == (aiko["value"], network["value"])

    again = press(agent, post, "More…", "assign")
    assert again.submission({}) == {"assigned_to": "Aiko Agent", "assignment_group": "Network"}
    assert texts(agent.look_up_dialog(again, "assignment_group", "data", {})) == ["Database"]
    refused = again.step(agent.submit_dialog(again, {}), again.submission({}))
    assert "is assigned so already" in refused.form["introduction_text"]
    assert refused.element("Assigned to")["default"] == "Aiko Agent"


def test_a_subscription_finds_records_and_keeps_its_channel(world: World, agent: MattermostClient) -> None:
    """The channel is neither shown nor sent, but it is the card's; another kind shows other fields."""
    install_component(world, "agent")
    post, number = card_of(world, agent)
    dialog = press(agent, post, "More…", "subscribe")
    assert "channel" not in dialog.submission({})
    offered = texts(agent.look_up_dialog(dialog, "record", "INC00", {}))
    assert any(text.startswith("INC0010001") for text in offered)

    table = agent.refresh_dialog(dialog, "kind", {"kind": "table"})
    assert "record" not in table.names
    assert table.element("channel")["help_text"] == "Now: Service Desk."
    assert texts(agent.look_up_dialog(table, "Assignment group", "netw", {})) == ["Network"]
    record = agent.refresh_dialog(table, "kind", {"kind": "record"})
    # The client still has the record of the first step and would send it, under its old name, for an empty field.
    assert not record.element("Record").get("default")
    assert record.element("Record")["name"] != "record"
    record = record.step(agent.submit_dialog(record, {}), record.submission({}))
    assert ":warning: Choose the record" in record.element("Record")["help_text"]
    [found] = agent.look_up_dialog(record, "Record", number, {})
    assert agent.submit_dialog(record, {"Record": found["value"]}) == {}
    [stored] = world.servicenow.rows(SUBSCRIPTIONS)
    assert (stored["record_id"], stored["channel_id"]) == (row(world, number)["sys_id"], post["channel_id"])


def test_changing_the_table_drops_the_old_tables_values(world: World, agent: MattermostClient) -> None:
    """A refresh doesn't say which element changed: it is the one that differs from what was sent."""
    install_component(world, "agent")
    post, _ = card_of(world, agent)
    dialog = press(agent, post, "More…", "subscribe")
    assert dialog.element("record")["default"]
    change = agent.refresh_dialog(dialog, "table", {"table": "change_request"})
    assert change.element("Table")["default"] == "change_request"
    assert not change.element("Record").get("default")
    cleared = agent.refresh_dialog(change, "table", {"Table": ""})
    assert cleared.element("Table")["default"] == "change_request"  # the client can't send an empty one again


def test_a_text_cleared_after_a_refresh_is_empty(world: World, agent: MattermostClient) -> None:
    """The client sends the old text again, under the name of an element that no longer exists."""
    post, number = card_of(world, agent)
    dialog = agent.refresh_dialog(press(agent, post, "State"), "state", {"state": "2"})
    typed = agent.refresh_dialog(dialog, "state", {"state": "3", "comments": "Not for everybody"})
    assert typed.element("Comments")["default"] == "Not for everybody"
    values = {"Comments": "", "hold_reason": "4"}
    assert typed.submission(values)["comments"] == "Not for everybody"
    assert agent.submit_dialog(typed, values) == {}
    assert row(world, number)["state"] == "3"
    assert journal(world, number) == []


def test_a_text_cleared_after_an_error_is_empty(world: World, agent: MattermostClient) -> None:
    """The client would send it again, so the form comes back with its values, the error, and new names."""
    post, number = card_of(world, agent)
    dialog = agent.refresh_dialog(press(agent, post, "State"), "state", {"state": "2"})
    world.servicenow.fault("hibernating", "/api/now/v2/table/incident")
    values = {"comments": "Written in anger"}
    answer = agent.submit_dialog(dialog, values)
    world.servicenow.clear_faults()
    assert dialog.submission({"comments": ""})["comments"] == "Written in anger"  # as the client sends the old form
    again = dialog.step(answer, dialog.submission(values))
    assert again.form["introduction_text"].startswith(":warning: ")
    assert "asleep" in again.form["introduction_text"]
    assert (again.element("Comments")["default"], again.element("State")["default"]) == ("Written in anger", "2")
    assert agent.submit_dialog(again, {"Comments": ""}) == {}
    assert (row(world, number)["state"], journal(world, number)) == ("2", [])

    lookup = press(agent, post, "More…", "assign")
    [aiko] = agent.look_up_dialog(lookup, "assigned_to", "aiko", {})
    wrong = {"assigned_to": aiko["value"], "assignment_group": "Nowhere"}
    again = lookup.step(agent.submit_dialog(lookup, wrong), lookup.submission(wrong))
    assert again.element("Assigned to")["default"] == "Aiko Agent (agent2)"
    assert ":warning: Nothing in ServiceNow matches this" in again.element("Assignment group")["help_text"]
    [network] = agent.look_up_dialog(again, "Assignment group", "netw", {"Assigned to": ""})
    assert agent.submit_dialog(again, {"Assigned to": "", "Assignment group": network["value"]}) == {}
    assert (row(world, number)["assigned_to"], row(world, number)["assignment_group"]) == ("", network["value"])


def test_values_of_an_earlier_step_arent_saved(world: World, agent: MattermostClient) -> None:
    """
    Resolution code and notes were entered, then another state was chosen: the client sends them, and they are ignored.
    """
    post, number = card_of(world, agent)
    dialog = agent.refresh_dialog(press(agent, post, "State"), "state", {"state": "6"})
    filled = {"close_code": "Duplicate", "close_notes": "Not any more", "state": "2"}
    dialog = agent.refresh_dialog(dialog, "state", filled)
    assert dialog.submission({})["close_notes"] == "Not any more"
    assert agent.submit_dialog(dialog, {}) == {}
    now = row(world, number)
    assert (now["state"], now["close_notes"], now["close_code"]) == ("2", "", "")


def test_typing_elsewhere_sends_nothing_to_servicenow(world: World, agent: MattermostClient) -> None:
    """
    The client queries every dynamic select at each key, wherever it is typed: the first query sends one request, the
    others none.
    """
    post, _ = card_of(world, agent)
    dialog = press(agent, post, "More…", "assign")
    world.servicenow.clear_requests()
    first = {name: agent.look_up_dialog(dialog, name, "", {}) for name in ("assigned_to", "assignment_group")}
    assert all(first.values())
    assert len(world.asked()) == 2
    chosen = first["assigned_to"][3]["value"]
    for values in ({}, {"assigned_to": chosen}, {"assigned_to": ""}):
        for name, items in first.items():
            assert agent.look_up_dialog(dialog, name, "", values) == items
    assert len(world.asked()) == 2
    for _ in range(3):
        assert texts(agent.look_up_dialog(dialog, "assignment_group", "netw", {})) == ["Network"]
    assert len(world.asked()) == 3
    install_component(world, "agent")
    world.servicenow.clear_requests()
    subscribe = press(agent, post, "More…", "subscribe")
    world.servicenow.clear_requests()
    for count in range(4):
        assert agent.look_up_dialog(subscribe, "record", "INC00", {"name": "My name"[:count]})
    assert len(world.asked()) == 1
    assert agent.look_up_dialog(subscribe, "record", "INC00", {"table": "change_request"}) == []  # of another table
    changes = agent.look_up_dialog(subscribe, "record", "CHG00", {"table": "change_request"})
    assert all(text.startswith("CHG") for text in texts(changes))


def test_an_empty_result_isnt_cached(world: World, agent: MattermostClient) -> None:
    """A lookup that a newer one replaced is empty too."""
    post, _ = card_of(world, agent)
    dialog = press(agent, post, "More…", "assign")
    assert agent.look_up_dialog(dialog, "assignment_group", "Zebra", {}) == []
    world.administer("POST", "/api/now/table/sys_user_group", {"name": "Zebra keepers"})
    assert texts(agent.look_up_dialog(dialog, "assignment_group", "Zebra", {})) == ["Zebra keepers"]


def forward_lookup(dialog: OpenDialog, person: MattermostClient, **changes: Any) -> Json:
    """A lookup as Mattermost forwards it."""
    submission = {"selected_field": "assignment_group", "query": "network"}
    body = {"type": "dialog_lookup", "callback_id": "x", "state": dialog.first_state, "submission": submission}
    return body | {"user_id": person.id, "channel_id": "", "team_id": "", "cancelled": False} | changes


def test_a_lookup_never_fails(world: World, agent: MattermostClient) -> None:
    """It is answered with 200 and items whatever is wrong: the client retries a failed one without a pause."""
    post, _ = card_of(world, agent)
    dialog = press(agent, post, "More…", "assign")
    other = world.person("admin")

    def answer(**changes: Any) -> Any:
        body = forward_lookup(dialog, agent, **changes)
        found = requests.post(f"{world.config.app_url}/plain/dialog", json=body, timeout=20)
        assert found.status_code == 200
        assert list(found.json()) == ["items"], found.text
        return found.json()["items"]

    assert texts(answer()) == ["Network"]
    odd: list[Any] = [None, [], 5, "text", {"selected_field": {}}, {"selected_field": "nothing"}, {"query": 5}]
    for submission in odd:
        assert answer(submission=submission) == []
    for changes in ({"state": ""}, {"state": None}, {"state": 5}, {"state": "e30.AAAA"}, {"user_id": other.id}):
        assert answer(**changes) == []
    assert answer(user_id=None) == []
    world.servicenow.fault("hibernating", "/api/now")
    assert answer(submission={"selected_field": "assignment_group", "query": "hardw"}) == []
    world.servicenow.clear_faults()
    # The failure is cached for a moment, or every key typed elsewhere would send a request.
    asked = len(world.asked())
    assert answer(submission={"selected_field": "assignment_group", "query": "hardw"}) == []
    assert len(world.asked()) == asked
    world.offset += 6
    assert texts(answer(submission={"selected_field": "assignment_group", "query": "hardw"})) == ["Hardware"]
    world.restart(rate_limits=True)
    found = [answer(submission={"selected_field": "assigned_to", "query": f"aiko{n:02}"}) for n in range(40)]
    assert found == [[]] * 40
    agent.command("disconnect")
    assert answer(submission={"selected_field": "assignment_group", "query": "datab"}) == []
    world.offset += 3601
    assert answer() == []


def test_a_dialog_succeeds_once(world: World, agent: MattermostClient) -> None:
    """A failed submit can be sent again; a successful one isn't repeated, not even from an earlier step."""
    post, number = card_of(world, agent)
    dialog = press(agent, post, "State")
    first = OpenDialog(dialog.url, dialog.form, dialog.version, dialog.callback_id, dialog.first_state)
    held = agent.refresh_dialog(dialog, "state", {"state": "3"})
    world.servicenow.fault("hibernating", "/api/now/v2/table/incident")
    assert "asleep" in agent.submit_dialog(held, {"hold_reason": "4"})["error"]
    assert agent.submit_dialog(held, {"hold_reason": "4"}) == {}
    assert row(world, number)["state"] == "3"
    world.servicenow.clear_requests()
    for step, values in ((held, {"hold_reason": "4"}), (first, {"state": "2"})):
        assert "already submitted" in agent.submit_dialog(step, values)["error"]
    channel = {"channel_id": post["channel_id"], "team_id": agent.team_id}
    body = first.body({"state": "2"}, "web", first.form["source_url"]) | {"type": "refresh"} | channel
    assert "already submitted" in agent.post("/api/v4/actions/dialogs/submit", body)["error"]
    assert world.asked() == []
    assert agent.submit_dialog(press(agent, post, "State"), {"state": "2"}) == {}


def test_a_dialog_expires_after_one_hour(world: World, agent: MattermostClient) -> None:
    """The answer says that it was open for too long; nothing is saved."""
    post, number = card_of(world, agent)
    dialog, other = press(agent, post, "Comment"), press(agent, post, "Comment")
    world.advance(3590)
    assert agent.submit_dialog(other, {"comments": "In time"}) == {}
    world.advance(11)
    assert "open for too long" in agent.submit_dialog(dialog, {"comments": "Late"})["error"]
    assert journal(world, number) == ["In time"]


def test_values_of_another_form_are_rejected(world: World, agent: MattermostClient) -> None:
    """The client sends what is on the screen to the address of the newest dialog."""
    post, number = card_of(world, agent)
    dialog = press(agent, post, "Comment")
    where = {"channel_id": post["channel_id"], "team_id": agent.team_id}
    body = dialog.body({"a": "typed in another integration's dialog"}) | where
    told = agent.post("/api/v4/actions/dialogs/submit", body)["error"]
    assert "Another form was open" in told
    assert journal(world, number) == []
    assert agent.submit_dialog(dialog, {"comments": "Mine"}) == {}
    assert journal(world, number) == ["Mine"]
