"""Choices of columns as options, and fields made from columns. Pure."""

from collections.abc import Mapping, Sequence

from core.calls import Values
from core.fields import AnyField, LookupField, Option, SelectField, TextAreaField, TextField
from core.records import Choice, Column

LONG_TEXT_CHARACTERS = 4000  # task.description, journals and notes of a base instance
SHORT_TEXT_CHARACTERS = 160  # task.short_description of a base instance


def choices_of(columns: Mapping[str, Column], column: str, depends_on: str = "") -> list[Option]:
    """
    The choices of *column* as options with unique labels, those of another parent left out.

    A choice without ``dependent_value`` is offered whatever *depends_on* is: `ui/meta` does not tell
    which depend, and too many is better than none.
    """
    found = columns.get(column)
    return options_of([choice for choice in (found.choices if found else ()) if _fits(choice, depends_on)])


def options_of(choices: Sequence[Choice]) -> list[Option]:
    """Choices as options: labels and values unique, one without a label under its value."""
    options: dict[str, Option] = {}
    for choice in choices:
        if choice.value and choice.value not in {option.value for option in options.values()}:
            label = choice.label.strip() or choice.value
            label = f"{label} ({choice.value})" if label in options else label
            options[label] = Option(label, choice.value)
    return list(options.values())


def among(options: Sequence[Option], value: str) -> str:
    """*value* where it is one of *options*, else ""."""
    return value if any(option.value == value for option in options) else ""


def lookup(name: str, label: str, hint: str, values: Values, required: bool = False) -> LookupField:
    """One of many rows, with what is chosen so far."""
    return LookupField(name=name, label=label, hint=hint, required=required, value=values.option(name))


def line(name: str, label: str, values: Values, *, required: bool = False, hint: str = "") -> TextField:
    """One line as long as a short description."""
    most = SHORT_TEXT_CHARACTERS
    value = values.text(name)[:most]
    return TextField(name=name, label=label, hint=hint, required=required, max_length=most, value=value)


def area(name: str, label: str, values: Values, *, required: bool = False, hint: str = "") -> TextAreaField:
    """Several lines as long as a description."""
    most = LONG_TEXT_CHARACTERS
    value = values.text(name)[:most]
    return TextAreaField(name=name, label=label, hint=hint, required=required, max_length=most, value=value)


def select(
    name: str, label: str, options: Sequence[Option], values: Values, *, required: bool = False, refresh: bool = False
) -> list[AnyField]:
    """A select, or nothing where there is nothing to choose from."""
    if not options:
        return []
    chosen = among(options, values.text(name))
    return [SelectField(name=name, label=label, options=options, value=chosen, required=required, refresh=refresh)]


def _fits(choice: Choice, depends_on: str) -> bool:
    return not choice.dependent_value or choice.dependent_value == depends_on
