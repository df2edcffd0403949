"""The incident form. Pure: choices and values in, a form out; built again on refresh, never patched."""

from collections.abc import Mapping, Sequence

from core.calls import Values
from core.fields import AnyField, Form, LookupField, Option, SelectField, TextAreaField, TextField
from core.records import Choice, Column

PATH = "incident/create"
TITLE = "Create incident"

SHORT_DESCRIPTION_CHARACTERS = 160  # task.short_description of a base instance
DESCRIPTION_CHARACTERS = 4000  # task.description of a base instance

# What the form can hold, by ServiceNow's column names, in the order shown.
COLUMNS = (
    "short_description",
    "description",
    "caller_id",
    "impact",
    "urgency",
    "category",
    "subcategory",
    "assignment_group",
    "cmdb_ci",
)
LOOKUPS = ("caller_id", "assignment_group", "cmdb_ci")
SELECTS = ("impact", "urgency", "category", "subcategory")
_DEFAULT_LEVEL = "3"  # Low: what ServiceNow itself stores when nothing is said


def incident_form(columns: Mapping[str, Column], values: Values, *, state: str, caller_optional: bool = False) -> Form:
    """
    Build the form for a modal.

    Args:
        columns: Columns of incident with their choices, as the person may see them.
        values: What was entered or prefilled so far.
        state: Signed state of this opened form.
        caller_optional: Whether the caller may be left empty.
    """
    return Form(
        path=PATH,
        title=TITLE,
        submit_label="Create",
        state=state,
        fields=[
            *_texts(values),
            _lookup("caller_id", "Caller", "Name, user name or e-mail", values, required=not caller_optional),
            *_levels(columns, values),
            *_categories(columns, values),
            _lookup("assignment_group", "Assignment group", "Two letters of its name", values),
            _lookup("cmdb_ci", "Configuration item", "Two letters of its name", values),
        ],
    )


def incident_flags(columns: Mapping[str, Column]) -> Form:
    """
    What can be typed behind ``/servicenow incident create``: no category, whose choices depend on
    each other, and nothing required.
    """
    nothing = Values()
    return Form(
        path=PATH,
        title=TITLE,
        submit_label="Create",
        fields=[
            *_texts(nothing),
            _lookup("caller_id", "Caller", "Name, user name or e-mail", nothing),
            *_levels(columns, nothing),
            _lookup("assignment_group", "Assignment group", "Two letters of its name", nothing),
            _lookup("cmdb_ci", "Configuration item", "Two letters of its name", nothing),
        ],
    )


def choices_of(columns: Mapping[str, Column], column: str, depends_on: str = "") -> list[Option]:
    """
    The choices of *column* as options with unique labels, those of another parent left out.

    A choice without ``dependent_value`` is offered whatever *depends_on* is: `ui/meta` does not tell
    which depend, and too many is better than none.
    """
    found = columns.get(column)
    options: dict[str, Option] = {}
    for choice in found.choices if found else ():
        if _fits(choice, depends_on) and choice.value and choice.value not in {o.value for o in options.values()}:
            label = choice.label.strip() or choice.value
            label = f"{label} ({choice.value})" if label in options else label
            options[label] = Option(label, choice.value)
    return list(options.values())


def _fits(choice: Choice, depends_on: str) -> bool:
    return not choice.dependent_value or choice.dependent_value == depends_on


def _texts(values: Values) -> Sequence[AnyField]:
    return (
        TextField(
            name="short_description",
            label="Short description",
            hint="What is wrong, in a few words",
            required=True,
            max_length=SHORT_DESCRIPTION_CHARACTERS,
            value=values.text("short_description")[:SHORT_DESCRIPTION_CHARACTERS],
        ),
        TextAreaField(
            name="description",
            label="Description",
            max_length=DESCRIPTION_CHARACTERS,
            value=values.text("description")[:DESCRIPTION_CHARACTERS],
        ),
    )


def _lookup(name: str, label: str, hint: str, values: Values, required: bool = False) -> LookupField:
    return LookupField(name=name, label=label, hint=hint, required=required, value=values.option(name))


def _levels(columns: Mapping[str, Column], values: Values) -> list[AnyField]:
    fields: list[AnyField] = []
    for name, label in (("impact", "Impact"), ("urgency", "Urgency")):
        if options := choices_of(columns, name):
            chosen = values.text(name) or _DEFAULT_LEVEL
            fields.append(SelectField(name=name, label=label, options=options, value=_among(options, chosen)))
    return fields


def _categories(columns: Mapping[str, Column], values: Values) -> list[AnyField]:
    categories = choices_of(columns, "category")
    if not categories:
        return []
    category = _among(categories, values.text("category"))
    fields: list[AnyField] = [
        SelectField(name="category", label="Category", options=categories, value=category, refresh=True)
    ]
    subcategories = choices_of(columns, "subcategory", category) if category else []
    if subcategories:
        chosen = _among(subcategories, values.text("subcategory"))
        fields.append(SelectField(name="subcategory", label="Subcategory", options=subcategories, value=chosen))
    return fields


def _among(options: Sequence[Option], value: str) -> str:
    return value if any(option.value == value for option in options) else ""
