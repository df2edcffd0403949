"""
The Apps framework's wire format: reads call requests and writes call responses.

Every response has HTTP status 200 and the framework's JSON, because people see any other status as raw text (protocol
reference §4.3). Clients can change everything that the plugin doesn't fill in itself. It is only parsed here, and
`web/verify.py` decides what to trust.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from marshmallow import ValidationError, fields, validate

from core.calls import Channel, Link, Navigate, Options, Post, Reply, ShowForm, Text, Value, Values
from core.errors import AppError, InvalidInput, with_reference
from core.fields import Option
from mattermost.apps_forms import write_form
from mattermost.schemas import LooseSchema, optional_id, valid_id

_SHORT = validate.Length(max=64)
_TOKEN = validate.Regexp(r"([a-z0-9]{26})?\Z")  # it goes into a header
MAX_TEXT = 100_000  # characters of one value; far above any field of ours, far below a body's limit


@dataclass(frozen=True, kw_only=True)
class ActingUser:
    """The acting user, as expanded by the plugin."""

    id: str
    username: str = ""
    roles: str = ""


@dataclass(frozen=True, kw_only=True)
class CallRequest:
    """A call request whose schema is valid. Nothing else is verified."""

    path: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    state: str = ""
    selected_field: str = ""
    query: str = ""
    acting_user: ActingUser | None = None
    acting_user_access_token: str = field(default="", repr=False)
    bot_user_id: str = ""
    bot_access_token: str = field(default="", repr=False)
    webhook_secret: str = field(default="", repr=False)
    channel: Channel | None = None
    team_name: str = ""
    post: Post | None = None


class _UserSchema(LooseSchema):
    makes = ActingUser

    id = fields.Str(required=True, validate=valid_id)
    username = fields.Str(load_default="", validate=_SHORT)
    roles = fields.Str(load_default="")


def _channel(*, delete_at: int, **columns: str) -> Channel:
    return Channel(archived=bool(delete_at), **columns)


class _ChannelSchema(LooseSchema):
    makes = _channel

    id = fields.Str(required=True, validate=valid_id)
    type = fields.Str(load_default="")
    team_id = fields.Str(load_default="", validate=optional_id)
    name = fields.Str(load_default="")
    display_name = fields.Str(load_default="")
    delete_at = fields.Int(load_default=0)


class _PostSchema(LooseSchema):
    makes = Post

    id = fields.Str(required=True, validate=valid_id)
    channel_id = fields.Str(load_default="", validate=optional_id)
    user_id = fields.Str(load_default="", validate=optional_id)
    root_id = fields.Str(load_default="", validate=optional_id)
    type = fields.Str(load_default="")
    message = fields.Str(load_default="")


class _NameSchema(LooseSchema):
    name = fields.Str(load_default="")


class _AppSchema(LooseSchema):
    webhook_secret = fields.Str(load_default="")


class _ContextSchema(LooseSchema):
    acting_user = fields.Nested(_UserSchema, load_default=None)
    acting_user_access_token = fields.Str(load_default="", validate=_TOKEN)
    bot_user_id = fields.Str(load_default="", validate=optional_id)
    bot_access_token = fields.Str(load_default="")
    channel = fields.Nested(_ChannelSchema, load_default=None)
    team = fields.Nested(_NameSchema, load_default=dict)
    post = fields.Nested(_PostSchema, load_default=None)
    app = fields.Nested(_AppSchema, load_default=dict)


class _CallSchema(LooseSchema):
    path = fields.Str(load_default="")
    values = fields.Dict(keys=fields.Str(), load_default=dict)
    state = fields.Str(load_default="", validate=validate.Length(max=8192))
    selected_field = fields.Str(load_default="", validate=validate.Length(max=300))
    query = fields.Str(load_default="", validate=validate.Length(max=1000))
    context = fields.Nested(_ContextSchema, required=True)


_SCHEMA = _CallSchema()


def read(payload: Any) -> CallRequest:
    """
    Validate a call request.

    Raises:
        InvalidInput: A key is missing or has the wrong type. Only the log names it.
    """
    try:
        call: dict[str, Any] = _SCHEMA.load(payload)
    except ValidationError as error:
        raise _malformed(error.messages_dict) from error
    context = call.pop("context")
    team_name = context.pop("team").get("name", "")
    webhook_secret = context.pop("app").get("webhook_secret", "")
    return CallRequest(**call, **context, team_name=team_name, webhook_secret=webhook_secret)


_ASKER = _UserSchema()


def read_asker(payload: Mapping[str, Any]) -> CallRequest:
    """
    Validate only the acting user, which is all that bindings need. Clients request them at every channel switch.

    Raises:
        InvalidInput: The acting user is missing or malformed.
    """
    context = payload.get("context")
    try:
        asker: Any = context.get("acting_user") if isinstance(context, Mapping) else None
        user: ActingUser = _ASKER.load(asker)
    except ValidationError as error:
        raise _malformed({"context": error.messages}) from error
    return CallRequest(acting_user=user)


def _malformed(messages: Mapping[str, Any]) -> InvalidInput:
    return InvalidInput(
        {},
        "The app doesn't understand this request. Reload Mattermost.",
        log_message=f"malformed call request: {sorted(map(str, messages))}",
    )


def read_values(entered: Mapping[str, Any]) -> Values:
    """
    The entered values, independent of the client. For an untouched field, web sends null, mobile sends "", and commands
    send nothing. Selects are option objects, submit buttons plain text, numbers JSON numbers (protocol reference §6.3).

    Raises:
        InvalidInput: A value has a type that no field has, or is too long.
    """
    values: dict[str, Value] = {}
    for name, value in entered.items():
        read_value = _value(name, value)
        if read_value is not None:
            values[name] = read_value
    return Values(values)


def _value(name: str, value: Any) -> Value | None:
    match value:
        case None | "" | []:
            return None
        case bool():
            return value
        case int() | float():
            return str(value)
        case str() if len(value) <= MAX_TEXT:
            return value
        case {"value": str(chosen), **rest} if len(chosen) <= MAX_TEXT:
            label = rest.get("label")
            return Option(label if isinstance(label, str) and label else chosen, chosen) if chosen else None
        case list() if len(value) <= 1000:
            options = [_value(name, item) for item in value]
            return tuple(Option(o, o) if isinstance(o, str) else o for o in options if isinstance(o, str | Option))
        case _:
            raise InvalidInput({name: "This value isn't valid for this field."})


def write(reply: Reply) -> dict[str, Any]:
    """A reply as a call response."""
    match reply:
        case Text(text=text, refresh_menus=refresh):
            return {"type": "ok", "text": text} | ({"refresh_bindings": True} if refresh else {})
        case ShowForm(form=form):
            return {"type": "form", "form": write_form(form)}
        case Options(options=options):
            items = [{"label": option.label, "value": option.value} for option in options]
            return {"type": "ok", "data": {"items": items}}
        case Navigate(address=address):
            return {"type": "navigate", "navigate_to_url": address}
        case Link(address=address):
            return {"type": "ok", "data": address}
        case _:
            raise TypeError(f"no wire form for {type(reply).__name__}")


def write_error(error: AppError, reference: str) -> dict[str, Any]:
    """
    An error as a call response that keeps the modal open with all input.

    The text is never empty. An empty error would close the modal as if the call had succeeded (recorded ER6), and
    commands and menus show only the text.
    """
    answer: dict[str, Any] = {"type": "error", "text": with_reference(error, error.user_message, reference)}
    if error.fields:
        answer["data"] = {"errors": dict(error.fields)}
    return answer
