"""Records of classes that aren't shared appear in no channel, whoever can read them (design §5, §9)."""

from typing import Any

import pytest

from tests.reports import Component, grant, incident, kept, matching, notices, pass_time, posted_just_now, stored, told
from tests.scenarios.subscriptions.subscribing import (
    for_record,
    foreign_row,
    install_component,
    make_key,
    press,
    rows,
    subscribe,
)
from tests.world import World

Json = dict[str, Any]
FACILITY = "u_facility_incident"


def facility(world: World) -> Json:
    """A record of a class that extends incident and isn't shared."""
    made = world.administer(
        "POST", f"/api/now/table/{FACILITY}", {"short_description": "Secret leak", "u_building": "B"}
    )
    return dict(made.json()["result"])


def all_posts(world: World) -> str:
    """Everything in the channels, as text."""
    return str([world.mattermost.posts_in(channel) for channel in ("service-desk", "town-square")])


@pytest.mark.parametrize("table", ["incident", "task"])
@pytest.mark.usefixtures("component")
def test_a_class_that_isnt_shared_isnt_posted(world: World, table: str) -> None:
    """
    The subscription comes from the form and the report from the component. Changes and comments of a class that extends
    the subscribed one appear only after an administrator has added it.
    """
    install_component(world, "agent")
    agent = world.person("agent")
    make_key(world)
    assert subscribe(agent, {"table": {"label": table, "value": table}})["type"] == "ok"
    record = facility(world)
    for number, columns in enumerate(
        ({"urgency": "1", "comments": "It drips"}, {"urgency": "2", "comments": "It pours"})
    ):
        world.administer("PATCH", f"/api/now/table/{FACILITY}/{record['sys_id']}", columns)
        world.servicenow.settle()
        pass_time(world, 30)
        assert ("It pours" in all_posts(world), record["number"] in all_posts(world)) == (bool(number), bool(number))
        assert "It drips" not in all_posts(world)
        world.restart(shared_tables=(FACILITY,))
    [row] = rows(world)
    assert kept(world, row["sys_id"]).status == "active"


def reported(component: Component, record: Json, one: Any, table: str) -> Json:
    """A report of *record* with class *table*."""
    report = component.report(record, [one], comments=[{"kind": "comments", "text": "It drips"}])
    report["record"]["table"] = table
    return report


def test_the_class_is_checked_again_before_posting(world: World, component: Component) -> None:
    """A class that was shared when the report arrived, but no longer is, isn't posted, even without a connection."""
    record = facility(world)
    world.restart(shared_tables=(FACILITY,))
    both = stored(
        world,
        grant(world),
        grant(world, "town-square", table=FACILITY, record_id=record["sys_id"], record_read=True),
    )
    for disconnected in (False, True):
        world.restart(shared_tables=(FACILITY,))
        posted_just_now(world, record)
        posted_just_now(world, record, channel="town-square")
        report = component.report(record, both)
        report["record"]["table"] = FACILITY
        assert component.send(report).status_code == 202
        assert world.running.service.services.deliveries.health().waiting == 2
        if disconnected:
            world.person("agent").command("disconnect")
        world.restart(shared_tables=())
        pass_time(world, 30)
        assert all_posts(world) == "[[], []]"
        assert world.running.service.services.deliveries.health().waiting == 0


def test_the_class_that_was_read_decides(world: World, component: Component) -> None:
    """The class in a report doesn't matter; a subscription to the record itself is broken and says why."""
    record = facility(world)
    whole, single = stored(world, grant(world), grant(world, "town-square", record_id=record["sys_id"]))
    report = component.report(record, [whole, single], comments=[{"kind": "comments", "text": "It drips"}])
    assert component.send(report).status_code == 202
    pass_time(world, 2)
    assert all_posts(world) == "[[], []]"
    assert kept(world, whole.sys_id).status == "active"
    assert kept(world, single.sys_id).status == "broken"
    assert "SHARED_TABLES" in kept(world, single.sys_id).reason
    [text] = told(world, "agent")
    assert "not shared here" in text


def test_a_report_of_another_class_is_acknowledged(world: World, component: Component) -> None:
    """It is answered with 202, then 200: ServiceNow's outbox doesn't retry, and nothing is read for it."""
    [one] = stored(world, grant(world))
    report = component.report(incident(world), [one])
    report["record"]["table"] = "sn_hr_core_case"
    world.servicenow.clear_requests()
    assert [component.send(report).status_code for _ in range(2)] == [202, 200]
    pass_time(world, 2)
    assert world.asked() == []
    assert all_posts(world) == "[[], []]"


