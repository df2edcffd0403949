"""Reads threads with a person's own session, so that nobody passes on what that person can't read."""

from collections.abc import Mapping, Sequence
from typing import Any

from core.calls import File, Message
from mattermost.paths import Ask, Id, api

_MOST_PEOPLE = 200


def read_thread(ask: Ask, post_id: str, *, without: str) -> Sequence[Message]:
    """
    The thread that *post_id* belongs to, oldest first. A message without replies is a thread of one.

    System messages, deleted messages and those of the user *without* (our bot) are left out.
    """
    found = ask("GET", api("posts", Id(post_id), "thread"))
    posts = found.get("posts") if isinstance(found, Mapping) else None
    wanted = [post for post in (posts or {}).values() if isinstance(post, Mapping) and _is_message(post, without)]
    wanted.sort(key=lambda post: (int(post.get("create_at") or 0), str(post.get("id"))))
    names = _names(ask, {str(post.get("user_id")) for post in wanted})
    return [_message(post, names) for post in wanted]


def _is_message(post: Mapping[str, Any], without: str) -> bool:
    said = not post.get("delete_at") and not str(post.get("type", "")).startswith("system_")
    return said and post.get("user_id") != without


def _names(ask: Ask, people: set[str]) -> dict[str, str]:
    asked = sorted(people)[:_MOST_PEOPLE]
    users = ask("POST", api("users", "ids"), json=asked) if asked else []
    return {str(user.get("id")): str(user.get("username", "")) for user in users or [] if isinstance(user, Mapping)}


def _message(post: Mapping[str, Any], names: Mapping[str, str]) -> Message:
    metadata = post.get("metadata")
    files = metadata.get("files") if isinstance(metadata, Mapping) else None
    return Message(
        id=str(post["id"]),
        username=names.get(str(post.get("user_id")), ""),
        created_at=int(post.get("create_at") or 0) / 1000,
        text=str(post.get("message") or ""),
        files=[_file(file) for file in files or [] if isinstance(file, Mapping) and file.get("id")],
    )


def _file(file: Mapping[str, Any]) -> File:
    return File(
        id=str(file["id"]),
        name=str(file.get("name") or "file"),
        size=int(file.get("size") or 0),
        media_type=str(file.get("mime_type") or "application/octet-stream"),
    )
