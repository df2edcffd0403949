"""
Interactive dialogs: opened by integrations, submitted by clients, told apart by the server's version.

9.11 knows neither look-ups nor refresh nor a next form and drops their keys (recorded in dialogs); 11.0 brings
look-ups and multiselect, 11.1 refresh, next forms and dates.
https://developers.mattermost.com/integrate/plugins/interactive-dialogs/
"""

import json
from contextlib import suppress
from typing import Any

from flask import Blueprint, abort, jsonify, request
from flask.typing import ResponseReturnValue

from sandbox.mattermost.apps.typed import Undecodable, decode_json, struct
from sandbox.mattermost.hub import Hub
from sandbox.mattermost.integrations import sent
from sandbox.mattermost.state import Json, State
from sandbox.mattermost.triggers import Triggers
from sandbox.mattermost.web import ApiError, forbidden, invalid_body, me

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
_EMPTY = {"string": "", "bool": False, "int": 0, "map": {}}
# Keys that later versions know, and whether they stand in the event also when empty.
_LATER: dict[tuple[int, int], Json] = {
    (11, 0): {"data_source_url": "string", "multiselect": "bool"},
    (11, 1): {"refresh": "bool", "min_date": "string", "max_date": "string", "time_interval": "int"},
    (11, 6): {"datetime_config": "map"},
}
_ALWAYS = frozenset({*_ELEMENT, *_DIALOG, "multiselect"})


class Dialogs:
    """Dialogs over one state; nothing of an open one is kept."""

    def __init__(self, state: State, hub: Hub, triggers: Triggers) -> None:
        self._state = state
        self._hub = hub
        self._triggers = triggers

    def blueprint(self) -> Blueprint:
        """All routes."""
        blueprint = Blueprint("dialogs", __name__, url_prefix="/api/v4/actions/dialogs")
        blueprint.add_url_rule("/open", "open", self.open, methods=["POST"])
        blueprint.add_url_rule("/submit", "submit", self.submit, methods=["POST"])
        blueprint.add_url_rule("/lookup", "lookup", self.lookup, methods=["POST"])
        return blueprint

    def open(self) -> ResponseReturnValue:
        """The trigger alone says whose client opens it; no session is needed, and limits are not enforced."""
        given = _content()
        try:
            dialog = self._dialog(given.get("dialog") or {})
            url, trigger_id = _text(given, "url"), _text(given, "trigger_id")
        except Undecodable:
            raise invalid_body("dialog") from None
        if not url:
            raise invalid_body("url")
        client_id, user_id = self._triggers.opened(trigger_id)
        told = json.dumps({"trigger_id": client_id, "url": url, "dialog": dialog}, separators=(",", ":"))
        self._hub.tell("open_dialog", {"dialog": told}, user_id=user_id)
        return jsonify({"status": "OK"})

    def submit(self) -> ResponseReturnValue:
        """What a client sends goes to the address it names; ``user_id`` is the session's, ``type`` the server's."""
        given, person = self._checked()
        refresh = given.get("type") == "refresh" and self._state.at_least(11, 1)
        kind = "refresh" if refresh else "dialog_submission"
        content = sent(given["url"], self._forwarded(given, person, kind))
        answer = self._answer(content)
        later = self._state.at_least(11, 1) and not answer.get("error") and not answer.get("errors")
        if later and not _fits(answer):
            text = "Invalid response from the integration."
            raise ApiError(400, "app.submit_interactive_dialog.invalid_response", text)
        return jsonify(answer)

    def lookup(self) -> ResponseReturnValue:
        """Options for a select; the integration's ``items``."""
        if not self._state.at_least(11, 0):
            abort(404)
        given, person = self._checked()
        content = sent(given["url"], self._forwarded(given, person, "dialog_lookup"))
        try:
            items = struct(decode_json(content), {"items": [_OPTION]}, "LookupDialogResponse", "").get("items", [])
        except (Undecodable, AttributeError, TypeError):
            items = []
        return jsonify({"items": [{"text": "", "value": ""} | item for item in items]})

    def _checked(self) -> tuple[Json, str]:
        """
        A client's request and who sent it.

        Raises:
            ApiError: 400 without an address; 403 where the person may not read the channel or is not in the team.
        """
        person = me(self._state)
        given = _content()
        if not given.get("url"):
            raise invalid_body("url")
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
        """The answer's known keys; what does not decode counts as nothing (recorded)."""
        answer: Json = {}
        with suppress(Undecodable, TypeError, AttributeError):
            value = decode_json(content)
            found = struct(value, {"error": "string", "errors": "map"}, "SubmitDialogResponse", "")
            answer = {key: one for key, one in found.items() if one}
            if not all(isinstance(one, str) for one in answer.get("errors", {}).values()):
                return {}
            if self._state.at_least(11, 1):
                if kind := value.get("type"):
                    answer["type"] = kind
                if value.get("form") is not None:
                    answer["form"] = self._dialog(value["form"])
        return answer

    def _dialog(self, given: Any) -> Json:
        """
        A dialog as the server's struct: all keys, nothing that this version does not know.

        Raises:
            Undecodable: A wrong JSON type.
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
        found = struct(given, dialog, "Dialog", "")
        whole = _whole(found, dialog)
        if whole["elements"] is not None:
            whole["elements"] = [_whole(one, element) for one in whole["elements"]]
        return whole


def _whole(found: Json, kinds: Json) -> Json:
    """Every key, empty where nothing was given; newer keys only with a value."""
    filled = {key: found.get(key, _EMPTY.get(kind) if isinstance(kind, str) else None) for key, kind in kinds.items()}
    return {key: value for key, value in filled.items() if key in _ALWAYS or value}


def _fits(answer: Json) -> bool:
    """A form comes with type form and nothing else does (11.1)."""
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
