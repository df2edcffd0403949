"""Change a record's state: any, resolved, closed, reopened (spec §10)."""

from collections.abc import Mapping, Sequence

from core.calls import Call, Kind, Options, Reply, ShowForm, Text, Value, Values
from core.errors import InvalidInput
from core.fields import Option
from core.menus import Requirement
from core.records import Choice, Column, Record
from core.tables import AWAITING_CALLER, table_of
from core.upstream_errors import AccessDenied, NotFound, NotInstalled, Refused, Unanswered, Unreachable
from forms.choices import choices_of, options_of
from forms.state import CLOSE, PATHS, REOPEN, RESOLVE, STATE, StateOf, state_form, state_pick_form
from handlers.context import Context
from handlers.field_errors import field_errors, in_words
from handlers.opened_record import OpenedRecord
from handlers.record_lookup import NoSuchRecord, look_up_records, requested_record
from handlers.record_updates import (
    NOT_READ,
    PartlyKept,
    announce,
    change_text,
    is_stale,
    link_to,
    stale_header,
    update_record,
)
from handlers.reference_fields import answer_lookup, finder, is_reference, reference
from handlers.registry import calls
from mattermost.markdown import escaped

_FIXED = {CLOSE: "7", REOPEN: "2"}
_LOOKUPS = ("assigned_to", "assignment_group")
_CARRIED_CHARACTERS = 100


def open_form(call: Call, context: Context) -> Reply:
    """Read the record, so that nobody fills in a form for one that is gone; show what can follow."""
    opened = OpenedRecord.of(call)
    try:
        record = _read(call, context)
    except (Unanswered, Unreachable):
        if opened is None:
            raise
        return _unread(call, context, opened)
    if record is None:
        return ShowForm(state_pick_form(call.path, Values()))
    return _opened(call, context, record)


def _unread(call: Call, context: Context, opened: OpenedRecord) -> ShowForm:
    """No answer in time, and a dialog can't wait: what memory or the base system has; saving looks again."""
    known = choices_of(context.servicenow.cached_columns(opened.table), "state")
    states = known or options_of(table_of(opened.table).state_choices)
    return _show(call, context, opened, states, Values(), held={}, header=NOT_READ)


def refresh(call: Call, context: Context) -> Reply:
    """Another state is chosen: show the fields that it demands; nothing is asked of ServiceNow."""
    opened = OpenedRecord.of(call)
    if opened is None:
        return ShowForm(state_pick_form(call.path, call.values))
    return _show(call, context, opened, _carried(call), _with_held(call, opened.table), held=_held_before(call))


def look_up(call: Call, context: Context) -> Reply:
    """Offer records, people or groups."""
    if call.selected_field in _LOOKUPS:
        return Options(answer_lookup(call, finder(context, call.selected_field)))
    return Options(look_up_records(call, context))


def submit(call: Call, context: Context) -> Reply:
    """Compare with what the person saw, then write; a command writes where nothing is missing."""
    opened = OpenedRecord.of(call)
    if opened is None or "states" not in call.state:
        return _typed(call, context)
    states = _carried(call)
    values = _with_fixed(call, opened.table, call.values)
    columns = _columns(call.path, opened.table, states, values, context)
    now = _read(call, context)
    assert now is not None  # the form names its record
    if is_stale(opened, now):
        again = OpenedRecord.to(now, call)
        return _show(call, context, again, states, values, held=_held_before(call), header=stale_header(call, now))
    return _saved(call, context, now, columns)


for _path in PATHS:
    calls.form(_path, needs=Requirement.CONNECTED)(open_form)
    calls.refresh(_path, needs=Requirement.CONNECTED)(refresh)
    calls.lookup(_path, needs=Requirement.CONNECTED)(look_up)
    calls.submit(_path, needs=Requirement.CONNECTED)(submit)


