"""Mattermost and ServiceNow fail in various ways: nothing is lost, nothing is posted twice, and people learn why."""

from functools import partial
from typing import Any

import pytest

from core.outbox import Queued
from sandbox.client import MattermostClient
from storage.embedded import open_storage
from storage.sealing import derive_keys
from tests.reports import Component, grant, incident, kept, notices, pass_time, posted_just_now, stored, told
from tests.world import World

Json = dict[str, Any]
POSTS = "/api/v4/posts"


def health(world: World) -> Any:
    """The health of notices."""
    return world.running.service.services.deliveries.health()


def run_steps(world: World, seconds: float, step: float = 1.0) -> None:
    """Let time pass in steps and run what is due at each."""
    while seconds > 0:
        pass_time(world, min(step, seconds))
        seconds -= step


def test_mattermost_down_for_ten_minutes(world: World, component: Component) -> None:
    """Waiting notices are posted afterwards, once and in order; the status shows why they wait."""
    [one] = stored(world, grant(world))
    world.mattermost.fault("down", "/api/v4/", times=100_000)
    for number in range(3):
        component.changed(incident(world, number), [one])
    run_steps(world, 600, step=20)
    assert notices(world) == []
    assert health(world).waiting == 3
    assert "502" in health(world).trouble
    world.mattermost.clear_faults()
    answer = world.person("admin").command("status")["text"]
    assert "Waiting to be posted: 3, the oldest since" in answer
    assert "for the last try failed" in answer
    assert "502" in answer
    run_steps(world, 900, step=60)
    assert len(notices(world)) == 3
    assert health(world).waiting == 0
    assert health(world).delivered == 3


@pytest.mark.parametrize("kind", ["429", "500", "down"])
def test_a_failed_post_is_retried(world: World, component: Component, kind: str) -> None:
    """It is retried after a second and posted once."""
    [one] = stored(world, grant(world))
    world.mattermost.fault(kind, POSTS, method="POST")
    component.changed(incident(world), [one])
    pass_time(world, 2)
    assert notices(world) == []
    pass_time(world, 1)
    assert len(notices(world)) == 1
    run_steps(world, 100, step=10)
    assert len(notices(world)) == 1


def test_retry_after_is_kept(world: World, component: Component) -> None:
    """After a 429 with `Retry-After` nothing is posted earlier."""
    [one] = stored(world, grant(world))
    world.mattermost.fault("429", POSTS, seconds=40, method="POST")
    component.changed(incident(world), [one])
    pass_time(world, 2)
    run_steps(world, 39, step=3)
    assert notices(world) == []
    pass_time(world, 2)
    assert len(notices(world)) == 1


@pytest.mark.parametrize("pause", [1.0, 40.0, 3600.0])
def test_a_post_whose_answer_was_lost_is_found(world: World, component: Component, pause: float) -> None:
    """The post was made but answered with 500. The retry finds it, even if Mattermost has forgotten the pending ID."""
    [one] = stored(world, grant(world))
    world.mattermost.fault("500_after_commit", POSTS, method="POST")
    component.changed(incident(world), [one])
    pass_time(world, 2)
    assert len(notices(world)) == 1
    assert health(world).waiting == 1
    pass_time(world, pause)
    assert health(world).waiting == 0
    component.changed(incident(world), [one])
    pass_time(world, 30)
    first, second = notices(world)
    assert second["root_id"] == first["id"]


def test_a_post_deleted_before_it_was_found_doesnt_come_back(world: World, component: Component) -> None:
    """Someone deleted it between the lost answer and the retry."""
    [one] = stored(world, grant(world))
    world.mattermost.fault("500_after_commit", POSTS, method="POST")
    component.changed(incident(world), [one])
    pass_time(world, 2)
    [post] = notices(world)
    world.person("admin").browser.delete(f"{world.mattermost.url}{POSTS}/{post['id']}")
    pass_time(world, 60)
    assert [one["id"] for one in notices(world)] == [post["id"]]


def test_a_lost_post_is_found_among_thousands(world: World, component: Component) -> None:
    """Mattermost lists a thousand posts since a time; the rest are paged through."""
    [one] = stored(world, grant(world))
    world.mattermost.fault("500_after_commit", POSTS, method="POST")
    component.changed(incident(world), [one])
    pass_time(world, 2)
    [post] = notices(world)
    state = world.mattermost.state
    for number in range(1300):
        later = post["create_at"] + 1 + number
        copy = {**post, "id": f"{number:026}", "create_at": later, "update_at": later, "props": {}, "user_id": "x"}
        state.posts[copy["id"]] = copy
    pass_time(world, 60)
    assert len(notices(world)) == 1
    assert health(world).waiting == 0


