"""Whoever changes many subscriptions in ServiceNow keeps nobody else's notices waiting (design §5)."""

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from core.outbox import Queued
from core.subscriptions import TABLE
from notifications.adoption_worker import ROWS
from storage.embedded import open_storage
from storage.sealing import derive_keys
from tests.reports import Component, grant, incident, kept, matching, notices, pass_time, stored, told
from tests.scenarios.notifications.test_notices_legacy import hint, send, switch
from tests.scenarios.subscriptions.subscribing import foreign_row, install_component
from tests.world import World

Json = dict[str, Any]
READ = f"/api/now/v2/table/{TABLE}"


@pytest.fixture
def agent2(world: World, component: Component) -> Json:
    """`agent2` is connected and may write rows; where those of `agent2` post: a channel of others."""
    install_component(world, "agent", "agent2")
    person = world.connected("agent2")
    return {"user_id": person.id, "channel_id": world.person("admin").channel("operations")}


def flood(world: World, component: Component, where: Json, most: int = 500) -> list[Json]:
    """Reports in which *most* rows of `agent2` match, all changed past us."""
    made = [foreign_row(world, "agent2", **where) for _ in range(most)]
    claims = [
        matching(grant(world, sys_id=sys_id), **where, created_by="agent2", updated_by="agent2") for sys_id in made
    ]
    return [
        component.report(incident(world, 2), [], subscriptions=claims[start : start + 180])
        for start in range(0, most, 180)
    ]


def seconds_until(world: World, done: Callable[[], bool]) -> float:
    """Let what is due be done in the background; how long it takes until *done*, at most ten seconds."""
    settling = threading.Thread(target=world.settle)
    began = time.monotonic()
    settling.start()
    while not done() and time.monotonic() - began < 10:
        threading.Event().wait(0.02)
    took = time.monotonic() - began
    settling.join()
    return took


def test_five_hundred_changed_rows_of_one_person_delay_no_notice(
    world: World, component: Component, agent2: Json
) -> None:
    """
    ServiceNow takes half a second for every answer. Another owner's notice comes as soon as without them, and before
    the rows are done; they cost one request for a hundred, a turn at a time.
    """
    [one] = stored(world, grant(world))
    world.servicenow.fault("slow", "/api/now/v2/table/", times=100_000, seconds=0.5)
    component.changed(incident(world), [one])
    alone = seconds_until(world, lambda: len(notices(world)) == 1)
    reports = flood(world, component, agent2)
    assert {component.send(report).status_code for report in reports} == {202}
    world.servicenow.clear_requests()
    component.changed(incident(world, 1), [one])
    took = seconds_until(world, lambda: len(notices(world)) == 2)
    assert took < alone + 1
    asked = [entry["path"] for entry in world.asked(method="GET")]
    assert asked.count(READ) <= 2
    assert "/api/now/v2/table/incident" in asked
    world.servicenow.clear_faults()
    for _ in range(4):
        pass_time(world, 20)
    assert len(world.asked(method="GET", path=READ)) == 6  # 180 rows in two requests, three times
    assert world.running.service.services.deliveries.health().waiting == 0
    assert "500 in ServiceNow that nobody who may" in world.person("admin").command("status")["text"]
    assert len(told(world, "admin")) == 1


def test_an_owners_turn_is_limited_whatever_waits(world: World, component: Component, agent2: Json) -> None:
    """ServiceNow was silent while three reports of 180 rows came: each is a turn of its own afterwards."""
    world.servicenow.fault("hibernating", READ, times=100_000)
    for report in flood(world, component, agent2):
        assert component.send(report).status_code == 202
    world.settle()
    world.servicenow.clear_faults()
    world.servicenow.clear_requests()
    for turn in (1, 2, 3):
        pass_time(world, 20)
        assert len(world.asked(method="GET", path=READ)) == 2 * turn
    assert world.running.service.services.deliveries.health().waiting == 0


def test_a_row_that_is_saved_again_and_again_is_refused_from_memory(
    world: World, component: Component, agent2: Json
) -> None:
    """Each save has another time, and that alone makes it no other row: it is asked for every five minutes."""
    [report] = flood(world, component, agent2, most=1)
    for number in range(5):
        report |= {"event_id": f"e{number}"}
        report["subscriptions"][0]["updated_on"] = f"2026-11-24 12:00:0{number}"
        assert component.send(report).status_code == 202
        pass_time(world, 30)
    assert len(world.asked(method="GET", path=READ)) == 1


def test_many_hints_keep_no_notice_waiting(world: World, component: Component, agent2: Json) -> None:
    """Whoever knows the secret of update set v2.1 sends hundreds in another's name: they are read together."""
    [one] = stored(world, grant(world))
    switch(world).switch_on()
    for number in range(ROWS + 5):
        made_up = {"sys_id": f"{number:032x}", "mm_user_id": agent2["user_id"], "mm_channel_id": one.channel_id}
        assert send(world, hint(world, one, incident(world), **made_up)) == 202
    component.changed(incident(world), [one])
    world.servicenow.clear_requests()
    pass_time(world, 2)
    assert len(notices(world)) == 1
    assert len(world.asked(method="GET", path=READ)) <= ROWS // 10
    pass_time(world, 30)
    assert world.running.service.services.deliveries.health().waiting == 0


