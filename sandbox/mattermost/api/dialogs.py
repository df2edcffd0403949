"""
Interactive dialogs, as the server's version supports them.

9.11 has no lookups, refresh or next form and drops their keys (recorded in dialogs). 11.0 adds lookups and multiselect;
11.1 adds refresh, next forms and dates.
https://developers.mattermost.com/integrate/plugins/interactive-dialogs/
"""

import json
import re
from typing import Any

from flask import Blueprint, abort, jsonify, request
from flask.typing import ResponseReturnValue

from sandbox.mattermost.api.integrations import sent
from sandbox.mattermost.apps.protocol.go_json import Undecodable, decode_json, struct
from sandbox.mattermost.server.hub import Hub
from sandbox.mattermost.server.rest import ApiError, forbidden, invalid_body, me
from sandbox.mattermost.server.state import Json, State
from sandbox.mattermost.server.trigger_ids import TriggerIds

_OPTION: Json = {"text": "string", "value": "string"}
_ELEMENT: Json = {
    "display_name": "string", "name": "string", "type": "string", "subtype": "string", "default": "string",
    "placeholder": "string", "help_text": "string", "optional": "bool", "min_length": "int", "max_length": "int",
    "data_source": "string", "options": [_OPTION],
}  # fmt: skip
_DIALOG: Json = {
    "callback_id": "string", "title": "string", "introduction_text": "string", "icon_url": "string",
    "elements": [_ELEMENT], "submit_label": "string", "notify_on_cancel": "bool", "state": "string",
}  # fmt: skip
_DATETIME: Json = {"time_interval": "int", "location_timezone": "string", "allow_manual_time_entry": "bool"}
_EMPTY = {"string": "", "bool": False, "int": 0, "map": {}}
# Keys that later versions know, and whether the event has them even when they are empty.
_LATER: dict[tuple[int, int], Json] = {
    (11, 0): {"data_source_url": "string", "multiselect": "bool"},
    (11, 1): {"refresh": "bool", "min_date": "string", "max_date": "string", "time_interval": "int"},
    (11, 6): {"datetime_config": _DATETIME},
}
_NAMES = {
    "dialog_lookup": ("lookup", "lookup"),
    "refresh": ("submit", "submission"),
    "dialog_submission": ("submit", "submission"),
}
_LARGEST = 1024 * 1024  # bytes of a response that are read
_LARGEST_REQUEST = 300_000
_ALWAYS = frozenset({*_ELEMENT, *_DIALOG, "multiselect"})