@pytest.mark.waits
def test_a_slow_mattermost_gets_each_notice_once(world: World, component: Component) -> None:
    """It answers after twelve seconds, after our timeout: the post is found, not repeated."""
    [one] = stored(world, grant(world))
    world.mattermost.fault("slow", POSTS, seconds=12, method="POST")
    component.changed(incident(world), [one])
    pass_time(world, 2)
    run_steps(world, 60, step=5)
    assert health(world).waiting == 0
    assert len(notices(world)) == 1


@pytest.mark.waits
def test_a_notice_is_dropped_after_a_day(world: World, component: Component) -> None:
    """
    After 24 hours and twenty failures, however the clock jumps, it is dropped and counted; later ones aren't delayed.
    """
    [one] = stored(world, grant(world))
    world.mattermost.fault("500", POSTS, times=100_000, method="POST")
    component.changed(incident(world), [one])
    run_steps(world, 3600, step=900)
    world.advance(86_400)
    pass_time(world, 1)
    assert health(world).given_up == 0
    run_steps(world, 18_000, step=900)
    assert health(world).waiting == 0
    assert health(world).given_up == 1
    world.mattermost.clear_faults()
    component.changed(incident(world), [one])
    pass_time(world, 30)
    assert len(notices(world)) == 1


def archived(world: World, admin: MattermostClient) -> None:
    """The channel is archived."""
    admin.browser.delete(f"{admin.url}/api/v4/channels/{admin.channel('service-desk')}").raise_for_status()


def bot_removed(world: World, admin: MattermostClient) -> None:
    """The bot is taken out of the channel."""
    bot = world.mattermost.registry.apps["servicenow"].bot_user_id
    admin.browser.delete(
        f"{admin.url}/api/v4/channels/{admin.channel('service-desk')}/members/{bot}"
    ).raise_for_status()


def owner_left(world: World, admin: MattermostClient) -> None:
    """The owner leaves the channel."""
    agent = world.person("agent")
    agent.browser.delete(
        f"{agent.url}/api/v4/channels/{agent.channel('service-desk')}/members/{agent.id}"
    ).raise_for_status()


def owner_guest(world: World, admin: MattermostClient) -> None:
    """The owner becomes a guest, and guests can't use the app."""
    world.mattermost.state.users[world.person("agent").id]["roles"] = "system_guest"


CLOSED: dict[str, tuple[Any, str]] = {
    "archived": (archived, "archived"),
    "bot removed": (bot_removed, "bot is no member"),
    "owner left": (owner_left, "may not post in the channel any more"),
    "owner a guest": (owner_guest, "may not post in the channel any more"),
}


@pytest.mark.parametrize("posted_before", [True, False])
@pytest.mark.parametrize("how", CLOSED)
def test_an_unavailable_channel_breaks_its_subscriptions(
    world: World, component: Component, how: str, posted_before: bool
) -> None:
    """
    Nothing is posted, the subscription is broken with the reason, the owner is told once, and another channel isn't
    affected.
    """
    act, words = CLOSED[how]
    here, there = stored(world, grant(world), grant(world, "town-square", name="There"))
    record = incident(world)
    if posted_before:
        component.changed(record, [here])
        pass_time(world, 2)
    else:
        posted_just_now(world, record)
    posted_just_now(world, record, channel="town-square")
    others = how != "owner a guest"  # a guest in one channel is a guest in all
    before = len(notices(world))
    component.changed(record, [here, there])
    act(world, world.person("admin"))
    pass_time(world, 301)
    component.changed(record, [here, there])
    pass_time(world, 301)
    assert len(notices(world)) == before
    assert len(notices(world, "town-square")) == (2 if others else 0)
    broken = kept(world, here.sys_id)
    assert broken.status == "broken"
    assert words in broken.reason
    assert [words in text for text in told(world, "agent")] == [True]
    assert kept(world, there.sys_id).status == ("active" if others else "broken")
    assert health(world).waiting == 0


def test_a_deactivated_owner_breaks_it_and_an_administrator_is_told(world: World, component: Component) -> None:
    """The owner can't be reached anymore."""
    [one] = stored(world, grant(world))
    admin = world.person("admin")
    admin.browser.delete(f"{admin.url}/api/v4/users/{one.owner_id}").raise_for_status()
    component.changed(incident(world), [one])
    pass_time(world, 30)
    assert notices(world) == []
    assert "deactivated" in kept(world, one.sys_id).reason
    [text] = told(world, "admin")
    assert "deactivated" in text


