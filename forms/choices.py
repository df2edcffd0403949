"""Choices of columns as options, and the fields that several forms have."""

from collections.abc import Mapping, Sequence

from core.calls import Values
from core.fields import AnyField, LookupField, Option, SelectField, TextAreaField, TextField
from core.records import Choice, Column

LONG_TEXT_CHARACTERS = 4000  # task.description, journals and notes of a base instance
SHORT_TEXT_CHARACTERS = 160  # task.short_description of a base instance


def choices_of(columns: Mapping[str, Column], column: str, depends_on: str = "") -> list[Option]:
    """
    The choices of *column* as options with unique labels, without those that belong to another value than *depends_on*.

    A choice without ``dependent_value`` is always offered: `ui/meta` doesn't say which choices depend on another
    column, and too many are better than none.
    """
    choices = columns[column].choices if column in columns else ()
    return options_of([choice for choice in choices if choice.dependent_value in {"", depends_on}])


def options_of(choices: Sequence[Choice]) -> list[Option]:
    """Choices as options with unique labels and values. A choice without a label is shown by its value."""
    options: dict[str, Option] = {}
    for choice in choices:
        if choice.value and choice.value not in {option.value for option in options.values()}:
            label = choice.label.strip() or choice.value
            label = f"{label} ({choice.value})" if label in options else label
            options[label] = Option(label, choice.value)
    return list(options.values())


def among(options: Sequence[Option], value: str) -> str:
    """*value* if it is one of *options*, or else ""."""
    return value if any(option.value == value for option in options) else ""


def lookup(name: str, label: str, hint: str, values: Values, required: bool = False) -> LookupField:
    return LookupField(name=name, label=label, hint=hint, required=required, value=values.option(name))


def group_lookup(values: Values) -> LookupField:
    return lookup("assignment_group", "Assignment group", "Two letters of its name", values)


def item_lookup(values: Values) -> LookupField:
    return lookup("cmdb_ci", "Configuration item", "Two letters of its name", values)


def line(name: str, label: str, values: Values, *, required: bool = False, hint: str = "") -> TextField:
    """One line, at most as long as a short description."""
    most = SHORT_TEXT_CHARACTERS
    value = values.text(name)[:most]
    return TextField(name=name, label=label, hint=hint, required=required, max_length=most, value=value)


def area(name: str, label: str, values: Values, *, required: bool = False, hint: str = "") -> TextAreaField:
    """Several lines, at most as long as a description."""
    most = LONG_TEXT_CHARACTERS
    value = values.text(name)[:most]
    return TextAreaField(name=name, label=label, hint=hint, required=required, max_length=most, value=value)


def select(
    name: str, label: str, options: Sequence[Option], values: Values, *, required: bool = False, refresh: bool = False
) -> list[AnyField]:
    """A select, or nothing if there is nothing to choose from."""
    if not options:
        return []
    chosen = among(options, values.text(name))
    return [SelectField(name=name, label=label, options=options, value=chosen, required=required, refresh=refresh)]