def test_an_article_of_a_templates_class_is_an_article(world: World, component: Component) -> None:
    """Templates extend kb_knowledge on every instance that uses them and are shared with it."""
    [one] = stored(world, grant(world, table="kb_knowledge", events="state"))
    article = next(row for row in world.servicenow.rows("kb_knowledge") if row["workflow_state"] == "published")
    report = component.report(article, [one])
    report["record"]["table"] = "kb_template_how_to"
    assert component.send(report).status_code == 202
    pass_time(world, 2)
    [post] = notices(world)
    assert post["props"]["attachments"][0]["title"].startswith(article["number"])


# --- subscriptions to one record of such a class


def test_one_record_of_such_a_class_cant_be_subscribed_to(world: World) -> None:
    """A client sends its sys_id, which no form offers: the rejection reveals nothing about it."""
    install_component(world, "agent")
    agent = world.connected("agent")
    record = facility(world)
    form, _ = for_record(agent, "INC0010001")
    answer = press(agent, form, "save", {"record": {"label": "x", "value": record["sys_id"]}, **_kind(form)})
    assert "no such incident" in answer["data"]["errors"]["record"]
    assert rows(world) == []
    assert "Secret" not in str(answer)
    assert all_posts(world) == "[[], []]"


def _kind(form: Json) -> Json:
    return {"kind": next(field["value"] for field in form["fields"] if field["name"] == "kind")}


def test_the_title_of_such_a_record_isnt_revealed_to_a_channel(world: World) -> None:
    """For a row written directly in ServiceNow, neither the list nor the message about its end shows its record."""
    install_component(world, "agent")
    agent = world.connected("agent")
    record = facility(world)
    row = {"type": "record", "record_id": record["sys_id"], "user_id": agent.id}
    sys_id = foreign_row(world, "agent", channel_id=agent.channel("service-desk"), **row)
    listed = agent.command("subscriptions list", {"owner": "anyone"}, channel="service-desk")
    assert sys_id in listed["form"]["header"]
    form = agent.command("subscriptions delete", {"subscription": sys_id}, channel="service-desk")["form"]
    answer = press(agent, form, "delete")
    assert answer["type"] == "ok"
    assert rows(world) == []
    assert "Secret leak" not in str(listed) + str(form) + str(answer) + all_posts(world)


def test_a_row_for_such_a_table_isnt_adopted(world: World, component: Component) -> None:
    """Its owner wrote it in ServiceNow, for a table and a record that aren't shared: it is parked and never granted."""
    install_component(world, "agent")
    agent = world.person("agent")
    record = facility(world)
    where = {"channel_id": agent.channel("service-desk"), "user_id": agent.id}
    whole = foreign_row(world, "agent", **where, record_type=FACILITY)
    single = foreign_row(world, "agent", **where, type="record", record_id=record["sys_id"])
    claims = [
        matching(grant(world, sys_id=whole, table=FACILITY)),
        matching(grant(world, sys_id=single, record_id=record["sys_id"])),
    ]
    component.changed(incident(world), [], subscriptions=claims)
    pass_time(world, 30)
    assert all_posts(world) == "[[], []]"
    [text] = told(world, "admin")
    assert f"`{whole}`: Its table may not be subscribed to here." in text
    assert f"`{single}`: Its owner may not see its record" in text
    assert not _granted(world, whole)
    assert not _granted(world, single)


def _granted(world: World, sys_id: str) -> bool:
    return world.running.service.services.stores.grants.get(sys_id) is not None


@pytest.mark.parametrize(
    ("columns", "why"),
    [({"record_type": FACILITY}, "not shown here"), ({"filter_query": "u_salary>1000"}, "names a column")],
)
def test_resuming_doesnt_grant_what_the_form_rejects(world: World, columns: Json, why: str) -> None:
    """
    A row written directly, for another class or with a filter on a hidden column, is rejected, and nothing is granted.
    """
    install_component(world, "agent")
    agent = world.connected("agent")
    where = {"channel_id": agent.channel("service-desk"), "user_id": agent.id}
    sys_id = foreign_row(world, "agent", **where, **columns)
    run = {"subscription": sys_id}
    assert agent.command("subscriptions pause", run, channel="service-desk")["type"] == "ok"
    answer = agent.command("subscriptions resume", run, channel="service-desk")
    assert answer["type"] == "error"
    assert why in answer["text"]
    assert kept(world, sys_id).status == "paused"
    assert rows(world)[0]["status"] == "paused"
