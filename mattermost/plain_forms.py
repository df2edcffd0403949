"""
Forms as interactive dialogs, and what comes back from them, on old servers and new (native
integrations reference §2). Pure.

A server before 11.1 knows no look-ups, no choice of several, no dates, no refresh and no second step:
there a look-up is text, several choices are switches and a date is ISO text. A dialog has one button, so of
several submit buttons the first is that one, and a select offers the others. What a dialog sends back
does not say what its fields were, so that travels in the signed state (`shape_of`).
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.calls import Value, Values
from core.errors import InvalidInput
from core.fields import (
    HELP_BYTES,
    AnyField,
    ChannelField,
    DateField,
    Form,
    LookupField,
    MarkdownField,
    MultiSelectField,
    Option,
    SelectField,
    SwitchField,
    TextAreaField,
    TextField,
    UserField,
)
from mattermost.server import LOOKUPS_SINCE, STEPS_SINCE

_MOST_TEXT = 100_000  # characters of one value; far above any field of ours
_MOST_VALUES = 1000
_TICK = "__"  # between a field's name and a choice, where each choice is a switch of its own


@dataclass(frozen=True)
class Abilities:
    """What dialogs of a server can do."""

    lookups: bool  # dynamic selects, several choices
    steps: bool  # refresh, a further form, dates

    @classmethod
    def of(cls, version: tuple[int, int]) -> "Abilities":
        """Those of a server's version; an unknown one counts as old."""
        return cls(lookups=version >= LOOKUPS_SINCE, steps=version >= STEPS_SINCE)


def write_dialog(form: Form, abilities: Abilities, *, state: str, url: str) -> dict[str, Any]:
    """
    The dialog object.

    Args:
        state: Comes back with every answer.
        url: Where look-ups and refreshes go.
    """
    buttons = next((field for field in form.fields if _are_buttons(field)), None)
    dialog: dict[str, Any] = {
        "callback_id": form.path,
        "title": form.title,
        "submit_label": buttons.options[0].label if isinstance(buttons, SelectField) else form.submit_label,
        "state": state,
        "elements": [element for field in form.fields for element in _elements(field, form, abilities, url)],
    }
    if introduction := _introduction(form):
        dialog["introduction_text"] = introduction
    if abilities.steps and any(field.refresh for field in form.fields):
        dialog["source_url"] = url
    return dialog


def shape_of(form: Form, abilities: Abilities) -> dict[str, Any]:
    """
    What is needed to read the answer: the names, what the select of buttons is called, the fields of several
    values, those drawn as switches, and which shown text stands for which value.
    """
    shape: dict[str, Any] = {"names": [field.name for field in form.fields if _is_drawn(field)]}
    if called := {field.name: _called(field, form) for field in form.fields if _are_buttons(field)}:
        shape["called"] = called
    several = [field.name for field in form.fields if isinstance(field, MultiSelectField)]
    if several and abilities.lookups:
        shape["several"] = several
    elif several:
        shape["ticks"] = several
    known = {
        field.name: [field.value.label, field.value.value]
        for field in form.fields
        if isinstance(field, LookupField) and field.value is not None
    }
    return shape | ({"known": known} if known else {})


def read_submission(submission: Mapping[str, Any], shape: Mapping[str, Any]) -> Values:
    """
    What was entered, alike for web and mobile: untouched fields are "", null or absent, switches
    booleans or their texts, several choices a list or one comma-joined text, numbers JSON numbers.

    Raises:
        InvalidInput: A value is of a kind that no element sends, or too long.
    """
    values: dict[str, Value] = {}
    for name in shape.get("names", ()):
        if name in shape.get("ticks", ()):
            start = f"{name}{_TICK}"
            ticked = [key.removeprefix(start) for key, on in submission.items() if key.startswith(start) and _on(on)]
            entered: Value | None = tuple(Option(value, value) for value in ticked) or None
        else:
            sent = submission.get(shape.get("called", {}).get(name, name))
            entered = _value(name, sent, several=name in shape.get("several", ()))
        known = shape.get("known", {}).get(name)
        if known and isinstance(entered, str) and entered == known[0]:
            entered = Option(*known)
        if entered is not None:
            values[name] = entered
    return Values(values)


def _on(value: Any) -> bool:
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
            raise InvalidInput({name: "This value is not of a kind that the field takes."})


def elements_of(shape: Mapping[str, Any]) -> frozenset[str]:
    """Names at which a sentence can stand: a field of several switches, or of buttons, has no element of its name."""
    return frozenset(shape.get("names", ())) - frozenset(shape.get("ticks", ())) - frozenset(shape.get("called", ()))


def _is_value(field: AnyField) -> bool:
    return not isinstance(field, MarkdownField) and not field.readonly


