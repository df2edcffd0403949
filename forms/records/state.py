"""
Change a record's state, with the fields that the chosen state requires. Pure.

One form for four commands: change the state, resolve, close and reopen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from core.calls import Values
from core.fields import LABEL_BYTES, TEXT_DEFAULT_BYTES, AnyField, Form, Option, TextField
from core.records import Column
from core.tables import table_of
from forms.choices import area, choices_of, lookup, select
from forms.records.mandatory import fitted, unique_label
from forms.records.record_lookup import pick_form, record_field, titled

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
_REFRESHING = ("hold_reason",)  # decides whether a comment is required


@dataclass(frozen=True, kw_only=True)
class StateOf:
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


def state_form(about: StateOf, values: Values, *, state: str, header: str = "", steps: bool = True) -> Form:
    """
    Build the form; *values* hold the chosen state and what was entered so far.

    Args:
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
    for place, field in enumerate(fields):  # an instance may call two columns alike
        fields[place] = replace(field, label=unique_label(field.label, taken))
        taken.add(fields[place].label)
    return Form(
        path=about.path,
        title=titled(_TITLES[about.path], about.number),
        header=header,
        submit_label="Save",
        state=state,
        fields=fields,
    )


def state_pick_form(path: str, values: Values, header: str = "") -> Form:
    """Ask for the record."""
    return pick_form(path, f"{_TITLES[path]} a record", values, header=header)


def state_flags(path: str) -> Form:
    """What can be typed behind ``/servicenow state`` and ``resolve``."""
    fields: list[AnyField] = [record_field(Values(), position=1, required=False)]
    if path == STATE:
        fields.append(TextField(name="state", label="State", hint="[state]", position=-1, max_length=80))
    else:
        fields += [area(name, _LABELS[name], Values()) for name in ("close_code", "close_notes")]
    return Form(path=path, title=_TITLES[path], fields=fields)


def label_of(name: str, columns: Mapping[str, Column]) -> str:
    """The column's label if it fits into a dialog, or else ours."""
    known = columns.get(name)
    if known is not None and known.label.strip() and len(known.label.encode()) <= LABEL_BYTES:
        return known.label
    return _LABELS.get(name) or fitted(known.label if known else name)


def _field(name: str, about: StateOf, values: Values, *, required: bool) -> list[AnyField]:
    label = label_of(name, about.columns)
    if name in LOOKUPS:
        return [lookup(name, label, "Two letters of the name", values, required=required)]
    if options := choices_of(about.columns, name):
        return select(name, label, options, values, required=required, refresh=name in _REFRESHING)
    hint = "" if required else _needed_for(name, about)
    return [area(name, label, values, required=required, hint=hint)]


def _needed_for(name: str, about: StateOf) -> str:
    states = [option.label for option in about.states if name in table_of(about.table).mandatory(option.value)]
    return fitted(f"Needed for {', '.join(states)}", TEXT_DEFAULT_BYTES) if states else ""
