"""REST API v4: posts, threads, edits."""

from flask import Blueprint, g, jsonify, request
from flask.typing import ResponseReturnValue

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
            return jsonify(self._create(person, given)), 201

    def make(self, person: str, given: Json) -> Json:
        """A post made by the server itself."""
        with self._state.lock:
            return self._create(person, given)

    def _create(self, person: str, given: Json) -> Json:
        channel_id, root_id = str(given.get("channel_id", "")), str(given.get("root_id", ""))
        pending, now = str(given.get("pending_post_id", "")), self._state.clock.now()
        known = self._state.pending.get(pending) if pending else None
        if known is not None and now - known[1] < _PENDING_SECONDS:
            return self._state.posts[known[0]]
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
        post = self._stored(person, channel_id, root_id, message, dict(given.get("props") or {}), pending)
        post["type"] = kind
        if pending:
            self._state.pending[pending] = (post["id"], now)
        self._hub.posted(post)
        return post

    def _stored(self, person: str, channel_id: str, root_id: str, message: str, props: Json, pending: str) -> Json:
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
            "pending_post_id": pending,
            "remote_id": "",
            "reply_count": 0,
            "last_reply_at": 0,
            "participants": None,
            "metadata": {},
        }
        self._state.posts[post["id"]] = post
        if root_id:
            root = self._state.posts[root_id]
            root["reply_count"] += 1
            root["last_reply_at"] = now
        self._state.channels[channel_id]["last_post_at"] = now
        return post

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
        post = {"id": new_id(), "user_id": person, "type": "system_ephemeral", **given["post"]}
        self._hub.tell("ephemeral_message", {"post": post}, user_id=given["user_id"])
        return jsonify(post), 201

    def get(self, post_id: str) -> ResponseReturnValue:
        """One post."""
        return jsonify(self._readable(me(self._state), post_id))

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
        person = me(self._state)
        post = self._state.posts.get(post_id)
        if post is None or post["delete_at"] or post["user_id"] != person:
            raise forbidden()
        if self._state.channels[post["channel_id"]]["delete_at"]:
            text = "Can not update a post in a deleted channel."
            raise ApiError(400, "api.post.patch_post.can_not_update_post_in_deleted.error", text)
        given = body("post")
        if isinstance(given.get("message"), str):
            post["message"] = _checked(given["message"])
        if isinstance(given.get("props"), dict):
            post["props"] = given["props"]
        post["update_at"] = post["edit_at"] = self._state.now()
        self._hub.posted(post, "post_edited")
        return jsonify(post)

    def thread(self, post_id: str) -> ResponseReturnValue:
        """Root and replies."""
        post = self._readable(me(self._state), post_id)
        root_id = post["root_id"] or post["id"]
        found = [p for p in self._state.posts.values() if root_id in {p["id"], p["root_id"]}]
        return jsonify(_listing(found))

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


def _listing(posts: "list[Json]") -> Json:
    alive = [post for post in posts if not post["delete_at"]]
    newest = sorted(alive, key=lambda post: post["create_at"], reverse=True)
    return {
        "order": [post["id"] for post in newest],
        "posts": {post["id"]: post for post in alive},
        "next_post_id": "",
        "prev_post_id": "",
        "has_next": False,
    }


def _checked(message: str) -> str:
    if len(message) > LONGEST:
        raise ApiError(400, "model.post.is_valid.msg.app_error", "Invalid message.")
    return message
