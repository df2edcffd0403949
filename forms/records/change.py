"""The form that creates a change request: normal, emergency, or standard from a template. Pure."""

from collections.abc import Mapping, Sequence

from core.calls import Values
from core.fields import HELP_BYTES, AnyField, DateField, Form, Option, SelectField, SwitchField, TextField
from core.records import Column
from core.times import EXAMPLE
from forms.choices import SHORT_TEXT_CHARACTERS, among, area, choices_of, line, lookup, select

PATH = "change/create"
TITLE = "Create change request"

NORMAL, EMERGENCY, STANDARD = "normal", "emergency", "standard"
TEMPLATE = "std_change_producer_version"
LOOKUPS = ("assignment_group", "cmdb_ci")
SELECTS = ("risk", "impact")
DATES = ("start_date", "end_date")
DESPITE = "despite"

_TYPES = (Option("Normal", NORMAL), Option("Emergency", EMERGENCY), Option("Standard, from a template", STANDARD))


def change_form(
    columns: Mapping[str, Column],
    values: Values,
    *,
    zone: str,
    state: str,
    header: str = "",
    conflict: str = "",
    steps: bool = True,
) -> Form:
    """
    Build the form.

    Args:
        columns: Columns of change_request with their choices, as the person may see them.
        values: What was entered so far; dates as typed.
        zone: The person's time zone, by name.
        conflict: What the planned time conflicts with, plain; it is said at the dates, and a switch asks
            whether to create the change all the same.
        steps: Whether another type can show another form; else the template is there from the start.
    """
    chosen = values.text("type") or NORMAL
    kinds = SelectField(name="type", label="Type", options=_TYPES, value=among(_TYPES, chosen) or NORMAL, refresh=True)
    fields: list[AnyField] = [kinds]
    if chosen == STANDARD or not steps:
        hint = "Two letters of its name"
        fields.append(lookup(TEMPLATE, "Template", hint, values, required=steps))
    fields += [
        line("short_description", "Short description", values, required=chosen != STANDARD),
        area("justification", "Justification", values),
        lookup("assignment_group", "Assignment group", "Two letters of its name", values),
        lookup("cmdb_ci", "Configuration item", "Two letters of its name", values),
        _moment("start_date", "Planned start", values, conflict or f"In your time zone, {zone}."),
        _moment("end_date", "Planned end", values, conflict),
        *select("risk", "Risk", choices_of(columns, "risk"), values),
        *select("impact", "Impact", choices_of(columns, "impact"), values),
    ]
    if conflict:
        fields.append(SwitchField(name=DESPITE, label="Create all the same", value=values.flag(DESPITE)))
    return Form(path=PATH, title=TITLE, header=header, submit_label="Create", state=state, fields=fields)


def change_flags() -> Form:
    """What can be typed behind ``/servicenow change create``; nothing is required."""
    nothing = Values()
    fields: Sequence[AnyField] = (
        SelectField(name="type", label="Type", options=[Option(kind, kind) for kind in (NORMAL, EMERGENCY)]),
        TextField(name="short_description", label="Short description", max_length=SHORT_TEXT_CHARACTERS),
        lookup("assignment_group", "Assignment group", "Two letters of its name", nothing),
        lookup("cmdb_ci", "Configuration item", "Two letters of its name", nothing),
        _moment("start_date", "Planned start", nothing, ""),
        _moment("end_date", "Planned end", nothing, ""),
    )
    return Form(path=PATH, title=TITLE, submit_label="Create", fields=fields)


def _moment(name: str, label: str, values: Values, description: str) -> DateField:
    while len(description.encode()) > HELP_BYTES:
        description = description[:-2].rstrip() + "…"
    return DateField(name=name, label=label, time=True, hint=EXAMPLE, value=values.text(name), description=description)
