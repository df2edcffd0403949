"""
Decodes JSON like the plugin's Go structs: unknown keys are dropped, and one wrong type fails the whole value.

The error texts are Go's own (recorded in calls and bindings).
"""

import json
from decimal import Decimal
from typing import Any

Json = dict[str, Any]

# A struct maps each key to a kind: the name of a Go type, a struct, or a list holding a struct.
CALL: Json = {"path": "string", "expand": "map", "state": "any"}
OPTION: Json = {"label": "string", "value": "string", "icon_data": "string"}
FIELD: Json = {
    "name": "string", "type": "string", "is_required": "bool", "readonly": "bool", "value": "any",
    "description": "string", "label": "string", "hint": "string", "position": "int", "modal_label": "string",
    "multiselect": "bool", "refresh": "bool", "options": [OPTION], "lookup": CALL, "subtype": "string",
    "min_length": "int", "max_length": "int",
}  # fmt: skip
FORM: Json = {
    "source": CALL, "title": "string", "header": "string", "footer": "string", "icon": "string",
    "submit": CALL, "submit_buttons": "string", "fields": [FIELD],
}  # fmt: skip
RESPONSE: Json = {
    "type": "string", "text": "string", "refresh_bindings": "bool", "data": "any", "navigate_to_url": "string",
    "use_external_browser": "bool", "call": CALL, "form": FORM,
}  # fmt: skip
BINDING: Json = {
    "app_id": "string", "location": "string", "icon": "string", "label": "string", "hint": "string",
    "description": "string", "submit": CALL, "form": FORM,
}  # fmt: skip
BINDING["bindings"] = [BINDING]
# Go omits empty values of forms and bindings ("omitempty"), except for these keys.
_EMPTY: tuple[Any, ...] = ("", 0, [])  # False is 0
_ALWAYS = {"name", "type", "value"}
_LISTS_OF_TEXT = ("apps.Permissions", "apps.Locations")


class Undecodable(ValueError):
    """The JSON can't be decoded. The text is the plugin's."""


def decode_json(body: bytes) -> Any:
    """Return the first JSON value of a body. Raises Undecodable."""
    text = body.decode("utf-8", "replace").lstrip()
    if not text:
        raise Undecodable("EOF")
    try:
        value, _ = json.JSONDecoder().raw_decode(text)
    except ValueError as error:
        if text[0] in '{["tfn-0123456789':
            raise Undecodable("unexpected EOF") from error
        raise Undecodable(f"invalid character '{text[0]}' looking for beginning of value") from error
    return value


def decode_response(body: bytes) -> Json:
    """Decode the first JSON value of a body as a call response. Raises Undecodable."""
    value = decode_json(body)
    if value is None:
        return {"type": "ok"}
    if not isinstance(value, dict):
        raise Undecodable(f"json: cannot unmarshal {_kind(value)} into Go value of type apps.CallResponse")
    response: Json = struct(value, RESPONSE, "CallResponse", "")
    response = as_go(response)
    response["type"] = response.get("type") or "ok"
    return {key: value for key, value in response.items() if value not in ("", False, None) or key == "data"}


def struct(value: Json, kinds: Json, root: str, path: str) -> Json:
    """Return the part of *value* that the struct has fields for."""
    decoded = {}
    omits = any(kinds is one for one in (OPTION, FIELD, FORM, BINDING))
    for key, kind in kinds.items():
        if key in value and value[key] is not None:
            item = _typed(value[key], kind, root, f"{path}.{key}" if path else key)
            if not omits or item not in _EMPTY or key in _ALWAYS:
                decoded[key] = item
    return decoded


def as_go(value: Any) -> Any:
    """Convert numbers as Go's float64 does: beyond 53 bits the last digits are lost, and 1.0 becomes 1."""
    if isinstance(value, dict):
        return {key: as_go(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_go(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 2**53:
        return int(Decimal(repr(float(value))))
    return value


def expand_of(value: Any) -> Json:
    """The levels of a call's ``expand``. Raises Undecodable for one that isn't a string."""
    if value is None:
        return {}
    levels = {}
    for key, level in value.items():
        if level is None:
            continue
        if not isinstance(level, str):
            kind = f"Go struct field Expand.expand.{key} of type apps.ExpandLevel"
            raise Undecodable(f"json: cannot unmarshal {_kind(level)} into {kind}")
        levels[key] = level
    return levels


def _typed(value: Any, kind: Any, root: str, path: str) -> Any:
    if kind is CALL and isinstance(value, str):
        return {"path": value}
    if kind is FORM and isinstance(value, str):
        return {"source": {"path": value}}
    if isinstance(kind, dict):
        if not isinstance(value, dict):
            raise _mismatch(value, root, path, f"apps.{path.rpartition('.')[2].capitalize()}")
        return struct(value, kind, root, path)
    if isinstance(kind, list):
        if not isinstance(value, list):
            raise _mismatch(value, root, path, "[]apps." + path.rpartition(".")[2].capitalize())
        return [_typed(item, kind[0], root, path) for item in value]
    fits = {
        "string": isinstance(value, str),
        "bool": isinstance(value, bool),
        "int": isinstance(value, int) and not isinstance(value, bool),
        "map": isinstance(value, dict),
        "any": True,
    }
    fits |= dict.fromkeys(_LISTS_OF_TEXT, isinstance(value, list) and all(isinstance(one, str) for one in value))
    if not fits[kind]:
        raise _mismatch(value, root, path, kind)
    return value


def _mismatch(value: Any, root: str, path: str, kind: str) -> Undecodable:
    what = f"number {value}" if kind == "int" and isinstance(value, float) else _kind(value)
    return Undecodable(f"json: cannot unmarshal {what} into Go struct field {root}.{path} of type {kind}")


def _kind(value: Any) -> str:
    names = {str: "string", bool: "bool", int: "number", float: "number", list: "array", dict: "object"}
    return names.get(type(value), "null")
