"""Mattermost and ServiceNow fail in their ways: nothing is lost, nothing comes twice, and people know why."""

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
    """How notices are doing."""
    return world.running.service.services.deliveries.health()


def through(world: World, seconds: float, step: float = 1.0) -> None:
    """Let time pass in steps, and do at each what is due."""
    while seconds > 0:
        pass_time(world, min(step, seconds))
        seconds -= step


def test_mattermost_down_for_ten_minutes(world: World, component: Component) -> None:
    """What came meanwhile is posted afterwards, once, in its order; the status says why it waits."""
    [one] = stored(world, grant(world))
    world.mattermost.fault("down", "/api/v4/", times=100_000)
    for number in range(3):
        component.changed(incident(world, number), [one])
    through(world, 600, step=20)
    assert notices(world) == []
    assert health(world).waiting == 3
    assert "502" in health(world).trouble
    world.mattermost.clear_faults()
    answer = world.person("admin").command("status")["text"]
    assert "Waiting to be posted: 3, the oldest since" in answer
    assert "for the last try failed" in answer
    assert "502" in answer
    through(world, 900, step=60)
    assert len(notices(world)) == 3
    assert health(world).waiting == 0
    assert health(world).delivered == 3


@pytest.mark.parametrize("kind", ["429", "500", "down"])
def test_a_refused_post_is_tried_again(world: World, component: Component, kind: str) -> None:
    """After a second, once more: one post."""
    [one] = stored(world, grant(world))
    world.mattermost.fault(kind, POSTS, method="POST")
    component.changed(incident(world), [one])
    pass_time(world, 2)
    assert notices(world) == []
    pass_time(world, 1)
    assert len(notices(world)) == 1
    through(world, 100, step=10)
    assert len(notices(world)) == 1


def test_a_pause_that_mattermost_asks_for_is_kept(world: World, component: Component) -> None:
    """429 with `Retry-After`: not before."""
    [one] = stored(world, grant(world))
    world.mattermost.fault("429", POSTS, seconds=40, method="POST")
    component.changed(incident(world), [one])
    pass_time(world, 2)
    through(world, 39, step=3)
    assert notices(world) == []
    pass_time(world, 2)
    assert len(notices(world)) == 1


@pytest.mark.parametrize("pause", [1.0, 40.0, 3600.0])
def test_a_post_whose_answer_was_lost_is_found_again(world: World, component: Component, pause: float) -> None:
    """Posted, then a 500: the next try finds the post in the channel, also when Mattermost has forgotten the id."""
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


def test_a_post_that_was_deleted_before_it_was_found_does_not_come_back(world: World, component: Component) -> None:
    """Somebody deleted it between the lost answer and the next try."""
    [one] = stored(world, grant(world))
    world.mattermost.fault("500_after_commit", POSTS, method="POST")
    component.changed(incident(world), [one])
    pass_time(world, 2)
    [post] = notices(world)
    world.person("admin").browser.delete(f"{world.mattermost.url}{POSTS}/{post['id']}")
    pass_time(world, 60)
    assert [one["id"] for one in notices(world)] == [post["id"]]


def test_a_lost_post_is_found_among_thousands(world: World, component: Component) -> None:
    """Mattermost lists a thousand posts since a time; the rest is paged through."""
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
    """It answers a post after twelve seconds, when we no longer wait: the post is taken over, not repeated."""
    [one] = stored(world, grant(world))
    world.mattermost.fault("slow", POSTS, seconds=12, method="POST")
    component.changed(incident(world), [one])
    pass_time(world, 2)
    through(world, 60, step=5)
    assert health(world).waiting == 0
    assert len(notices(world)) == 1


@pytest.mark.waits
def test_a_notice_is_given_up_after_a_day(world: World, component: Component) -> None:
    """24 hours and twenty failures, however the clock jumps: dropped and counted; later ones are not held up."""
    [one] = stored(world, grant(world))
    world.mattermost.fault("500", POSTS, times=100_000, method="POST")
    component.changed(incident(world), [one])
    through(world, 3600, step=900)
    world.advance(86_400)
    pass_time(world, 1)
    assert health(world).given_up == 0
    through(world, 18_000, step=900)
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
    """The owner is made a guest, and guests may not use the app."""
    world.mattermost.state.users[world.person("agent").id]["roles"] = "system_guest"