def _are_buttons(field: AnyField) -> bool:
    return isinstance(field, SelectField) and field.buttons


def _called(field: AnyField, form: Form) -> str:
    """
    Another name in each step: clients send what was chosen in earlier steps again, and leave out what is
    untouched now, so a button of the step before would be pressed once more.
    """
    return f"{field.name}{_TICK}{hashlib.sha256(form.state.encode()).hexdigest()[:8]}"


def _is_drawn(field: AnyField) -> bool:
    """A dialog has one button: the first of a form's is that one, only the others are chosen from."""
    return _is_value(field) and not (isinstance(field, SelectField) and field.buttons and len(field.options) == 1)


def _introduction(form: Form) -> str:
    """Everything that a dialog can only say above its fields."""
    parts = [form.header] if form.header else []
    for field in form.fields:
        if isinstance(field, MarkdownField):
            parts.append(field.text)
        elif field.readonly and (text := _shown(field)):
            parts.append(f"**{field.label}**: {text}")
    return "\n\n".join(parts)


def _shown(field: AnyField) -> str:
    match field:
        case LookupField(value=chosen) | UserField(value=chosen) | ChannelField(value=chosen):
            return chosen.label if chosen else ""
        case SelectField(options=options, value=value):
            return next((option.label for option in options if option.value == value), "")
        case TextField(value=text) | TextAreaField(value=text) | DateField(value=text):
            return text
        case _:
            return ""


def _elements(field: AnyField, form: Form, abilities: Abilities, url: str) -> list[dict[str, Any]]:
    if not _is_drawn(field):
        return []
    if isinstance(field, MultiSelectField) and not abilities.lookups:
        return [_tick(field, option) for option in field.options]
    name = _called(field, form) if _are_buttons(field) else field.name
    element: dict[str, Any] = {"name": name, "display_name": field.label, "optional": not field.required}
    if description := _description(field):
        element["help_text"] = description
    if field.hint:
        element["placeholder"] = field.hint
    if field.refresh and abilities.steps and isinstance(field, SelectField):
        element["refresh"] = True
    return [element | _of_type(field, abilities, url)]


def _description(field: AnyField) -> str:
    """With the person or channel that is preselected: a client knows its id, and may show nothing."""
    if isinstance(field, UserField | ChannelField) and field.value is not None:
        told = f"Now: {field.value.label}. {field.description}".rstrip()
        return told if len(told.encode()) <= HELP_BYTES else field.description
    return field.description


def _tick(field: MultiSelectField, option: Option) -> dict[str, Any]:
    return {
        "name": f"{field.name}{_TICK}{option.value}",
        "display_name": field.label,
        "placeholder": option.label,
        "type": "bool",
        "default": "true" if option.value in field.value else "false",
        "optional": True,
    }


def _of_type(field: AnyField, abilities: Abilities, url: str) -> dict[str, Any]:
    match field:
        case TextField(subtype=subtype, max_length=most, value=value):
            return {"type": "text", "subtype": "" if subtype == "text" else subtype, "max_length": most} | _given(value)
        case TextAreaField(max_length=most, value=value):
            return {"type": "textarea", "max_length": most} | _given(value)
        case SelectField(options=options, buttons=True):
            return {"type": "select", "options": _options(options[1:]), "optional": True}
        case SelectField(options=options, value=value):
            return {"type": "select", "options": _options(options)} | _given(value)
        case MultiSelectField(options=options, value=several):
            return {"type": "select", "multiselect": True, "options": _options(options)} | _given(",".join(several))
        case LookupField(value=chosen):
            given = _given(chosen.label if chosen else "")
            if not abilities.lookups:
                return {"type": "text", "max_length": 150, **given}
            return {"type": "select", "data_source": "dynamic", "data_source_url": url, **given}
        case UserField(value=chosen):
            return {"type": "select", "data_source": "users"} | _given(chosen.value if chosen else "")
        case ChannelField(value=chosen):
            return {"type": "select", "data_source": "channels"} | _given(chosen.value if chosen else "")
        case SwitchField(label=label, value=on):
            return {"type": "bool", "placeholder": label, "default": "true" if on else "false", "optional": True}
        case DateField(value=value, time=time, hint=hint):
            if not abilities.steps:
                example = "2026-11-24 16:30" if time else "2026-11-24"
                return {"type": "text", "max_length": 32, "placeholder": hint or example} | _given(value)
            interval: dict[str, Any] = {"time_interval": 15} if time else {}
            return {"type": "datetime" if time else "date"} | interval | _given(value)
        case MarkdownField():
            raise TypeError("markdown is no element")


def _given(value: str) -> dict[str, Any]:
    return {"default": value} if value else {}


def _options(options: Any) -> list[dict[str, str]]:
    return [{"text": option.label, "value": option.value} for option in options]
