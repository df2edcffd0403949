"""
Unread counts, mentions and followed threads. `mentions` and `thread_updated` follow a recording, the rest the
documentation.
"""

import json
from typing import Any

import pytest

from sandbox.client import MattermostClient
from sandbox.mattermost import MattermostDouble

Json = dict[str, Any]


def unread(person: MattermostClient, channel: str = "service-desk") -> Json:
    """What is unread in a channel."""
    found: Json = person.get(f"/api/v4/users/me/channels/{person.channel(channel)}/unread")
    return found


def threads(person: MattermostClient, **params: str) -> Json:
    """The followed threads of the team."""
    given = {"extended": "true"} | params
    found: Json = person.get(f"/api/v4/users/me/teams/{person.team_id}/threads", **given)
    return found


def bot(admin: MattermostClient, channel: str = "service-desk") -> tuple[str, Json]:
    """A channel member that posts like a bot; its ID, and headers with its token."""
    made = admin.post("/api/v4/bots", {"username": "helper"})["user_id"]
    admin.post(f"/api/v4/teams/{admin.team_id}/members", {"user_id": made})
    admin.post(f"/api/v4/channels/{admin.channel(channel)}/members", {"user_id": made})
    token = admin.post(f"/api/v4/users/{made}/tokens", {"description": "x"})["token"]
    return made, {"Authorization": f"Bearer {token}"}


def test_posts_and_mentions_are_counted_until_the_channel_is_viewed(
    double: MattermostDouble, agent: MattermostClient, admin: MattermostClient
) -> None:
    """
    Per channel, in the membership, and per team; the author has read them; viewing resets all counts and is announced.
    """
    desk = agent.channel("service-desk")
    admin.say("service-desk", "one")
    admin.say("service-desk", "two for @agent")
    assert unread(agent) == {
        "team_id": agent.team_id,
        "channel_id": desk,
        "msg_count": 2,
        "msg_count_root": 2,
        "mention_count": 1,
        "mention_count_root": 1,
        "urgent_mention_count": 0,
    }
    assert unread(admin)["msg_count"] == 0
    member = agent.get(f"/api/v4/channels/{desk}/members/me")
    assert (member["msg_count"], member["mention_count"], member["last_viewed_at"]) == (0, 1, 0)
    assert member in agent.get(f"/api/v4/users/me/teams/{agent.team_id}/channels/members")
    team = {"team_id": agent.team_id, "msg_count": 2, "mention_count": 1, "mention_count_root": 1, "msg_count_root": 2}
    none = {"thread_count": 0, "thread_mention_count": 0, "thread_urgent_mention_count": 0}
    assert agent.get("/api/v4/users/me/teams/unread") == [team | none]
    assert agent.get(f"/api/v4/users/me/teams/{agent.team_id}/unread") == team | none
    with agent.listening() as listening:
        answer = agent.post("/api/v4/channels/members/me/view", {"channel_id": desk, "prev_channel_id": ""})
        [event] = listening.events()
    last = double.posts_in("service-desk")[-1]["create_at"]
    assert answer == {"status": "OK", "last_viewed_at_times": {desk: last}}
    assert (event["event"], event["data"]) == ("multiple_channels_viewed", {"channel_times": {desk: last}})
    after = unread(agent)
    assert (after["msg_count"], after["mention_count"]) == (0, 0)
    assert agent.get(f"/api/v4/channels/{desk}/members/me")["last_viewed_at"] == last


MENTIONING = (
    "@agent", "(@Agent)", "look, @agent.", "@agent: now", "**@agent**", "\\@agent", "[@agent](https://x.example)",
    "> @agent", "<b>@agent</b>", "@agent-", "_@agent_", "@channel", "@ALL", "@here",
)  # fmt: skip
SILENT = (
    "agent", "@agent2", "`@agent`", "```\n@agent\n```", "    @agent", "https://x.example/@agent", "x@agent",
    "@\u200bagent", "@agents", "![x](/@agent)", "[x](/@agent)", ":@agent:",
)  # fmt: skip


def test_what_counts_as_a_mention(agent: MattermostClient, admin: MattermostClient) -> None:
    """A name, or a keyword for everyone, wherever it is text in Markdown; `@here` for people with an open client."""
    with agent.listening():
        for text in (*MENTIONING, *SILENT):
            before = unread(agent)["mention_count"]
            admin.say("service-desk", text)
            assert unread(agent)["mention_count"] - before == (text in MENTIONING), text
    away = MattermostClient(agent.url, "requester")  # no client of these tests listens for them
    before = unread(away)["mention_count"]
    admin.say("service-desk", "@here")
    assert unread(away)["mention_count"] == before


