"""States: what can follow, what each demands, and nothing overwritten unseen."""

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
    """A connected agent whose choices are warm."""
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
    """Somebody changes the record in ServiceNow."""
    world.administer("PATCH", f"/api/now/table/{table}/{row(world, number)['sys_id']}", columns)


def test_states_are_in_order_with_the_current_one_chosen(agent: MattermostClient) -> None:
    """All active ones, as ServiceNow lists them."""
    form = state_form(agent)
    assert labels(form, "state") == INCIDENT_STATES
    assert default(form, "state") == "1"


def test_states_are_in_the_person_s_language(world: World, agent: MattermostClient) -> None:
    """A German account reads German; the value is the same."""
    form = state_form(world.connected("agent2"))
    assert labels(form, "state")[:3] == ["Neu", "In Bearbeitung", "Zurückgestellt"]
    assert default(form, "state") == "1"


def test_an_inactive_state_is_not_offered(world: World) -> None:
    """What an administrator switched off stays away."""
    for one in world.servicenow.rows("sys_choice"):
        if (one["name"], one["element"], one["value"]) == ("incident", "state", "8"):
            world.administer("PATCH", f"/api/now/table/sys_choice/{one['sys_id']}", {"inactive": "true"})
    assert "Canceled" not in labels(state_form(world.connected("agent")), "state")


def test_opening_costs_one_request_and_saving_two(world: World, agent: MattermostClient) -> None:
    """A refresh asks nothing; the first request of a save looks for a concurrent change."""
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
def test_a_resolution_needs_code_and_notes(world: World, agent: MattermostClient, label: str) -> None:
    """The fields appear when the state is chosen; without them nothing is asked of ServiceNow."""
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


def test_on_hold_needs_its_reason_and_a_word_to_the_caller(world: World, agent: MattermostClient) -> None:
    """Awaiting the caller, the caller is told what for; other reasons need no comment."""
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


def test_what_is_entered_stays_when_the_state_changes_and_comes_back(agent: MattermostClient) -> None:
    """Fields of the chosen state are shown with what they hold."""
    form = with_state(agent, state_form(agent), "Resolved", close_notes="Half a sentence")
    assert default(form, "close_notes") == "Half a sentence"
    assert default(form, "state") == "6"


def test_what_an_earlier_state_left_behind_is_not_filled_in(world: World, agent: MattermostClient) -> None:
    """An old reason and resolution aren't filled in again: a state's fields are those of a record that is in it."""
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


def test_a_problem_s_cause_and_fix_are_filled_in_while_it_is_worked_on(world: World, agent: MattermostClient) -> None:
    """Cause and fix are written down on the way, a resolution at the end; on a new problem both are old."""
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
def test_a_change_offers_only_what_may_follow(
    world: World, agent: MattermostClient, number: str, states: list[str]
) -> None:
    """What ServiceNow says can follow by hand, and the current state, chosen; approvals are not offered."""
    form = state_form(agent, number)
    assert set(labels(form, "state")) == set(states)
    assert default(form, "state") == row(world, number)["state"]
    assert world.asked(path="/api/sn_chg_rest/v1/change")[0]["path"].endswith("/nextstates")


def test_a_change_leaves_new_with_its_group(world: World, agent: MattermostClient) -> None:
    """The group is mandatory and preselected; the state changes."""
    form = with_state(agent, state_form(agent, "CHG0030001"), "Assess")
    assert names(form) == ["state", "assignment_group"]
    assert default(form, "assignment_group") == row(world, "CHG0030001")["assignment_group"]
    assert agent.submit(form, {})["type"] == "ok"
    assert row(world, "CHG0030001")["state"] == "-4"


def test_a_problem_s_own_fields_are_mandatory(world: World, agent: MattermostClient) -> None:
    """Resolving asks for code, cause and fix."""
    form = with_state(agent, state_form(agent, "PRB0040001"), "Resolved")
    assert names(form) == ["state", "assigned_to", "resolution_code", "cause_notes", "fix_notes"]


def test_a_problem_s_state_that_servicenow_leaves_is_told(world: World, agent: MattermostClient) -> None:
    """The Table API moves no problem: the person reads it, may choose again, and nothing else changed."""
    form = with_state(agent, state_form(agent, "PRB0040001"), "Root Cause Analysis")
    before = row(world, "PRB0040001")
    answer = agent.submit(form, {})
    assert answer["type"] == "error"
    told = "ServiceNow left the state at Assess. This transition isn't allowed. Use the form in ServiceNow."
    assert answer["text"].startswith(told)
    assert row(world, "PRB0040001") == before