@pytest.mark.parametrize("path", [POSTS, "/api/v4/channels/", "/api/v4/users/"])
def test_a_proxys_404s_break_nothing(world: World, component: Component, path: str) -> None:
    """During a deployment a proxy answers everything with 404, which says nothing about channels or people."""
    [one] = stored(world, grant(world))
    world.mattermost.fault("proxy_404", path, times=100_000)
    component.changed(incident(world), [one])
    run_steps(world, 60, step=10)
    assert kept(world, one.sys_id).status == "active"
    assert notices(world) == []
    world.mattermost.clear_faults()
    run_steps(world, 120, step=20)
    assert len(notices(world)) == 1


def test_an_owner_is_told_once_mattermost_answers_again(world: World, component: Component) -> None:
    """The message about a broken subscription waits too."""
    [one] = stored(world, grant(world))
    archived(world, world.person("admin"))
    world.mattermost.fault("down", "/api/v4/channels/direct", times=3)
    component.changed(incident(world), [one])
    for _ in range(8):
        pass_time(world, 60)
    assert len(told(world, "agent")) == 1


@pytest.mark.parametrize("kind", ["hibernating", "429_bare", "500", "202", "html_login", "truncated"])
def test_an_unavailable_servicenow_only_delays(world: World, component: Component, kind: str) -> None:
    """If the record can't be read, nothing is posted and nothing breaks; it is read again later."""
    [one] = stored(world, grant(world))
    world.servicenow.fault(kind, "/api/now/v2/table/incident", times=1000)
    component.changed(incident(world), [one])
    run_steps(world, 90, step=30)
    assert notices(world) == []
    assert kept(world, one.sys_id).status == "active"
    assert health(world).trouble
    world.servicenow.clear_faults()
    run_steps(world, 900, step=300)
    assert len(notices(world)) == 1
    assert told(world, "agent") == []


@pytest.mark.waits
def test_a_slow_owner_delays_nobody_else(world: World, component: Component) -> None:
    """One table hangs: another one's notice is posted, and that table isn't requested again for a while."""
    slow, other = stored(world, grant(world, table="problem", events="state"), grant(world, "town-square"))
    world.servicenow.fault("slow", "/api/now/v2/table/problem", times=1)
    row = dict(world.servicenow.rows("problem")[0])
    report = component.report(row, [slow])
    report["record"]["table"] = "problem"
    assert component.send(report).status_code == 202
    component.changed(incident(world), [other])
    pass_time(world, 2)
    assert len(notices(world, "town-square")) == 1
    for number in (1, 2):
        component.changed(incident(world, number), [other])
        pass_time(world, 5)
    assert len(notices(world, "town-square")) == 3
    assert notices(world) == []
    run_steps(world, 60, step=10)
    assert len(notices(world)) == 1


def test_retry_after_applies_to_every_request(world: World, component: Component) -> None:
    """A 429 on the permission check delays all requests, also for other notices."""
    grants = stored(world, grant(world), grant(world, "town-square"))
    world.mattermost.fault("429", "/api/v4/", times=100_000, seconds=120)
    world.mattermost.clear_requests()
    component.changed(incident(world), grants)
    run_steps(world, 60, step=5)
    asked = [one for one in world.mattermost.requests() if one["status"] == 429]
    assert len(asked) == 1
    world.mattermost.clear_faults()
    run_steps(world, 60, step=5)
    assert notices(world) == []
    run_steps(world, 10, step=5)
    assert len(notices(world)) == len(notices(world, "town-square")) == 1


def test_an_unreadable_row_delays_no_other(world: World, component: Component) -> None:
    """A row from an earlier version that can't be read is dropped after a day; the others are posted at once."""
    [one] = stored(world, grant(world))
    world.running.stop()
    stores = open_storage(world.config.storage_url, partial(derive_keys, world.config.app_secrets), clock=world.now)
    odd = Queued(
        key="odd/here",
        event_id="odd",
        channel_id=one.channel_id,
        table="incident",
        record_id="0" * 32,
        stored_at=world.now(),
    )
    assert stores.outbox.add("odd", [(odd, {"report": {"shape": "of another time"}, "granted": [one.sys_id]})])
    stores.close()
    world.start()
    component.changed(incident(world), [one])
    pass_time(world, 3)
    assert len(notices(world)) == 1
    assert health(world).waiting == 1
    assert "could not be prepared" in health(world).trouble
