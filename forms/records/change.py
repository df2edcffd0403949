"""Create a change request: normal, emergency, or standard from a template."""

from collections.abc import Mapping

from core.calls import Values
from core.fields import HELP_BYTES, AnyField, DateField, Form, Option, SelectField, SwitchField, TextField
from core.records import Column
from core.times import EXAMPLE
from forms.choices import (
    SHORT_TEXT_CHARACTERS,
    among,
    area,
    choices_of,
    group_lookup,
    item_lookup,
    line,
    lookup,
    select,
)

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
    Args:
        columns: Columns of change_request with their choices, as the person can see them.
        values: What was entered so far; dates as typed.
        zone: Name of the person's time zone.
        conflict: Plain text that says what the planned time conflicts with. It is shown at the dates, with a switch
            to create the change anyway.
        steps: Whether the form can be rebuilt when the type changes. If not, it has the template from the start.
    """
    chosen = values.text("type") or NORMAL
    kinds = SelectField(name="type", label="Type", options=_TYPES, value=among(_TYPES, chosen) or NORMAL, refresh=True)
    fields: list[AnyField] = [kinds]
    if chosen == STANDARD or not steps:
        fields.append(lookup(TEMPLATE, "Template", "Two letters of its name", values, required=steps))
    fields += [
        line("short_description", "Short description", values, required=chosen != STANDARD),
        area("justification", "Justification", values),
        group_lookup(values),
        item_lookup(values),
        _moment("start_date", "Planned start", values, conflict or f"In your time zone, {zone}."),
        _moment("end_date", "Planned end", values, conflict),
        *select("risk", "Risk", choices_of(columns, "risk"), values),
        *select("impact", "Impact", choices_of(columns, "impact"), values),
    ]
    if conflict:
        fields.append(SwitchField(name=DESPITE, label="Create all the same", value=values.flag(DESPITE)))
    return Form(path=PATH, title=TITLE, header=header, submit_label="Create", state=state, fields=fields)


def change_flags() -> Form:
    """What people can type after ``/servicenow change create``. Nothing is required."""
    nothing = Values()
    fields: list[AnyField] = [
        SelectField(name="type", label="Type", options=[Option(kind, kind) for kind in (NORMAL, EMERGENCY)]),
        TextField(name="short_description", label="Short description", max_length=SHORT_TEXT_CHARACTERS),
        group_lookup(nothing),
        item_lookup(nothing),
        _moment("start_date", "Planned start", nothing, ""),
        _moment("end_date", "Planned end", nothing, ""),
    ]
    return Form(path=PATH, title=TITLE, submit_label="Create", fields=fields)


def _moment(name: str, label: str, values: Values, description: str) -> DateField:
    while len(description.encode()) > HELP_BYTES:
        description = description[:-2].rstrip() + "…"
    return DateField(name=name, label=label, time=True, hint=EXAMPLE, value=values.text(name), description=description)
