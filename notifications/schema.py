"""The schema of the component's reports: turns JSON into `core.notices.Report`."""

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, ClassVar

from marshmallow import EXCLUDE, Schema, ValidationError, fields, post_load, pre_load, validate

from core.errors import InvalidInput
from core.notices import Actor, Change, Comment, Match, Report, ReportedRecord
from core.records import Cell

MOST_SUBSCRIPTIONS = 200
SYS_ID = validate.Regexp(re.compile(r"[0-9a-f]{32}\Z"), error="Not a sys_id.")
_NO_SYS_ID = validate.Regexp(re.compile(r"([0-9a-f]{32})?\Z"), error="Not a sys_id.")
TABLE_NAME = validate.Regexp(re.compile(r"[a-z][a-z0-9_]{0,79}\Z"), error="Not a table's name.")
MATTERMOST_ID = validate.Regexp(re.compile(r"[a-z0-9]{26}\Z"), error="Not an id of Mattermost.")
_DIGEST = validate.Regexp(re.compile(r"([0-9a-f]{64})?\Z"), error="Not a SHA-256 in hex.")
_ID = validate.Regexp(re.compile(r"[A-Za-z0-9-]{1,64}\Z"), error="1 to 64 letters, digits and hyphens.")
_SHORT = validate.Length(max=255)
_TOKENS = validate.Length(max=50)


class _Loose(Schema):
    """
    Ignores unknown keys, which later versions of the component may send, and null, which an empty column can be.

    ``makes`` is called with the loaded values.
    """

    makes: ClassVar[Callable[..., Any]]

    class Meta:
        unknown = EXCLUDE

    @pre_load
    def _without_nulls(self, data: Any, **_: Any) -> Any:
        return {key: value for key, value in data.items() if value is not None} if isinstance(data, Mapping) else data

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> Any:
        return type(self).makes(**data)


class _Text(fields.Str):
    """Half a character (a lone surrogate) is valid in JSON, but can't be encoded. It becomes a question mark."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        text: str = super()._deserialize(value, *args, **kwargs)
        return text if text.isascii() else text.encode(errors="replace").decode()


def _text(most: int = 8000, **more: Any) -> _Text:
    return _Text(load_default="", validate=validate.Length(max=most), **more)


def _tokens() -> fields.List[str]:
    return fields.List(_Text(validate=_SHORT), load_default=list, validate=_TOKENS)


class _Cell(_Loose):
    makes = Cell

    value = _text()
    display_value = _text()


def _cell() -> fields.Nested:
    return fields.Nested(_Cell, load_default=Cell)


class _Record(_Loose):
    makes = ReportedRecord

    table = _Text(required=True, validate=TABLE_NAME)
    sys_id = _Text(required=True, validate=SYS_ID)
    number = _text(255)
    short_description = _text()
    class_label = _text(255)
    state = _cell()
    priority = _cell()
    assigned_to = _cell()
    assignment_group = _cell()
    sys_mod_count = fields.Int(load_default=0, validate=validate.Range(0, 2**53))


class _Change(_Loose):
    makes = Change

    field = _Text(required=True, validate=validate.Regexp(re.compile(r"[a-z][a-z0-9_]{0,79}\Z")))
    label = _text(255)
    old = _text(70_000)
    new = _text(70_000)
    old_value = _text(70_000)
    new_value = _text(70_000)


class _Comment(_Loose):
    makes = Comment

    kind = _Text(required=True, validate=validate.OneOf(["comments", "work_notes"]))
    text = _text(262_144)


class _Actor(_Loose):
    makes = Actor

    sys_id = _text(32)
    user_name = _text(255)
    name = _text(255)


class _Match(_Loose):
    sys_id = _Text(required=True, validate=SYS_ID)
    channel_id = _Text(required=True, validate=MATTERMOST_ID)
    user_id = _text(64)
    table = _Text(required=True, data_key="record_type", validate=TABLE_NAME)
    record_id = _Text(load_default="", validate=_NO_SYS_ID)
    filter_digest = _Text(load_default="", validate=_DIGEST)
    events = _tokens()
    options = _tokens()
    created_by = _text(255)
    updated_by = _text(255)
    updated_on = _text(40)

    @staticmethod
    def makes(**data: Any) -> Match:
        return Match(**data | {"events": tuple(data["events"]), "options": tuple(data["options"])})


class _Report(_Loose):
    event_id = _Text(required=True, validate=_ID)
    occurred_at = fields.AwareDateTime(required=True, format="iso")
    component = _text(40)
    server_url = _Text(required=True, validate=_SHORT)
    record = fields.Nested(_Record, load_default=None)
    events = _tokens()
    changes = fields.List(fields.Nested(_Change), load_default=list, validate=validate.Length(max=500))
    comments = fields.List(fields.Nested(_Comment), load_default=list, validate=validate.Length(max=50))
    actor = fields.Nested(_Actor, load_default=Actor)
    matches = fields.List(
        fields.Nested(_Match),
        data_key="subscriptions",
        load_default=list,
        validate=validate.Length(max=MOST_SUBSCRIPTIONS),
    )
    test = _Text(load_default="", validate=validate.Length(max=64))

    @staticmethod
    def makes(**data: Any) -> Report:
        if data["record"] is None and (not data["test"] or data["matches"]):
            raise ValidationError("Missing data for required field.", "record")
        found = {**data, "occurred_at": data["occurred_at"].timestamp(), "events": tuple(data["events"])}
        return Report(**found)


_SCHEMA = _Report()


def read_report(body: Any) -> Report:
    """
    Raises:
        InvalidInput: Names each invalid key and the reason, but no values.
    """
    try:
        report: Report = _SCHEMA.load(body)
    except ValidationError as error:
        raise InvalidInput(
            dict(_flat("", error.messages)), "The report is not of the form that is expected."
        ) from error
    return report


def packed(report: Report) -> dict[str, Any]:
    """*report* as JSON values, to be stored."""
    return asdict(report)


def unpacked(content: Mapping[str, Any]) -> Report:
    """Reverse `packed`. Not validated again, because we sealed it."""
    record, matches = content["record"], content["matches"]
    return Report(
        **{
            **content,
            "record": None if record is None else _record(record),
            "events": tuple(content["events"]),
            "changes": [Change(**one) for one in content["changes"]],
            "comments": [Comment(**one) for one in content["comments"]],
            "actor": Actor(**content["actor"]),
            "matches": [
                Match(**{**one, "events": tuple(one["events"]), "options": tuple(one["options"])}) for one in matches
            ],
        }
    )


def _record(content: Mapping[str, Any]) -> ReportedRecord:
    cells = {name: Cell(**value) for name, value in content.items() if isinstance(value, Mapping)}
    return ReportedRecord(**{**content, **cells})


def _flat(before: str, messages: Any) -> list[tuple[str, str]]:
    if isinstance(messages, Mapping):
        return [found for key, inner in messages.items() for found in _flat(f"{before}.{key}".strip("."), inner)]
    return [(before, " ".join(map(str, messages if isinstance(messages, list) else [messages])))]
