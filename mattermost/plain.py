"""
The wire format of card buttons and interactive dialogs, which work without the Apps framework (native integrations
reference §2 and §3). Every response has HTTP status 200.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from marshmallow import ValidationError, fields, validate

from core.calls import Kind, Navigate, Options, Reply, Text
from core.errors import AppError, InvalidInput, with_reference
from mattermost.markdown import plain_text
from mattermost.schemas import LooseSchema, optional_id, valid_id

_DIRECT = re.compile(r"([a-z0-9]{26})__([a-z0-9]{26})")  # both people's ids
_GROUP = re.compile(r"[0-9a-f]{40}")  # a digest of the members' ids


@dataclass(frozen=True, kw_only=True)
class PressRequest:
    """A press of a card's button whose schema is valid. Nothing else is verified. ``context`` is the button's."""

    user_id: str
    channel_id: str
    channel_name: str
    post_id: str
    trigger_id: str = field(repr=False)
    context: Mapping[str, Any] = field(repr=False)

    def may_be_in(self, person_id: str) -> bool:
        """
        Whether the channel is a direct message with *person_id* or any group message, by its name.

        The name of a group message doesn't tell who is in it.
        """
        found = _DIRECT.fullmatch(self.channel_name)
        return person_id in found.groups() if found else bool(_GROUP.fullmatch(self.channel_name))

    @property
    def in_direct(self) -> bool:
        """Whether this was pressed in a direct message, by the channel's name."""
        return bool(_DIRECT.fullmatch(self.channel_name))


@dataclass(frozen=True, kw_only=True)
class DialogRequest:
    """A dialog's submission, refresh or lookup whose schema is valid. Nothing else is verified."""

    kind: Kind
    user_id: str
    state: str = field(repr=False)
    submission: Mapping[str, Any] = field(repr=False)
    selected_field: str = ""
    query: str = ""
    unsearched: bool = False
    cancelled: bool = False


class _PressSchema(LooseSchema):
    makes = PressRequest

    user_id = fields.Str(required=True, validate=valid_id)
    channel_id = fields.Str(load_default="", validate=optional_id)
    channel_name = fields.Str(load_default="", validate=validate.Length(max=128))
    post_id = fields.Str(load_default="", validate=optional_id)
    trigger_id = fields.Str(load_default="", validate=validate.Length(max=1000))
    context = fields.Dict(keys=fields.Str(), load_default=dict)


class _DialogSchema(LooseSchema):
    type = fields.Str(load_default="")
    user_id = fields.Str(required=True, validate=valid_id)
    state = fields.Str(load_default="", validate=validate.Length(max=20_000))
    submission = fields.Dict(keys=fields.Str(), load_default=dict)
    cancelled = fields.Bool(load_default=False)


_PRESS = _PressSchema()
_DIALOG = _DialogSchema()
_KINDS = {"refresh": Kind.REFRESH, "dialog_lookup": Kind.LOOKUP}


def read_press(payload: Mapping[str, Any]) -> PressRequest:
    """Validate a press. Raises InvalidInput."""
    try:
        press: PressRequest = _PRESS.load(payload)
    except ValidationError as error:
        raise _malformed(error) from error
    return press


def read_dialog(payload: Mapping[str, Any]) -> DialogRequest:
    """
    Validate a dialog request. ``type`` tells the kinds apart, because mobile sends refreshes to the dialog's URL.

    Raises:
        InvalidInput: The request is malformed.
    """
    try:
        found: dict[str, Any] = _DIALOG.load(payload)
        submission = found["submission"]
        return DialogRequest(
            kind=_KINDS.get(found.pop("type"), Kind.SUBMIT),
            selected_field=_text(submission, "selected_field", 300),
            query=_text(submission, "query", 1000),
            unsearched="query" not in submission,
            **found,
        )
    except ValidationError as error:
        raise _malformed(error) from error


def _text(submission: Mapping[str, Any], name: str, most: int) -> str:
    value = submission.get(name)
    return value[:most] if isinstance(value, str) else ""


def _malformed(error: ValidationError) -> InvalidInput:
    return InvalidInput(
        {},
        "The app doesn't understand this request. Reload Mattermost.",
        log_message=f"malformed request: {sorted(map(str, error.messages_dict))}",
    )


def write_press(reply: Reply, update: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The answer to a press: a text only the presser sees, or nothing. *update* replaces the post."""
    more = {"update": dict(update)} if update is not None else {}
    match reply:
        case Text(text=text):
            return more | ({"ephemeral_text": text} if text else {})
        case Navigate(address=address):
            return more | {"ephemeral_text": f"[Open it here]({address})."}
        case _:
            raise TypeError(f"no answer to a press for {type(reply).__name__}")


def write_press_error(error: AppError, reference: str) -> dict[str, Any]:
    """An error that only the presser sees, in the card's thread, with field errors on one line."""
    more = "".join(f" {sentence}" for sentence in error.fields.values())
    return {"ephemeral_text": with_reference(error, f"{error.user_message}{more}", reference)}


def write_options(reply: Reply) -> dict[str, Any]:
    """The answer to a lookup. Any other reply becomes an empty list."""
    options = reply.options if isinstance(reply, Options) else ()
    return {"items": [{"text": option.label, "value": option.value} for option in options]}


def write_dialog_error(
    error: AppError, reference: str, elements: Mapping[str, str], *, markdown: bool = True
) -> dict[str, Any]:
    """
    An error that keeps the dialog open.

    An error for an unknown element closes the dialog in the 9.11 web client as if it had succeeded (recorded). So
    errors of fields without an element are added to the general message.

    Args:
        elements: Element names by field name.
        markdown: Whether the dialog renders Markdown. Those of old servers don't (recorded).
    """
    mine = {elements[name]: text for name, text in error.fields.items() if name in elements}
    others = " ".join(text for name, text in error.fields.items() if name not in elements)
    words = f"{error.user_message} {others}".strip()
    if not markdown:
        words, mine = plain_text(words), {name: plain_text(text) for name, text in mine.items()}
    return {"error": with_reference(error, words, reference)} | ({"errors": mine} if mine else {})


def write_dialog_again(dialog: Mapping[str, Any], error: Mapping[str, Any]) -> dict[str, Any]:
    """
    The dialog with the messages of *error*, from `write_dialog_error`, above it and in the help texts of its elements.
    """
    errors = error.get("errors", {})
    elements = [_with_error(element, errors.get(element["name"], "")) for element in dialog["elements"]]
    words = "\n\n".join(part for part in (f":warning: {error['error']}", dialog.get("introduction_text", "")) if part)
    return {"type": "form", "form": {**dialog, "elements": elements, "introduction_text": words}}


def _with_error(element: Mapping[str, Any], text: str) -> dict[str, Any]:
    if not text:
        return dict(element)
    return {**element, "help_text": "\n\n".join(filter(None, (f":warning: {text}", element.get("help_text", ""))))}
