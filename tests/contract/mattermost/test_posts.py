"""
Posts over time: pending IDs, editing, deleting, threads, and reading changes. Follows the documentation, not a
recording.
"""

import threading
from typing import Any

import pytest
import requests

from sandbox.client import MattermostClient
from sandbox.mattermost import MattermostDouble

Json = dict[str, Any]


@pytest.fixture
def desk(agent: MattermostClient) -> str:
    """A channel's id."""
    return agent.channel("service-desk")


def put(agent: MattermostClient, path: str, body: Json) -> requests.Response:
    """A PUT, whatever its result."""
    return agent.browser.put(f"{agent.url}/api/v4/posts/{path}", json=body)


def order(agent: MattermostClient, desk: str, **params: str) -> list[str]:
    """The messages listed, in order."""
    found = agent.get(f"/api/v4/channels/{desk}/posts", **params)
    return [found["posts"][one]["message"] for one in found["order"]]


def test_a_pending_post_blocks_its_duplicate_until_it_is_made(
    double: MattermostDouble, agent: MattermostClient, desk: str
) -> None:
    """While the first is in progress: 500; afterwards the duplicate gets the first one's post."""
    given = {"channel_id": desk, "message": "once", "pending_post_id": "bot:batch"}
    double.fault("slow", "/api/v4/posts", seconds=30)
    first = threading.Thread(target=agent.post, args=("/api/v4/posts", given))
    first.start()
    while double.armed() or "bot:batch" not in double.state.pending:
        assert first.is_alive()
    twin = MattermostClient(double.url, "agent")
    answer = twin.browser.post(f"{double.url}/api/v4/posts", json=given)
    assert (answer.status_code, answer.json()["id"]) == (500, "api.post.deduplicate_create_post.pending")
    double.clear_faults()
    first.join(10)
    [post] = double.posts_in("service-desk")
    assert twin.post("/api/v4/posts", given)["id"] == post["id"]


def test_a_failed_attempt_frees_its_pending_id(agent: MattermostClient, desk: str) -> None:
    """A rejected post can be repeated with the same ID at once."""
    given: Json = {"channel_id": desk, "message": "x" * 16384, "pending_post_id": "bot:long"}
    assert agent.browser.post(f"{agent.url}/api/v4/posts", json=given).status_code == 400
    assert agent.post("/api/v4/posts", given | {"message": "short"})["message"] == "short"


def test_a_pending_id_reveals_no_unreadable_post(double: MattermostDouble, agent: MattermostClient, desk: str) -> None:
    """The same ID from someone who can't read the first post makes a separate post."""
    approver = MattermostClient(double.url, "approver")
    hidden = {"channel_id": approver.channel("operations"), "message": "hidden", "pending_post_id": "bot:1"}
    first = approver.post("/api/v4/posts", hidden)
    assert agent.post("/api/v4/posts", {"channel_id": desk, "message": "mine", "pending_post_id": "bot:1"}) != first
    assert [post["message"] for post in double.posts_in("service-desk")] == ["mine"]


def test_a_post_is_edited_when_its_message_or_attachments_change(agent: MattermostClient, desk: str) -> None:
    """
    As recorded for a card that an action's answer replaced below an empty message; other props don't count as an edit.
    """
    card: Json = {
        "title": "Card",
        "actions": [{"id": "a", "name": "A", "type": "button", "integration": {"url": "http://x"}}],
    }
    post = agent.post("/api/v4/posts", {"channel_id": desk, "message": "", "props": {"attachments": [card]}})
    path = f"{post['id']}/patch"
    styled = {**card, "actions": [{**card["actions"][0], "style": "good"}]}
    for props in ({"attachments": [card], "other": 1}, {"attachments": [styled]}):
        assert put(agent, path, {"props": props}).json()["edit_at"] == 0
    assert put(agent, path, {"props": {"attachments": [styled | {"title": "Updated card"}]}}).json()["edit_at"] > 0
    said = agent.post("/api/v4/posts", {"channel_id": desk, "message": "one"})
    assert put(agent, f"{said['id']}/patch", {"message": "one"}).json()["edit_at"] == 0
    assert put(agent, f"{said['id']}/patch", {"message": "two"}).json()["edit_at"] > 0