CLOSED: dict[str, tuple[Any, str]] = {
    "archived": (archived, "archived"),
    "bot removed": (bot_removed, "bot is no member"),
    "owner left": (owner_left, "may not post in the channel any more"),
    "owner a guest": (owner_guest, "may not post in the channel any more"),
}


@pytest.mark.parametrize("posted_before", [True, False])
@pytest.mark.parametrize("how", CLOSED)
def test_a_channel_that_is_closed_breaks_its_subscriptions(
    world: World, component: Component, how: str, posted_before: bool
) -> None:
    """Nothing is posted; broken with the reason; the owner is told once; another channel goes on."""
    act, words = CLOSED[how]
    here, there = stored(world, grant(world), grant(world, "town-square", name="There"))
    record = incident(world)
    if posted_before:
        component.changed(record, [here])
        pass_time(world, 2)
    else:
        posted_just_now(world, record)
    posted_just_now(world, record, channel="town-square")
    others = how != "owner a guest"  # who is a guest in one channel is so in all
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
    """The owner can't be told any more."""
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
def test_a_proxy_that_answers_for_mattermost_breaks_nothing(world: World, component: Component, path: str) -> None:
    """During a deployment it says 404 to everything: that is no word about channels or people."""
    [one] = stored(world, grant(world))
    world.mattermost.fault("proxy_404", path, times=100_000)
    component.changed(incident(world), [one])
    through(world, 60, step=10)
    assert kept(world, one.sys_id).status == "active"
    assert notices(world) == []
    world.mattermost.clear_faults()
    through(world, 120, step=20)
    assert len(notices(world)) == 1


def test_an_owner_is_told_once_mattermost_answers_again(world: World, component: Component) -> None:
    """The message about a broken subscription waits, too."""
    [one] = stored(world, grant(world))
    archived(world, world.person("admin"))
    world.mattermost.fault("down", "/api/v4/channels/direct", times=3)
    component.changed(incident(world), [one])
    for _ in range(8):
        pass_time(world, 60)
    assert len(told(world, "agent")) == 1


@pytest.mark.parametrize("kind", ["hibernating", "429_bare", "500", "202", "html_login", "truncated"])
def test_a_silent_servicenow_only_delays(world: World, component: Component, kind: str) -> None:
    """The record can't be read now: nothing is posted, nothing is broken; read again later."""
    [one] = stored(world, grant(world))
    world.servicenow.fault(kind, "/api/now/v2/table/incident", times=1000)
    component.changed(incident(world), [one])
    through(world, 90, step=30)
    assert notices(world) == []
    assert kept(world, one.sys_id).status == "active"
    assert health(world).trouble
    world.servicenow.clear_faults()
    through(world, 900, step=300)
    assert len(notices(world)) == 1
    assert told(world, "agent") == []


@pytest.mark.waits
def test_a_slow_owner_holds_up_nobody_else(world: World, component: Component) -> None:
    """One table hangs: the other's notice is posted meanwhile, and for a while that table is not asked again."""
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
    through(world, 60, step=10)
    assert len(notices(world)) == 1


def test_a_pause_is_kept_whatever_mattermost_was_asked(world: World, component: Component) -> None:
    """429 with `Retry-After` to the question who may post: not asked again before, and not for the others either."""
    grants = stored(world, grant(world), grant(world, "town-square"))
    world.mattermost.fault("429", "/api/v4/", times=100_000, seconds=120)
    world.mattermost.clear_requests()
    component.changed(incident(world), grants)
    through(world, 60, step=5)
    asked = [one for one in world.mattermost.requests() if one["status"] == 429]
    assert len(asked) == 1
    world.mattermost.clear_faults()
    through(world, 60, step=5)
    assert notices(world) == []
    through(world, 10, step=5)
    assert len(notices(world)) == len(notices(world, "town-square")) == 1


def test_a_row_that_can_not_be_worked_on_holds_up_no_other(world: World, component: Component) -> None:
    """What an earlier version stored and this one can't read: given up after a day, the others are posted at once."""
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
