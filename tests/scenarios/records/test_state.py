"""States: which ones can follow, which fields each requires, and nothing is overwritten unseen."""

from typing import Any

import pytest

from sandbox.client import MattermostClient
from tests.acts import act, choice, default, field, labels, names, opened, row, view, written
from tests.world import World

Json = dict[str, Any]

INCIDENT_STATES = ["New", "In Progress", "On Hold", "Resolved", "Closed", "Canceled"]
DONE = {"state": "6", "close_code": "Duplicate", "close_notes": "x"}


@pytest.fixture
def agent(world: World) -> MattermostClient:
    """A connected agent; the choices are cached."""
    agent = world.connected("agent")
    state_form(agent)
    world.servicenow.clear_requests()
    return agent


def state_form(person: MattermostClient, number: str = "INC0010001") -> Json:
    """The form for a record's state."""
    return opened(person.command("state", {"record": number}))


def with_state(person: MattermostClient, form: Json, label: str, **values: Any) -> Json:
    """The form after a state is chosen."""
    chosen = {"state": choice(form, "state", label), **values}
    return opened(person.refresh(form, "state", chosen))


def administer(world: World, number: str, table: str = "incident", **columns: str) -> None:
    """Someone changes the record in ServiceNow."""
    world.administer("PATCH", f"/api/now/table/{table}/{row(world, number)['sys_id']}", columns)


def test_states_are_in_order_with_the_current_one_chosen(agent: MattermostClient) -> None:
    """All active states, in ServiceNow's order."""
    form = state_form(agent)
    assert labels(form, "state") == INCIDENT_STATES
    assert default(form, "state") == "1"


def test_states_are_in_the_persons_language(world: World, agent: MattermostClient) -> None:
    """A German account sees German labels; the value is the same."""
    form = state_form(world.connected("agent2"))
    assert labels(form, "state")[:3] == ["Neu", "In Bearbeitung", "Zurückgestellt"]
    assert default(form, "state") == "1"


def test_an_inactive_state_isnt_offered(world: World) -> None:
    """An administrator deactivated it."""
    for one in world.servicenow.rows("sys_choice"):
        if (one["name"], one["element"], one["value"]) == ("incident", "state", "8"):
            world.administer("PATCH", f"/api/now/table/sys_choice/{one['sys_id']}", {"inactive": "true"})
    assert "Canceled" not in labels(state_form(world.connected("agent")), "state")


def test_opening_costs_one_request_and_saving_two(world: World, agent: MattermostClient) -> None:
    """A refresh sends none; a save first checks for a concurrent change."""
    form = opened(act(agent, "INC0010001", "state"))
    assert [entry["method"] for entry in world.asked()] == ["GET", "GET"]  # the view, then the form
    world.servicenow.clear_requests()
    form = with_state(agent, form, "In Progress")
    assert world.asked() == []
    answer = agent.submit(form, {"state": choice(form, "state", "In Progress")})
    assert answer["type"] == "ok", answer
    assert [entry["method"] for entry in world.asked()] == ["GET", "PATCH"]
    assert "New → In Progress" in answer["text"]
    assert row(world, "INC0010001")["state"] == "2"


@pytest.mark.parametrize("label", ["Resolved", "Closed"])
def test_a_resolution_requires_code_and_notes(world: World, agent: MattermostClient, label: str) -> None:
    """The fields appear when the state is chosen; without them nothing is sent to ServiceNow."""
    form = with_state(agent, state_form(agent), label)
    assert names(form) == ["state", "close_code", "close_notes"]
    assert field(form, "close_code")["is_required"]
    assert "Duplicate" in labels(form, "close_code")
    world.servicenow.clear_requests()
    answer = agent.submit(form, {})
    assert set(answer["data"]["errors"]) == {"close_code", "close_notes"}
    assert world.asked() == []
    done = {"close_code": choice(form, "close_code", "Duplicate"), "close_notes": "As INC0010002"}
    assert agent.submit(form, done)["type"] == "ok"
    saved = row(world, "INC0010001")
    assert (saved["state"], saved["close_code"], saved["close_notes"]) == (
        {"Resolved": "6", "Closed": "7"}[label],
        "Duplicate",
        "As INC0010002",
    )


