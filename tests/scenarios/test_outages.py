"""ServiceNow fails in every way, during connect and create: correct messages, nothing lost, nothing duplicated."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from stamina.instrumentation import set_on_retry_hooks

from handlers.idempotency import HOLD_SECONDS
from sandbox.client import MattermostClient
from tests.world import World

Json = dict[str, Any]
INCIDENTS = "/api/now/v2/table/incident"


@pytest.fixture
def agent(world: World) -> MattermostClient:
    """A connected agent with cached choices; the record of requests is empty."""
    agent = world.connected("agent")
    form_of(agent)
    world.servicenow.clear_requests()
    return agent


def form_of(person: MattermostClient) -> Json:
    """An open incident form."""
    menu = person.press("/channel_header", "ServiceNow")["form"]
    form: Json = person.submit(menu, {"action": "incident"})["form"]
    return form


def created(world: World) -> list[str]:
    """Titles of incidents beyond the seed's."""
    return [row["short_description"] for row in world.servicenow.rows("incident")[3:]]


def insert_count(world: World) -> int:
    """Inserts sent to ServiceNow."""
    return len(world.asked(method="POST", path=INCIDENTS))


# Nothing was saved, and the person is told: the fault's message, and how many inserts were sent.
NOT_SAVED = {
    "hibernating": ("asleep", 1),
    "429": ("busy", 1),
    "429_bare": ("busy", 1),
    "500": ("returned an error", 1),
    "html_login": ("web page instead of data", 1),
    "414": ("too long", 1),
}


@pytest.mark.parametrize("kind", NOT_SAVED)
def test_a_rejected_insert_says_why_and_the_form_can_be_sent_again(
    world: World, agent: MattermostClient, kind: str
) -> None:
    """One insert is sent; the form remains open; submitting again creates the one record."""
    words, inserts = NOT_SAVED[kind]
    form = form_of(agent)
    world.servicenow.clear_requests()
    world.servicenow.fault(kind, INCIDENTS)
    answer = agent.submit(form, {"short_description": "Again"})
    assert answer["type"] == "error"
    assert words in answer["text"]
    assert "127.0.0.1" not in answer["text"]
    assert insert_count(world) == inserts
    assert created(world) == []
    assert agent.submit(form, {"short_description": "Again"})["type"] == "ok"
    assert created(world) == ["Again"]


@pytest.mark.parametrize("kind", ["500_after_commit", "403_after_insert", "truncated"])
def test_a_saved_insert_that_looks_rejected_is_found(world: World, agent: MattermostClient, kind: str) -> None:
    """The answer was lost but the record exists: it is looked up, confirmed and shown, and never inserted twice."""
    form = form_of(agent)
    world.servicenow.fault(kind, INCIDENTS)
    answer = agent.submit(form, {"short_description": "Found"})
    assert answer["type"] == "ok", answer
    assert "Created INC" in answer["text"].replace("[", "")
    assert insert_count(world) == 1
    assert created(world) == ["Found"]
    assert len(world.mattermost.posts_in("town-square")) == 1


def test_a_dropped_insert_might_have_been_saved(world: World, agent: MattermostClient) -> None:
    """A 202 says nothing: it is looked up, not found, and reported; the same form only looks until the hold is over."""
    form = form_of(agent)
    world.servicenow.fault("202", INCIDENTS)
    answer = agent.submit(form, {"short_description": "Maybe"})
    assert "may have been saved" in answer["text"]
    assert insert_count(world) == 1
    world.servicenow.clear_requests()
    assert "only checks whether it was saved" in agent.submit(form, {"short_description": "Maybe"})["text"]
    assert insert_count(world) == 0
    world.advance(HOLD_SECONDS + 1)
    world.servicenow.clear_requests()
    assert agent.submit(form, {"short_description": "Maybe"})["type"] == "ok"
    methods = [entry["method"] for entry in world.asked(path=INCIDENTS)]
    assert methods == ["GET", "GET", "POST", "GET"]  # by ID, by text; inserted; looked for a late first one
    assert created(world) == ["Maybe"]


def test_an_unanswered_saved_insert_isnt_sent_again(world: World, agent: MattermostClient) -> None:
    """
    The insert is committed without an answer, and the lookup fails too: unconfirmed; later the same form finds it.
    """
    form = form_of(agent)
    world.servicenow.fault("500_after_commit", INCIDENTS)
    world.servicenow.fault("hibernating", INCIDENTS, times=5, method="GET")
    answer = agent.submit(form, {"short_description": "Unsure"})
    assert "may have been saved" in answer["text"]
    assert f"{world.servicenow.url}/nav_to.do?uri=incident_list.do" in answer["text"]
    world.servicenow.clear_faults()
    assert agent.submit(form, {"short_description": "Unsure"})["type"] == "ok"
    assert created(world) == ["Unsure"]
    assert insert_count(world) == 1


def test_an_unreadable_correlation_id_doesnt_insert_twice(world: World, agent: MattermostClient) -> None:
    """If the column can't be read back, opener, text and time identify the record."""
    form = form_of(agent)
    world.servicenow.fault("500_after_commit", INCIDENTS)
    world.servicenow.fault("strip_field", INCIDENTS, times=20, method="GET")
    assert agent.submit(form, {"short_description": "By words"})["type"] == "ok"
    assert created(world) == ["By words"]
    assert insert_count(world) == 1