def _typed(call: Call, context: Context) -> Reply:
    try:
        record = _read(call, context)
    except NoSuchRecord as error:
        return ShowForm(state_pick_form(call.path, Values(), error.user_message))
    if record is None:
        return ShowForm(state_pick_form(call.path, Values()))
    typed = call.values.text("state").strip()
    states = _states(record, context)
    known = context.servicenow.columns(record.table)
    entered: dict[str, Value] = {
        name: _as_chosen(name, call.values, known)
        for name in call.values
        if name in table_of(record.table).all_form_columns
    }
    if call.path == STATE and typed:
        fitting = [o for o in states if typed.casefold() in {o.value.casefold(), o.label.casefold()}]
        if not fitting:
            names = ", ".join(option.label for option in states)
            header = f"“{escaped(typed, 60)}” can't follow now. Choose one of: {escaped(names, 300)}."
            return _opened(call, context, record, states=states, header=header)
        entered["state"] = fitting[0]
    values = _with_fixed(call, record.table, Values(entered))
    if (call.path == STATE and not typed) or _missing(record.table, values):
        return _opened(call, context, record, values=values, states=states)
    columns = _columns(call.path, record.table, states, values, context, typed=True)
    return _saved(call, context, record, columns)


def _as_chosen(name: str, values: Values, known: Mapping[str, Column]) -> Value:
    """A choice that was typed by its label counts as that choice."""
    typed = values.text(name).strip().casefold()
    return next((o for o in choices_of(known, name) if typed in {o.label.casefold(), o.value.casefold()}), values[name])


def _read(call: Call, context: Context) -> Record | None:
    opened = OpenedRecord.of(call)
    more = table_of(opened.table).all_form_columns if opened else ()
    record = requested_record(call, context, [name for name in more if name != "comments"])
    if record is None:
        return None
    if not table_of(record.table).is_task:
        raise InvalidInput({"record": "Knowledge articles have no state to set."}, "Knowledge articles have no state.")
    if call.path == RESOLVE and not table_of(record.table).resolved:
        told = f"{table_of(record.table).label}s are not resolved: use `/servicenow state`."
        raise InvalidInput({"record": told}, told)
    if call.path in _FIXED and not table_of(record.table).caller_closes:
        told = "Only incidents are closed and reopened by their callers: use `/servicenow state`."
        raise InvalidInput({"record": told}, told)
    return record


def _states(record: Record, context: Context, *, opening: bool = False) -> list[Option]:
    """The current state and those that can follow, in the person's language and in order."""
    if record.table == "change_request":
        try:
            states = options_of(context.servicenow.changes.next_states(record.sys_id))
        except (AccessDenied, NotFound, NotInstalled):
            states = []  # without the API, ServiceNow's own rules decide when it is saved
        except (Unanswered, Unreachable):
            if not opening:
                raise
            states = []  # a dialog can't wait, and saving is checked by ServiceNow all the same
        if states:
            return _with_current(states, record)
    known = choices_of(context.servicenow.columns(record.table), "state")
    return _with_current(known or options_of(table_of(record.table).state_choices), record)


def _with_current(states: Sequence[Option], record: Record) -> list[Option]:
    current = record.value("state")
    if not current or any(option.value == current for option in states):
        return list(states)
    return options_of([Choice(record.display("state"), current), *(Choice(o.label, o.value) for o in states)])


def _carried(call: Call) -> list[Option]:
    """The states that the open form offers, so that a refresh and a check ask nothing."""
    return [Option(label, value) for label, value in call.state.get("states", [])]


def _with_fixed(call: Call, table: str, values: Values) -> Values:
    if call.path == STATE:
        return values
    return Values({**values, "state": _FIXED.get(call.path) or table_of(table).resolved})


def _opened(
    call: Call,
    context: Context,
    record: Record,
    *,
    values: Values | None = None,
    states: Sequence[Option] | None = None,
    header: str = "",
) -> ShowForm:
    """The form as it opens: the current state and what the record holds already."""
    entered: dict[str, Value] = {"state": record.value("state"), **_held(record)}
    if values is not None:
        entered |= dict(values)
    opening = call.kind is Kind.FORM
    offered_states = list(states) if states is not None else _states(record, context, opening=opening)
    chosen = _with_fixed(call, record.table, Values(entered))
    context.servicenow.columns(record.table)  # the form and its refreshes draw on what memory holds
    opened = OpenedRecord.to(record, call)
    return _show(call, context, opened, offered_states, chosen, held=_held(record), header=header)


def _held(record: Record) -> dict[str, Value]:
    """What the record has already of what its states demand, without what an earlier state left behind."""
    held: dict[str, Value] = {}
    holds = table_of(record.table).columns_in_force(record.value("state"))
    for name in table_of(record.table).all_form_columns:
        if name in holds and (value := record.value(name)):
            held[name] = Option(record.display(name) or value, value) if name in _LOOKUPS else value
    return held


def _held_before(call: Call) -> dict[str, Value]:
    """The same, as the open form carries it."""
    carried = call.state.get("held", {})
    return {name: Option(*value) if isinstance(value, list) else value for name, value in carried.items()}