def test_on_hold_requires_its_reason_and_a_comment_for_the_caller(world: World, agent: MattermostClient) -> None:
    """Awaiting Caller requires a comment that tells the caller why; other reasons don't."""
    form = with_state(agent, state_form(agent), "On Hold")
    assert names(form) == ["state", "hold_reason", "comments"]
    assert set(agent.submit(form, {})["data"]["errors"]) == {"hold_reason"}
    caller = choice(form, "hold_reason", "Awaiting Caller")
    answer = agent.submit(form, {"hold_reason": caller})
    assert answer["data"]["errors"] == {"comments": "Say to the caller what you wait for."}
    assert agent.submit(form, {"hold_reason": caller, "comments": "Which printer?"})["type"] == "ok"
    saved = row(world, "INC0010001")
    assert (saved["state"], saved["hold_reason"]) == ("3", caller["value"])
    assert world.servicenow.store.journal(saved["sys_id"], "comments")[0]["value"] == "Which printer?"
    form = with_state(agent, state_form(agent, "INC0010002"), "On Hold")
    vendor = choice(form, "hold_reason", "Awaiting Vendor")
    assert agent.submit(form, {"hold_reason": vendor})["type"] == "ok"


def test_entered_values_survive_a_change_of_the_chosen_state(agent: MattermostClient) -> None:
    """The fields of the chosen state are shown with their values."""
    form = with_state(agent, state_form(agent), "Resolved", close_notes="Half a sentence")
    assert default(form, "close_notes") == "Half a sentence"
    assert default(form, "state") == "6"


def test_values_left_by_an_earlier_state_arent_filled_in(world: World, agent: MattermostClient) -> None:
    """An old hold reason or resolution isn't filled in: a state's fields are filled in only if the record is in it."""
    number = "INC0010001"
    administer(world, number, hold_reason="4", close_code="Duplicate", close_notes="As INC0010002")
    for label, fields in (("On Hold", ["hold_reason"]), ("Resolved", ["close_code", "close_notes"])):
        form = with_state(agent, opened(act(agent, number, "state")), label)
        assert [default(form, name) for name in fields] == [None] * len(fields), label
    form = opened(act(agent, number, "resolve"))
    assert [default(form, name) for name in ("close_code", "close_notes")] == [None, None]
    administer(world, number, state="3")
    held = opened(act(agent, number, "state"))
    assert default(held, "hold_reason") == "4"
    resolved = with_state(agent, held, "Resolved")
    assert [default(resolved, name) for name in ("close_code", "close_notes")] == [None, None]
    administer(world, number, state="6")
    closed = with_state(agent, opened(act(agent, number, "state")), "Closed")
    assert [default(closed, name) for name in ("close_code", "close_notes")] == ["Duplicate", "As INC0010002"]


def test_a_problems_cause_and_fix_are_filled_in_while_it_is_in_progress(world: World, agent: MattermostClient) -> None:
    """They are written before the resolution; on a new problem both are outdated."""
    number = "PRB0040001"
    administer(world, number, "problem", cause_notes="Old firmware", resolution_code="fix_applied")
    form = with_state(agent, opened(act(agent, number, "state")), "Resolved")
    assert (default(form, "cause_notes"), default(form, "resolution_code")) == ("Old firmware", None)
    new = {"short_description": "Copied", "cause_notes": "Of another problem"}
    number = world.administer("POST", "/api/now/table/problem", new).json()["result"]["number"]
    form = with_state(agent, opened(act(agent, number, "state")), "Resolved")
    assert default(form, "cause_notes") is None


@pytest.mark.parametrize(
    ("number", "states"),
    [
        ("CHG0030001", ["Assess", "Canceled", "New"]),
        ("CHG0030002", ["New", "Canceled", "Assess"]),
        ("CHG0030004", ["Canceled", "Implement"]),
    ],
)
def test_a_change_offers_only_its_next_states(
    world: World, agent: MattermostClient, number: str, states: list[str]
) -> None:
    """The states that ServiceNow says can follow manually, and the current one, chosen; approvals aren't offered."""
    form = state_form(agent, number)
    assert set(labels(form, "state")) == set(states)
    assert default(form, "state") == row(world, number)["state"]
    assert world.asked(path="/api/sn_chg_rest/v1/change")[0]["path"].endswith("/nextstates")