def test_an_expired_token_is_refreshed_once_and_the_insert_made_once(world: World, agent: MattermostClient) -> None:
    """401 comes before anything is done: one refresh, and the one record."""
    world.servicenow.oauth.expire_access()
    assert agent.submit(form_of(agent), {"short_description": "Renewed"})["type"] == "ok"
    assert created(world) == ["Renewed"]
    assert len(world.asked(path="/oauth_token.do")) == 1


CONNECT = {
    "hibernating": "asleep",
    "500": "returned an error",
    "429": "busy",
    "html_login": "web page",
}


@pytest.mark.parametrize("kind", ["hibernating", "500", "429", "html_login", "refresh_refused"])
def test_connecting_to_a_failing_instance_says_why(world: World, kind: str) -> None:
    """The page says what happened and what to do; nothing is stored; the next try works."""
    newcomer = world.person("newcomer")
    if kind == "refresh_refused":
        sys_id = world.registry_row()["sys_id"]
        world.administer("PATCH", f"/api/now/table/oauth_entity/{sys_id}", {"client_secret": "another"})
    else:
        world.servicenow.fault(kind, "/oauth_token.do")
    page = newcomer.connect()
    assert page.status_code == 500
    assert {**CONNECT, "refresh_refused": "refused the sign-in"}[kind] in page.text
    assert list(newcomer.entries("/channel_header")) == ["Connect to ServiceNow"]
    if kind != "refresh_refused":
        world.connected("newcomer")


def test_an_unreadable_identity_doesnt_stop_a_connection(world: World) -> None:
    """Without access to sys_user, the account is linked and shown without a name."""
    world.servicenow.fault("empty_acl", "/api/now/v2/table/sys_user")
    newcomer = world.connected("newcomer")
    assert "does not name" in newcomer.command("me")["text"]


@pytest.mark.parametrize("kind", ["hibernating", "500", "429", "meta_refused"])
def test_a_form_opens_without_servicenows_choices(world: World, kind: str) -> None:
    """If the choices can't be read, a form offers the base system's values."""
    agent = world.connected("agent")
    for _ in range(4):
        world.servicenow.fault(kind, "/api/now/ui/meta")
    fields = {field["name"]: field for field in form_of(agent)["fields"]}
    assert [option["value"] for option in fields["urgency"]["options"]] == ["1", "2", "3"]


@pytest.mark.waits
def test_menus_work_while_servicenow_leaves_fifty_calls_unanswered_and_all_recovers(world: World) -> None:
    """Menus are answered in the meantime; once ServiceNow is back, the service recovers by itself."""
    people = [world.connected(name) for name in ("agent", "agent2", "requester", "approver", "admin")]
    agent = people[0]
    form = form_of(agent)
    forms = {person.id: form_of(person) for person in people}
    world.servicenow.fault("slow", "/api/now", times=500, seconds=60)
    with ThreadPoolExecutor(50) as pool:
        waiting = [
            pool.submit(person.look_up, forms[person.id], field, f"word{n}")
            for n in range(4)
            for field in ("caller_id", "assignment_group", "cmdb_ci")
            for person in people
        ][:50]
        for _ in range(20):
            assert list(agent.entries("/channel_header")) == ["ServiceNow"]
        assert not all(one.done() for one in waiting)
        answers = [one.result(60) for one in waiting]
    assert not any(answer["type"] == "ok" and answer["data"].get("items") for answer in answers)
    assert (
        "stopped answering" in agent.look_up(form, "caller_id", "one more")["text"]
    )  # nothing is sent while the circuit breaker is open
    world.servicenow.clear_faults()
    answer: Json = {}
    for _ in range(200):  # the circuit breaker closes by itself after about 15 seconds
        answer = agent.submit(form, {"short_description": "Recovered"})
        if answer["type"] == "ok":
            break
        threading.Event().wait(0.2)
    assert answer["type"] == "ok", answer
    assert created(world) == ["Recovered"]


def test_a_persons_full_share_is_reported_at_once(world: World, agent: MattermostClient) -> None:
    """Three calls of a person wait for ServiceNow: the fourth is rejected after a second and isn't sent."""
    retries: list[str] = []
    set_on_retry_hooks([lambda details: retries.append(type(details.caused_by).__name__)])
    path = "/api/now/v2/table/incident"
    world.servicenow.fault("slow", path, times=3, seconds=30)
    try:
        with ThreadPoolExecutor(3) as pool:
            waiting = [pool.submit(agent.command, "view", {"record": "INC0010001"}) for _ in range(3)]
            while world.servicenow.armed():
                threading.Event().wait(0.01)
            answer = agent.command("view", {"record": "INC0010001"})
            world.servicenow.clear_faults()
            assert {one.result(30)["type"] for one in waiting} == {"form"}
    finally:
        set_on_retry_hooks(None)
    assert answer["type"] == "error"
    assert "ServiceNow is busy" in answer["text"]
    assert retries == []
    assert len(world.asked(path=path)) == 3


def test_a_failing_mattermost_costs_the_card_not_the_incident(world: World, agent: MattermostClient) -> None:
    """Posting fails: the incident is confirmed, and the answer says that its card is missing."""
    form = form_of(agent)
    world.mattermost.fault("500", "/api/v4/posts")
    answer = agent.submit(form, {"short_description": "No card"})
    assert answer["type"] == "ok"
    assert "not posted" in answer["text"]
    assert created(world) == ["No card"]
