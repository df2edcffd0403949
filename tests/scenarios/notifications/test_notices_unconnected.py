"""While a subscription's owner isn't connected, a channel learns at most that a record it knows has changed."""

from typing import Any

import pytest

from core.subscriptions import Grant
from tests.reports import Component, grant, incident, kept, matching, notices, pass_time, stored, told
from tests.scenarios.subscriptions.subscribing import (
    for_record,
    grants,
    install_component,
    make_key,
    option,
    press,
    rows,
    subscribe,
)
from tests.world import World

Json = dict[str, Any]


def texts(world: World, channel: str = "service-desk") -> list[str]:
    """The text of the notices in a channel."""
    return [post["message"] for post in notices(world, channel)]


def test_a_filter_reveals_nothing_about_records_that_its_owner_cant_read(world: World, component: Component) -> None:
    """
    ServiceNow evaluates filters as the system. Someone who can read only their own incidents subscribes with a filter
    on text and disconnects: nobody learns which hidden records match.
    """
    install_component(world, "requester")
    requester = world.connected("requester")
    make_key(world)
    hidden = [row for row in world.servicenow.rows("incident") if row["caller_id"] != _user(world, "requester")][:2]
    assert subscribe(requester, {"text": "the"}, channel="service-desk")["type"] == "ok"
    requester.command("disconnect")
    for number, record in enumerate(hidden):
        path = f"/api/now/table/incident/{record['sys_id']}"
        world.administer("PATCH", path, {"short_description": f"the word {number}", "state": "2"})
        world.servicenow.settle()
        pass_time(world, 30)
    assert len(world.servicenow.rows("sys_outbound_http_log")) == 2
    assert not any(record["number"] in text or "has changed" in text for record in hidden for text in texts(world))


def _user(world: World, name: str) -> str:
    return str(next(row["sys_id"] for row in world.servicenow.rows("sys_user") if row["user_name"] == name))


def test_a_record_that_was_read_when_subscribing_is_named(world: World, component: Component) -> None:
    """The owner subscribed to one record with the form, then disconnected: number, link, and that it changed."""
    install_component(world, "agent")
    agent = world.person("agent")
    record = incident(world)
    form, values = for_record(agent, record["number"])
    kind = {"kind": option(form, "kind", "record")}
    assert press(agent, form, "save", {**values, **kind})["type"] == "ok"
    [row] = rows(world)
    one = kept(world, row["sys_id"])
    assert (one.record_read, one.created_by) == (True, "agent")
    agent.command("disconnect")
    component.changed(record, [one], changes=[{"field": "state", "label": "State", "old": "New", "new": "Secret"}])
    pass_time(world, 30)
    [text] = [text for text in texts(world) if "has changed" in text]
    assert f"[{record['number']}](" in text
    assert "Secret" not in text
    assert record["short_description"] not in text


SILENT: dict[str, Json] = {
    "a whole table": {},
    "a record that nobody is known to have read": {"record": True},
    "another creator than granted": {"record": True, "record_read": True, "row": {"created_by": "agent2"}},
    "a creator that is not known": {"record": True, "record_read": True, "created_by": ""},
}


@pytest.mark.parametrize("case", SILENT)
def test_a_record_that_the_channel_doesnt_know_isnt_named(world: World, component: Component, case: str) -> None:
    """After the owner disconnected nothing is posted, and the subscription remains active."""
    record, columns = incident(world), dict(SILENT[case])
    row = columns.pop("row", {})
    if columns.pop("record", False):
        columns["record_id"] = record["sys_id"]
    [one] = stored(world, grant(world, **columns))
    world.person("agent").command("disconnect")
    component.changed(record, [], subscriptions=[matching(one, **row)])
    pass_time(world, 30)
    assert texts(world) == []
    assert kept(world, one.sys_id).status == "active"
    assert world.running.service.services.deliveries.health().waiting == 0
    assert len(told(world, "admin")) == (1 if row else 0)


def test_a_shared_card_makes_a_record_known(world: World, component: Component) -> None:
    """Someone shared the record in the channel; in another channel nothing is posted about it."""
    both = stored(world, grant(world), grant(world, "town-square"))
    record = incident(world)
    agent2 = world.connected("agent2")
    form = agent2.command("share", {"record": record["number"]}, channel="service-desk")["form"]
    assert agent2.submit(form, {}, channel="service-desk")["type"] == "ok"
    world.person("agent").command("disconnect")
    component.changed(record, both)
    pass_time(world, 30)
    assert len([text for text in texts(world) if "has changed" in text]) == 1
    assert texts(world, "town-square") == []


@pytest.mark.parametrize("single", [False, True])
def test_a_deleted_card_makes_a_record_unknown(world: World, component: Component, single: bool) -> None:
    """After the card was deleted from the channel, only a subscription to the record itself names it again."""
    record = incident(world)
    one_record = {"record_id": record["sys_id"], "record_read": True} if single else {}
    [one] = stored(world, grant(world, **one_record))
    component.changed(record, [one])
    pass_time(world, 30)
    [card] = notices(world)
    world.person("admin").browser.delete(f"{world.mattermost.url}/api/v4/posts/{card['id']}")
    world.person("agent").command("disconnect")
    component.changed(record, [one])
    pass_time(world, 30)
    assert len(notices(world)) == 1 + single
    assert world.running.service.services.deliveries.health().waiting == 0


def test_a_record_is_unknown_after_thirty_days(world: World, component: Component) -> None:
    """The channel's thread has ended; a suspended owner's notice starts none."""
    [one] = stored(world, grant(world))
    record = incident(world)
    component.changed(record, [one])
    pass_time(world, 30)
    world.person("agent").command("disconnect")
    pass_time(world, 30 * 86_400)
    component.changed(record, [one])
    pass_time(world, 30)
    assert len(notices(world)) == 1


def test_editing_for_another_person_doesnt_read_for_them(world: World, component: Component) -> None:
    """A channel administrator points someone's subscription at another record, which its owner hasn't read."""
    install_component(world, "agent", "admin")
    agent, admin = world.person("agent"), world.connected("admin")
    form, values = for_record(agent, incident(world)["number"])
    kind = {"kind": option(form, "kind", "record")}
    assert press(agent, form, "save", {**values, **kind})["type"] == "ok"
    [row] = rows(world)
    form = admin.command("subscriptions edit", {"subscription": row["sys_id"]}, channel="service-desk")["form"]
    other = incident(world, 1)
    [record] = admin.look_up(form, "record", other["number"], channel="service-desk")["data"]["items"]
    assert press(admin, form, "save", {"record": record, **kind})["type"] == "ok"
    [one] = [Grant(**found) for found in grants(world)]
    assert (one.record_id, one.owner_id, one.record_read) == (other["sys_id"], agent.id, False)
    assert one.created_by == "agent"