def test_a_change_leaves_new_with_its_group(world: World, agent: MattermostClient) -> None:
    """The group is required and preselected; the state changes."""
    form = with_state(agent, state_form(agent, "CHG0030001"), "Assess")
    assert names(form) == ["state", "assignment_group"]
    assert default(form, "assignment_group") == row(world, "CHG0030001")["assignment_group"]
    assert agent.submit(form, {})["type"] == "ok"
    assert row(world, "CHG0030001")["state"] == "-4"


def test_a_problems_own_fields_are_required(world: World, agent: MattermostClient) -> None:
    """Resolving requires code, cause and fix."""
    form = with_state(agent, state_form(agent, "PRB0040001"), "Resolved")
    assert names(form) == ["state", "assigned_to", "resolution_code", "cause_notes", "fix_notes"]


def test_a_problem_whose_state_servicenow_left_is_reported(world: World, agent: MattermostClient) -> None:
    """
    The Table API doesn't change a problem's state: the person is told and can choose again, and nothing else changed.
    """
    form = with_state(agent, state_form(agent, "PRB0040001"), "Root Cause Analysis")
    before = row(world, "PRB0040001")
    answer = agent.submit(form, {})
    assert answer["type"] == "error"
    told = "ServiceNow left the state at Assess. This transition isn't allowed. Use the form in ServiceNow."
    assert answer["text"].startswith(told)
    assert row(world, "PRB0040001") == before


def test_fields_saved_without_the_state_are_reported(world: World, agent: MattermostClient) -> None:
    """Resolving a problem saves only code and notes: the person and the thread are told, and the card is current."""
    here = {"channel": "service-desk"}
    shared = opened(agent.command("share", {"record": "PRB0040001"}, **here))
    assert agent.submit(shared, {}, **here)["type"] == "ok"
    card = world.mattermost.posts_in("service-desk")[-1]
    before = row(world, "PRB0040001")
    form = opened(agent.command("resolve", {"record": "PRB0040001"}, **here))
    done = {
        "resolution_code": choice(form, "resolution_code", "Fix Applied"),
        "cause_notes": "Old firmware",
        "fix_notes": "New firmware",
    }
    answer = agent.submit(form, done, **here)
    assert answer["type"] == "ok", answer
    assert "ServiceNow left the state at Assess. This transition isn't allowed." in answer["text"]
    assert answer["text"].endswith("The other fields were saved.")
    saved = row(world, "PRB0040001")
    assert (saved["state"], saved["resolution_code"], saved["fix_notes"]) == ("102", "fix_applied", "New firmware")
    replies = [post["message"] for post in world.mattermost.posts_in("service-desk") if post["root_id"] == card["id"]]
    assert replies == ["Amir Agent updated Resolution code, Cause notes, Fix notes"]
    pressed = agent.press_action(card["id"], "State")
    assert pressed.dialog is not None
    assert saved["sys_mod_count"] == str(int(before["sys_mod_count"]) + 1)


def test_a_concurrent_change_is_shown_before_it_is_overwritten(world: World, agent: MattermostClient) -> None:
    """The form says who changed it and the current value. Nothing is saved at first; submitted again, it is."""
    form = with_state(agent, state_form(agent), "In Progress")
    administer(world, "INC0010001", state="3", hold_reason="4")
    world.servicenow.clear_requests()
    shown = opened(agent.submit(form, {}))
    assert written(world) == []
    assert "**admin** changed INC0010001" in shown["header"]
    assert "State: **On Hold**" in shown["header"]
    assert default(shown, "state") == "2"
    assert agent.submit(shown, {})["type"] == "ok"
    assert row(world, "INC0010001")["state"] == "2"


def test_the_current_state_changes_nothing(world: World, agent: MattermostClient) -> None:
    """The answer says so, and nothing is written."""
    form = state_form(agent)
    world.servicenow.clear_requests()
    assert "already" in agent.submit(form, {})["text"]
    assert written(world) == []


@pytest.mark.parametrize("typed", ["In Progress", "in progress", "2"])
def test_a_typed_state_is_set_at_once(world: World, agent: MattermostClient, typed: str) -> None:
    """By name or value, with one read and one write."""
    answer = agent.command("state", {"record": "INC0010001", "state": typed})
    assert answer["type"] == "ok", answer
    assert [entry["method"] for entry in world.asked()] == ["GET", "PATCH"]
    assert row(world, "INC0010001")["state"] == "2"


