"""
Buttons and selects of message attachments: the request to the integration, and how its response is applied.

https://developers.mattermost.com/integrate/plugins/interactive-messages/ (recorded in post_actions)
"""

import re

from flask import Blueprint, abort, jsonify, request
from flask.typing import ResponseReturnValue

from sandbox.mattermost.api.integrations import decoded, sent
from sandbox.mattermost.api.posts import Posts
from sandbox.mattermost.apps.protocol.go_json import as_go
from sandbox.mattermost.server.attachments import attachments_of
from sandbox.mattermost.server.ephemeral import EphemeralPosts, integration_error
from sandbox.mattermost.server.rest import ApiError, forbidden, me
from sandbox.mattermost.server.state import Json, State
from sandbox.mattermost.server.trigger_ids import TriggerIds

_ANSWER: Json = {
    "update": {"message": "string", "props": "map", "file_ids": "any"},
    "ephemeral_text": "string",
    "skip_slack_parsing": "bool",
}
_LINK = re.compile(r"<([^<|]+)\|([^>]+)>")
_LARGEST = 1024 * 1024  # bytes of a response, since 11.6


class PostActions:
    """The route that clients call when someone presses a button or chooses an option."""

    def __init__(self, state: State, posts: Posts, ephemeral: EphemeralPosts, trigger_ids: TriggerIds) -> None:
        self._state = state
        self._posts = posts
        self._ephemeral = ephemeral
        self._trigger_ids = trigger_ids

    def blueprint(self) -> Blueprint:
        """The route."""
        blueprint = Blueprint("actions", __name__, url_prefix="/api/v4")
        blueprint.add_url_rule("/posts/<post_id>/actions/<action_id>", "press", self.press, methods=["POST"])
        return blueprint

    def press(self, post_id: str, action_id: str) -> ResponseReturnValue:
        """Perform an action. The client gets the short trigger ID, but nothing from the integration's response."""
        known = r"[A-Za-z0-9_-]+" if self._state.at_least(11, 10) else r"[A-Za-z0-9]+"
        if not re.fullmatch(known, action_id):
            abort(404)
        person = me(self._state)
        given: Json = request.get_json(force=True, silent=True) or {}
        action = self._found(person, post_id, action_id, str(given.get("cookie", "")))
        client_id, trigger_id = self._trigger_ids.create(person)
        content = sent(action["integration"]["url"], self._request(person, post_id, action, given, trigger_id))
        if len(content) > _LARGEST and self._state.at_least(11, 6):
            raise integration_error()
        answer = decoded(content, _ANSWER)
        if "update" in answer:
            self._posts.update_for_integration(post_id, answer["update"])
        if text := answer.get("ephemeral_text"):
            text = text if answer.get("skip_slack_parsing") else _LINK.sub(r"[\2](\1)", text)
            where = {"channel_id": action["channel_id"], "root_id": action["root_post_id"], "message": text}
            kept = self._state.posts.get(post_id, {}).get("props", {})
            where["props"] = {key: kept[key] for key in ("from_webhook", "override_username") if key in kept}
            self._ephemeral.send(person, person, where)
        return jsonify({"status": "OK", "trigger_id": client_id})

    def _found(self, person: str, post_id: str, action_id: str, cookie: str) -> Json:
        """
        Find the action and its location, in the stored post or in the cookie of an ephemeral post.

        Since 11.0, a cookie from any channel that the user can read works for the buttons of every stored post, if the
        user can read that post (recorded).
        """
        post = self._state.posts.get(post_id)
        may_read = post is not None and self._state.may_read(person, post["channel_id"])
        if cookie:
            any_post = post is not None and self._state.at_least(11, 0)
            sealed = self._ephemeral.read_cookie(cookie, None if any_post else post_id)
            if not self._state.may_read(person, sealed["channel_id"]):
                raise forbidden()
            may_read = may_read or any_post
            if post is None:
                if not (sealed.get("integration") or {}).get("url"):
                    raise integration_error()
                return sealed
        if post is not None and post["delete_at"] and self._state.at_least(11, 0):
            raise ApiError(404, "app.post.get.app_error", "Unable to get the post.")
        if post is None or post["delete_at"] or not may_read:
            raise forbidden()
        actions = [a for one in attachments_of(post["props"]) for a in one.get("actions", [])]
        action = next((one for one in actions if one["id"] == action_id and one.get("integration")), None)
        if action is None:
            raise ApiError(404, "api.post.do_action.action_id.app_error", "Invalid action id.")
        found: Json = action | {"channel_id": post["channel_id"], "root_post_id": post["root_id"] or post_id}
        return found

    def _request(self, person: str, post_id: str, action: Json, given: Json, trigger_id: str) -> Json:
        channel = self._state.channels[action["channel_id"]]
        context, source = dict(action["integration"].get("context") or {}), ""
        if action.get("type") == "select" and given.get("selected_option"):
            context["selected_option"] = str(given["selected_option"])
            source = action.get("data_source", "")
        asked = {
            "user_id": person,
            "user_name": self._state.users[person]["username"],
            "channel_id": channel["id"],
            "channel_name": channel["name"],
            "team_id": channel["team_id"],
            "team_domain": self._state.teams[channel["team_id"]]["name"] if channel["team_id"] else "",
            "post_id": post_id,
            "trigger_id": trigger_id,
            "type": action.get("type", ""),
            "data_source": source,
        }
        return asked | ({"context": as_go(context)} if context else {})
