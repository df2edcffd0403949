"""REST API v4: reading posts, threads, and the posts of a channel by page or since a time."""

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from sandbox.mattermost.server.attachments import shown
from sandbox.mattermost.server.rest import ApiError, forbidden, invalid_body, me
from sandbox.mattermost.server.state import Json, State

_USUAL, _MOST, _MOST_SINCE = 60, 200, 1000
_MISSING = ApiError(404, "app.post.get.app_error", "Unable to get the post.")


class PostQueries:
    """The routes that read posts."""

    def __init__(self, state: State) -> None:
        self._state = state

    def blueprint(self) -> Blueprint:
        """All routes."""
        blueprint = Blueprint("reading", __name__, url_prefix="/api/v4")
        blueprint.add_url_rule("/posts/<post_id>", "get", self.get, methods=["GET"])
        blueprint.add_url_rule("/posts/<post_id>/thread", "thread", self.thread)
        blueprint.add_url_rule("/posts/ids", "ids", self.by_ids, methods=["POST"])
        blueprint.add_url_rule("/channels/<channel_id>/posts", "list", self.of_channel)
        return blueprint

    def get(self, post_id: str) -> ResponseReturnValue:
        """Return one post."""
        return jsonify(shown(readable_post(self._state, me(self._state), post_id)))

    def by_ids(self) -> ResponseReturnValue:
        """Return the posts of a list that the user can read. Others are omitted."""
        person = me(self._state)
        found = [self._state.posts[one] for one in request.get_json() if one in self._state.posts]
        return jsonify(
            [shown(p) for p in found if not p["delete_at"] and self._state.may_read(person, p["channel_id"])]
        )

    def thread(self, post_id: str) -> ResponseReturnValue:
        """Return the root and its replies, oldest first."""
        post = readable_post(self._state, me(self._state), post_id)
        thread = [one for one in self._state.thread(post["root_id"] or post["id"]) if not one["delete_at"]]
        return jsonify(_listing(thread, thread))

    def of_channel(self, channel_id: str) -> ResponseReturnValue:
        """
        Return the posts of a channel, newest first.

        ``since`` (milliseconds) returns up to a thousand posts that were created, edited or deleted after it.
        ``before`` and ``after`` return the posts next to one; otherwise there are pages. The threads of the listed
        posts are included, but not in the order.
        """
        person = me(self._state)
        if not self._state.may_read(person, channel_id):
            raise forbidden()
        every = [p for p in list(self._state.posts.values()) if p["channel_id"] == channel_id]
        every.sort(key=lambda post: post["create_at"])
        since, before, after = _number("since", 0), request.args.get("before", ""), request.args.get("after", "")
        if since:
            return jsonify(self._since(every, since))
        alive = [post for post in every if not post["delete_at"]]
        page, size = _number("page", 0), min(_number("per_page", _USUAL), _MOST)
        pool = self._beside(alive, before, after)
        first = page * size
        chosen = pool[first : first + size] if after else pool[max(0, len(pool) - first - size) : len(pool) - first]
        listing = _listing(self._with_threads(chosen), list(reversed(chosen)))
        return jsonify(listing | _neighbours(alive, chosen))

    def _since(self, every: list[Json], since: int) -> Json:
        changed = [post for post in every if post["update_at"] > since][-_MOST_SINCE:]
        roots = {post["root_id"] for post in changed if post["root_id"]}
        along = [post for post in every if post["id"] in roots and post not in changed]
        return _listing([*along, *changed], list(reversed(changed)))

    def _beside(self, alive: list[Json], before: str, after: str) -> list[Json]:
        beacon = self._state.posts.get(after or before)
        if beacon is None:
            return [] if after or before else alive
        older = [post["create_at"] < beacon["create_at"] for post in alive]
        at = alive.index(beacon) if beacon in alive else sum(older)
        return alive[at + (beacon in alive) :] if after else alive[:at]

    def _with_threads(self, chosen: list[Json]) -> list[Json]:
        roots = {post["root_id"] or post["id"] for post in chosen}
        found = {post["id"]: post for root in roots for post in self._state.thread(root) if not post["delete_at"]}
        return list((found | {post["id"]: post for post in chosen}).values())


def readable_post(state: State, person: str, post_id: str) -> Json:
    """Return a post that *person* can read. Raises ApiError 404 or 403."""
    post = state.posts.get(post_id)
    if post is None or post["delete_at"]:
        raise _MISSING
    if not state.may_read(person, post["channel_id"]):
        raise forbidden()
    return post


def _number(name: str, usual: int) -> int:
    text = request.args.get(name, "")
    if text and not text.isdigit():
        raise invalid_body(name)
    return int(text) if text else usual


def _listing(posts: list[Json], order: list[Json]) -> Json:
    return {
        "order": [post["id"] for post in order],
        "posts": {post["id"]: shown(post) for post in posts},
        "next_post_id": "",
        "prev_post_id": "",
        "has_next": False,
        "first_inaccessible_post_time": 0,
    }


def _neighbours(alive: list[Json], chosen: list[Json]) -> Json:
    """The IDs of the posts before and after a page."""
    if not chosen:
        return {}
    first, last = alive.index(chosen[0]), alive.index(chosen[-1])
    return {
        "next_post_id": alive[last + 1]["id"] if last + 1 < len(alive) else "",
        "prev_post_id": alive[first - 1]["id"] if first else "",
    }
