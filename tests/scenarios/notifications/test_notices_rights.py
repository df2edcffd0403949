"""Nobody sees what they have no access to, and nobody makes the bot post where they can't (design §5, §9)."""

from typing import Any

import pytest
import requests

from core.subscriptions import TABLE, Grant
from sandbox.client import PASSWORD
from tests.reports import (
    KEY_ID,
    SECRET,
    Component,
    grant,
    incident,
    kept,
    matching,
    notices,
    pass_time,
    posted_just_now,
    stored,
    told,
)
from tests.scenarios.subscriptions.subscribing import foreign_row, install_component
from tests.world import World

Json = dict[str, Any]


@pytest.fixture
def everybody(world: World, component: Component) -> Component:
    """`agent`, `agent2` and `admin` are connected, the component is installed, and the bot is also in `operations`."""
    install_component(world, "agent", "agent2")
    for name in ("agent2", "admin"):
        world.connected(name)
    admin = world.person("admin")
    bot = world.mattermost.registry.apps["servicenow"].bot_user_id
    admin.post(f"/api/v4/channels/{admin.channel('operations')}/members", {"user_id": bot})
    return component


def all_notices(world: World) -> list[Json]:
    """Notices in every channel."""
    return [post for channel in ("service-desk", "town-square", "operations") for post in notices(world, channel)]


def remove_role(world: World, role: str, user_name: str) -> None:
    """Remove a person's role in ServiceNow."""
    person = next(row["sys_id"] for row in world.servicenow.rows("sys_user") if row["user_name"] == user_name)
    roles = {row["sys_id"]: row["name"] for row in world.servicenow.rows("sys_user_role")}
    for row in world.servicenow.rows("sys_user_has_role"):
        if row["user"] == person and roles.get(row["role"]) == role:
            world.administer("DELETE", f"/api/now/table/sys_user_has_role/{row['sys_id']}", {})


def edit_row(world: World, who: str, sys_id: str, columns: Json) -> None:
    """Someone changes a subscription's row over REST."""
    address = f"{world.servicenow.url}/api/now/table/{TABLE}/{sys_id}"
    requests.patch(address, json=columns, auth=(who, PASSWORD), timeout=20).raise_for_status()


# --- rows that weren't written through our form


def test_a_row_for_another_peoples_channel_posts_nothing(world: World, everybody: Component) -> None:
    """
    `agent2` writes a row for other people's private channel: it is parked, and an administrator is told once a day.
    """
    channel = world.person("admin").channel("operations")
    agent2 = world.person("agent2")
    sys_id = foreign_row(world, "agent2", channel_id=channel, user_id=agent2.id)
    claimed = matching(
        grant(world, owner="agent2", channel="town-square"), created_by="agent2", updated_by="agent2"
    ) | {"sys_id": sys_id, "channel_id": channel, "events": ["state"]}
    for _ in range(3):
        everybody.changed(incident(world), [], subscriptions=[claimed])
        pass_time(world, 30)
    assert all_notices(world) == []
    [text] = told(world, "admin")
    assert sys_id in text
    assert "may not post in its channel" in text
    pass_time(world, 86_400)
    everybody.changed(incident(world), [], subscriptions=[claimed])
    pass_time(world, 30)
    assert len(told(world, "admin")) == 2


@pytest.mark.parametrize(
    "row",
    [
        {"created_by": "agent2", "updated_by": "agent2"},
        {"created_by": "agent2", "updated_by": "agent"},
        {"created_by": "agent", "updated_by": "agent2"},
        {"created_by": "", "updated_by": ""},
        {"created_by": "agent", "updated_by": "agent", "user_id": "z" * 26},
    ],
)
def test_a_row_in_another_persons_name_posts_nothing(world: World, everybody: Component, row: Json) -> None:
    """`user_id` proves nothing: the row's creator and last editor must be that person's linked account."""
    victim = grant(world)
    everybody.changed(incident(world), [], subscriptions=[matching(victim, **row)])
    pass_time(world, 30)
    assert all_notices(world) == []
    assert len(told(world, "admin")) == 1


CHANGED: dict[str, Any] = {
    "channel": lambda world: {"channel_id": world.person("agent").channel("town-square")},
    "table": lambda world: {"record_type": "task"},
    "record": lambda world: {"record_id": incident(world)["sys_id"]},
    "filter": lambda world: {"filter_digest": "0" * 64},
}


