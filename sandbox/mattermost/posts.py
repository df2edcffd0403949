"""REST API v4: posts, threads, edits."""

import json

from flask import Blueprint, g, jsonify, request
from flask.typing import ResponseReturnValue

from sandbox.mattermost.attachments import normalised, shown
from sandbox.mattermost.hub import Hub
from sandbox.mattermost.state import Json, State, new_id
from sandbox.mattermost.web import ApiError, body, forbidden, invalid_body, me

LONGEST = 16383
_PENDING_SECONDS = 30.0
_MISSING = ApiError(404, "app.post.get.app_error", "Unable to get the post.")


class Posts:
    """Posts over one state."""

    def __init__(self, state: State, hub: Hub) -> None:
        self._state = state
        self._hub = hub

    def blueprint(self) -> Blueprint:
        """All routes."""
        blueprint = Blueprint("posts", __name__, url_prefix="/api/v4")
        add = blueprint.add_url_rule
        add("/posts", "create", self.create, methods=["POST"])
        add("/posts/ephemeral", "ephemeral", self.ephemeral, methods=["POST"])
        add("/posts/<post_id>", "get", self.get, methods=["GET"])
        add("/posts/<post_id>", "delete", self.delete, methods=["DELETE"])
        add("/posts/<post_id>", "update", self.update, methods=["PUT"])
        add("/posts/<post_id>/patch", "patch", self.patch, methods=["PUT"])
        add("/posts/<post_id>/thread", "thread", self.thread)
        add("/channels/<channel_id>/posts", "list", self.list)
        return blueprint

    def create(self) -> ResponseReturnValue:
        """A new post, as whoever asks."""
        person = me(self._state)
        given = body("post")
        if not isinstance(given, dict):
            raise invalid_body("post")
        with self._state.lock:
            return jsonify(shown(self._create(person, given))), 201

    def _create(self, person: str, given: Json) -> Json:
        channel_id, root_id = str(given.get("channel_id", "")), str(given.get("root_id", ""))
        pending, now = str(given.get("pending_post_id", "")), self._state.clock.now()
        known = self._state.pending.get(pending) if pending else None
        if known is not None and now - known[1] < _PENDING_SECONDS:
            # As recorded: the stored post, whoever asks, and without what only the first answer carries.
            return {key: value for key, value in self._state.posts[known[0]].items() if key != "metadata"}
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
        message = _checked(str(given.get("message", "")))
        props = normalised(dict(given.get("props") or {}))
        post = self._stored(person, channel_id, root_id, message, props)
        post["type"] = kind
        if pending:
            self._state.pending[pending] = (post["id"], now)
        answered = post | {"pending_post_id": pending}
        self._hub.posted(answered)
        return answered

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
        self._count(post)
        return post

    def _count(self, post: Json) -> None:
        """Everybody in a thread shows its number of replies (recorded); channels count posts and roots."""
        channel = self._state.channels[post["channel_id"]]
        for suffix in ("",) if post["root_id"] else ("", "_root"):
            channel[f"total_msg_count{suffix}"] += 1
        channel["last_post_at"] = post["create_at"]
        if not post["root_id"]:
            channel["last_root_post_at"] = post["create_at"]
            return
        thread = [p for p in self._state.posts.values() if post["root_id"] in {p["id"], p["root_id"]}]
        for one in thread:
            one["reply_count"] = sum(not other["delete_at"] for other in thread) - 1
        self._state.posts[post["root_id"]]["update_at"] = post["create_at"]

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
        """Only an administrator may (recorded)."""
        person = me(self._state)
        if not self._state.is_admin(person):
            raise forbidden()
        given = body("body")
        post = {
            "id": new_id(),
            "create_at": self._state.now(),
            "update_at": 0,
            "edit_at": 0,
            "delete_at": 0,
            "is_pinned": False,
            "user_id": person,
            "channel_id": str(given["post"]["channel_id"]),
            "root_id": str(given["post"].get("root_id", "")),
            "original_id": "",
            "message": str(given["post"].get("message", "")),
            "type": "system_ephemeral",
            "props": dict(given["post"].get("props") or {}),
            "hashtags": "",
            "pending_post_id": "",
            "reply_count": 0,
            "last_reply_at": 0,
            "participants": None,
            "metadata": {},
        }
        self._hub.tell("ephemeral_message", {"post": json.dumps(post)}, user_id=given["user_id"])
        return jsonify(post), 201

    def get(self, post_id: str) -> ResponseReturnValue:
        """One post."""
        return jsonify(shown(self._readable(me(self._state), post_id)))

    def delete(self, post_id: str) -> ResponseReturnValue:
        """One's own post."""
        person = me(self._state)
        post = self._readable(person, post_id)
        if post["user_id"] != person and not self._state.is_admin(person):
            raise forbidden()
        post["delete_at"] = self._state.now()
        self._hub.posted(post, "post_deleted")
        return jsonify({"status": "OK"})

    def patch(self, post_id: str) -> ResponseReturnValue:
        """Edit one's own post; props are replaced whole."""
        return self._edit(post_id, replace=False)

    def update(self, post_id: str) -> ResponseReturnValue:
        """Write one's own post anew: what is not said is emptied, `from_bot` with the other props (recorded)."""
        return self._edit(post_id, replace=True)

    def _edit(self, post_id: str, replace: bool) -> ResponseReturnValue:
        person = me(self._state)
        post = self._state.posts.get(post_id)
        if post is None or post["delete_at"] or post["user_id"] != person:
            raise forbidden()
        if self._state.channels[post["channel_id"]]["delete_at"]:
            text = "Can not update a post in a deleted channel."
            raise ApiError(400, "api.post.patch_post.can_not_update_post_in_deleted.error", text)
        given = body("post")
        if replace:
            given = {"message": "", "props": {}} | given
        message = _checked(given["message"]) if isinstance(given.get("message"), str) else post["message"]
        with self._state.lock:
            now = self._state.now()
            if message != post["message"]:
                post["message"], post["edit_at"] = message, now
            if isinstance(given.get("props"), dict):
                post["props"] = normalised(given["props"])
            post["update_at"] = now
        self._hub.posted(post, "post_edited")
        return jsonify(shown(post))

    def thread(self, post_id: str) -> ResponseReturnValue:
        """Root and replies."""
        post = self._readable(me(self._state), post_id)
        root_id = post["root_id"] or post["id"]
        found = [p for p in self._state.posts.values() if root_id in {p["id"], p["root_id"]}]
        return jsonify(_listing(found, newest_first=False))

    def list(self, channel_id: str) -> ResponseReturnValue:
        """The newest posts of a channel."""
        person = me(self._state)
        if not self._state.may_read(person, channel_id):
            raise forbidden()
        found = [p for p in self._state.posts.values() if p["channel_id"] == channel_id]
        most = int(request.args.get("per_page", 60))
        return jsonify(_listing(found[-most:]))

    def _readable(self, person: str, post_id: str) -> Json:
        post = self._state.posts.get(post_id)
        if post is None or post["delete_at"]:
            raise _MISSING
        if not self._state.may_read(person, post["channel_id"]):
            raise forbidden()
        return post


def _listing(posts: "list[Json]", newest_first: bool = True) -> Json:
    alive = sorted((post for post in posts if not post["delete_at"]), key=lambda post: post["create_at"])
    return {
        "order": [post["id"] for post in (reversed(alive) if newest_first else alive)],
        "posts": {post["id"]: shown(post) for post in alive},
        "next_post_id": "",
        "prev_post_id": "",
        "has_next": False,
        "first_inaccessible_post_time": 0,
    }


def _checked(message: str) -> str:
    if len(message) > LONGEST:
        raise ApiError(400, "model.post.is_valid.msg.app_error", "Invalid message.")
    return message
