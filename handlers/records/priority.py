"""Change a record's priority through its impact and urgency."""

from collections.abc import Mapping

from core.calls import Call, Reply, ShowForm, Text, Value, Values
from core.errors import InvalidInput
from core.menus import Requirement
from core.records import Column, Record
from core.tables import table_of
from core.upstream_errors import Unanswered, Unreachable
from forms.choices import choices_of
from forms.records.priority import COLUMNS, PATH, priority_form
from handlers.context import Context
from handlers.form_reader import NOT_OFFERED, FormReader
from handlers.form_state import RecordRef
from handlers.records.record_lookup import required_record
from handlers.records.record_updates import (
    NOT_READ,
    announce,
    change_text,
    is_stale,
    link_to,
    stale_header,
    update_record,
)
from handlers.registry import calls


@calls.form(PATH, needs=Requirement.CONNECTED)
def open_form(call: Call, context: Context) -> Reply:
    """Show the current impact and urgency. If ServiceNow doesn't answer in time, nothing is preselected."""
    ref = RecordRef.of(call)
    try:
        record = _read(call, context)
    except (Unanswered, Unreachable):
        if ref is None:
            raise
        known, state = _levels(context.servicenow.cached_columns(ref.table)), ref.signed(context, PATH)
        return ShowForm(priority_form(ref.number, known, Values(), state=state, header=NOT_READ))
    values: dict[str, Value] = {name: record.value(name) for name in COLUMNS}
    return _show(call, context, record, Values(values))


@calls.submit(PATH, needs=Requirement.CONNECTED)
def save(call: Call, context: Context) -> Reply:
    """Write both. If the record changed since the form opened, show the changes first."""
    now = _read(call, context)
    known = _levels(context.servicenow.columns(now.table))
    form = FormReader(call, context)
    columns = {name: form.choice(name, choices_of(known, name), required=NOT_OFFERED) for name in COLUMNS}
    form.finish()
    if is_stale(RecordRef.of(call), now):
        return _show(call, context, now, call.values, stale_header(call, now))
    if all(now.value(name) == value for name, value in columns.items()):
        return Text(f"{link_to(context, now)} has these already; nothing was changed.")
    after = update_record(context, now, columns, COLUMNS)
    changed = change_text("Priority", now, after, "priority")
    return announce(call, context, after, f"set {changed}", f"{link_to(context, after)}: {changed}.")


def _read(call: Call, context: Context) -> Record:
    record = required_record(call, context)
    if not table_of(record.table).has_impact:
        raise InvalidInput({}, f"The priority of a {table_of(record.table).label.lower()} is not set this way.")
    return record


def _levels(columns: Mapping[str, Column]) -> Mapping[str, Column]:
    """*columns* if they have the choices of impact and urgency, or else those of the base system's incident."""
    return columns if all(choices_of(columns, name) for name in COLUMNS) else table_of("incident").base_columns


def _show(call: Call, context: Context, record: Record, values: Values, header: str = "") -> ShowForm:
    state = RecordRef.to(call, record).signed(context, PATH)
    levels = _levels(context.servicenow.columns(record.table))
    return ShowForm(priority_form(record.number, levels, values, state=state, header=header))