@pytest.mark.parametrize("what", CHANGED)
def test_a_granted_row_that_someone_else_changed_posts_nothing(world: World, everybody: Component, what: str) -> None:
    """Another channel, table, record or filter than was granted, written by someone other than the owner."""
    [one] = stored(world, grant(world))
    changed = matching(one, updated_by="agent2") | CHANGED[what](world)
    everybody.changed(incident(world), [], subscriptions=[changed])
    pass_time(world, 30)
    assert all_notices(world) == []
    assert kept(world, one.sys_id) == one


def test_changed_events_and_options_in_a_row_are_ignored(world: World, everybody: Component) -> None:
    """They come from the grant."""
    [one] = stored(world, grant(world, events="state", options="hide_comment"))
    changed = matching(one, updated_by="admin", events=["state", "commented"], options=[])
    comment = [{"kind": "comments", "text": "hidden"}]
    everybody.changed(incident(world), [], subscriptions=[changed], events=["state", "commented"], comments=comment)
    pass_time(world, 30)
    [post] = notices(world)
    assert "comment" not in post["message"]
    assert "hidden" not in post["message"]


def test_a_recreated_row_with_a_granted_id_posts_nothing(world: World, everybody: Component) -> None:
    """It has the same ID and columns, but a creator other than the owner."""
    [one] = stored(world, grant(world))
    everybody.changed(incident(world), [], subscriptions=[matching(one, created_by="agent2")])
    pass_time(world, 30)
    assert all_notices(world) == []


def test_an_owners_own_row_is_granted_when_it_matches(world: World, everybody: Component) -> None:
    """The owner wrote it in ServiceNow for their own channel: it is read with the owner's token, then granted."""
    agent = world.person("agent")
    row = {"channel_id": agent.channel("service-desk"), "user_id": agent.id, "name": "by hand"}
    sys_id = foreign_row(world, "agent", **row)
    claimed = matching(grant(world)) | {"sys_id": sys_id, "events": ["state"]}
    everybody.changed(incident(world), [], subscriptions=[claimed])
    pass_time(world, 2)
    assert len(notices(world)) == 1
    assert kept(world, sys_id).owner_id == agent.id
    assert kept(world, sys_id).name == "by hand"
    assert kept(world, sys_id).events == "state,priority,commented"
    assert (kept(world, sys_id).created_by, kept(world, sys_id).record_read) == ("agent", False)


def test_a_report_that_differs_from_the_row_posts_nothing(world: World, everybody: Component) -> None:
    """What the owner's token reads decides: a row that names another channel is parked."""
    agent = world.person("agent")
    sys_id = foreign_row(world, "agent", channel_id=agent.channel("town-square"), user_id=agent.id)
    claimed = matching(grant(world)) | {"sys_id": sys_id, "events": ["state"]}
    everybody.changed(incident(world), [], subscriptions=[claimed])
    pass_time(world, 30)
    assert all_notices(world) == []


@pytest.mark.parametrize("who", ["agent", "admin"])
def test_a_report_from_before_a_change_does_no_harm(world: World, everybody: Component, who: str) -> None:
    """ServiceNow sends what its outbox had: the change is kept, nothing is posted, and nobody is warned."""
    agent = world.person("agent")
    sys_id = foreign_row(world, "agent", channel_id=agent.channel("service-desk"), user_id=agent.id)
    [one] = stored(world, grant(world, sys_id=sys_id))
    before = {"channel_id": agent.channel("town-square"), "updated_by": who, "updated_on": "2020-01-01 12:00:00"}
    everybody.changed(incident(world), [], subscriptions=[matching(one) | before])
    pass_time(world, 30)
    assert all_notices(world) == []
    assert kept(world, sys_id) == one
    assert told(world, "admin") == []


def test_a_report_during_a_change_waits_for_it(world: World, everybody: Component) -> None:
    """The new grant is stored before the row is written: a report in between neither reverts it nor is lost."""
    agent = world.person("agent")
    sys_id = foreign_row(world, "agent", channel_id=agent.channel("service-desk"), user_id=agent.id)
    row = next(one for one in world.servicenow.rows(TABLE) if one["sys_id"] == sys_id)
    moved = grant(world, channel="town-square", sys_id=sys_id)
    [one] = stored(world, moved)
    claimed = matching(one) | {"channel_id": row["channel_id"], "updated_on": row["sys_updated_on"]}
    everybody.changed(incident(world), [], subscriptions=[claimed])
    pass_time(world, 5)
    assert all_notices(world) == []
    assert kept(world, sys_id) == one
    changed = {"channel_id": one.channel_id}
    edit_row(world, "agent", sys_id, changed)
    pass_time(world, 60)
    assert kept(world, sys_id) == one
    everybody.changed(incident(world), [one])
    pass_time(world, 30)
    assert [post["channel_id"] for post in all_notices(world)] == [one.channel_id]


