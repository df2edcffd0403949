"""Ephemeral posts: sent to one user and not stored. Their actions carry an encrypted cookie instead."""

import base64
import json
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sandbox.mattermost.server.attachments import attachments_of, normalized, shown
from sandbox.mattermost.server.hub import Hub
from sandbox.mattermost.server.rest import ApiError
from sandbox.mattermost.server.state import Json, State, new_id

_NONCE = 12  # bytes


class EphemeralPosts:
    """Sends ephemeral posts, and holds the server's key for their cookies."""

    def __init__(self, state: State, hub: Hub) -> None:
        self._state = state
        self._hub = hub
        self._key = AESGCM(AESGCM.generate_key(256))

    def send(self, to: str, author: str, given: Json) -> Json:
        """
        Send an ephemeral post to *to*. *given* has channel_id, message and optionally root_id and props.

        As on a real server, the response and the event have separately encrypted cookies.
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
            "props": normalized(dict(given.get("props") or {})),
            "hashtags": "",
            "pending_post_id": "",
            "reply_count": 0,
            "last_reply_at": 0,
            "participants": None,
            "metadata": {},
        }
        told = shown(self._with_cookies(post))
        self._hub.publish("ephemeral_message", {"post": json.dumps(told)}, user_id=to, channel_id=post["channel_id"])
        answered = shown(self._with_cookies(post))
        if embeds := answered["metadata"].get("embeds"):
            answered["metadata"] = {"embeds": embeds * 2}  # the response counts them twice (recorded)
        return answered

    def read_cookie(self, cookie: str, post_id: str | None) -> Json:
        """
        Decrypt the cookie of that post, or of any if None: type, channel_id, root_post_id, data_source, integration.

        Raises:
            ApiError: 400 for a cookie of another server or another post.
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
    """The error that users get for every failure of an integration."""
    return ApiError(400, "api.post.do_action.action_integration.app_error", "Action integration error.")