def test_hints_beyond_a_limit_are_refused(world: World, component: Component, agent2: Json) -> None:
    """While 500 wait for one person: each would make the outbox slower. Other people's are still taken."""
    [one] = stored(world, grant(world))
    switch(world).switch_on()
    world.servicenow.fault("hibernating", READ, times=100_000)
    record = incident(world)
    wait = {"sys_id": "0" * 32, "mm_user_id": agent2["user_id"], "mm_channel_id": one.channel_id}
    rows = [
        Queued(
            key=f"{number:032x}/{one.channel_id}/{agent2['user_id']}",
            event_id="many",
            channel_id=one.channel_id,
            table="incident",
            record_id=record["sys_id"],
            stored_at=world.now(),
            held_for=agent2["user_id"],
        )
        for number in range(499)
    ]
    world.running.stop()
    stores = open_storage(world.config.storage_url, partial(derive_keys, world.config.app_secrets), clock=world.now)
    stores.outbox.add("many", [(row, {"hint": hint(world, one, record, **wait)}) for row in rows])
    stores.close()
    world.start()
    assert send(world, hint(world, one, record, **wait)) == 202
    assert send(world, hint(world, one, record, **wait)) == 403
    assert send(world, hint(world, one, record)) == 202
    assert world.running.service.services.deliveries.health().refused == {"too_many": 1}


def test_an_owner_is_asked_apart_and_the_event_is_told_once(world: World, component: Component, agent2: Json) -> None:
    """A granted subscription and a claimed one match the same change: one post, whichever is first."""
    agent = world.person("agent")
    [one] = stored(world, grant(world))
    where = {"channel_id": one.channel_id, "user_id": agent.id}
    mine = foreign_row(world, "agent", **where)
    claim = matching(grant(world, sys_id=mine))
    component.changed(incident(world), [], subscriptions=[matching(one), claim])
    pass_time(world, 30)
    assert len(notices(world)) == 1
    assert kept(world, mine).owner_id == agent.id
    # And where ServiceNow is silent about the second until the first is posted.
    other = foreign_row(world, "agent", **where)
    world.servicenow.fault("hibernating", READ, times=100)
    claim = matching(grant(world, sys_id=other))
    component.changed(incident(world, 1), [], subscriptions=[matching(one), claim])
    pass_time(world, 30)
    assert len(notices(world)) == 2
    assert world.running.service.services.deliveries.health().waiting == 1
    assert world.running.service.services.deliveries.health().trouble
    world.servicenow.clear_faults()
    pass_time(world, 60)
    assert world.running.service.services.deliveries.health().trouble == ""
    assert kept(world, other).owner_id == agent.id
    assert len(notices(world)) == 2
    assert world.running.service.services.deliveries.health().waiting == 0


def test_a_row_that_is_granted_posts_its_own_events_alone(world: World, component: Component, agent2: Json) -> None:
    """It is granted when it matches first; of an event that it doesn't name, nothing is posted."""
    agent = world.person("agent")
    where = {"channel_id": agent.channel("service-desk"), "user_id": agent.id}
    sys_id = foreign_row(world, "agent", **where, subscription_events="priority")
    component.changed(incident(world), [], subscriptions=[matching(grant(world, sys_id=sys_id))])
    pass_time(world, 30)
    assert kept(world, sys_id).events == "priority"
    assert notices(world) == []
    assert world.running.service.services.deliveries.health().waiting == 0


def test_a_claim_is_given_up_after_a_day(world: World, component: Component, agent2: Json) -> None:
    """ServiceNow never answers: twenty tries and a day later the rows are dropped, and counted."""
    agent = world.person("agent")
    sys_id = foreign_row(world, "agent", channel_id=agent.channel("service-desk"), user_id=agent.id)
    world.servicenow.fault("hibernating", READ, times=100_000)
    component.changed(incident(world), [], subscriptions=[matching(grant(world, sys_id=sys_id))])
    health = world.running.service.services.deliveries.health
    for _ in range(30):
        pass_time(world, 900)
    assert health().waiting == 1
    world.advance(86_400)
    pass_time(world, 900)
    assert (health().waiting, health().given_up) == (0, 1)
    world.servicenow.clear_faults()
    component.changed(incident(world), [], subscriptions=[matching(grant(world, sys_id=sys_id))])
    pass_time(world, 30)
    assert len(notices(world)) == 1


def test_claims_survive_a_restart(world: World, component: Component, agent2: Json) -> None:
    """They wait on disk: the next process asks, and posts."""
    agent = world.person("agent")
    sys_id = foreign_row(world, "agent", channel_id=agent.channel("service-desk"), user_id=agent.id)
    world.servicenow.fault("hibernating", READ, times=100_000)
    component.changed(incident(world), [], subscriptions=[matching(grant(world, sys_id=sys_id))])
    pass_time(world, 2)
    world.running.stop()
    world.servicenow.clear_faults()
    world.start()
    pass_time(world, 30)
    assert len(notices(world)) == 1
