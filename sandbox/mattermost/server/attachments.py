"""
Message attachments: stored complete, and sent to clients without the integration data (recorded in app_posts).

https://developers.mattermost.com/integrate/reference/message-attachments/
"""

from typing import Any

from sandbox.mattermost.server.state import new_id

Json = dict[str, Any]

_EMPTY: Json = {
    "id": 0, "fallback": "", "color": "", "pretext": "", "author_name": "", "author_link": "", "author_icon": "",
    "title": "", "title_link": "", "text": "", "fields": None, "image_url": "", "thumb_url": "", "footer": "",
    "footer_icon": "", "ts": None,
}  # fmt: skip
_ACTION = (
    "id",
    "type",
    "name",
    "disabled",
    "style",
    "data_source",
    "options",
    "default_option",
    "integration",
    "cookie",
)


def normalized(props: Json) -> Json:
    """
    Return the props with every attachment as the server's struct: all keys, and no unknown ones. Other props don't
    change.
    """
    attachments = attachments_of(props)
    if not attachments:
        return props
    return props | {"attachments": [_attachment(one) for one in attachments]}


def shown(post: Json) -> Json:
    """Return the post as clients see it: the integration of each action isn't sent."""
    attachments = attachments_of(post.get("props") or {})
    if not attachments:
        return post
    public = [
        one | {"actions": [_public(a) for a in one["actions"]]} if "actions" in one else one for one in attachments
    ]
    metadata = post["metadata"] | {"embeds": [{"type": "message_attachment"}]}
    return post | {"props": post["props"] | {"attachments": public}, "metadata": metadata}


def attachments_of(props: Json) -> list[Json]:
    """The attachments in a post's props. Empty unless they are a list of objects."""
    found = props.get("attachments")
    return found if isinstance(found, list) and all(isinstance(one, dict) for one in found) else []


def _attachment(given: Json) -> Json:
    kept = {key: given.get(key, empty) for key, empty in _EMPTY.items()}
    if given.get("actions"):
        kept["actions"] = [_action(action) for action in given["actions"]]
    return kept


def _action(given: Json) -> Json:
    """Keep the known keys of an action, and give it an ID if it has none."""
    return {key: value for key in _ACTION if (value := given.get(key) or (new_id() if key == "id" else None))}


def _public(action: Json) -> Json:
    return {key: value for key, value in action.items() if key != "integration"}
