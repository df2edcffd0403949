"""
What a dialog's answer doesn't say about its fields. Pure.

A dialog sends back element names and values only. So the signed state contains the rest: the shape, which
`mattermost/plain_values.py` reads the answer with.
"""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

from core.calls import Values
from core.fields import (
    AnyField,
    ChannelField,
    Form,
    LookupField,
    MarkdownField,
    MultiSelectField,
    SelectField,
    SwitchField,
    UserField,
)

LOOKUPS_SINCE = (11, 0)  # native integrations reference §2.4: dynamic selects and multi-selects
STEPS_SINCE = (11, 1)  # refresh, a second form, dates
SEPARATOR = "__"  # between a field's name and what its element's name adds


@dataclass(frozen=True)
class Abilities:
    """What the dialogs of a server can do."""

    lookups: bool  # dynamic selects and multi-selects
    steps: bool  # refresh, a second form, dates

    @classmethod
    def of(cls, version: tuple[int, int]) -> "Abilities":
        """The abilities of a server's version. An unknown version counts as old."""
        return cls(lookups=version >= LOOKUPS_SINCE, steps=version >= STEPS_SINCE)


def shape_of(form: Form, abilities: Abilities, taken: Collection[str] = ()) -> dict[str, Any]:
    """
    The shape of the dialog that `plain_forms.write_dialog` writes with the same arguments.

    Args:
        taken: Names of elements that the client has values for. If a person empties an element, the web client sends
            its older value again (recorded). So such an element gets another name in the next step.
    """
    fields = [field for field in form.fields if has_element(field)]
    elements = {field.name: element_name(field, form, taken) for field in fields}
    chosen = [field for field in fields if isinstance(field, LookupField | UserField | ChannelField) and field.value]
    selects = [field for field in fields if isinstance(field, SelectField) and not field.buttons]
    shape: dict[str, Any] = {
        "called": {name: element for name, element in elements.items() if name != element},
        "buttons": [field.name for field in fields if has_buttons(field)],
        "several" if abilities.lookups else "ticks": [f.name for f in fields if isinstance(f, MultiSelectField)],
        "known": {field.name: _label_and_value(field) for field in chosen if isinstance(field, LookupField)},
        "preset": {field.name: _label_and_value(field) for field in chosen if not isinstance(field, LookupField)},
        "choices": [field.name for field in selects],
        "refreshing": {field.name: field.value for field in selects if field.refresh and abilities.steps},
        "earlier": sorted(taken),
    }
    return {"names": [*elements]} | {key: value for key, value in shape.items() if value}


def elements_of(shape: Mapping[str, Any]) -> dict[str, str]:
    """
    The element of each field that can show an error.

    A multi-select that is drawn as switches and a row of buttons have no element of the field's own.
    """
    called, without = shape.get("called", {}), {*shape.get("ticks", ()), *shape.get("buttons", ())}
    return {name: called.get(name, name) for name in shape.get("names", ()) if name not in without}


def clearable(form: Form, values: Values) -> bool:
    """
    Whether something optional was entered, which the person may empty after an error.

    After an error, the web client sends an emptied field with its old value (recorded).
    """
    return any(
        field.name in values
        for field in form.fields
        if has_element(field) and not field.required and not isinstance(field, SwitchField) and not has_buttons(field)
    )


def element_name(field: AnyField, form: Form, taken: Collection[str]) -> str:
    """
    The name of a field's element in this step.

    Clients send the choices of earlier steps again, and leave out what was emptied. So buttons get another name in
    each step, or the button of an earlier step would be pressed again. An element that the client has a value for gets
    another name too, unless it can't be empty.
    """
    if has_buttons(field):
        return f"{field.name}{SEPARATOR}{hashlib.sha256(form.state.encode()).hexdigest()[:8]}"
    if field.name not in taken or isinstance(field, SwitchField) or (field.required and _has_value(field)):
        return field.name
    names = (f"{field.name}{SEPARATOR}{number}" for number in count(2))
    return next(name for name in names if name not in taken)


def has_element(field: AnyField) -> bool:
    """
    Whether a dialog has an element for the field. Markdown and read-only fields become part of the introduction.

    A dialog's only button is the form's first button. So a select offers the others, if there are any.
    """
    if isinstance(field, MarkdownField) or field.readonly:
        return False
    return not (isinstance(field, SelectField) and field.buttons and len(field.options) == 1)


def has_buttons(field: AnyField) -> bool:
    """Whether the field's options are submit buttons."""
    return isinstance(field, SelectField) and field.buttons


def _has_value(field: AnyField) -> bool:
    return not isinstance(field, MarkdownField) and bool(field.value)


def _label_and_value(field: AnyField) -> list[str]:
    value = field.value if isinstance(field, LookupField | UserField | ChannelField) else None
    return [value.label, value.value] if value else []
