"""
Reads the values that clients send from a dialog, in submissions and in lookups. Pure.

Clients encode values differently (native integrations reference §2.7), and the web client encodes them differently in
lookups (recorded). The shape from `plain_shapes.shape_of` says what each element was.
"""

import re
from collections.abc import Mapping
from typing import Any

from core.calls import Value, Values
from core.errors import InvalidInput, NotVerified
from core.fields import Option
from mattermost.plain_shapes import SEPARATOR

_MOST_TEXT = 100_000  # characters of one value; far above any field of ours
_MOST_VALUES = 1000
_RENAMED = re.compile(r"(.+)__(\d{1,3})")  # an element that got a new name, and which one


class ForeignForm(NotVerified):
    """The values belong to another dialog. A client sends them to the newest dialog's URL (recorded)."""

    user_message = "Another form was open at the same time, so nothing was saved. Close this one and open it again."


def read_submission(submission: Mapping[str, Any], shape: Mapping[str, Any]) -> Values:
    """
    The entered values, independent of the client. An untouched field is "", null or absent. A switch is a boolean or
    its text, a multi-select a list or a comma-separated text, and a number a JSON number or text.

    Other names are ignored, because clients send the values of earlier steps again. A preselected person or channel
    that isn't sent keeps its value, because the web client of 11.6 neither draws nor sends it.

    Raises:
        ForeignForm: None of the names belongs to this form or to an earlier step.
        InvalidInput: A value has a type that no element sends, or is too long.
    """
    called = shape.get("called", {})
    ours = {*(called.get(name, name) for name in shape.get("names", ())), *shape.get("earlier", ()), "selected_field"}
    ticks = tuple(f"{name}{SEPARATOR}" for name in shape.get("ticks", ()))
    if submission and not any(name in ours or (ticks and name.startswith(ticks)) for name in submission):
        raise ForeignForm(f"dialog: none of its names: {sorted(submission)[:5]}")
    values: dict[str, Value] = {}
    for name in shape.get("names", ()):
        if name in shape.get("ticks", ()):
            start = f"{name}{SEPARATOR}"
            ticked = [key.removeprefix(start) for key, on in submission.items() if key.startswith(start) and _is_on(on)]
            entered: Value | None = tuple(Option(value, value) for value in ticked) or None
        else:
            element = called.get(name, name)
            entered = _value(name, submission.get(element), several=name in shape.get("several", ()))
            if element not in submission:
                entered = _preset(name, shape)
        if entered is not None:
            values[name] = _resolved(name, entered, shape)
    return Values(values)


def read_lookup(submission: Mapping[str, Any], shape: Mapping[str, Any]) -> Values:
    """
    The values that a lookup was sent with. Unlike in submissions, the web client sends a choice as
    ``{"label", "value"}``, a multi-select as a list of those, and a radio as "[object Object]" (recorded).

    *shape* is the one of the first step. Unexpected values are left out, so that the lookup still has an answer.
    """
    latest: dict[str, Any] = {}
    for key in sorted(submission, key=_renamed):
        latest[_renamed(key)[1]] = submission[key]
    values: dict[str, Value] = {}
    for name in shape.get("names", ()):
        entered = _lookup_value(latest.get(name)) if name in latest else _preset(name, shape)
        if entered is not None:
            values[name] = _resolved(name, entered, shape)
    return Values(values)


def field_of(element: str) -> str:
    """The field of an element, whose name can differ between steps."""
    return _renamed(element)[1]


def chosen_field(values: Values, shape: Mapping[str, Any]) -> str:
    """The field that triggered a refresh: the one whose value changed, for clients that don't send it."""
    drawn: Mapping[str, str] = shape.get("refreshing", {})
    return next((name for name, value in drawn.items() if values.text(name) != value), "")


def held(submission: Mapping[str, Any], shape: Mapping[str, Any]) -> frozenset[str]:
    """Names of all elements, of this and earlier steps, for which the client has a value."""
    now = {name for name, value in submission.items() if value not in (None, "", []) and name != "selected_field"}
    return frozenset({*now, *shape.get("earlier", ())})


def _preset(name: str, shape: Mapping[str, Any]) -> Option | None:
    preset = shape.get("preset", {}).get(name)
    return Option(*preset) if preset else None


def _resolved(name: str, entered: Value, shape: Mapping[str, Any]) -> Value:
    """Replace the text of a default, which a dynamic select sends as its value, by the value."""
    known = shape.get("known", {}).get(name)
    sent = entered.value if isinstance(entered, Option) else entered
    return Option(*known) if known and isinstance(sent, str) and sent.strip() == known[0].strip() else entered


def _renamed(element: str) -> tuple[int, str]:
    found = _RENAMED.fullmatch(element)
    return (int(found[2]), found[1]) if found else (0, element)


def _lookup_value(value: Any) -> Value | None:
    match value:
        case {"label": str(label), "value": str(chosen)} if chosen and len(chosen) <= _MOST_TEXT:
            return Option(label[:_MOST_TEXT], chosen)
        case list():
            return tuple(one for one in map(_lookup_value, value[:_MOST_VALUES]) if isinstance(one, Option)) or None
        case bool():
            return value
        case int() | float():
            return str(value)
        case str() if value and value != "[object Object]" and len(value) <= _MOST_TEXT:
            return value
        case _:
            return None


def _is_on(value: Any) -> bool:
    return value is True or value == "true"


def _value(name: str, value: Any, *, several: bool) -> Value | None:
    match value:
        case None | "" | []:
            return None
        case bool():
            return value
        case int() | float():
            return str(value)
        case str() if len(value) > _MOST_TEXT:
            raise InvalidInput({name: "This is too long."})
        case str() if several:
            return tuple(Option(one, one) for part in value.split(",") if (one := part.strip())) or None
        case str():
            return value
        case list() if several and len(value) <= _MOST_VALUES and all(isinstance(one, str) for one in value):
            return tuple(Option(one, one) for one in value if one) or None
        case _:
            raise InvalidInput({name: "This value isn't valid for this field."})
