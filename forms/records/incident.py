"""The incident form. Pure: choices and values in, a form out; built again on refresh, never patched."""

from collections.abc import Collection, Mapping, Sequence

from core.calls import Values
from core.fields import AnyField, Form, SelectField, SwitchField
from core.records import Column
from forms.choices import LONG_TEXT_CHARACTERS, SHORT_TEXT_CHARACTERS, among, area, choices_of, line, lookup
from forms.records.mandatory import mandatory_columns, mandatory_fields

PATH = "incident/create"
TITLE = "Create incident"

SHORT_DESCRIPTION_CHARACTERS = SHORT_TEXT_CHARACTERS
DESCRIPTION_CHARACTERS = LONG_TEXT_CHARACTERS

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


def incident_form(
    columns: Mapping[str, Column],
    values: Values,
    *,
    state: str,
    caller_optional: bool = False,
    more: Sequence[AnyField] = (),
    also: Collection[str] = (),
    header: str = "",
) -> Form:
    """
    Build the form for a modal.

    Args:
        columns: Columns of incident with their choices, as the person may see them.
        values: What was entered or prefilled so far.
        state: Signed state of this opened form.
        caller_optional: Whether the caller may be left empty.
        more: Fields for the message's thread and files.
        also: Columns that a refusal showed to be mandatory.
    """
    fields: list[AnyField] = [
        *_texts(values),
        lookup("caller_id", "Caller", "Name, user name or e-mail", values, required=not caller_optional),
        *_levels(columns, values),
        *_categories(columns, values),
        lookup("assignment_group", "Assignment group", "Two letters of its name", values),
        lookup("cmdb_ci", "Configuration item", "Two letters of its name", values),
        SwitchField(
            name="subscribe",
            label="Subscribe the channel",
            description="This channel then sees what becomes of the new incident.",
            value=values.flag("subscribe"),
        ),
        *more,
    ]
    own = mandatory_fields(mandatory_columns(columns, COLUMNS, also), values, {field.label for field in fields})
    # Mandatory columns come right after the texts, where people see them.
    fields[2:2] = own
    return Form(path=PATH, title=TITLE, header=header, submit_label="Create", state=state, fields=fields)


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
            lookup("caller_id", "Caller", "Name, user name or e-mail", nothing),
            *_levels(columns, nothing),
            lookup("assignment_group", "Assignment group", "Two letters of its name", nothing),
            lookup("cmdb_ci", "Configuration item", "Two letters of its name", nothing),
        ],
    )


def _texts(values: Values) -> Sequence[AnyField]:
    return (
        line("short_description", "Short description", values, required=True, hint="What is wrong, in a few words"),
        area("description", "Description", values),
    )


def _levels(columns: Mapping[str, Column], values: Values) -> list[AnyField]:
    fields: list[AnyField] = []
    for name, label in (("impact", "Impact"), ("urgency", "Urgency")):
        if options := choices_of(columns, name):
            chosen = values.text(name) or _DEFAULT_LEVEL
            fields.append(SelectField(name=name, label=label, options=options, value=among(options, chosen)))
    return fields


def _categories(columns: Mapping[str, Column], values: Values) -> list[AnyField]:
    categories = choices_of(columns, "category")
    if not categories:
        return []
    category = among(categories, values.text("category"))
    fields: list[AnyField] = [
        SelectField(name="category", label="Category", options=categories, value=category, refresh=True)
    ]
    subcategories = choices_of(columns, "subcategory", category) if category else []
    if subcategories:
        chosen = among(subcategories, values.text("subcategory"))
        fields.append(SelectField(name="subcategory", label="Subcategory", options=subcategories, value=chosen))
    return fields
