"""A change in ServiceNow appears in the channel: signed report, stored, posted (design §9)."""

import re
from dataclasses import replace
from typing import Any

import pytest
from markdown_it import MarkdownIt

from tests.reports import Component, grant, incident, matching, notices, pass_time, posted_just_now, stored
from tests.world import World

Json = dict[str, Any]


def test_a_change_appears_in_the_channel(world: World, component: Component) -> None:
    """It is posted at once, with the old and new value, the author, and the record's card with its link."""
    [one] = stored(world, grant(world))
    record = incident(world)
    component.changed(record, [one])
    world.settle()
    [post] = notices(world)
    assert "**State changed** by Aiko Agent" in post["message"]
    assert "State: New → In Progress" in post["message"]
    [card] = post["props"]["attachments"]
    assert card["title"] == f"{record['number']}: {record['short_description']}"
    assert record["sys_id"] in card["title_link"]


def texts(world: World, channel: str = "service-desk") -> list[str]:
    """The text of the notices in a channel."""
    return [post["message"] for post in notices(world, channel)]


def test_later_changes_are_collected_in_one_reply(world: World, component: Component) -> None:
    """Changes within twenty seconds after a notice become one reply, in order, and the first card shows all of them."""
    [one] = stored(world, grant(world))
    record = incident(world)
    component.changed(record, [one])
    pass_time(world, 2)
    world.administer("PATCH", f"/api/now/table/incident/{record['sys_id']}", {"short_description": "Newer words"})
    for old, new in (("In Progress", "On Hold"), ("On Hold", "Resolved")):
        component.changed(record, [one], changes=[{"field": "state", "label": "State", "old": old, "new": new}])
        pass_time(world, 5)
    assert len(notices(world)) == 1
    pass_time(world, 20)
    root, reply = notices(world)
    assert reply["root_id"] == root["id"]
    assert reply["message"].index("In Progress → On Hold") < reply["message"].index("On Hold → Resolved")
    assert not reply["props"].get("attachments")
    assert root["props"]["attachments"][0]["title"].endswith(": Newer words")
    assert root["props"]["from_bot"] == "true"
    assert "New → In Progress" in root["message"]


def test_a_card_never_goes_back(world: World, component: Component) -> None:
    """If an action has updated the card in the meantime, an older reading doesn't overwrite it."""
    [one] = stored(world, grant(world))
    record = incident(world)
    component.changed(record, [one])
    pass_time(world, 2)
    root = world.mattermost.state.posts[notices(world)[0]["id"]]
    root["props"]["servicenow"]["sys_mod_count"] = "99"
    root["props"]["attachments"][0]["title"] = "the newest"
    world.administer("PATCH", f"/api/now/table/incident/{record['sys_id']}", {"short_description": "older"})
    component.changed(record, [one])
    pass_time(world, 30)
    assert len(notices(world)) == 2
    assert notices(world)[0]["props"]["attachments"][0]["title"] == "the newest"


def test_several_subscriptions_of_a_channel_make_one_post(world: World, component: Component) -> None:
    """Two owners and three subscriptions match in one channel and one in another: each channel gets one post."""
    world.connected("agent2")
    here = stored(world, grant(world), grant(world, owner="agent2"), grant(world), grant(world, "town-square"))
    record = incident(world)
    report = component.report(record, here)
    report["subscriptions"][1] |= {"created_by": "agent2", "updated_by": "agent2"}
    assert component.send(report).status_code == 202
    pass_time(world, 2)
    assert len(notices(world)) == 1
    assert len(notices(world, "town-square")) == 1


def test_a_new_root_after_thirty_days_or_if_the_root_is_deleted(world: World, component: Component) -> None:
    """A thread ends when its card is deleted, and after thirty days."""
    [one] = stored(world, grant(world))
    record = incident(world)

    def another() -> Json:
        component.changed(record, [one])
        pass_time(world, 30)
        return notices(world)[-1]

    first = another()
    world.person("admin").browser.delete(f"{world.mattermost.url}/api/v4/posts/{first['id']}")
    second = another()
    assert second["root_id"] == ""
    assert another()["root_id"] == second["id"]
    pass_time(world, 30 * 86_400)
    assert another()["root_id"] == ""


@pytest.mark.parametrize(
    ("events", "change"),
    [
        (["reopened", "state"], ("state", "Closed", "In Progress")),
        (["priority"], ("priority", "4 - Low", "1 - Critical")),
    ],
)
def test_urgent_changes_are_posted_in_the_channel(
    world: World, component: Component, events: list[str], change: tuple[str, str, str]
) -> None:
    """A reopened record and a raised priority aren't replies; a lowered priority is."""
    [one] = stored(world, grant(world))
    record = incident(world)
    component.changed(record, [one])
    pass_time(world, 2)
    field, old, new = change
    component.changed(record, [one], events=events, changes=[{"field": field, "label": field, "old": old, "new": new}])
    pass_time(world, 30)
    lowered = [{"field": "priority", "label": "Priority", "old": "1 - Critical", "new": "4 - Low"}]
    component.changed(record, [one], events=["priority"], changes=lowered)
    pass_time(world, 30)
    first, urgent, last = notices(world)
    assert urgent["root_id"] == ""
    assert urgent["props"]["attachments"]
    assert last["root_id"] == first["id"]