@pytest.mark.parametrize(
    ("attachment", "count"),
    [
        ({"pretext": "@agent"}, 1),
        ({"text": "@agent"}, 1),
        ({"fields": [{"title": "x", "value": "@agent", "short": True}, {"title": "y", "value": 5}]}, 1),
        ({"title": "@agent", "fallback": "@agent", "footer": "@agent", "author_name": "@agent"}, 0),
        ({"fields": [{"title": "@agent", "value": "x"}]}, 0),
    ],
)
def test_where_an_attachment_can_mention(
    agent: MattermostClient, admin: MattermostClient, attachment: Json, count: int
) -> None:
    """In its pretext, its text and its fields' values."""
    post = {"channel_id": admin.channel("service-desk"), "message": "", "props": {"attachments": [attachment]}}
    admin.post("/api/v4/posts", post)
    assert unread(agent)["mention_count"] == count


def test_nobody_mentions_themselves_and_only_the_mentioned_are_told(
    agent: MattermostClient, admin: MattermostClient
) -> None:
    """An event's `mentions` is the listener's own or absent; everything in a direct message is a mention."""
    with agent.listening() as one, admin.listening() as other:
        agent.say("service-desk", "@agent and @admin")
        assert unread(agent)["mention_count"] == 0
        [mine], [theirs] = one.events(), other.events()
        assert "mentions" not in mine["data"]
        assert json.loads(theirs["data"]["mentions"]) == [admin.id]
        direct = agent.post("/api/v4/channels/direct", [agent.id, admin.id])["id"]
        other.events()
        agent.post("/api/v4/posts", {"channel_id": direct, "message": "hello"})
        assert json.loads(other.events()[0]["data"]["mentions"]) == [admin.id]
    assert admin.get(f"/api/v4/users/me/channels/{direct}/unread")["mention_count"] == 1
    assert agent.get(f"/api/v4/users/me/channels/{direct}/unread")["msg_count"] == 0


def test_authors_repliers_and_mentioned_people_follow_a_thread(
    agent: MattermostClient, admin: MattermostClient
) -> None:
    """Replies are unread in the thread, not in the channel; each follower is notified of the thread, as recorded."""
    other = MattermostClient(agent.url, "agent2")
    root = agent.say("service-desk", "root for @agent2")
    assert threads(agent)["total"] == threads(other)["total"] == 0  # nothing is a thread before its first reply
    with agent.listening() as listening:
        reply = admin.say("service-desk", "reply", root["id"])
        posted, updated = listening.events()
    assert "mentions" not in posted["data"]
    assert updated["event"] == "thread_updated"
    assert (updated["broadcast"]["user_id"], updated["broadcast"]["team_id"]) == (agent.id, agent.team_id)
    told = json.loads(updated["data"].pop("thread"))
    assert updated["data"] == {"previous_unread_mentions": 0, "previous_unread_replies": 0}
    [person] = told.pop("participants")
    assert person["username"] == "admin"
    assert "notify_props" not in person
    post = told.pop("post")
    assert (post["id"], post["reply_count"], post["update_at"]) == (root["id"], 0, reply["create_at"])
    assert told == {
        "id": root["id"],
        "reply_count": 1,
        "last_reply_at": reply["create_at"],
        "last_viewed_at": 0,
        "unread_replies": 1,
        "unread_mentions": 0,
        "is_urgent": False,
        "delete_at": 0,
    }
    assert unread(agent)["msg_count_root"] == 0
    assert unread(agent)["msg_count"] == 1
    assert [one["id"] for one in threads(other)["threads"]] == [root["id"]]
    [own] = threads(admin)["threads"]
    assert (own["unread_replies"], own["unread_mentions"]) == (0, 0)


