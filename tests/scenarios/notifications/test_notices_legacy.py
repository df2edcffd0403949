"""Reports of update set v2.1 are only hints, accepted only while an administrator has switched them on (design §9)."""

from typing import Any

import pytest
import requests
import structlog

from core.subscriptions import TABLE, Grant
from tests.reports import Component, grant, incident, kept, notices, pass_time, stored
from tests.scenarios.subscriptions.subscribing import foreign_row, install_component
from tests.world import World

Json = dict[str, Any]
PATH = "/plugins/mattermost-plugin-servicenow/api/v1/notification"


@pytest.fixture
def one(world: World, component: Component) -> Grant:
    """A granted subscription whose row is in ServiceNow; legacy reports are on."""
    install_component(world, "agent")
    agent = world.person("agent")
    row = {"channel_id": agent.channel("service-desk"), "user_id": agent.id, "name": "Old"}
    sys_id = foreign_row(world, "agent", **row)
    [found] = stored(world, grant(world, sys_id=sys_id, name="Old"))
    switch(world).switch_on()
    return found


def switch(world: World) -> Any:
    """Set the switch in the settings form."""
    return world.running.service.services.legacy_webhook


def hint(world: World, one: Grant, record: Json, **more: str) -> Json:
    """The sixteen keys of v2.1."""
    return {
        "sys_id": one.sys_id,
        "record_id": record["sys_id"],
        "number": record["number"],
        "short_description": record["short_description"],
        "state": "a lie",
        "priority": "a lie",
        "assigned_to": "a lie",
        "assignment_group": "a lie",
        "record_type_name": "Incident",
        "server_url": world.config.app_url,
        "record_type": one.table,
        "subscription_events": "state",
        "type": "object",
        "mm_channel_id": one.channel_id,
        "mm_user_id": one.owner_id,
        "event_occurred": "state",
    } | more


def send(world: World, body: Json, secret: str | None = None) -> int:
    """Send as v2.1's script action does; returns the status."""
    secret = switch(world).secret() if secret is None else secret
    address = f"{world.config.app_url}{PATH}?secret={secret}"
    return requests.post(address, json=body, headers={"User-Agent": "ServiceNow"}, timeout=20).status_code


def test_a_hint_posts_what_the_owner_reads(world: World, one: Grant) -> None:
    """None of the sixteen keys is shown: the card is the record as the owner's token reads it."""
    record = incident(world)
    assert send(world, hint(world, one, record)) == 202
    pass_time(world, 2)
    [post] = notices(world)
    assert "**Changed**" in post["message"]
    assert "a lie" not in str(post)
    assert post["props"]["attachments"][0]["title"] == f"{record['number']}: {record['short_description']}"


def test_a_hint_without_news_posts_nothing(world: World, one: Grant) -> None:
    """One save sends several hints, and anyone with the secret can send more: only a newer record is news."""
    record = incident(world)
    for _ in range(3):
        send(world, hint(world, one, record))
        pass_time(world, 30)
    assert len(notices(world)) == 1
    world.administer("PATCH", f"/api/now/table/incident/{record['sys_id']}", {"short_description": "news"})
    send(world, hint(world, one, record))
    pass_time(world, 30)
    assert len(notices(world)) == 2


def test_nothing_is_accepted_while_off_or_expired(world: World, one: Grant) -> None:
    """403 even with the right secret; counted. Switched on again, it ends by itself after thirty days."""
    record = incident(world)
    secret = switch(world).secret()
    world.advance(30 * 86_400 + 1)
    assert send(world, hint(world, one, record), secret) == 403
    switch(world).switch_on()
    assert send(world, hint(world, one, record), secret) == 403
    switch(world).switch_off()
    assert send(world, hint(world, one, record), "") == 403
    pass_time(world, 30)
    assert notices(world) == []
    assert world.running.service.services.deliveries.health().refused == {"legacy_webhook": 3}


@pytest.mark.parametrize("secret", ["", "wrong", "%00"])
def test_another_secret_is_rejected(world: World, one: Grant, secret: str) -> None:
    """403, and nothing is stored."""
    assert send(world, hint(world, one, incident(world)), secret) == 403
    assert world.running.service.services.deliveries.health().waiting == 0


@pytest.mark.parametrize(
    "body", [{}, [], {"sys_id": "x"}, {"sys_id": "0" * 32, "record_id": "../" * 10}, "text", {"sys_id": None}]
)
def test_a_malformed_hint_is_rejected(world: World, one: Grant, body: Any) -> None:
    """The answer is 400."""
    assert send(world, body) == 400


def test_a_hint_for_another_channel_posts_nothing(world: World, one: Grant) -> None:
    """Channel and owner come from the grant; an invented subscription has no row that the named person can read."""
    world.connected("agent2")
    record = incident(world)
    foreign = world.person("agent").channel("town-square")
    assert send(world, hint(world, one, record, mm_channel_id=foreign, mm_user_id=world.person("agent2").id)) == 202
    assert send(world, hint(world, one, record, sys_id="f" * 32, mm_channel_id=foreign)) == 202
    pass_time(world, 30)
    assert len(notices(world)) == 1
    assert notices(world, "town-square") == []


def test_a_hint_for_another_record_posts_nothing(world: World, one: Grant) -> None:
    """
    The subscription is to one record, and its owner can read others too: only that one is posted. v2.1 doesn't know
    filters, so a subscription with a filter gets nothing.
    """
    agent, record = world.person("agent"), incident(world)
    where = {"channel_id": agent.channel("town-square"), "user_id": agent.id}
    single = foreign_row(world, "agent", **where, type="record", record_id=record["sys_id"])
    filtered = foreign_row(world, "agent", **where, filter_query="active=true")
    for sys_id in (single, filtered):
        assert (
            send(world, hint(world, one, incident(world, 1), sys_id=sys_id, mm_channel_id=where["channel_id"])) == 202
        )
    pass_time(world, 30)
    assert notices(world, "town-square") == []
    assert send(world, hint(world, one, record, sys_id=single, mm_channel_id=where["channel_id"])) == 202
    pass_time(world, 30)
    [post] = notices(world, "town-square")
    assert post["props"]["attachments"][0]["title"].startswith(record["number"])
    assert (kept(world, single).created_by, kept(world, single).record_read) == ("agent", True)


def test_a_deleted_or_inactive_row_ends_it(world: World, one: Grant) -> None:
    """The row is read each time."""
    record = incident(world)
    world.administer("PATCH", f"/api/now/table/{TABLE}/{one.sys_id}", {"is_active": "false"})
    send(world, hint(world, one, record))
    pass_time(world, 30)
    world.administer("DELETE", f"/api/now/table/{TABLE}/{one.sys_id}", {})
    send(world, hint(world, one, record))
    pass_time(world, 30)
    assert notices(world) == []


def test_a_record_that_the_owner_cant_see_isnt_shown(world: World, one: Grant) -> None:
    """A sys_id of a missing or hidden record posts nothing."""
    send(world, hint(world, one, {**incident(world), "sys_id": "e" * 32}))
    pass_time(world, 30)
    assert notices(world) == []
    assert kept(world, one.sys_id).status == "active"


@pytest.mark.usefixtures("every_log_line")
def test_the_secret_isnt_logged(world: World, one: Grant) -> None:
    """Our log never contains it, whatever the result of the request."""
    secret = switch(world).secret()
    with structlog.testing.capture_logs() as logs:
        send(world, hint(world, one, incident(world)))
        send(world, {})
        pass_time(world, 2)
    assert "answered" in {line["event"] for line in logs}
    assert secret not in str(logs)