def test_the_grants_options_apply(world: World, component: Component) -> None:
    """Posting to the channel, mentioning the assignee and hiding comments follow the grant, whatever the row says."""
    world.connected("agent2")
    [one] = stored(world, grant(world, options="in_channel,mention_assignee,hide_comment"))
    record = incident(world)
    person = next(row for row in world.servicenow.rows("sys_user") if row["user_name"] == "agent2")
    path = f"/api/now/table/incident/{record['sys_id']}"
    world.administer("PATCH", path, {"assigned_to": person["sys_id"]})
    comment = [{"kind": "comments", "text": "only for some"}]
    for _ in range(2):
        component.changed(record, [one], events=["commented"], comments=comment, changes=[])
        pass_time(world, 30)
    first, second = notices(world)
    assert second["root_id"] == ""
    assert "@agent2" in first["message"].splitlines()
    assert "only for some" not in first["message"]


def test_assignees_arent_mentioned_for_their_own_work(world: World, component: Component) -> None:
    """Nobody is mentioned for what they did themselves."""
    world.connected("agent2")
    [one] = stored(world, grant(world, options="mention_assignee"))
    record = incident(world)
    person = next(row for row in world.servicenow.rows("sys_user") if row["user_name"] == "agent2")
    world.administer("PATCH", f"/api/now/table/incident/{record['sys_id']}", {"assigned_to": person["sys_id"]})
    component.changed(record, [one], actor={"sys_id": person["sys_id"], "user_name": "agent2", "name": "Aiko Agent"})
    pass_time(world, 2)
    assert "@" not in texts(world)[0]


def test_comments_are_quoted_and_work_notes_only_if_allowed(world: World, component: Component) -> None:
    """A work note's text needs `WORK_NOTES_IN_CHANNELS` and a subscription to work notes."""
    plain, noted = stored(world, grant(world, events="commented,state"), grant(world, "town-square"))
    record = incident(world)
    both: Json = {
        "events": ["commented", "work_notes"],
        "comments": [{"kind": "comments", "text": "hello\nyou"}, {"kind": "work_notes", "text": "the secret note"}],
        "changes": [],
    }
    component.changed(record, [plain, noted], **both)
    pass_time(world, 30)
    assert "> hello\n> you" in texts(world)[0]
    assert "**New comment, New work note**" in texts(world, "town-square")[0]
    assert "secret" not in str(texts(world) + texts(world, "town-square"))
    world.restart(work_notes_in_channels=True)
    component.changed(record, [plain, noted], **both)
    pass_time(world, 30)
    assert "> the secret note" in texts(world, "town-square")[1]
    assert "secret" not in str(texts(world))


HOSTILE = "@all @channel ~town-square [click](https://evil.example) **bold** `code` # head | | <b> :smile: http://evil"


def test_hostile_text_is_escaped(world: World, component: Component) -> None:
    """Markdown, mentions, links and line breaks in a record, its values and its comments have no effect."""
    [one] = stored(world, grant(world))
    record = incident(world)
    world.administer("PATCH", f"/api/now/table/incident/{record['sys_id']}", {"short_description": HOSTILE})
    component.changed(
        record,
        [one],
        events=["commented", "state"],
        changes=[{"field": "state", "label": HOSTILE, "old": f"x\n# {HOSTILE}", "new": HOSTILE}],
        comments=[{"kind": "comments", "text": f"line\n\n# head\n> {HOSTILE}\n```\n@here"}],
        actor={"sys_id": "0" * 32, "user_name": HOSTILE, "name": HOSTILE},
    )
    pass_time(world, 2)
    [post] = notices(world)
    card = post["props"]["attachments"][0]
    drawn = [post["message"], card["title"], card["fallback"], *(field["value"] for field in card["fields"])]
    for text in drawn:
        assert not re.search(r"(^|\W)[@~]\w", text), text
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(post["message"])
    inline = [child for token in tokens for child in token.children or []]
    assert not [child for child in inline if child.type in {"link_open", "image", "code_inline", "html_inline"}]
    assert not [token for token in tokens if token.type in {"heading_open", "fence", "html_block", "table_open"}]


def test_a_test_notice_is_marked(world: World, component: Component) -> None:
    """It shows the newest record and says that nothing changed, whatever events are subscribed to."""
    [one] = stored(world, grant(world, events="created"))
    component.changed(incident(world), [one], events=[], changes=[], test="nonce-3")
    pass_time(world, 2)
    [post] = notices(world)
    assert "This is a test" in post["message"]
    assert post["props"]["attachments"]
    assert world.running.service.services.test_reports.arrived("nonce-3", 0)


def test_events_outside_the_subscription_arent_posted(world: World, component: Component) -> None:
    """Events come from the grant; other events in the row are ignored."""
    [one] = stored(world, grant(world, events="priority"))
    component.changed(incident(world), [one])
    pass_time(world, 2)
    assert notices(world) == []


