"""Membership and roles: archiving, removing, deactivating. Follows the documentation, not a recording."""

from typing import Any

import pytest
import requests

from sandbox.client import MattermostClient
from sandbox.mattermost import MattermostDouble

Json = dict[str, Any]


def status(response: requests.Response) -> tuple[int, str]:
    """Status and error ID; no ID for success."""
    content = response.json()
    return response.status_code, content.get("id", "") if response.status_code >= 400 else ""


def test_a_channel_is_archived_and_restored(
    double: MattermostDouble, agent: MattermostClient, admin: MattermostClient
) -> None:
    """
    A member archives it, a team administrator restores it; nothing is posted in between, and the team is notified of
    both.
    """
    desk = agent.channel("service-desk")
    url = f"{double.url}/api/v4/channels/{desk}"
    given = {"channel_id": desk, "message": "x"}
    with agent.listening() as listening:
        agent.browser.delete(url).raise_for_status()
        assert agent.get(f"/api/v4/channels/{desk}")["delete_at"] > 0
        refused = agent.browser.post(f"{double.url}/api/v4/posts", json=given)
        assert status(refused) == (400, "api.post.create_post.can_not_post_to_deleted.error")
        assert status(agent.browser.post(f"{url}/restore"))[0] == 403
        assert admin.post(f"/api/v4/channels/{desk}/restore", {})["delete_at"] == 0
        kinds = [one["event"] for one in listening.events()]
    assert kinds == ["channel_deleted", "channel_restored"]
    agent.post("/api/v4/posts", given)


def test_default_and_direct_channels_cant_be_archived(agent: MattermostClient, admin: MattermostClient) -> None:
    """Nobody can be removed from the default channel either."""
    square = agent.channel("town-square")
    direct = agent.post("/api/v4/channels/direct", [agent.id, admin.id])["id"]
    url = f"{agent.url}/api/v4/channels"
    assert status(admin.browser.delete(f"{url}/{square}")) == (400, "api.channel.delete_channel.cannot.app_error")
    assert status(admin.browser.delete(f"{url}/{direct}")) == (400, "api.channel.delete_channel.type.invalid")
    removed = admin.browser.delete(f"{url}/{square}/members/{agent.id}")
    assert status(removed) == (400, "api.channel.remove.default.app_error")


def test_a_removed_member_can_read_a_public_channel_but_not_post(
    double: MattermostDouble, agent: MattermostClient, admin: MattermostClient
) -> None:
    """404 for the membership, 403 for a post; both sides are notified."""
    desk = agent.channel("service-desk")
    with agent.listening() as listening:
        admin.browser.delete(f"{double.url}/api/v4/channels/{desk}/members/{agent.id}").raise_for_status()
        [event] = listening.events()
    assert (event["event"], event["data"]) == ("user_removed", {"channel_id": desk, "remover_id": admin.id})
    found = admin.browser.get(f"{double.url}/api/v4/channels/{desk}/members/{agent.id}")
    assert status(found) == (404, "app.channel.get_member.missing.app_error")
    assert admin.post(f"/api/v4/channels/{desk}/members/ids", [agent.id, admin.id])[0]["user_id"] == admin.id
    post = agent.browser.post(f"{double.url}/api/v4/posts", json={"channel_id": desk, "message": "x"})
    assert status(post) == (403, "api.context.permissions.app_error")
    agent.get(f"/api/v4/channels/{desk}/posts")


def test_leaving_the_team_leaves_its_channels(agent: MattermostClient, admin: MattermostClient) -> None:
    """The membership can still be read, with the time of leaving; joining again creates a new one."""
    desk, url = agent.channel("service-desk"), f"{admin.url}/api/v4/teams/{admin.team_id}/members"
    other = MattermostClient(admin.url, "requester")
    assert status(other.browser.delete(f"{url}/{agent.id}"))[0] == 403
    admin.browser.delete(f"{url}/{agent.id}").raise_for_status()
    assert admin.get(f"/api/v4/teams/{admin.team_id}/members/{agent.id}")["delete_at"] > 0
    assert status(admin.browser.get(f"{admin.url}/api/v4/channels/{desk}/members/{agent.id}"))[0] == 404
    assert agent.browser.get(f"{admin.url}/api/v4/channels/{desk}").status_code == 403
    assert admin.post(f"/api/v4/teams/{admin.team_id}/members", {"user_id": agent.id})["delete_at"] == 0


