"""The values that the form of a record's state offers, shows, and requires."""

from collections.abc import Mapping, Sequence

from core.calls import Value, Values
from core.fields import Option
from core.records import Choice, Column, Record
from core.tables import AWAITING_CALLER, table_of
from core.upstream_errors import AccessDenied, NotFound, NotInstalled, Unanswered, Unreachable
from forms.choices import choices_of, options_of
from forms.records.state import LOOKUPS
from handlers.context import Context


def states_of(context: Context, record: Record, *, opening: bool = False) -> list[Option]:
    """The current state and those that can follow, in order, with labels in the person's language."""
    if record.table == "change_request":
        try:
            states = options_of(context.servicenow.changes.next_states(record.sys_id))
        except (AccessDenied, NotFound, NotInstalled):
            states = []  # without this API, ServiceNow decides when the state is saved
        except (Unanswered, Unreachable):
            if not opening:
                raise
            states = []  # a dialog can't wait, and ServiceNow checks the state when it is saved
        if states:
            return _with_current(states, record)
    known = choices_of(context.servicenow.columns(record.table), "state")
    return _with_current(known or options_of(table_of(record.table).state_choices), record)


def _with_current(states: Sequence[Option], record: Record) -> list[Option]:
    current = record.value("state")
    if not current or any(option.value == current for option in states):
        return list(states)
    return options_of([Choice(record.display("state"), current), *(Choice(o.label, o.value) for o in states)])


def typed_choice(name: str, values: Values, known: Mapping[str, Column]) -> Value:
    """The choice whose label or value was typed."""
    typed = values.text(name).strip().casefold()
    return next((o for o in choices_of(known, name) if typed in {o.label.casefold(), o.value.casefold()}), values[name])


def current_values(record: Record) -> dict[str, str | Option]:
    """The record's values in the columns of its states, except those that an earlier state left behind."""
    held: dict[str, str | Option] = {}
    in_force = table_of(record.table).columns_in_force(record.value("state"))
    for name in table_of(record.table).all_form_columns:
        if name in in_force and (value := record.value(name)):
            held[name] = Option(record.display(name) or value, value) if name in LOOKUPS else value
    return held


def missing_values(table: str, values: Values) -> dict[str, str]:
    """Problems of empty fields that the chosen state requires."""
    state = values.text("state")
    needed = list(table_of(table).mandatory(state))
    if table == "incident" and state == "3" and values.text("hold_reason") == AWAITING_CALLER:
        needed.append("comments")
    words = {"comments": "Say to the caller what you wait for."}
    return {name: words.get(name, "This state needs it.") for name in needed if not values.text(name).strip()}
