"""Files: uploaded, attached once, read by channel members. Follows the documentation, not a recording."""

from typing import Any

import pytest

from sandbox.client import MattermostClient

Json = dict[str, Any]


@pytest.fixture
def other(agent: MattermostClient) -> MattermostClient:
    """Someone else in the channel."""
    return MattermostClient(agent.url, "requester")


def post_with(agent: MattermostClient, channel: str, *file_ids: str) -> Json:
    """A post with files."""
    given = {"channel_id": agent.channel(channel), "message": "see", "file_ids": list(file_ids)}
    made: Json = agent.post("/api/v4/posts", given)
    return made


def read(person: MattermostClient, file_id: str, what: str = "") -> int:
    """The status of a request for a file."""
    return int(person.browser.get(f"{person.url}/api/v4/files/{file_id}{what}").status_code)


def test_only_its_uploader_reads_a_file_until_it_is_attached(agent: MattermostClient, other: MattermostClient) -> None:
    """Then everyone in the channel can, and the post's metadata describes it."""
    file_id = agent.upload(agent.channel("service-desk"), "disk full.log", b"no space\n")
    assert (read(agent, file_id), read(other, file_id)) == (200, 403)
    post = post_with(agent, "service-desk", file_id)
    [info] = post["metadata"]["files"]
    assert (info["name"], info["size"], info["extension"], info["post_id"]) == ("disk full.log", 9, "log", post["id"])
    answer = other.browser.get(f"{agent.url}/api/v4/files/{file_id}")
    assert answer.content == b"no space\n"
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert other.get(f"/api/v4/files/{file_id}/info") == info
    assert other.get(f"/api/v4/posts/{post['id']}/files/info") == [info]


def test_only_members_read_a_private_channels_file(agent: MattermostClient) -> None:
    """403 for others; 404 for an invalid ID and for a deleted post's file."""
    approver = MattermostClient(agent.url, "approver")
    file_id = approver.upload(approver.channel("operations"), "plan.txt", b"x")
    post = post_with(approver, "operations", file_id)
    assert (read(agent, file_id), read(agent, file_id, "/info")) == (403, 403)
    assert read(agent, "x" * 26) == 404
    approver.browser.delete(f"{agent.url}/api/v4/posts/{post['id']}").raise_for_status()
    assert read(approver, file_id) == 404


def test_only_own_unattached_files_are_attached(agent: MattermostClient, other: MattermostClient) -> None:
    """Others are left out silently; ten is the maximum."""
    desk = agent.channel("service-desk")
    foreign, own = other.upload(desk, "a.txt", b"a"), agent.upload(desk, "b.txt", b"b")
    elsewhere = agent.upload(agent.channel("town-square"), "c.txt", b"c")
    assert post_with(agent, "service-desk", foreign, own, elsewhere)["file_ids"] == [own]
    assert "file_ids" not in post_with(agent, "service-desk", own)
    many = {"channel_id": desk, "message": "", "file_ids": [own] * 11}
    assert agent.browser.post(f"{agent.url}/api/v4/posts", json=many).status_code == 400


def test_uploading_requires_the_right_to_post(agent: MattermostClient) -> None:
    """403 in a channel that the person isn't in; 400 without a channel or a file."""
    approver = MattermostClient(agent.url, "approver")
    url = f"{agent.url}/api/v4/files"
    hidden = {"channel_id": approver.channel("operations")}
    assert agent.browser.post(url, files={"files": ("a", b"a")}, data=hidden).status_code == 403
    assert agent.browser.post(url, files={"files": ("a", b"a")}).status_code == 400
    assert agent.browser.post(url, data={"channel_id": agent.channel("service-desk")}).status_code == 400


def test_a_patch_without_files_keeps_them(agent: MattermostClient) -> None:
    """Only the message is changed."""
    file_id = agent.upload(agent.channel("service-desk"), "a.png", b"png")
    post = post_with(agent, "service-desk", file_id)
    patched = agent.browser.put(f"{agent.url}/api/v4/posts/{post['id']}/patch", json={"message": "new"}).json()
    assert patched["file_ids"] == [file_id]
