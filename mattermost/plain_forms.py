"""
Forms as interactive dialogs on old servers and new (native integrations reference §2). Pure.

A server before 11.1 knows no look-ups, no choice of several, no dates, no refresh and no second step:
there a look-up is text, several choices are switches and a date is ISO text. A dialog has one button, so of
several submit buttons the first is that one, and a select offers the others. What a dialog sends back
does not say what its fields were, so that travels in the signed state (`shape_of`, read by `plain_values`).
"""

import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from core.calls import Values
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

TICK = "__"  # between a field's name and a choice, where each choice is a switch of its own


@dataclass(frozen=True)
class Abilities:
    """What dialogs of a server can do."""

    lookups: bool  # dynamic selects, several choices
    steps: bool  # refresh, a further form, dates

    @classmethod
    def of(cls, version: tuple[int, int]) -> "Abilities":
        """Those of a server's version; an unknown one counts as old."""
        return cls(lookups=version >= LOOKUPS_SINCE, steps=version >= STEPS_SINCE)


def write_dialog(
    form: Form, abilities: Abilities, *, state: str, url: str, taken: Collection[str] = ()
) -> dict[str, Any]:
    """
    The dialog object.

    Args:
        state: Comes back with every answer.
        url: Where look-ups and refreshes go.
        taken: Element names that the client holds values for, as in `shape_of`.
    """
    buttons = next((field for field in form.fields if _are_buttons(field)), None)
    dialog: dict[str, Any] = {
        "callback_id": form.path,
        "title": form.title,
        "submit_label": buttons.options[0].label if isinstance(buttons, SelectField) else form.submit_label,
        "state": state,
        "elements": [element for field in form.fields for element in _elements(field, form, abilities, url, taken)],
    }
    if introduction := _introduction(form):
        dialog["introduction_text"] = introduction
    if abilities.steps and any(field.refresh for field in form.fields):
        dialog["source_url"] = url
    return dialog


def shape_of(form: Form, abilities: Abilities, taken: Collection[str] = ()) -> dict[str, Any]:
    """
    What is needed to read the answer: the names, which elements are called otherwise, the fields of several
    values, those drawn as switches, which shown text stands for which value, and what was preselected.

    Args:
        taken: Element names that the client holds values for. The web client sends an older value again for an
            element that the person emptied (recorded), so such an element gets another name.
    """
    drawn = [field for field in form.fields if _is_drawn(field)]
    shape: dict[str, Any] = {"names": [field.name for field in drawn]}
    called = {field.name: _called(field, form, taken) for field in drawn}
    lookups = [field for field in drawn if isinstance(field, LookupField | UserField | ChannelField) and field.value]
    several = [field.name for field in drawn if isinstance(field, MultiSelectField)]
    choices = [field for field in drawn if isinstance(field, SelectField) and not field.buttons]
    more: dict[str, Any] = {
        "called": {name: element for name, element in called.items() if name != element},
        "buttons": [field.name for field in drawn if _are_buttons(field)],
        "several" if abilities.lookups else "ticks": several,
        "known": {field.name: _pair(field) for field in lookups if isinstance(field, LookupField)},
        "preset": {field.name: _pair(field) for field in lookups if not isinstance(field, LookupField)},
        "choices": [field.name for field in choices],
        "refreshing": {field.name: field.value for field in choices if field.refresh and abilities.steps},
        "earlier": sorted(taken),
    }
    return shape | {key: value for key, value in more.items() if value}


def clearable(form: Form, values: Values) -> bool:
    """
    Whether something was entered that may be emptied again. The web client checks what is required by itself, and
    sends what is emptied after an error as it was before (recorded).
    """
    return any(
        field.name in values
        for field in form.fields
        if _is_drawn(field) and not field.required and not isinstance(field, SwitchField) and not _are_buttons(field)
    )


def filled(form: Form, values: Values) -> Form:
    """*form* with what was entered, in place of what it was drawn with."""
    return replace(form, fields=[_filled(field, values) if _is_drawn(field) else field for field in form.fields])