def test_fields_that_were_saved_without_the_state_are_told(world: World, agent: MattermostClient) -> None:
    """Resolving a problem saves code and notes alone: the person and the thread read it, and the card is current."""
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
    """Who changed what it is now; nothing is saved at first, and sent again it is."""
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


def test_a_state_it_has_already_changes_nothing(world: World, agent: MattermostClient) -> None:
    """Said so; no write."""
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


def test_a_typed_state_that_needs_more_opens_the_form(agent: MattermostClient) -> None:
    """The state is chosen, its fields are there."""
    form = opened(agent.command("state", {"record": "INC0010001", "state": "resolved"}))
    assert default(form, "state") == "6"
    assert names(form) == ["state", "close_code", "close_notes"]


def test_a_typed_state_that_is_none_names_those_that_are(agent: MattermostClient) -> None:
    """Above the form."""
    form = opened(agent.command("state", {"record": "INC0010001", "state": "Sleeping"}))
    assert "Sleeping" in form["header"]
    assert "On Hold" in form["header"]


def test_resolving_by_command(world: World, agent: MattermostClient) -> None:
    """The form asks for code and notes; typed in full it is done at once; a change is not resolved."""
    form = opened(agent.command("resolve", {"record": "INC0010001"}))
    assert names(form) == ["close_code", "close_notes"]
    done = {"close_code": choice(form, "close_code", "Duplicate"), "close_notes": "Done"}
    assert "New → Resolved" in agent.submit(form, done)["text"]
    typed = {"record": "INC0010002", "close_code": "duplicate", "close_notes": "Done"}
    assert agent.command("resolve", typed)["type"] == "ok"
    assert row(world, "INC0010002")["state"] == "6"
    assert "not resolved" in agent.command("resolve", {"record": "CHG0030001"})["text"]


@pytest.mark.parametrize(("action", "state"), [("close", "7"), ("reopen", "2")])
def test_the_caller_of_a_resolved_incident_closes_or_reopens_it(world: World, action: str, state: str) -> None:
    """Without any role: code and notes are there already, a word can be added."""
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


def test_what_an_instance_demands_beyond_the_form_is_named_above_it(world: World, agent: MattermostClient) -> None:
    """A data policy that the form did not know: the label is told, nothing is half done."""
    form = with_state(agent, state_form(agent, "PRB0040001"), "Closed")
    assert names(form) == ["state", "resolution_code", "close_notes"]
    code = field(form, "resolution_code")["options"][0]
    column = {"name": "problem", "element": "workaround", "column_label": "Workaround", "mandatory": "true"}
    world.administer("POST", "/api/now/table/sys_dictionary", column)
    answer = agent.submit(form, {"resolution_code": code})
    assert answer["type"] == "error"
    assert "ServiceNow demands more: Workaround" in answer["text"]
    assert row(world, "PRB0040001")["state"] == "102"


def test_an_illegal_step_of_a_change_is_refused_in_words(world: World, agent: MattermostClient) -> None:
    """The change moved on while the form was open: the rule's name is told, nothing is half done."""
    form = with_state(agent, state_form(agent, "CHG0030001"), "Assess")
    administer(world, "CHG0030001", "change_request", state="4")
    shown = opened(agent.submit(form, {}))
    answer = agent.submit(shown, {})
    assert answer["type"] == "error"
    assert "Change Model: Check State Transition" in answer["text"]
    assert row(world, "CHG0030001")["state"] == "4"


def test_a_made_up_state_is_refused(world: World, agent: MattermostClient) -> None:
    """Only what was offered can be chosen."""
    form = state_form(agent)
    world.servicenow.clear_requests()
    answer = agent.submit(form, {"state": {"label": "x", "value": "99"}})
    assert set(answer["data"]["errors"]) == {"state"}
    assert world.asked() == []


def test_articles_have_no_state(agent: MattermostClient) -> None:
    """Said in words."""
    assert "no state" in agent.command("state", {"record": "KB0010001"})["text"]


def test_base_states_stand_in_where_an_instance_tells_nothing(world: World) -> None:
    """Without metadata and choices the base system's states are offered."""
    agent = world.connected("agent")
    world.servicenow.fault("meta_refused", "/api/now/ui/meta", times=100)
    assert labels(state_form(agent), "state") == INCIDENT_STATES
