"""
What a form or a button carries from one request to the next: typed, signed and checked.

A form that carries more than `FormState` or `RecordRef` declares a subclass next to its handlers. Each attribute is
a key of the signed JSON. Forms that were opened before an upgrade can still be submitted, so give new attributes a
default and don't change the meaning of old ones.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import UnionType
from typing import Any, Self, get_args, get_origin, get_type_hints

from core.calls import Call
from core.fields import Option
from core.records import Record
from core.signing import ExpiredState
from handlers.context import Context

FORM_LIFETIME = 12 * 3600.0  # seconds


@dataclass(frozen=True, kw_only=True)
class SignedState:
    """
    Base of all states. Attributes are texts, numbers, flags and options, or tuples and mappings of them.

    An option is written as its label and its value.
    """

    @classmethod
    def read(cls, state: Mapping[str, Any]) -> Self:
        """
        The typed content of *state*, whose signature was verified. Keys of other states are ignored.

        Raises:
            ExpiredState: Another version of the service wrote it with other types.
        """
        hints = get_type_hints(cls)
        try:
            return cls(**{name: _decoded(hints[name], state[name]) for name in hints if name in state})
        except TypeError as error:
            raise ExpiredState(f"state of another version: {error}") from error

    def signed(self, context: Context, path: str) -> str:
        """The text to put into the form at *path*, for this person only."""
        content = {one.name: _encoded(getattr(self, one.name)) for one in fields(self)}
        expires_at = context.clock() + FORM_LIFETIME
        return context.signer.sign(content, person=context.person.id, path=path, expires_at=expires_at)


@dataclass(frozen=True, kw_only=True)
class FormState(SignedState):
    """
    One opened form.

    Args:
        form_id: Made when the form opens. It becomes the ``correlation_id`` of the record that the form creates, so
            one form creates one record no matter how often it is sent (`handlers/idempotency.py`).
        channel_id, root_id: Where the form was opened. ``root_id`` is "" outside a thread.
    """

    form_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    channel_id: str = ""
    root_id: str = ""

    @classmethod
    def of(cls, call: Call) -> Self:
        """The form that *call* opens or belongs to. A command is a form of its own."""
        if call.state:
            return cls.read(call.state)
        channel_id = call.channel.id if call.channel else ""
        if call.post is None:
            return cls(channel_id=channel_id)
        return cls(channel_id=call.post.channel_id or channel_id, root_id=call.post.root_id or call.post.id)


@dataclass(frozen=True, kw_only=True)
class RecordRef(SignedState):
    """
    The record that a form or a button is about, as the person saw it.

    Args:
        sys_mod_count: ServiceNow's counter of updates to the record. Changes made since are shown before they are
            overwritten. "" if unknown, as for a card's button.
        channel_id, post_id: Where the record's card is. ``post_id`` is "" if the form wasn't opened from a card.
        root_id: The card's thread, "" if unknown.
    """

    table: str
    sys_id: str
    number: str = ""
    sys_mod_count: str = ""
    channel_id: str = ""
    post_id: str = ""
    root_id: str = ""

    @classmethod
    def of(cls, call: Call) -> Self | None:
        """The record that *call* carries. None if it has to be chosen or typed, as in a command."""
        return cls.read(call.state) if call.state.get("sys_id") and call.state.get("table") else None

    @classmethod
    def to(cls, call: Call, record: Record) -> Self:
        """*record* as just read, with the place that *call* comes from."""
        before = RecordRef.of(call)
        return cls(
            table=record.table,
            sys_id=record.sys_id,
            number=record.number,
            sys_mod_count=record.value("sys_mod_count"),
            channel_id=before.channel_id if before else call.channel.id if call.channel else "",
            post_id=before.post_id if before else "",
            root_id=before.root_id if before else "",
        )


def _encoded(value: Any) -> Any:
    match value:
        case Option():
            return [value.label, value.value]
        case tuple():
            return [_encoded(one) for one in value]
        case Mapping():
            return {name: _encoded(one) for name, one in value.items()}
        case _:
            return value


def _decoded(hint: Any, value: Any) -> Any:
    """*value* as the type *hint*. Raises TypeError if it isn't what `_encoded` writes for that type."""
    arguments = get_args(hint)
    if get_origin(hint) is UnionType:
        for one in arguments:
            try:
                return _decoded(one, value)
            except TypeError:
                continue
    elif get_origin(hint) is tuple and isinstance(value, list):
        return tuple(_decoded(arguments[0], one) for one in value)
    elif get_origin(hint) is Mapping and isinstance(value, dict):
        return {name: _decoded(arguments[1], one) for name, one in value.items()}
    elif hint is Option and isinstance(value, list):
        return Option(*(_decoded(str, one) for one in value))
    elif type(value) is hint:
        return value
    raise TypeError(f"{type(value).__name__} where {hint} belongs")
