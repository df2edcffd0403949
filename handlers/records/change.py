"""Create a change request through the Change Management API (API reference §6)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import structlog

from core.calls import Call, Options, Reply, ShowForm, Values
from core.menus import Requirement
from core.records import Record
from core.times import shown
from core.upstream_errors import NotInstalled, Refused, ServiceNowError
from forms.choices import LONG_TEXT_CHARACTERS, SHORT_TEXT_CHARACTERS, choices_of
from forms.records.change import (
    DATES,
    DESPITE,
    EMERGENCY,
    LOOKUPS,
    NORMAL,
    PATH,
    SELECTS,
    STANDARD,
    TEMPLATE,
    change_form,
)
from handlers.context import Context
from handlers.form_reader import FormReader
from handlers.form_state import FormState
from handlers.records.create import create_record
from handlers.records.field_errors import field_errors
from handlers.reference_fields import Find, answer_lookup, finder
from handlers.registry import calls
from mattermost.markdown import escaped, plain, visible

log = structlog.get_logger(__name__)

TABLE = "change_request"
_KINDS = (NORMAL, EMERGENCY, STANDARD)
_FIELDS = ("short_description", "justification", *LOOKUPS, *DATES, *SELECTS, TEMPLATE, "type")
_NO_CONFLICT = {"", "No Conflict", "Not Run"}
_NAMED = 3
_NO_TEMPLATE = "A standard change is made from a template: choose one."


@dataclass(frozen=True, kw_only=True)
class ChangeState(FormState):
    """``asked``: the form shows a conflict, and a switch to create the change despite it."""

    asked: bool = False


@calls.form(PATH, needs=Requirement.CONNECTED)
@calls.refresh(PATH, needs=Requirement.CONNECTED)
def show_form(call: Call, context: Context) -> Reply:
    """Show the form, with or without the template as the type requires. Everything entered is kept."""
    return _show(call, context, call.values)


@calls.lookup(PATH, needs=Requirement.CONNECTED)
def look_up(call: Call, context: Context) -> Reply:
    """Offer templates, groups or configuration items."""
    return Options(answer_lookup(call, _finder(context, call.selected_field)))


@calls.submit(PATH, needs=Requirement.CONNECTED)
def create(call: Call, context: Context) -> Reply:
    """
    Create the change with the person's permissions, post its card and return its link.

    If other open changes of the same item overlap, show them first. A switch then creates it anyway.
    """
    state = ChangeState.of(call)
    if not call.state and not visible(call.values.text("short_description")):
        return _show(call, context, call.values)
    form = FormReader(call, context)
    kind = form.one_of("type", _KINDS) or NORMAL
    columns = _columns(form, kind)
    template = form.reference(TEMPLATE, _finder(context, TEMPLATE), required=_NO_TEMPLATE) if kind == STANDARD else ""
    form.finish()
    columns = {name: value for name, value in columns.items() if value}
    despite = call.values.flag(DESPITE) and state.asked
    if not despite and (conflict := _conflict(context, columns)):
        header = (
            f":warning: {escaped(conflict, 500)} Nothing was created. Choose another time, or create it all the same."
        )
        return _show(call, context, call.values, header=header, conflict=conflict)
    try:
        return create_record(
            context,
            state,
            TABLE,
            columns,
            then=lambda _attempt, record: _check(context, kind, columns, record),
            insert=lambda sent: _insert(context, kind, sent, template),
        )
    except Refused as refusal:
        raise field_errors(context, TABLE, _FIELDS, refusal) from refusal


def _insert(context: Context, kind: str, columns: Mapping[str, str], template: str) -> Record:
    """Without the Change Management API, use the Table API, which has no templates."""
    try:
        return context.servicenow.changes.create(kind, columns, template)
    except NotInstalled:
        if kind == STANDARD:
            raise
        log.info("no Change Management API, using the Table API")
        return context.servicenow.create(TABLE, {**columns, "type": kind})


def _check(context: Context, kind: str, columns: Mapping[str, str], record: Record) -> str:
    """Tell if ServiceNow changed the type, and what its own check for conflicts found."""
    parts: list[str] = []
    if (made := record.value("type")) and made != kind:
        parts.append(f"ServiceNow made it a change of type {escaped(record.display('type') or made, 60)}.")
    if all(columns.get(name) for name in ("cmdb_ci", *DATES)):
        try:
            status = context.servicenow.changes.check_conflicts(record.sys_id)
        except ServiceNowError as error:
            log.info("conflicts not checked", sys_id=record.sys_id, reason=error.log_message)
            status = ""
        if status not in _NO_CONFLICT:
            parts.append(f"ServiceNow's check for conflicts says: {escaped(status, 100)}.")
    return f"\n\n{' '.join(parts)}" if parts else ""


def _show(call: Call, context: Context, values: Values, *, header: str = "", conflict: str = "") -> ShowForm:
    reader = FormReader(call, context, values)
    entered = reader.resolved({name: _finder(context, name) for name in (*LOOKUPS, TEMPLATE)})
    form = change_form(
        context.servicenow.columns(TABLE),
        entered,
        zone=context.time_zone,
        state=replace(ChangeState.of(call), asked=bool(conflict)).signed(context, PATH),
        header=" ".join(filter(None, (header, reader.summary))),
        conflict=conflict,
        steps=call.steps,
    )
    return ShowForm(form)


def _finder(context: Context, name: str) -> Find:
    return context.servicenow.changes.find_templates if name == TEMPLATE else finder(context, name)


def _columns(form: FormReader, kind: str) -> dict[str, str]:
    """The values to send to ServiceNow. Problems are left to the caller."""
    required = "" if kind == STANDARD else "Say in a few words what is to be changed."
    columns = {
        "short_description": form.line("short_description", most=SHORT_TEXT_CHARACTERS, required=required),
        "justification": form.text("justification", most=LONG_TEXT_CHARACTERS),
    }
    columns |= {name: form.reference(name, _finder(form.context, name)) for name in LOOKUPS}
    columns |= {name: form.moment(name) for name in DATES}
    start, end = (columns[name] for name in DATES)
    if start and end and end <= start:
        form.refuse("end_date", "The end has to come after the start.")
    known = form.context.servicenow.columns(TABLE)
    return columns | {name: form.choice(name, choices_of(known, name)) for name in SELECTS}


def _conflict(context: Context, columns: Mapping[str, str]) -> str:
    """A sentence that names other open changes of the same item at the same time, "" if there are none."""
    if not all(columns.get(name) for name in ("cmdb_ci", *DATES)):
        return ""
    item, start, end = (columns[name] for name in ("cmdb_ci", *DATES))
    try:
        found = context.servicenow.changes.overlapping(item, start, end)
    except ServiceNowError as error:
        log.info("conflicts not looked for", reason=error.log_message)
        return ""
    if not found:
        return ""
    zone = context.time_zone
    planned = [
        f"{plain(one.number, 40)}, {shown(one.value('start_date'), zone)} to {shown(one.value('end_date'), zone)}"
        for one in found[:_NAMED]
    ]
    return f"Another change of this item is planned then: {'; '.join(planned)}."