def test_a_patch_replaces_all_props_and_is_announced(agent: MattermostClient, desk: str) -> None:
    """Custom props are kept as given; a patch of only the message leaves them; members are notified of an edit."""
    batch: Json = {"batch": "b1", "rows": ["1", "2"], "nested": {"n": 1}}
    post = agent.post("/api/v4/posts", {"channel_id": desk, "message": "one", "props": batch})
    assert agent.get(f"/api/v4/posts/{post['id']}")["props"] == batch
    with agent.listening() as listening:
        assert put(agent, f"{post['id']}/patch", {"message": "two"}).json()["props"] == batch
        assert put(agent, f"{post['id']}/patch", {"props": {"batch": "b2"}}).json()["props"] == {"batch": "b2"}
        heard = [one["data"]["post"] for one in listening.events() if one["event"] == "post_edited"]
    assert [(one["message"], one["props"]) for one in heard] == [("two", batch), ("two", {"batch": "b2"})]
    assert put(agent, f"{post['id']}", {"id": post["id"], "message": "three"}).json()["props"] == {}


def test_a_removed_member_can_no_longer_edit(
    double: MattermostDouble, agent: MattermostClient, admin: MattermostClient, desk: str
) -> None:
    """After being removed from the channel, editing their own post fails with 403."""
    post = agent.say("service-desk", "mine")
    admin.browser.delete(f"{double.url}/api/v4/channels/{desk}/members/{agent.id}").raise_for_status()
    assert put(agent, f"{post['id']}/patch", {"message": "changed"}).status_code == 403


def test_a_deleted_root_deletes_its_replies(agent: MattermostClient, desk: str) -> None:
    """Neither thread nor replies can be read, nothing can be replied, and a deleted reply isn't counted."""
    root = agent.say("service-desk", "root")
    replies = [agent.say("service-desk", f"reply {n}", root["id"]) for n in (1, 2)]
    agent.browser.delete(f"{agent.url}/api/v4/posts/{replies[0]['id']}").raise_for_status()
    thread = agent.get(f"/api/v4/posts/{root['id']}/thread")
    assert [thread["posts"][one]["message"] for one in thread["order"]] == ["root", "reply 2"]
    assert agent.get(f"/api/v4/posts/{root['id']}")["reply_count"] == 1
    agent.browser.delete(f"{agent.url}/api/v4/posts/{root['id']}").raise_for_status()
    for path in (f"{root['id']}", f"{root['id']}/thread", replies[1]["id"]):
        assert agent.browser.get(f"{agent.url}/api/v4/posts/{path}").status_code == 404
    reply = {"channel_id": desk, "message": "late", "root_id": root["id"]}
    answer = agent.browser.post(f"{agent.url}/api/v4/posts", json=reply)
    assert (answer.status_code, answer.json()["id"]) == (400, "api.post.create_post.root_id.app_error")


def test_posts_are_read_by_page_and_around_a_post(agent: MattermostClient, desk: str) -> None:
    """Newest first; pages, before and after, with the adjacent IDs."""
    ids = [agent.say("service-desk", f"m{n}")["id"] for n in range(5)]
    assert order(agent, desk) == ["m4", "m3", "m2", "m1", "m0"]
    assert order(agent, desk, page="1", per_page="2") == ["m2", "m1"]
    assert order(agent, desk, before=ids[2], per_page="1") == ["m1"]
    assert order(agent, desk, after=ids[1], per_page="2") == ["m3", "m2"]
    found = agent.get(f"/api/v4/channels/{desk}/posts", page="1", per_page="2")
    assert (found["prev_post_id"], found["next_post_id"]) == (ids[0], ids[3])


def test_since_returns_created_edited_and_deleted_posts(
    double: MattermostDouble, agent: MattermostClient, desk: str
) -> None:
    """Deleted posts have their time of deletion; roots of new replies are included unlisted."""
    old, gone, changed = (agent.say("service-desk", text) for text in ("old", "gone", "changed"))
    double.advance(60)
    since = double.state.now()
    double.advance(60)
    agent.browser.delete(f"{agent.url}/api/v4/posts/{gone['id']}").raise_for_status()
    put(agent, f"{changed['id']}/patch", {"props": {"n": 1}})
    agent.say("service-desk", "reply", old["id"])
    found = agent.get(f"/api/v4/channels/{desk}/posts", since=str(since))
    assert [found["posts"][one]["message"] for one in found["order"]] == ["reply", "changed", "gone", "old"]
    assert found["posts"][gone["id"]]["delete_at"] > since
    assert agent.browser.get(f"{agent.url}/api/v4/channels/{desk}/posts?since=soon").status_code == 400


def test_many_posts_are_read_at_once(agent: MattermostClient, desk: str) -> None:
    """By ID, without deleted ones."""
    kept, gone = (agent.say("service-desk", text)["id"] for text in ("kept", "gone"))
    agent.browser.delete(f"{agent.url}/api/v4/posts/{gone}").raise_for_status()
    assert [one["id"] for one in agent.post("/api/v4/posts/ids", [gone, kept, desk])] == [kept]
