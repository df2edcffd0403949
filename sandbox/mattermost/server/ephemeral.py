"""Private posts: sent to one person and stored nowhere; their buttons carry what the server would have to remember."""

import base64
import json
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sandbox.mattermost.server.attachments import attachments_of, normalised, shown
from sandbox.mattermost.server.hub import Hub
from sandbox.mattermost.server.rest import ApiError
from sandbox.mattermost.server.state import Json, State, new_id

_NONCE = 12  # bytes


class Ephemeral:
    """Private posts of one server, and its key for their cookies."""

    def __init__(self, state: State, hub: Hub) -> None:
        self._state = state
        self._hub = hub
        self._key = AESGCM(AESGCM.generate_key(256))

    def send(self, to: str, author: str, given: Json) -> Json:
        """
        Tell *to* alone; *given* has channel_id, message and perhaps root_id and props.

        The answer has the cookies of another encryption than the event, as the server's own has.
        """
        post: Json = {
            "id": new_id(),
            "create_at": self._state.now(),
            "update_at": 0,
            "edit_at": 0,
            "delete_at": 0,
            "is_pinned": False,
            "user_id": author,
            "channel_id": str(given["channel_id"]),
            "root_id": str(given.get("root_id", "")),
            "original_id": "",
            "message": str(given.get("message", "")),
            "type": "system_ephemeral",
            "props": normalised(dict(given.get("props") or {})),
            "hashtags": "",
            "pending_post_id": "",
            "reply_count": 0,
            "last_reply_at": 0,
            "participants": None,
            "metadata": {},
        }
        told = shown(self._with_cookies(post))
        self._hub.tell("ephemeral_message", {"post": json.dumps(told)}, user_id=to, channel_id=post["channel_id"])
        answered = shown(self._with_cookies(post))
        if embeds := answered["metadata"].get("embeds"):
            answered["metadata"] = {"embeds": embeds * 2}  # as recorded: counted once more for the answer
        return answered

    def opened(self, cookie: str, post_id: str | None) -> Json:
        """
        What a cookie of that post, or of any, holds: type, channel_id, root_post_id, data_source, integration.

        Raises:
            ApiError: 400 for one that this server did not make, or made for another post.
        """
        try:
            data = base64.b64decode(cookie, validate=True)
            found: Json = json.loads(self._key.decrypt(data[:_NONCE], data[_NONCE:], None))
        except (ValueError, InvalidTag):
            raise integration_error() from None
        if post_id is not None and found["post_id"] != post_id:
            raise integration_error()
        return found

    def _with_cookies(self, post: Json) -> Json:
        attachments = attachments_of(post["props"])
        if not attachments:
            return post
        sealed = [
            one | {"actions": [self._with_cookie(post, a) for a in one["actions"]]} if "actions" in one else one
            for one in attachments
        ]
        return post | {"props": post["props"] | {"attachments": sealed}}

    def _with_cookie(self, post: Json, action: Json) -> Json:
        kept = {
            "type": action.get("type", ""),
            "post_id": post["id"],
            "root_post_id": post["root_id"],
            "channel_id": post["channel_id"],
            "data_source": action.get("data_source", ""),
            "integration": action.get("integration"),
        }
        nonce = os.urandom(_NONCE)
        sealed = nonce + self._key.encrypt(nonce, json.dumps(kept).encode(), None)
        return action | {"cookie": base64.b64encode(sealed).decode()}


def integration_error() -> ApiError:
    """However an integration fails, this is what its user is told."""
    return ApiError(400, "api.post.do_action.action_integration.app_error", "Action integration error.")