def test_mentions_in_threads_count_until_the_thread_is_read(agent: MattermostClient, admin: MattermostClient) -> None:
    """They count in the thread and in the channel's total; reading up to a time leaves later ones."""
    root = admin.say("service-desk", "root")
    first = admin.say("service-desk", "@agent first", root["id"])
    admin.say("service-desk", "@agent second", root["id"])
    gone = admin.say("service-desk", "@agent third", root["id"])
    assert (unread(agent)["mention_count"], unread(agent)["mention_count_root"]) == (3, 0)
    admin.browser.delete(f"{admin.url}/api/v4/posts/{gone['id']}").raise_for_status()
    counts = {"total": 1, "total_unread_threads": 1, "total_unread_mentions": 2, "total_unread_urgent_mentions": 0}
    assert threads(agent, totalsOnly="true") == counts | {"threads": None}
    [team] = agent.get("/api/v4/users/me/teams/unread", include_collapsed_threads="true")
    assert (team["thread_count"], team["thread_mention_count"]) == (1, 2)
    url = f"{agent.url}/api/v4/users/me/teams/{agent.team_id}/threads"
    with agent.listening() as listening:
        read = agent.browser.put(f"{url}/{root['id']}/read/{first['create_at'] - 1}").json()
        assert (read["unread_replies"], read["unread_mentions"]) == (2, 2)
        read = agent.browser.put(f"{url}/{root['id']}/read/4102444800000").json()
        assert (read["unread_replies"], read["unread_mentions"]) == (0, 0)
        last = listening.events()[-1]
    assert read["participants"][0]["id"] == admin.id
    assert read["participants"][0]["username"] == ""
    assert last["event"] == "thread_read_changed"
    assert last["data"] == {
        "thread_id": root["id"],
        "channel_id": root["channel_id"],
        "timestamp": 4102444800000,
        "unread_mentions": 0,
        "unread_replies": 0,
        "previous_unread_mentions": 2,
        "previous_unread_replies": 2,
    }
    assert threads(agent, unread="true") == counts | dict.fromkeys(counts, 0) | {"threads": []}
    assert threads(agent, threadsOnly="true")["total"] == 0
    assert len(threads(agent, threadsOnly="true")["threads"]) == 1


def test_viewing_a_channel_reads_its_threads_for_older_clients(
    agent: MattermostClient, admin: MattermostClient
) -> None:
    """With `collapsed_threads_supported` they remain unread."""
    root = admin.say("service-desk", "root")
    admin.say("service-desk", "@agent", root["id"])
    given = {"channel_id": root["channel_id"], "collapsed_threads_supported": True}
    agent.post("/api/v4/channels/members/me/view", given)
    assert threads(agent)["total_unread_mentions"] == 1
    agent.post("/api/v4/channels/members/me/view", given | {"collapsed_threads_supported": False})
    assert threads(agent)["total_unread_mentions"] == 0


def test_a_bots_post_leaves_its_channel_unread_for_the_bot(admin: MattermostClient, agent: MattermostClient) -> None:
    """As recorded: a bot's membership has read nothing, whatever it posts; it mentions others and is mentioned."""
    made, headers = bot(admin)
    desk = admin.channel("service-desk")
    url = f"{admin.url}/api/v4/posts"
    sent = agent.browser.post(url, json={"channel_id": desk, "message": "@agent"}, headers=headers)
    assert sent.status_code == 201
    agent.say("service-desk", "@helper")
    member = agent.get(f"/api/v4/channels/{desk}/members/{made}")
    assert (member["msg_count"], member["mention_count"], member["last_viewed_at"]) == (0, 1, 0)


def test_rejected_requests(agent: MattermostClient, admin: MattermostClient) -> None:
    """
    Other people's counts, channels that the person isn't in, threads they don't follow; and 501 for what isn't
    implemented.
    """
    operations = admin.channel("operations")
    team = f"/api/v4/users/me/teams/{agent.team_id}"
    for path, status, error in (
        (f"/api/v4/users/me/channels/{operations}/unread", 403, "api.context.permissions.app_error"),
        (f"/api/v4/users/{admin.id}/teams/unread", 403, "api.context.permissions.app_error"),
        (f"/api/v4/users/me/channels/{agent.channel('archive')}/unread", 404, "app.channel.get_unread.app_error"),
        (f"{team}/threads?totalsOnly=true&threadsOnly=true", 400, "api.getThreadsForUser.bad_only_params"),
        (f"{team}/threads?since=1", 501, "api.sandbox.missing.app_error"),
        (f"{team}/threads/{'x' * 26}", 501, "api.sandbox.missing.app_error"),
        ("/api/v4/users/me/teams/unread?exclude_team=x", 501, "api.sandbox.missing.app_error"),
    ):
        answer = agent.browser.get(agent.url + path)
        assert (answer.status_code, answer.json()["id"]) == (status, error), path
    answer = agent.browser.put(f"{agent.url}{team}/threads/{'x' * 26}/read/1")
    assert (answer.status_code, answer.json()["id"]) == (404, "app.user.get_thread_membership_for_user.not_found")
    answer = agent.browser.put(f"{agent.url}{team}/threads/read")
    assert (answer.status_code, answer.json()["id"]) == (501, "api.sandbox.missing.app_error")
    elsewhere = agent.post("/api/v4/channels/members/me/view", {"channel_id": operations})
    assert elsewhere == {"status": "OK", "last_viewed_at_times": {}}
