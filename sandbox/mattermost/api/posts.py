"""REST API v4: creating, editing and deleting posts."""

from collections.abc import Callable
from typing import Any

from flask import Blueprint, g, jsonify
from flask.typing import ResponseReturnValue

from sandbox.mattermost.api.files import infos
from sandbox.mattermost.api.post_queries import readable_post
from sandbox.mattermost.server.attachments import attachments_of, normalized, shown
from sandbox.mattermost.server.ephemeral import EphemeralPosts
from sandbox.mattermost.server.hub import Hub
from sandbox.mattermost.server.rest import ApiError, administrator, body, forbidden, invalid_body, me
from sandbox.mattermost.server.state import Json, State, new_id
from sandbox.mattermost.server.unread import Unread

LONGEST = 16383
_PENDING_SECONDS = 30.0
_MOST_FILES = 10
# Props that an integration's update can neither remove nor add (recorded in post_actions).
_RETAINED = ("from_webhook", "override_username", "override_icon_url")


class Posts:
    """
    The routes that create and change posts.

    Args:
        pause: Called while a post is being created, before anything is stored, so that the server can be slow.
    """

    def __init__(
        self, state: State, hub: Hub, ephemeral: EphemeralPosts, unread: Unread, pause: Callable[[], None]
    ) -> None:
        self._state = state
        self._hub = hub
        self._ephemeral = ephemeral
        self._unread = unread
        self._pause = pause

    def blueprint(self) -> Blueprint:
        """All routes."""
        blueprint = Blueprint("posts", __name__, url_prefix="/api/v4")
        add = blueprint.add_url_rule
        add("/posts", "create", self.create, methods=["POST"])
        add("/posts/ephemeral", "ephemeral", self.ephemeral, methods=["POST"])
        add("/posts/<post_id>", "delete", self.delete, methods=["DELETE"])
        add("/posts/<post_id>", "update", self.update, methods=["PUT"])
        add("/posts/<post_id>/patch", "patch", self.patch, methods=["PUT"])
        return blueprint

    def create(self) -> ResponseReturnValue:
        """Create a post. A pending ID of the last thirty seconds returns the post that it already created."""
        person = me(self._state)
        given = body("post")
        if not isinstance(given, dict):
            raise invalid_body("post")
        pending = str(given.get("pending_post_id", ""))
        with self._state.lock:
            known = self._known(person, pending)
            if known is not None:
                return jsonify(known), 201
            if pending:
                self._state.pending[pending] = ("", self._state.clock.now())
        try:
            self._pause()
            with self._state.lock:
                made = self._create(person, given)
        except BaseException:
            self._state.pending.pop(pending, None)  # a failed attempt can be repeated at once
            raise
        return jsonify(shown(made)), 201

    def _known(self, person: str, pending: str) -> Json | None:
        """
        The post that another request with this pending ID created.

        Raises:
            ApiError: 500 while that request is still running (recorded).
        """
        post_id, at = self._state.pending.get(pending, ("", 0.0)) if pending else ("", 0.0)
        if not at or self._state.clock.now() - at >= _PENDING_SECONDS:
            return None
        if not post_id:
            text = "Rejected post since another client is making the same request."
            raise ApiError(500, "api.post.deduplicate_create_post.pending", text)
        post = self._state.posts[post_id]
        if not self._state.may_read(person, post["channel_id"]):
            return None
        # Recorded: any user gets the stored post, without what only the first response has.
        return {key: value for key, value in shown(post).items() if key != "metadata"}

    def _create(self, person: str, given: Json) -> Json:
        channel_id, root_id = str(given.get("channel_id", "")), str(given.get("root_id", ""))
        pending = str(given.get("pending_post_id", ""))
        channel = self._state.channels.get(channel_id)
        if channel is None or not self._state.may_post(person, channel_id):
            raise forbidden()
        if channel["delete_at"]:
            text = "Can not post to deleted channel."
            raise ApiError(400, "api.post.create_post.can_not_post_to_deleted.error", text)
        self._check_root(root_id, channel_id)
        kind = str(given.get("type", ""))
        if kind and not kind.startswith("custom_"):
            raise ApiError(400, "api.context.invalid_param.app_error", "Invalid post.type parameter.")
        message = self._checked(str(given.get("message", "")))
        file_ids = given.get("file_ids") or []
        if len(file_ids) > _MOST_FILES:
            raise ApiError(400, "model.post.is_valid.file_ids.app_error", "Invalid file ids.")
        props = normalized(dict(given.get("props") or {}))
        post = self._stored(person, channel_id, root_id, message, props)
        post["type"] = kind
        self._attach(post, file_ids)
        if pending:
            self._state.pending[pending] = (post["id"], self._state.clock.now())
        answered = post | {"pending_post_id": pending}
        mentioned = self._unread.posted(post)
        self._hub.posted(answered, mentioned=mentioned)
        if root_id:
            self._unread.tell(post, mentioned)
        return answered

    def _attach(self, post: Json, file_ids: list[str]) -> None:
        """Attach the author's own unattached files of that channel. Others are ignored."""
        taken = []
        for file_id in file_ids:
            info, _ = self._state.files.get(file_id, ({}, b""))
            own = info and info["user_id"] == post["user_id"] and info["channel_id"] == post["channel_id"]
            if own and not info.get("post_id"):
                info["post_id"] = post["id"]
                taken.append(file_id)
        self._set_files(post, taken)

    def _set_files(self, post: Json, file_ids: list[str]) -> None:
        post.pop("file_ids", None)
        post["metadata"].pop("files", None)
        if file_ids:
            post["file_ids"] = file_ids
            post["metadata"]["files"] = infos(self._state, file_ids)

    def _stored(self, person: str, channel_id: str, root_id: str, message: str, props: Json) -> Json:
        now = self._state.now()
        session = g.get("session")
        if session is not None and session.app_id:
            props["from_oauth_app"] = "true"
        if self._state.users[person].get("is_bot"):
            props["from_bot"] = "true"
        post: Json = {
            "id": new_id(),
            "create_at": now,
            "update_at": now,
            "edit_at": 0,
            "delete_at": 0,
            "is_pinned": False,
            "user_id": person,
            "channel_id": channel_id,
            "root_id": root_id,
            "original_id": "",
            "message": message,
            "type": "",
            "props": props,
            "hashtags": "",
            "pending_post_id": "",
            "remote_id": "",
            "reply_count": 0,
            "last_reply_at": 0,
            "participants": None,
            "metadata": {},
        }
        self._state.posts[post["id"]] = post
        channel = self._state.channels[channel_id]
        for suffix in ("",) if root_id else ("", "_root"):
            channel[f"total_msg_count{suffix}"] += 1
        channel["last_post_at"] = now
        if root_id:
            self._count_replies(root_id, now)
        else:
            channel["last_root_post_at"] = now
        return post

    def stored(self, person: str, channel_id: str, message: str) -> None:
        """Store a message without an event, as if it had been posted and read before."""
        with self._state.lock:
            self._stored(person, channel_id, "", message, {})
            for member_channel, user_id in list(self._state.members):
                if member_channel == channel_id:
                    self._unread.view(user_id, [channel_id])

    def _count_replies(self, root_id: str, now: int) -> None:
        """Update the reply count on every post of the thread (recorded), and the root's update time."""
        thread = self._state.thread(root_id)
        for one in thread:
            one["reply_count"] = sum(not other["delete_at"] for other in thread) - 1
        self._state.posts[root_id]["update_at"] = now

    def _check_root(self, root_id: str, channel_id: str) -> None:
        if not root_id:
            return
        root = self._state.posts.get(root_id)
        if root is None or root["delete_at"] or root["root_id"]:
            raise ApiError(400, "api.post.create_post.root_id.app_error", "Invalid RootId parameter.")
        if root["channel_id"] != channel_id:
            text = "Invalid ChannelId for RootId parameter."
            raise ApiError(400, "api.post.create_post.channel_root_id.app_error", text)

    def ephemeral(self) -> ResponseReturnValue:
        """Create an ephemeral post. Only system administrators can (recorded)."""
        person = administrator(self._state)
        given = body("body")
        return jsonify(self._ephemeral.send(str(given["user_id"]), person, given["post"])), 201

    def delete(self, post_id: str) -> ResponseReturnValue:
        """Delete one's own post, or as a channel admin any post. Deleting a root deletes its replies."""
        person = me(self._state)
        post = readable_post(self._state, person, post_id)
        if post["user_id"] != person and not self._state.is_channel_admin(person, post["channel_id"]):
            raise forbidden()
        with self._state.lock:
            now = self._state.now()
            for one in [post] if post["root_id"] else self._state.thread(post_id):
                one["delete_at"] = one["update_at"] = one["delete_at"] or now
            if post["root_id"]:
                self._count_replies(post["root_id"], now)
                self._unread.deleted(post)
        self._hub.posted(post, "post_deleted")
        return jsonify({"status": "OK"})

    def patch(self, post_id: str) -> ResponseReturnValue:
        """Edit one's own post. Props are replaced completely."""
        return self._edit(post_id, replace=False)

    def update(self, post_id: str) -> ResponseReturnValue:
        """Replace one's own post. Omitted fields are emptied, including `from_bot` among the props (recorded)."""
        return self._edit(post_id, replace=True)

    def _edit(self, post_id: str, replace: bool) -> ResponseReturnValue:
        person = me(self._state)
        post = self._state.posts.get(post_id)
        if post is None or post["delete_at"] or post["user_id"] != person:
            raise forbidden()
        if self._state.channels[post["channel_id"]]["delete_at"]:
            text = "Can not update a post in a deleted channel."
            raise ApiError(400, "api.post.patch_post.can_not_update_post_in_deleted.error", text)
        if not self._state.may_post(person, post["channel_id"]):
            raise forbidden()
        given = body("post")
        if not isinstance(given, dict):
            raise invalid_body("post")
        self._write(post, {"message": "", "props": {}} | given if replace else given)
        return jsonify(shown(post))

    def update_for_integration(self, post_id: str, update: Json) -> None:
        """
        Apply the ``update`` of an integration's response, without permission checks or edit time limit.

        A missing message empties the text, missing props keep them all, missing file_ids remove the files.

        Raises:
            ApiError: 404 if the post doesn't exist, as for ephemeral posts; 400 in an archived channel.
        """
        post = self._state.posts.get(post_id)
        if post is None or post["delete_at"]:
            raise ApiError(404, "app.post.get.app_error", "Unable to get the post.")
        if self._state.channels[post["channel_id"]]["delete_at"]:
            text = "Can not update a post in a deleted channel."
            raise ApiError(400, "api.post.update_post.can_not_update_post_in_deleted.error", text)
        written: Json = {"message": str(update.get("message") or ""), "file_ids": update.get("file_ids") or []}
        if update.get("props") is not None:
            own = {key: value for key, value in update["props"].items() if key not in _RETAINED}
            written["props"] = own | {key: post["props"][key] for key in _RETAINED if key in post["props"]}
        self._write(post, written)

    def _write(self, post: Json, given: Json) -> None:
        message = self._checked(given["message"]) if isinstance(given.get("message"), str) else post["message"]
        with self._state.lock:
            now = self._state.now()
            before = _marked(post)
            post["message"] = message
            if isinstance(given.get("props"), dict):
                post["props"] = normalized(given["props"])
            if isinstance(given.get("file_ids"), list):
                kept = [one for one in given["file_ids"] if one in post.get("file_ids", [])]
                self._set_files(post, kept)
            if _marked(post) != before:
                post["edit_at"] = now
            post["update_at"] = now
        self._hub.posted(post, "post_edited")

    def _checked(self, message: str) -> str:
        if len(message) <= LONGEST:
            return message
        if self._state.at_least(11, 0):
            text = "Post Message property is longer than the maximum permitted length."
            raise ApiError(400, "model.post.is_valid.message_length.app_error", text)
        raise ApiError(400, "model.post.is_valid.msg.app_error", "Invalid message.")


def _marked(post: Json) -> tuple[Any, ...]:
    """
    The parts of a post that mark it as edited when they change: message, files and attachments, but no other props.

    Recorded. `App.UpdatePost` and `Post.AttachmentsEqual` in the server's code list the parts of an action that count.
    """
    cards = []
    for card in attachments_of(post.get("props") or {}):
        actions = [
            {key: value for key, value in action.items() if key not in {"style", "disabled"}}
            for action in card.get("actions") or []
        ]
        cards.append(card | {"actions": actions})
    return post["message"], list(post.get("file_ids") or []), cards
