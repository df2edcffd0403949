"""Change a record's state: to any state, or resolve, close or reopen it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from core.calls import Call, Kind, Options, Reply, ShowForm, Text, Value, Values
from core.errors import InvalidInput
from core.fields import Option
from core.menus import Requirement
from core.records import Record
from core.tables import table_of
from core.upstream_errors import Unanswered, Unreachable
from forms.choices import choices_of, options_of
from forms.records.state import (
    CLOSE,
    LOOKUPS,
    PATHS,
    REOPEN,
    RESOLVE,
    STATE,
    StateOptions,
    state_form,
    state_pick_form,
)
from handlers.context import Context
from handlers.form_reader import NOT_OFFERED, FormReader
from handlers.form_state import RecordRef
from handlers.records.record_lookup import look_up_records, record_or_form, requested_record
from handlers.records.record_updates import (
    NOT_READ,
    PartlySaved,
    announce,
    change_text,
    is_stale,
    link_to,
    stale_header,
    update_record,
)
from handlers.records.state_values import current_values, missing_values, states_of, typed_choice
from handlers.reference_fields import answer_lookup, finder, is_reference
from handlers.registry import calls
from mattermost.markdown import escaped

_FIXED = {CLOSE: "7", REOPEN: "2"}
_STATE_CHARACTERS = 100  # of a text; longer ones would make the form's state too large


@dataclass(frozen=True, kw_only=True)
class StateFormState(RecordRef):
    """
    What the open form carries, so that a refresh needs no request.

    Args:
        states: The states it offers.
        held: The record's values in columns that some state shows, except long texts.
        drawn: The state whose columns the form shows.
    """

    states: tuple[Option, ...] = ()
    held: Mapping[str, str | Option] = field(default_factory=dict)
    drawn: str = ""


@calls.form(*PATHS, needs=Requirement.CONNECTED)
def open_form(call: Call, context: Context) -> Reply:
    """Show the current state and those that can follow."""
    try:
        record = _read(call, context)
    except (Unanswered, Unreachable):
        seen = StateFormState.of(call)
        if seen is None:
            raise
        # A dialog can't wait. Offer the states in the cache or of the base system; saving checks them.
        known = choices_of(context.servicenow.cached_columns(seen.table), "state")
        states = known or options_of(table_of(seen.table).state_choices)
        return _show(call, context, replace(seen, states=tuple(states)), Values(), header=NOT_READ)
    if record is None:
        return ShowForm(state_pick_form(call.path, Values()))
    return _open(call, context, record)


@calls.refresh(*PATHS, needs=Requirement.CONNECTED)
def refresh(call: Call, context: Context) -> Reply:
    """Show the columns that the chosen state requires, without a request to ServiceNow."""
    state = StateFormState.of(call)
    if state is None:
        return ShowForm(state_pick_form(call.path, call.values))
    shown = table_of(state.table).form_columns(state.drawn)
    held = {name: value for name, value in state.held.items() if name not in shown}
    return _show(call, context, state, Values({**held, **call.values}))


@calls.lookup(*PATHS, needs=Requirement.CONNECTED)
def look_up(call: Call, context: Context) -> Reply:
    """Offer records, people or groups."""
    if call.selected_field in LOOKUPS:
        return Options(answer_lookup(call, finder(context, call.selected_field)))
    return look_up_records(call, context)


@calls.submit(*PATHS, needs=Requirement.CONNECTED)
def submit(call: Call, context: Context) -> Reply:
    """
    Write the state and the columns that belong to it. A command without them opens the form.

    If the record changed since the form opened, show the changes first.
    """
    state = StateFormState.of(call)
    if state is None or not state.states:
        return _run_command(call, context)
    values = _with_fixed_state(call, state.table, call.values)
    columns = _columns(FormReader(call, context, values, typed=False), call.path, state.table, state.states)
    now = _read(call, context)
    assert now is not None  # the form names its record
    if is_stale(state, now):
        again = replace(state, sys_mod_count=now.value("sys_mod_count"))
        return _show(call, context, again, values, header=stale_header(call, now))
    return _save(call, context, now, columns)


def _run_command(call: Call, context: Context) -> Reply:
    record = record_or_form(call, context, partial(state_pick_form, call.path, Values()), _read)
    if isinstance(record, ShowForm):
        return record
    typed = call.values.text("state").strip()
    states = states_of(context, record)
    known = context.servicenow.columns(record.table)
    entered: dict[str, Value] = {
        name: typed_choice(name, call.values, known)
        for name in call.values
        if name in table_of(record.table).all_form_columns
    }
    if call.path == STATE and typed:
        fitting = [o for o in states if typed.casefold() in {o.value.casefold(), o.label.casefold()}]
        if not fitting:
            names = ", ".join(option.label for option in states)
            header = f"“{escaped(typed, 60)}” can't follow now. Choose one of: {escaped(names, 300)}."
            return _open(call, context, record, states=states, header=header)
        entered["state"] = fitting[0]
    values = _with_fixed_state(call, record.table, Values(entered))
    if (call.path == STATE and not typed) or missing_values(record.table, values):
        return _open(call, context, record, values=values, states=states)
    columns = _columns(FormReader(call, context, values, typed=True), call.path, record.table, states)
    return _save(call, context, record, columns)


def _read(call: Call, context: Context) -> Record | None:
    ref = RecordRef.of(call)
    more = table_of(ref.table).all_form_columns if ref else ()
    record = requested_record(call, context, [name for name in more if name != "comments"])
    if record is None:
        return None
    if not table_of(record.table).is_task:
        raise InvalidInput({"record": "Knowledge articles have no state to set."}, "Knowledge articles have no state.")
    if call.path == RESOLVE and not table_of(record.table).resolved:
        problem = f"{table_of(record.table).label}s are not resolved: use `/servicenow state`."
        raise InvalidInput({"record": problem}, problem)
    if call.path in _FIXED and not table_of(record.table).caller_closes:
        problem = "Only incidents are closed and reopened by their callers: use `/servicenow state`."
        raise InvalidInput({"record": problem}, problem)
    return record


def _with_fixed_state(call: Call, table: str, values: Values) -> Values:
    if call.path == STATE:
        return values
    return Values({**values, "state": _FIXED.get(call.path) or table_of(table).resolved})


def _open(
    call: Call,
    context: Context,
    record: Record,
    *,
    values: Values | None = None,
    states: Sequence[Option] | None = None,
    header: str = "",
) -> ShowForm:
    """The form with what the record has, overridden by *values*."""
    if states is None:
        states = states_of(context, record, opening=call.kind is Kind.FORM)
    context.servicenow.columns(record.table)  # fills the cache, from which the form and its refreshes are built
    held = current_values(record)
    brief = {
        name: value for name, value in held.items() if isinstance(value, Option) or len(value) <= _STATE_CHARACTERS
    }
    state = replace(StateFormState.to(call, record), states=tuple(states), held=brief)
    entered = Values({"state": record.value("state"), **held, **(values or {})})
    return _show(call, context, state, entered, header=header)


def _show(call: Call, context: Context, state: StateFormState, values: Values, *, header: str = "") -> ShowForm:
    values = _with_fixed_state(call, state.table, values)
    entered = {
        name: value
        for name, value in values.items()
        if name not in LOOKUPS or is_reference(values.option(name) or Option("", ""))
    }
    columns = context.servicenow.cached_columns(state.table)
    about = StateOptions(path=call.path, table=state.table, number=state.number, states=state.states, columns=columns)
    signed = replace(state, drawn=values.text("state")).signed(context, call.path)
    return ShowForm(state_form(about, Values(entered), state=signed, header=header, steps=call.steps))


def _columns(form: FormReader, path: str, table: str, states: Sequence[Option]) -> dict[str, str]:
    """
    The values to send to ServiceNow: the state and the columns that belong to it.

    Raises:
        InvalidInput: A choice wasn't offered, or something that the state requires is missing.
    """
    state = form.values.text("state")
    if not state:
        raise InvalidInput({"state": "Choose a state."})
    if path == STATE and state not in {option.value for option in states}:
        raise InvalidInput({"state": NOT_OFFERED}, "That state can't follow now: choose one of the list.")
    for name, problem in missing_values(table, form.values).items():
        form.refuse(name, problem)
    known = form.context.servicenow.cached_columns(table)
    columns = {"state": state}
    for name in table_of(table).form_columns(state):
        if name in LOOKUPS:
            columns[name] = form.reference(name, finder(form.context, name))
        else:
            columns[name] = form.choice(name, choices_of(known, name))
    form.finish()
    return {name: value for name, value in columns.items() if value}


def _save(call: Call, context: Context, now: Record, columns: Mapping[str, str]) -> Text:
    if all(name != "comments" and now.value(name) == value for name, value in columns.items()):
        return Text(f"{link_to(context, now)} is {escaped(now.display('state'), 60)} already; nothing was changed.")
    fields = ["state", *table_of(now.table).form_columns(columns["state"])]
    try:
        after = update_record(context, now, columns, fields)
    except PartlySaved as partly:  # the form closes, because what it shows is outdated
        known = context.servicenow.cached_columns(now.table)
        labels = [escaped(known[name].label if name in known else name, 60) for name in partly.saved]
        told = f"{link_to(context, partly.after)}: {partly.user_message}"
        return announce(call, context, partly.after, f"updated {', '.join(labels)}", told)
    line = f"set {change_text('State', now, after, 'state')}"
    told = f"{link_to(context, after)}: {change_text('state', now, after, 'state')}."
    return announce(call, context, after, line, told)