class Dialogs:
    """The dialog routes. The server keeps no state of open dialogs."""

    def __init__(self, state: State, hub: Hub, trigger_ids: TriggerIds) -> None:
        self._state = state
        self._hub = hub
        self._trigger_ids = trigger_ids

    def blueprint(self) -> Blueprint:
        """All routes."""
        blueprint = Blueprint("dialogs", __name__, url_prefix="/api/v4/actions/dialogs")
        blueprint.add_url_rule("/open", "open", self.open, methods=["POST"])
        blueprint.add_url_rule("/submit", "submit", self.submit, methods=["POST"])
        blueprint.add_url_rule("/lookup", "lookup", self.lookup, methods=["POST"])
        return blueprint

    def open(self) -> ResponseReturnValue:
        """Open a dialog for the user that the trigger ID names. Needs no session, and enforces no limits."""
        if (request.content_length or 0) > _LARGEST_REQUEST and self._state.at_least(11, 0):
            text = "Unable to process request. Request body too large."
            raise ApiError(413, "api.context.request_body_too_large.app_error", text)
        given = _content()
        try:
            dialog = self._dialog(given.get("dialog") or {})
            url, trigger_id = _text(given, "url"), _text(given, "trigger_id")
        except Undecodable:
            raise invalid_body("dialog") from None
        if not url:
            raise invalid_body("url")
        client_id, user_id = self._trigger_ids.verify(trigger_id)
        told = json.dumps({"trigger_id": client_id, "url": url, "dialog": dialog}, separators=(",", ":"))
        self._hub.publish("open_dialog", {"dialog": told}, user_id=user_id)
        return jsonify({"status": "OK"})

    def submit(self) -> ResponseReturnValue:
        """Forward a submission to the URL in it. ``user_id`` comes from the session, ``type`` from the server."""
        given, person = self._checked()
        refresh = given.get("type") == "refresh" and self._state.at_least(11, 1)
        kind = "refresh" if refresh else "dialog_submission"
        answer = self._answer(self._sent(given, person, kind))
        later = self._state.at_least(11, 1) and not answer.get("error") and not answer.get("errors")
        if later and not _fits(answer):
            text = "Encountered an invalid response from interactive dialog submission."
            raise ApiError(400, "app.submit_interactive_dialog.invalid_response", text)
        return jsonify(answer)

    def lookup(self) -> ResponseReturnValue:
        """Fetch options for a select from the integration's ``items``. Clients retry any status but 200 (recorded)."""
        if not self._state.at_least(11, 0):
            abort(404)
        given, person = self._checked()
        if not re.match(r"https?://|/plugins/", given["url"]):
            raise invalid_body("url")
        content = self._sent(given, person, "dialog_lookup")
        try:
            items = _items(_only(content))
        except (Undecodable, AttributeError, TypeError):
            raise _undecodable("lookup", "lookup") from None
        return jsonify({"items": items})

    def _sent(self, given: Json, person: str, kind: str) -> bytes:
        """
        The integration's response. Plugin URLs return nothing that decodes, because no plugin here handles dialogs.
        """
        if given["url"].startswith("/plugins/") and self._state.at_least(11, 0):
            raise _undecodable(*_NAMES[kind])
        content = sent(given["url"], self._forwarded(given, person, kind))
        if len(content) > _LARGEST and self._state.at_least(11, 0):
            raise _undecodable(*_NAMES[kind])
        return content

    def _checked(self) -> tuple[Json, str]:
        """
        Validate a client's request. Returns it with the user's ID.

        Raises:
            ApiError: 400 without a URL; 403 if the user can't read the channel or isn't in the team.
        """
        person = me(self._state)
        given = _content()
        if not isinstance(given.get("submission") or {}, dict):
            raise invalid_body("dialog")
        if not given.get("url"):
            raise invalid_body("url")
        if not given.get("channel_id") and self._state.at_least(11, 0):
            raise ApiError(404, "app.channel.get.existing.app_error", "Unable to find the existing channel .")
        if not self._state.may_read(person, str(given.get("channel_id", ""))):
            raise forbidden()
        in_team = (str(given.get("team_id", "")), person) in self._state.team_members
        if not in_team and not self._state.at_least(11, 10):
            raise forbidden()
        return given, person

    def _forwarded(self, given: Json, person: str, kind: str) -> Json:
        channel = self._state.channels[given["channel_id"]]
        team_id = channel["team_id"] if self._state.at_least(11, 10) else given.get("team_id", "")
        return {
            "type": kind,
            "callback_id": given.get("callback_id", ""),
            "state": given.get("state", ""),
            "user_id": person,
            "channel_id": given["channel_id"],
            "team_id": team_id,
            "submission": given.get("submission"),
            "cancelled": bool(given.get("cancelled")),
        }

    def _answer(self, content: bytes) -> Json:
        """
        The known keys of the response.

        9.11 treats a response that doesn't decode as empty; since 11.0 it is an error (both recorded).
        """
        try:
            value = _only(content) if self._state.at_least(11, 0) else decode_json(content)
            return self._decoded(value) if value is not None or not self._state.at_least(11, 0) else {}
        except (Undecodable, TypeError, AttributeError):
            if self._state.at_least(11, 0):
                raise _undecodable("submit", "submission") from None
            return {}

    def _decoded(self, value: Json) -> Json:
        found = struct(value, {"error": "string", "errors": "map"}, "SubmitDialogResponse", "")
        answer = {key: one for key, one in found.items() if one}
        if not all(isinstance(one, str) for one in answer.get("errors", {}).values()):
            raise Undecodable("errors")
        if self._state.at_least(11, 1):
            if kind := value.get("type"):
                answer["type"] = kind
            if value.get("form") is not None:
                answer["form"] = self._dialog(value["form"])
        return answer

    def _dialog(self, given: Any) -> Json:
        """
        Decode a dialog as the server's struct: all keys, and none that this version doesn't know.

        Raises:
            Undecodable: A value has the wrong JSON type.
        """
        element, dialog = dict(_ELEMENT), dict(_DIALOG)
        for version, kinds in _LATER.items():
            if self._state.at_least(*version):
                element |= kinds
        if self._state.at_least(11, 1):
            dialog["source_url"] = "string"
        dialog["elements"] = [element]
        if not isinstance(given, dict):
            raise Undecodable("a dialog is an object")
        nulls: set[tuple[int, int]] = set()  # options are pointers in Go, so null stays null
        found = struct(_without_nulls(given, nulls), dialog, "Dialog", "")
        whole = _whole(found, dialog)
        if whole["elements"] is not None:
            whole["elements"] = [_whole(one, element) for one in whole["elements"]]
        for place, number in nulls:
            whole["elements"][place]["options"][number] = None
        return whole