def _with_held(call: Call, table: str) -> Values:
    """What was entered, and what the record has in fields that the form did not show before."""
    shown = table_of(table).form_columns(str(call.state.get("drawn", "")))
    held = {name: value for name, value in _held_before(call).items() if name not in shown}
    return Values({**held, **call.values})


def _show(
    call: Call,
    context: Context,
    opened: OpenedRecord,
    states: Sequence[Option],
    values: Values,
    *,
    held: Mapping[str, Value],
    header: str = "",
) -> ShowForm:
    values = _with_fixed(call, opened.table, values)
    entered = {
        name: value
        for name, value in values.items()
        if name not in _LOOKUPS or is_reference(values.option(name) or Option("", ""))
    }
    carried = [[option.label, option.value] for option in states]
    about = StateOf(
        path=call.path,
        table=opened.table,
        number=opened.number,
        states=states,
        columns=context.servicenow.cached_columns(opened.table),
    )
    # Fields that another state demands come with what the record has; a state has no room for long texts.
    brief = {
        name: [value.label, value.value] if isinstance(value, Option) else value
        for name, value in held.items()
        if isinstance(value, Option) or len(str(value)) <= _CARRIED_CHARACTERS
    }
    drawn = values.text("state")
    state = opened.signed(call.path, context, states=carried, held=brief, drawn=drawn)
    return ShowForm(state_form(about, Values(entered), state=state, header=header, steps=call.steps))


def _missing(table: str, values: Values) -> dict[str, str]:
    """What the chosen state demands and nobody entered, by field."""
    state = values.text("state")
    needed = list(table_of(table).mandatory(state))
    if table == "incident" and state == "3" and values.text("hold_reason") == AWAITING_CALLER:
        needed.append("comments")
    words = {"comments": "Say to the caller what you wait for."}
    return {name: words.get(name, "This state needs it.") for name in needed if not values.text(name).strip()}


def _columns(
    path: str, table: str, states: Sequence[Option], values: Values, context: Context, *, typed: bool = False
) -> dict[str, str]:
    """
    What is written: the state and the fields that belong to it.

    Raises:
        InvalidInput: A choice that was not offered, or something that the state demands is missing.
    """
    state = values.text("state")
    if not state:
        raise InvalidInput({"state": "Choose a state."})
    if path == STATE and state not in {option.value for option in states}:
        raise InvalidInput({"state": "Choose one of the list."}, "That state can't follow now: choose one of the list.")
    problems = _missing(table, values)
    columns = {"state": state}
    known = context.servicenow.cached_columns(table)
    for name in table_of(table).form_columns(state):
        value = values.text(name).strip()
        if name in _LOOKUPS:
            value, problem = reference(values.option(name), finder(context, name))
            if problem:
                problems[name] = problem
        elif problem := _not_offered(name, value, known):
            problems[name] = problem
        if value:
            columns[name] = value
    if problems:
        raise InvalidInput(problems, in_words(problems) if typed else None)
    return columns


def _not_offered(name: str, value: str, known: Mapping[str, Column]) -> str:
    offered_values = {option.value for option in choices_of(known, name)}
    return "Choose one of the list." if value and offered_values and value not in offered_values else ""


def _saved(call: Call, context: Context, now: Record, columns: Mapping[str, str]) -> Text:
    if now.value("state") == columns["state"] and not any(
        name in {"comments"} or now.value(name) != value for name, value in columns.items()
    ):
        return Text(f"{link_to(context, now)} is {escaped(now.display('state'), 60)} already; nothing was changed.")
    try:
        after = update_record(context, now, columns)
    except PartlyKept as partly:  # the form closes: what it shows is outdated, and sent again it would look overtaken
        known = context.servicenow.cached_columns(now.table)
        labels = [escaped(known[name].label if name in known else name, 60) for name in partly.saved]
        told = f"{link_to(context, partly.after)}: {partly.user_message}"
        return announce(call, context, partly.after, f"updated {', '.join(labels)}", told)
    except Refused as refusal:
        names = ["state", *table_of(now.table).form_columns(columns["state"])]
        raise field_errors(context, now.table, names, refusal) from refusal
    line = f"set {change_text('State', now, after, 'state')}"
    told = f"{link_to(context, after)}: {change_text('state', now, after, 'state')}."
    return announce(call, context, after, line, told)