def test_a_deleted_row_warns_nobody(world: World, everybody: Component) -> None:
    """It was deleted while a report about it waited in ServiceNow."""
    everybody.changed(incident(world), [grant(world)])
    pass_time(world, 30)
    assert all_notices(world) == []
    assert told(world, "admin") == []


@pytest.mark.parametrize("query", ["u_salary>1000", "caller_id.user_name=agent2", "active=true^EQ"])
def test_a_filter_on_columns_that_the_owner_cant_see_posts_nothing(
    world: World, everybody: Component, query: str
) -> None:
    """
    A row written directly has such a filter. The component evaluates it as the system, so each notice would reveal what
    hidden columns contain: it is parked.
    """
    agent = world.person("agent")
    where = {"channel_id": agent.channel("service-desk"), "user_id": agent.id}
    told_of = foreign_row(world, "agent", **where, filter_query=query)
    plain = foreign_row(world, "agent", **where, filter_query="priority<=3^short_descriptionLIKEa")
    claims = [
        matching(grant(world, sys_id=sys_id, filter_query=text))
        for sys_id, text in ((told_of, query), (plain, "priority<=3^short_descriptionLIKEa"))
    ]
    everybody.changed(incident(world), [], subscriptions=claims)
    pass_time(world, 30)
    assert "filter" in told(world, "admin")[0]
    assert told_of in told(world, "admin")[0]
    assert plain not in told(world, "admin")[0]
    assert len(all_notices(world)) == 1
    assert kept(world, plain).filter_query


def test_parked_rows_cost_little(world: World, everybody: Component) -> None:
    """A parked row is checked again after five minutes at the earliest, however often it matches."""
    agent2 = world.person("agent2")
    where = {"channel_id": world.person("admin").channel("operations"), "user_id": agent2.id}
    sys_id = foreign_row(world, "agent2", **where)
    claimed = matching(grant(world, sys_id=sys_id), **where, created_by="agent2", updated_by="agent2")
    for _ in range(5):
        everybody.changed(incident(world), [], subscriptions=[claimed])
        pass_time(world, 30)
    assert len(world.asked(method="GET", path=f"/api/now/v2/table/{TABLE}")) == 1
    pass_time(world, 300)
    everybody.changed(incident(world), [], subscriptions=[claimed])
    pass_time(world, 30)
    assert len(world.asked(method="GET", path=f"/api/now/v2/table/{TABLE}")) == 2


# --- what the owner can read


def test_a_column_that_the_owner_cant_read_isnt_shown(world: World, component: Component) -> None:
    """Neither its change nor its value is posted; the rest of the notice is."""
    [one] = stored(world, grant(world, events="state,priority"))
    both = [
        {"field": "state", "label": "State", "old": "New", "new": "In Progress"},
        {"field": "u_salary", "label": "Salary", "old": "1,000", "new": "2,000"},
    ]
    component.changed(incident(world), [one], changes=both)
    pass_time(world, 2)
    [post] = notices(world)
    assert "State: New" in post["message"]
    assert "Salary" not in post["message"]
    assert "2,000" not in post["message"]


def test_a_text_whose_column_the_owner_cant_read_isnt_shown(world: World, component: Component) -> None:
    """
    Work notes are allowed in channels, and someone without a role, from whom ServiceNow hides them, subscribed to them:
    they appear neither with a comment nor alone.
    """
    requester = world.connected("requester")
    world.restart(work_notes_in_channels=True)
    own = next(row for row in world.servicenow.rows("incident") if row["caller_id"] == _id_of(world, "requester"))
    [one] = stored(world, grant(world, owner="requester", events="commented,work_notes"))
    texts = [{"kind": "comments", "text": "for the caller"}, {"kind": "work_notes", "text": "for the staff"}]
    for comments in (texts, texts[1:]):
        row = matching(one, created_by="requester", updated_by="requester")
        events = ["commented", "work_notes"][-len(comments) :]
        component.changed(own, [], subscriptions=[row], events=events, changes=[], comments=comments)
        pass_time(world, 30)
    assert len(notices(world)) == 2
    assert "for the caller" in notices(world)[0]["message"]
    assert "for the staff" not in str(notices(world))
    assert requester.id == one.owner_id


def _id_of(world: World, user_name: str) -> str:
    return str(next(row["sys_id"] for row in world.servicenow.rows("sys_user") if row["user_name"] == user_name))


