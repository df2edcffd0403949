"""Writes forms for the Apps framework (protocol reference §6). Pure."""

from typing import Any

from core.fields import (
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

ICON = "icon.png"

# Never level `id` for channel and post, never required: real servers fail whole calls there (design §7).
EXPAND = {"acting_user": "+summary", "channel": "summary", "team": "summary", "post": "summary"}
# Only for calls that post or write with the person's own session.
EXPAND_AS_PERSON = EXPAND | {"acting_user_access_token": "all"}


def write_call(path: str, kind: str, *, as_person: bool = False, state: str = "") -> dict[str, Any]:
    """A call object. ``as_person`` requests the acting user's session."""
    call: dict[str, Any] = {"path": f"/{path}/{kind}", "expand": EXPAND_AS_PERSON if as_person else EXPAND}
    if state:
        call["state"] = state
    return call


def write_form(form: Form, *, in_command: bool = False) -> dict[str, Any]:
    """
    The form with its calls. In a command, flags are the field names and nothing is required: the client would reject
    a command that lacks a required argument and open no modal (recorded C27).
    """
    written: dict[str, Any] = {
        "title": form.title,
        "icon": ICON,
        "submit": write_call(form.path, "submit", as_person=True, state=form.state),
        "fields": [_field(field, form, in_command) for field in form.fields],
    }
    if form.header:
        written["header"] = form.header
    if not in_command and any(field.refresh for field in form.fields):
        written["source"] = write_call(form.path, "refresh", state=form.state)
    for field in form.fields:
        if isinstance(field, SelectField) and field.buttons:
            written["submit_buttons"] = field.name
    return written


def _field(field: AnyField, form: Form, in_command: bool) -> dict[str, Any]:
    written: dict[str, Any] = {
        "name": field.name,
        "label": field.name,
        "modal_label": field.label,
        "is_required": field.required and not in_command,
    }
    optional = {
        "description": field.description,
        "hint": field.hint,
        "readonly": field.readonly,
        "refresh": field.refresh and not in_command,
        "position": field.position,
    }
    written |= {key: value for key, value in optional.items() if value}
    return written | _of_type(field, form)


def _of_type(field: AnyField, form: Form) -> dict[str, Any]:
    match field:
        case TextField(subtype=subtype, max_length=most, value=value):
            kind = "input" if subtype == "text" else subtype
            return {"type": "text", "subtype": kind, "max_length": most} | _given(value)
        case TextAreaField(max_length=most, value=value):
            return {"type": "text", "subtype": "textarea", "max_length": most} | _given(value)
        case SelectField(options=options, value=value):
            chosen = next((option for option in options if option.value == value), None)
            return {"type": "static_select", "options": [_option(o) for o in options]} | _given_option(chosen)
        case MultiSelectField(options=options, value=values):
            several = [_option(option) for option in options if option.value in values]
            written = {"type": "static_select", "multiselect": True, "options": [_option(o) for o in options]}
            return written | ({"value": several} if several else {})
        case LookupField(value=chosen):
            lookup = write_call(form.path, "lookup", state=form.state)
            return {"type": "dynamic_select", "lookup": lookup} | _given_option(chosen)
        case UserField(value=chosen):
            return {"type": "user"} | _given_option(chosen)
        case ChannelField(value=chosen):
            return {"type": "channel"} | _given_option(chosen)
        case SwitchField(value=on):
            return {"type": "bool"} | ({"value": True} if on else {})
        case MarkdownField(text=text):
            return {"type": "markdown", "description": text}
        case DateField(value=value, time=time, hint=hint):
            # The framework has no date field that every client draws: ISO text instead.
            example = "2026-11-24 16:30" if time else "2026-11-24"
            return {"type": "text", "subtype": "input", "max_length": 16, "hint": hint or example} | _given(value)


def _given(value: str) -> dict[str, Any]:
    return {"value": value} if value else {}


def _given_option(option: Option | None) -> dict[str, Any]:
    return {"value": _option(option)} if option else {}


def _option(option: Option) -> dict[str, str]:
    return {"label": option.label, "value": option.value}