def _without_nulls(given: Json, nulls: set[tuple[int, int]]) -> Json:
    elements = given.get("elements")
    if not isinstance(elements, list):
        return given
    for place, element in enumerate(elements):
        options = element.get("options") if isinstance(element, dict) else None
        nulls |= {(place, number) for number, one in enumerate(options or []) if one is None}
    kept = [
        one | {"options": [{} if option is None else option for option in one["options"]]}
        if any(place == number for number, _ in nulls)
        else one
        for place, one in enumerate(elements)
    ]
    return given | {"elements": kept}


def _whole(found: Json, kinds: Json) -> Json:
    """Return every key, with an empty value if none was given. Keys of later versions appear only with a value."""
    filled = {key: found.get(key, _EMPTY.get(kind) if isinstance(kind, str) else None) for key, kind in kinds.items()}
    return {key: value for key, value in filled.items() if key in _ALWAYS or value or (key in found and value == {})}


def _only(content: bytes) -> Any:
    """The one JSON value of a body; None if it is empty or ``null``. Raises Undecodable."""
    if not content:
        return None
    try:
        return json.loads(content)
    except ValueError as error:
        raise Undecodable("a value and nothing else") from error


def _items(value: Any) -> list[Json] | None:
    """Return every item with both keys. Raises Undecodable for any other type."""
    if not isinstance(value, dict | None):
        raise Undecodable("an object")
    given = (value or {}).get("items")
    if given is None:
        return None
    found = struct({"items": [{} if one is None else one for one in given]}, {"items": [_OPTION]}, "Lookup", "")
    return [{"text": "", "value": ""} | item for item in found["items"]]


def _undecodable(what: str, called: str) -> ApiError:
    text = f"Encountered an error decoding JSON response from interactive dialog {called}."
    return ApiError(500, f"app.{what}_interactive_dialog.decode_json_error", text)


def _fits(answer: Json) -> bool:
    """Since 11.1, type form requires a form, and no other type may have one."""
    if answer.get("type") == "form":
        return "form" in answer
    return answer.get("type", "") in {"", "ok", "navigate"} and "form" not in answer


def _content() -> Json:
    content = request.get_json(force=True, silent=True)
    if not isinstance(content, dict):
        raise invalid_body("dialog")
    return content


def _text(given: Json, key: str) -> str:
    value = given.get(key) or ""
    if not isinstance(value, str):
        raise Undecodable(key)
    return value
