"""A person who changes many subscriptions in ServiceNow doesn't delay other people's notices (design §5)."""

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
    """`agent2` is connected and can write rows; returns a channel of other people, where those rows post."""
    install_component(world, "agent", "agent2")
    person = world.connected("agent2")
    return {"user_id": person.id, "channel_id": world.person("admin").channel("operations")}


def flood(world: World, component: Component, where: Json, most: int = 500) -> list[Json]:
    """Reports that match *most* rows of `agent2`, all changed directly in ServiceNow."""
    made = [foreign_row(world, "agent2", **where) for _ in range(most)]
    claims = [
        matching(grant(world, sys_id=sys_id), **where, created_by="agent2", updated_by="agent2") for sys_id in made
    ]
    return [
        component.report(incident(world, 2), [], subscriptions=claims[start : start + 180])
        for start in range(0, most, 180)
    ]


def seconds_until(world: World, done: Callable[[], bool]) -> float:
    """Run what is due in the background; returns the seconds until *done*, at most ten."""
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
    Every answer of ServiceNow takes half a second. Another owner's notice arrives as fast as without the rows, and
    before they are finished. The rows cost one request per hundred, one turn at a time.
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


def test_an_owners_turn_is_limited(world: World, component: Component, agent2: Json) -> None:
    """ServiceNow didn't answer while three reports of 180 rows arrived: afterwards each takes a turn of its own."""
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


def test_a_row_that_is_saved_repeatedly_is_rejected_from_cache(
    world: World, component: Component, agent2: Json
) -> None:
    """Each save changes only the time, which doesn't make another row: it is checked every five minutes."""
    [report] = flood(world, component, agent2, most=1)
    for number in range(5):
        report |= {"event_id": f"e{number}"}
        report["subscriptions"][0]["updated_on"] = f"2026-11-24 12:00:0{number}"
        assert component.send(report).status_code == 202
        pass_time(world, 30)
    assert len(world.asked(method="GET", path=READ)) == 1


def test_many_hints_delay_no_notice(world: World, component: Component, agent2: Json) -> None:
    """Someone with the secret of update set v2.1 sends hundreds in another person's name: they are read together."""
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


def test_hints_above_a_limit_are_rejected(world: World, component: Component, agent2: Json) -> None:
    """At most 500 wait for one person, because each makes the outbox slower. Other people's are still accepted."""
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


def test_an_owners_rows_are_checked_separately_and_posted_once(
    world: World, component: Component, agent2: Json
) -> None:
    """A granted subscription and an unverified one match the same change: one post, whichever comes first."""
    agent = world.person("agent")
    [one] = stored(world, grant(world))
    where = {"channel_id": one.channel_id, "user_id": agent.id}
    mine = foreign_row(world, "agent", **where)
    claim = matching(grant(world, sys_id=mine))
    component.changed(incident(world), [], subscriptions=[matching(one), claim])
    pass_time(world, 30)
    assert len(notices(world)) == 1
    assert kept(world, mine).owner_id == agent.id
    # And if ServiceNow doesn't answer about the second until the first is posted.
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


def test_an_adopted_row_posts_only_its_own_events(world: World, component: Component, agent2: Json) -> None:
    """It is granted when it first matches. An event that it doesn't name isn't posted."""
    agent = world.person("agent")
    where = {"channel_id": agent.channel("service-desk"), "user_id": agent.id}
    sys_id = foreign_row(world, "agent", **where, subscription_events="priority")
    component.changed(incident(world), [], subscriptions=[matching(grant(world, sys_id=sys_id))])
    pass_time(world, 30)
    assert kept(world, sys_id).events == "priority"
    assert notices(world) == []
    assert world.running.service.services.deliveries.health().waiting == 0


def test_an_unverified_row_is_dropped_after_a_day(world: World, component: Component, agent2: Json) -> None:
    """ServiceNow never answers: after twenty tries and a day the rows are dropped and counted."""
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


def test_unverified_rows_survive_a_restart(world: World, component: Component, agent2: Json) -> None:
    """They are stored: the next process verifies and posts."""
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