def test_a_typed_state_that_requires_fields_opens_the_form(agent: MattermostClient) -> None:
    """The state is chosen, and its fields are shown."""
    form = opened(agent.command("state", {"record": "INC0010001", "state": "resolved"}))
    assert default(form, "state") == "6"
    assert names(form) == ["state", "close_code", "close_notes"]


def test_an_unknown_typed_state_lists_the_valid_ones(agent: MattermostClient) -> None:
    """The list is above the form."""
    form = opened(agent.command("state", {"record": "INC0010001", "state": "Sleeping"}))
    assert "Sleeping" in form["header"]
    assert "On Hold" in form["header"]


def test_resolving_by_command(world: World, agent: MattermostClient) -> None:
    """The form asks for code and notes; with both in the line it resolves at once; a change can't be resolved."""
    form = opened(agent.command("resolve", {"record": "INC0010001"}))
    assert names(form) == ["close_code", "close_notes"]
    done = {"close_code": choice(form, "close_code", "Duplicate"), "close_notes": "Done"}
    assert "New → Resolved" in agent.submit(form, done)["text"]
    typed = {"record": "INC0010002", "close_code": "duplicate", "close_notes": "Done"}
    assert agent.command("resolve", typed)["type"] == "ok"
    assert row(world, "INC0010002")["state"] == "6"
    assert "not resolved" in agent.command("resolve", {"record": "CHG0030001"})["text"]


@pytest.mark.parametrize(("action", "state"), [("close", "7"), ("reopen", "2")])
def test_the_caller_can_close_or_reopen_a_resolved_incident(world: World, action: str, state: str) -> None:
    """No role is needed: code and notes are already there, and a comment can be added."""
    administer(world, "INC0010003", **DONE)
    requester = world.connected("requester")
    assert {"Close", "Reopen"} <= set(labels(view(requester, "INC0010003"), "action"))
    form = opened(act(requester, "INC0010003", action))
    answer = requester.submit(form, {"comments": "Broken again"} if action == "reopen" else {})
    assert answer["type"] == "ok", answer
    saved = row(world, "INC0010003")
    assert saved["state"] == state
    if action == "reopen":
        assert world.servicenow.store.journal(saved["sys_id"], "comments")[0]["value"] == "Broken again"


def test_a_field_that_only_the_instance_requires_is_named_above_the_form(world: World, agent: MattermostClient) -> None:
    """The form didn't know of a data policy: the error names the label, and nothing is half done."""
    form = with_state(agent, state_form(agent, "PRB0040001"), "Closed")
    assert names(form) == ["state", "resolution_code", "close_notes"]
    code = field(form, "resolution_code")["options"][0]
    column = {"name": "problem", "element": "workaround", "column_label": "Workaround", "mandatory": "true"}
    world.administer("POST", "/api/now/table/sys_dictionary", column)
    answer = agent.submit(form, {"resolution_code": code})
    assert answer["type"] == "error"
    assert "ServiceNow demands more: Workaround" in answer["text"]
    assert row(world, "PRB0040001")["state"] == "102"


def test_an_invalid_transition_of_a_change_is_rejected_with_the_reason(world: World, agent: MattermostClient) -> None:
    """The change moved on while the form was open: the error names the rule, and nothing is half done."""
    form = with_state(agent, state_form(agent, "CHG0030001"), "Assess")
    administer(world, "CHG0030001", "change_request", state="4")
    shown = opened(agent.submit(form, {}))
    answer = agent.submit(shown, {})
    assert answer["type"] == "error"
    assert "Change Model: Check State Transition" in answer["text"]
    assert row(world, "CHG0030001")["state"] == "4"


def test_an_invented_state_is_rejected(world: World, agent: MattermostClient) -> None:
    """Only offered states can be chosen."""
    form = state_form(agent)
    world.servicenow.clear_requests()
    answer = agent.submit(form, {"state": {"label": "x", "value": "99"}})
    assert set(answer["data"]["errors"]) == {"state"}
    assert world.asked() == []


def test_articles_have_no_state(agent: MattermostClient) -> None:
    """The answer says so."""
    assert "no state" in agent.command("state", {"record": "KB0010001"})["text"]


def test_base_states_are_used_if_an_instance_returns_none(world: World) -> None:
    """Without metadata and choices, the base system's states are offered."""
    agent = world.connected("agent")
    world.servicenow.fault("meta_refused", "/api/now/ui/meta", times=100)
    assert labels(state_form(agent), "state") == INCIDENT_STATES
