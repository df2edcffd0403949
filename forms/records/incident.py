"""Create an incident. A refresh builds the form again from the values; it doesn't change the old one."""

from collections.abc import Collection, Mapping, Sequence

from core.calls import Values
from core.fields import AnyField, Form, SelectField, SwitchField
from core.records import Column
from forms.choices import among, area, choices_of, group_lookup, item_lookup, line, lookup, select
from forms.records.mandatory import mandatory_columns, mandatory_fields

PATH = "incident/create"
TITLE = "Create incident"

# The columns that the form has fields for, in the order shown.
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
_DEFAULT_LEVEL = "3"  # Low, ServiceNow's own default


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
    Args:
        columns: Columns of incident with their choices, as the person can see them.
        values: What was entered or prefilled so far.
        caller_optional: Whether the caller can be left empty.
        more: Fields for the message's thread and files.
        also: Columns that a refusal showed to be mandatory.
    """
    fields: list[AnyField] = [
        *_texts(values),
        lookup("caller_id", "Caller", "Name, user name or e-mail", values, required=not caller_optional),
        *_levels(columns, values),
        *_categories(columns, values),
        group_lookup(values),
        item_lookup(values),
        SwitchField(
            name="subscribe",
            label="Subscribe the channel",
            description="This channel then sees what becomes of the new incident.",
            value=values.flag("subscribe"),
        ),
        *more,
    ]
    mandatory = mandatory_columns(columns, COLUMNS, also)
    # Right after the two texts, where people see them.
    fields[2:2] = mandatory_fields(mandatory, values, {field.label for field in fields})
    return Form(path=PATH, title=TITLE, header=header, submit_label="Create", state=state, fields=fields)


def incident_flags(columns: Mapping[str, Column]) -> Form:
    """What people can type after ``/servicenow incident create``. No category: flags can't depend on each other."""
    nothing = Values()
    caller = lookup("caller_id", "Caller", "Name, user name or e-mail", nothing)
    fields = [*_texts(nothing), caller, *_levels(columns, nothing), group_lookup(nothing), item_lookup(nothing)]
    return Form(path=PATH, title=TITLE, submit_label="Create", fields=fields)


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
    subcategories = choices_of(columns, "subcategory", category) if category else []
    return [
        SelectField(name="category", label="Category", options=categories, value=category, refresh=True),
        *select("subcategory", "Subcategory", subcategories, values),
    ]
