"""Change a record's state, or resolve, close, or reopen it. The form has the fields that the state requires."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from core.calls import Values
from core.fields import LABEL_BYTES, TEXT_DEFAULT_BYTES, AnyField, Form, Option, TextField
from core.records import Column
from core.tables import table_of
from forms.choices import area, choices_of, lookup, select
from forms.records.mandatory import fitted, unique_label
from forms.records.record_lookup import pick_form, record_flags, titled

STATE = "record/state"
RESOLVE = "record/resolve"
CLOSE = "record/close"
REOPEN = "record/reopen"
PATHS = (STATE, RESOLVE, CLOSE, REOPEN)

_TITLES = {STATE: "State of", RESOLVE: "Resolve", CLOSE: "Close", REOPEN: "Reopen"}
_LABELS = {
    "close_code": "Resolution code",
    "close_notes": "Close notes",
    "hold_reason": "On hold reason",
    "resolution_code": "Resolution code",
    "cause_notes": "Cause notes",
    "fix_notes": "Fix notes",
    "assigned_to": "Assigned to",
    "assignment_group": "Assignment group",
    "comments": "Comment",
}
LOOKUPS = ("assigned_to", "assignment_group")
_RESOLUTION = ("close_code", "close_notes")
_REFRESHING = ("hold_reason",)  # decides whether a comment is required


@dataclass(frozen=True, kw_only=True)
class StateOptions:
    """
    The record and what the form can offer.

    Args:
        path: One of `PATHS`. All except `STATE` have a fixed state.
        states: The states on offer in order, including the current one.
        columns: Columns of the table with their choices.
    """

    path: str
    table: str
    number: str
    states: Sequence[Option]
    columns: Mapping[str, Column]


def state_form(about: StateOptions, values: Values, *, state: str, header: str = "", steps: bool = True) -> Form:
    """
    Args:
        values: The chosen state and what was entered so far.
        steps: Whether the form can be rebuilt when the state changes. If not, it has the fields of all offered states,
            all optional, each with the states that require it.
    """
    chosen = values.text("state")
    fields: list[AnyField] = []
    if about.path == STATE:
        fields += select("state", "State", about.states, values, required=True, refresh=steps)
    if steps or about.path != STATE:
        needed = table_of(about.table).mandatory(chosen)
        for name in table_of(about.table).form_columns(chosen):
            fields += _field(name, about, values, required=name in needed)
    else:
        for name in table_of(about.table).all_form_columns:
            fields += _field(name, about, values, required=False)
    taken: set[str] = set()
    for position, field in enumerate(fields):  # two columns of an instance can have the same label
        fields[position] = replace(field, label=unique_label(field.label, taken))
        taken.add(fields[position].label)
    return Form(
        path=about.path,
        title=titled(_TITLES[about.path], about.number),
        header=header,
        submit_label="Save",
        state=state,
        fields=fields,
    )


def state_pick_form(path: str, values: Values, header: str = "") -> Form:
    return pick_form(path, f"{_TITLES[path]} a record", header, values)


def state_flags(path: str) -> Form:
    """What people can type after ``/servicenow state`` and ``resolve``."""
    if path == STATE:
        state = TextField(name="state", label="State", hint="[state]", position=-1, max_length=80)
        return record_flags(path, _TITLES[path], state)
    return record_flags(path, _TITLES[path], *(area(name, _LABELS[name], Values()) for name in _RESOLUTION))


def label_of(name: str, columns: Mapping[str, Column]) -> str:
    """The column's label if it fits into a dialog, or else ours."""
    known = columns.get(name)
    if known is not None and known.label.strip() and len(known.label.encode()) <= LABEL_BYTES:
        return known.label
    return _LABELS.get(name) or fitted(known.label if known else name)


def _field(name: str, about: StateOptions, values: Values, *, required: bool) -> list[AnyField]:
    label = label_of(name, about.columns)
    if name in LOOKUPS:
        return [lookup(name, label, "Two letters of the name", values, required=required)]
    if options := choices_of(about.columns, name):
        return select(name, label, options, values, required=required, refresh=name in _REFRESHING)
    hint = "" if required else _states_requiring(name, about)
    return [area(name, label, values, required=required, hint=hint)]


def _states_requiring(name: str, about: StateOptions) -> str:
    states = [option.label for option in about.states if name in table_of(about.table).mandatory(option.value)]
    return fitted(f"Needed for {', '.join(states)}", TEXT_DEFAULT_BYTES) if states else ""