def test_a_paused_or_deleted_subscription_posts_nothing(world: World, component: Component) -> None:
    """Notices that were waiting when it was paused aren't posted either."""
    active, paused = stored(world, grant(world), grant(world, "town-square", status="paused"))
    record = incident(world)
    posted_just_now(world, record)
    component.changed(record, [active, paused])
    world.running.service.services.stores.grants.delete(active.sys_id)
    pass_time(world, 20)
    assert notices(world) == notices(world, "town-square") == []
    assert world.running.service.services.deliveries.health().waiting == 0


@pytest.mark.parametrize("change", [{"status": "paused"}, {"status": "broken"}, {"channel_id": "z" * 26}])
def test_waiting_notices_of_a_stopped_or_moved_subscription_arent_posted(
    world: World, component: Component, change: Json
) -> None:
    """The grant at the time of posting decides."""
    [one] = stored(world, grant(world))
    posted_just_now(world, incident(world))
    component.changed(incident(world), [one])
    world.running.service.services.stores.grants.put(replace(one, **change))
    pass_time(world, 20)
    assert notices(world) == []
    assert world.running.service.services.deliveries.health().waiting == 0


def test_all_records_of_an_owner_are_read_at_once(world: World, component: Component) -> None:
    """Everything due for one owner costs one round trip to ServiceNow."""
    [one] = stored(world, grant(world))
    records = [incident(world, number) for number in range(3)]
    posted_just_now(world, *records)
    for record in records:
        component.changed(record, [one])
    world.servicenow.clear_requests()
    pass_time(world, 20)
    assert len(notices(world)) == 3
    assert len(world.asked(method="GET", path="/api/now/v2/table/incident")) == 1


def test_changes_are_shown_in_the_owners_language(world: World, component: Component) -> None:
    """If the author works in German, the subscriber still reads label, old and new value in their own language."""
    [one] = stored(world, grant(world))
    change = {"field": "state", "label": "Status", "old": "Neu", "new": "In Bearbeitung"}
    component.changed(incident(world), [one], changes=[change | {"old_value": "1", "new_value": "2"}])
    pass_time(world, 2)
    assert "State: New → In Progress" in texts(world)[0]
    assert "Neu" not in texts(world)[0]


def test_an_unknown_value_is_shown_as_reported(world: World, component: Component) -> None:
    """A choice that was deleted in the meantime keeps the report's text."""
    [one] = stored(world, grant(world))
    change = {"field": "state", "label": "State", "old": "Parked", "new": "In Progress"}
    component.changed(incident(world), [one], changes=[change | {"old_value": "99", "new_value": "2"}])
    pass_time(world, 2)
    assert "State: Parked → In Progress" in texts(world)[0]


def test_each_subscriber_of_a_channel_gets_what_they_subscribed_to(world: World, component: Component) -> None:
    """One subscribed to states, another to comments, a third to the same: one post with both, two reads."""
    for name in ("agent2", "admin"):
        world.connected(name)
    states, comments, again = stored(
        world,
        grant(world, events="state"),
        grant(world, owner="agent2", events="commented"),
        grant(world, owner="admin", events="state,commented"),
    )
    rows = [
        matching(states),
        matching(comments, created_by="agent2", updated_by="agent2"),
        matching(again, created_by="admin", updated_by="admin"),
    ]
    world.servicenow.clear_requests()
    text = [{"kind": "comments", "text": "It burns"}]
    component.changed(incident(world), [], subscriptions=rows, events=["state", "commented"], comments=text)
    pass_time(world, 2)
    [post] = notices(world)
    assert "**State changed, New comment** by" in post["message"]
    assert "> It burns" in post["message"]
    assert len(world.asked(method="GET", path="/api/now/v2/table/incident")) == 2


def test_a_hidden_comment_is_hidden_beside_another_subscription(world: World, component: Component) -> None:
    """The subscription to states shows texts, the one to comments hides them: no text is posted."""
    both = stored(world, grant(world, events="state"), grant(world, events="commented", options="hide_comment"))
    text = [{"kind": "comments", "text": "It burns"}]
    component.changed(incident(world), both, events=["state", "commented"], comments=text)
    pass_time(world, 2)
    [post] = notices(world)
    assert "New comment" in post["message"]
    assert "burns" not in post["message"]


def test_changes_are_posted_in_order_however_they_arrive(world: World, component: Component) -> None:
    """ServiceNow sends several at once; the record's modification count gives the order."""
    [one] = stored(world, grant(world))
    record = incident(world)
    posted_just_now(world, record)
    for count, new in ((3, "On Hold"), (2, "In Progress")):
        report = component.report(record, [one], changes=[{"field": "state", "label": "State", "old": "", "new": new}])
        report["record"]["sys_mod_count"] = count
        assert component.send(report).status_code == 202
    pass_time(world, 20)
    [post] = notices(world)
    assert post["message"].index("In Progress") < post["message"].index("On Hold")