def _filled(field: AnyField, values: Values) -> AnyField:
    match field:
        case SelectField(buttons=True):
            return field
        case SelectField(options=options):
            chosen = values.text(field.name)
            return replace(field, value=chosen if chosen in {option.value for option in options} else "")
        case MultiSelectField():
            return replace(field, value=tuple(option.value for option in values.options(field.name)))
        case LookupField() | UserField() | ChannelField():
            return replace(field, value=values.option(field.name))
        case SwitchField():
            return replace(field, value=values.flag(field.name))
        case TextField() | TextAreaField() | DateField():
            return replace(field, value=values.text(field.name))
        case MarkdownField():
            return field


def _pair(field: AnyField) -> list[str]:
    value = field.value if isinstance(field, LookupField | UserField | ChannelField) else None
    return [value.label, value.value] if value else []


def elements_of(shape: Mapping[str, Any]) -> dict[str, str]:
    """
    Fields at which a sentence can stand, with their elements' names: a field of several switches, or of buttons,
    has no element of its own.
    """
    called, none = shape.get("called", {}), {*shape.get("ticks", ()), *shape.get("buttons", ())}
    return {name: called.get(name, name) for name in shape.get("names", ()) if name not in none}


def _is_value(field: AnyField) -> bool:
    return not isinstance(field, MarkdownField) and not field.readonly


def _are_buttons(field: AnyField) -> bool:
    return isinstance(field, SelectField) and field.buttons


def _called(field: AnyField, form: Form, taken: Collection[str]) -> str:
    """
    The name of a field's element in this step.

    Clients send what was chosen in earlier steps again, and leave out what is untouched or emptied now. So buttons
    have another name in each step, or the one of the step before would be pressed once more; and so has what the
    client holds a value for, unless it can't be empty.
    """
    if _are_buttons(field):
        return f"{field.name}{TICK}{hashlib.sha256(form.state.encode()).hexdigest()[:8]}"
    if field.name not in taken or isinstance(field, SwitchField) or (field.required and _has_value(field)):
        return field.name
    return next(name for name in _names(field.name) if name not in taken)


def _names(name: str) -> Iterator[str]:
    return (f"{name}{TICK}{number}" for number in range(2, 1000))


def _has_value(field: AnyField) -> bool:
    return not isinstance(field, MarkdownField) and bool(field.value)


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


def _elements(
    field: AnyField, form: Form, abilities: Abilities, url: str, taken: Collection[str]
) -> list[dict[str, Any]]:
    if not _is_drawn(field):
        return []
    if isinstance(field, MultiSelectField) and not abilities.lookups:
        return [_tick(field, option) for option in field.options]
    name = _called(field, form, taken)
    element: dict[str, Any] = {"name": name, "display_name": field.label, "optional": not field.required}
    if description := _description(field):
        element["help_text"] = description
    if field.hint:
        element["placeholder"] = field.hint
    if field.refresh and abilities.steps and isinstance(field, SelectField):
        element["refresh"] = True
    return [element | _of_type(field, abilities, url)]


def _description(field: AnyField) -> str:
    """
    With the name of the person or channel that is preselected: a client knows its id, and may show nothing. Without a
    name, as of a direct message that the bot can't read, there is nothing to add.
    """
    chosen = field.value if isinstance(field, UserField | ChannelField) else None
    if chosen is not None and chosen.label != chosen.value:
        told = f"Now: {chosen.label}. {field.description}".rstrip()
        return told if len(told.encode()) <= HELP_BYTES else field.description
    return field.description


def _tick(field: MultiSelectField, option: Option) -> dict[str, Any]:
    return {
        "name": f"{field.name}{TICK}{option.value}",
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
        case DateField(value=value, time=time, hint=hint, required=required):
            # The web client sends a required time that nobody touched as now, rounded up (recorded).
            if not abilities.steps or (time and required and not value):
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