def test_losing_the_right_breaks_the_subscription(world: World, component: Component) -> None:
    """Nothing is posted; the subscription is broken with the reason, and its owner is told once."""
    [one] = stored(world, grant(world))
    remove_role(world, "itil", "agent")
    for number in range(2):
        component.changed(incident(world, number), [one])
        pass_time(world, 30)
    assert notices(world) == []
    broken = kept(world, one.sys_id)
    assert (broken.status, broken.told_at > 0) == ("broken", True)
    assert "no record of this table" in broken.reason
    [text] = told(world, "agent")
    assert broken.reason in text
    assert "All incidents" in text
    assert "/servicenow subscriptions list" in text


def test_a_deleted_record_breaks_only_its_own_subscription(world: World, component: Component) -> None:
    """The subscription to the record is broken and says so; one to the whole table isn't affected."""
    record = incident(world)
    of_record, of_table = stored(
        world, grant(world, record_id=record["sys_id"], name="One record"), grant(world, "town-square")
    )
    posted_just_now(world, record)
    posted_just_now(world, record, channel="town-square")
    component.changed(record, [of_record, of_table])
    world.administer("DELETE", f"/api/now/table/incident/{record['sys_id']}", {})
    pass_time(world, 30)
    assert all_notices(world) == []
    assert "no such record any more" in kept(world, of_record.sys_id).reason
    assert kept(world, of_table.sys_id).status == "active"
    [text] = told(world, "agent")
    assert "One record" in text
    component.changed(incident(world), [of_table])
    pass_time(world, 30)
    assert len(notices(world, "town-square")) == 1


def test_one_owner_with_the_right_is_enough(world: World, everybody: Component) -> None:
    """
    One owner of two in a channel lost the right: that subscription is broken, and the other's notice is posted once.
    """
    first, second = stored(world, grant(world), grant(world, owner="agent2"))
    remove_role(world, "itil", "agent")
    both = [matching(first), matching(second, created_by="agent2", updated_by="agent2")]
    everybody.changed(incident(world), [], subscriptions=both)
    pass_time(world, 30)
    assert len(notices(world)) == 1
    assert kept(world, first.sys_id).status == "broken"
    assert kept(world, second.sys_id).status == "active"


@pytest.mark.parametrize("how", ["suspended", "disconnected"])
def test_an_owner_without_a_connection_shows_only_that_a_record_changed(
    world: World, component: Component, how: str
) -> None:
    """
    If the record's card is in the channel, the post has its number, its link, and that it changed; the owner is asked
    to connect, once a day. If the channel doesn't know the record, nothing is posted.
    """
    [one] = stored(world, grant(world))
    record = incident(world)
    component.changed(record, [one])
    pass_time(world, 30)
    if how == "disconnected":
        world.person("agent").command("disconnect")
    else:
        world.advance(1801)
        world.servicenow.fault("refresh_refused", "/oauth_token.do")
    for _ in range(2):
        component.changed(record, [one], changes=[{"field": "state", "label": "State", "old": "New", "new": "Secret"}])
        component.changed(incident(world, 1), [one])
        pass_time(world, 30)
    first, *posts = notices(world)
    assert [post["root_id"] for post in posts] == [first["id"]] * 2
    assert all(f"[{record['number']}](" in post["message"] and "has changed" in post["message"] for post in posts)
    assert not any("Secret" in post["message"] or post["props"].get("attachments") for post in posts)
    asked = [text for text in told(world, "agent") if "notifications of" in text or "no longer accepts" in text]
    assert len(asked) == 1
    assert kept(world, one.sys_id).status == "active"
    world.connected("agent")
    component.changed(record, [one])
    pass_time(world, 30)
    assert "State: New → In Progress" in notices(world)[-1]["message"]


# --- reports from the component itself


def test_a_report_from_the_component_is_posted(world: World, everybody: Component) -> None:
    """A change of a record in ServiceNow passes its business rule, outbox and signature, and reaches the channel."""
    [one] = stored(world, grant(world))
    keys = "/api/now/table/x_830655_mm_std_servicenow_for_mattermost_notifications_auth"
    key = {"server_url": world.config.app_url, "key_id": KEY_ID, "signing_secret": SECRET}
    world.administer("POST", f"{keys}?sysparm_input_display_value=true", key)
    _row_of(world, one)
    record = incident(world)
    world.administer("PATCH", f"/api/now/table/incident/{record['sys_id']}", {"state": "2"})
    world.servicenow.settle()
    pass_time(world, 2)
    [post] = notices(world)
    assert "State: New → In Progress" in post["message"]
    assert "by Ada Admin" in post["message"]


def _row_of(world: World, one: Grant) -> None:
    """The row that belongs to a grant, written as its owner."""
    sys_id = foreign_row(
        world, "agent", channel_id=one.channel_id, user_id=one.owner_id, sys_id=one.sys_id, status="active"
    )
    assert sys_id == one.sys_id
