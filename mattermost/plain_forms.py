"""
Writes forms as interactive dialogs, for every server version (native integrations reference §2). Pure.

Servers before 11.1 have no lookups, multi-selects, dates, refresh or second step. There a lookup is a text, a
multi-select is a row of switches, and a date is ISO text. A dialog has one submit button. If a form has several, the
first one is the dialog's button, and a select offers the others.
"""

from collections.abc import Collection, Iterable
from dataclasses import replace
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
from mattermost.plain_shapes import SEPARATOR, Abilities, element_name, has_buttons, has_element


def write_dialog(
    form: Form, abilities: Abilities, *, state: str, url: str, taken: Collection[str] = ()
) -> dict[str, Any]:
    """
    Args:
        state: Comes back with every answer.
        url: Where lookups and refreshes go.
        taken: Names of elements that the client has values for, as in `plain_shapes.shape_of`.
    """
    buttons = next((field for field in form.fields if has_buttons(field)), None)
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


def filled(form: Form, values: Values) -> Form:
    """*form* with the entered values instead of the preselected ones."""
    return replace(form, fields=[_filled(field, values) if has_element(field) else field for field in form.fields])


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


def _introduction(form: Form) -> str:
    """The header, Markdown and read-only fields, which a dialog can only show above its elements."""
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
    if not has_element(field):
        return []
    if isinstance(field, MultiSelectField) and not abilities.lookups:
        return [_switch(field, option) for option in field.options]
    name = element_name(field, form, taken)
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
    The help text, with the name of the preselected person or channel, because some clients show none.

    A direct message that the bot can't read has no name.
    """
    chosen = field.value if isinstance(field, UserField | ChannelField) else None
    if chosen is not None and chosen.label != chosen.value:
        text = f"Now: {chosen.label}. {field.description}".rstrip()
        return text if len(text.encode()) <= HELP_BYTES else field.description
    return field.description


def _switch(field: MultiSelectField, option: Option) -> dict[str, Any]:
    return {
        "name": f"{field.name}{SEPARATOR}{option.value}",
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
            # The web client sends an untouched required time as the current time, rounded up (recorded).
            if not abilities.steps or (time and required and not value):
                example = "2026-11-24 16:30" if time else "2026-11-24"
                return {"type": "text", "max_length": 32, "placeholder": hint or example} | _given(value)
            interval: dict[str, Any] = {"time_interval": 15} if time else {}
            return {"type": "datetime" if time else "date"} | interval | _given(value)
        case MarkdownField():
            raise TypeError("a dialog has no element for Markdown")


def _given(value: str) -> dict[str, Any]:
    return {"default": value} if value else {}


def _options(options: Iterable[Option]) -> list[dict[str, str]]:
    return [{"text": option.label, "value": option.value} for option in options]