@pytest.mark.parametrize("kind", ["teams", "channels"])
def test_scheme_roles_are_flags(agent: MattermostClient, admin: MattermostClient, kind: str) -> None:
    """By name or by flag; only an administrator of the place can assign them."""
    place = admin.team_id if kind == "teams" else admin.channel("service-desk")
    prefix = kind.removesuffix("s")
    url = f"{admin.url}/api/v4/{kind}/{place}/members/{agent.id}"
    flags = {"scheme_admin": True, "scheme_user": True}
    assert status(agent.browser.put(f"{url}/schemeRoles", json=flags))[0] == 403
    admin.browser.put(f"{url}/schemeRoles", json=flags).raise_for_status()
    member = admin.browser.get(url).json()
    assert (member["roles"], member["scheme_admin"]) == (f"{prefix}_user {prefix}_admin", True)
    agent.browser.put(f"{url}/roles", json={"roles": f"{prefix}_user custom"}).raise_for_status()
    member = admin.browser.get(url).json()
    assert (member["explicit_roles"], member["scheme_admin"]) == ("custom", False)
    assert status(agent.browser.put(f"{url}/roles", json={"roles": f"{prefix}_user"}))[0] == 403


def test_a_deactivated_person_is_signed_out_until_activated(agent: MattermostClient, admin: MattermostClient) -> None:
    """Sessions end, signing in fails, the profile shows the time; once activated, signing in works."""
    users = f"{admin.url}/api/v4/users"
    assert status(agent.browser.delete(f"{users}/{admin.id}"))[0] == 403
    admin.browser.delete(f"{users}/{agent.id}").raise_for_status()
    assert agent.browser.get(f"{users}/me").status_code == 401
    assert admin.get(f"/api/v4/users/{agent.id}")["delete_at"] > 0
    with pytest.raises(requests.HTTPError):
        MattermostClient(admin.url, "agent")
    admin.browser.put(f"{users}/{agent.id}/active", json={"active": True}).raise_for_status()
    assert MattermostClient(admin.url, "agent").id == agent.id


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "config"),
        ("GET", "plugins/statuses"),
        ("POST", "plugins/mattermost-plugin-servicenow/enable"),
        ("POST", "users"),
        ("POST", "posts/ephemeral"),
        ("PUT", "users/me/roles"),
        ("POST", "bots"),
    ],
)
def test_administrators_actions_are_rejected_for_others(agent: MattermostClient, method: str, path: str) -> None:
    """403 with the server's error."""
    answer = agent.browser.request(method, f"{agent.url}/api/v4/{path}", json={})
    assert status(answer) == (403, "api.context.permissions.app_error")


def test_a_group_message_is_the_same_for_the_same_people(agent: MattermostClient, admin: MattermostClient) -> None:
    """Three to eight people; opened once; every member is notified and can write, nobody else can read."""
    other = MattermostClient(admin.url, "requester")
    with other.listening() as listening:
        group = agent.post("/api/v4/channels/group", [admin.id, other.id])
        assert [one["event"] for one in listening.events()] == ["group_added"]
    assert admin.post("/api/v4/channels/group", [agent.id, other.id])["id"] == group["id"]
    other.post("/api/v4/posts", {"channel_id": group["id"], "message": "hello"})
    stranger = MattermostClient(admin.url, "newcomer")
    assert stranger.browser.get(f"{admin.url}/api/v4/channels/{group['id']}/posts").status_code == 403
    few = agent.browser.post(f"{admin.url}/api/v4/channels/group", json=[admin.id])
    assert status(few) == (400, "api.channel.create_group.bad_size.app_error")
