"""Create a change request by the Change Management API (API reference §6), once, with its card."""

from collections.abc import Mapping
from functools import partial

import structlog

from core.calls import Call, Options, Reply, ShowForm, Values
from core.errors import InvalidInput, NotInstalled, Refused, ServiceNowError
from core.menus import Requirement
from core.records import Record
from core.times import EXAMPLE, NoMoment, shown, stored
from forms.change import (
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
from forms.choices import LONG_TEXT_CHARACTERS, SHORT_TEXT_CHARACTERS, choices_of
from handlers.context import Context
from handlers.creating import create_record
from handlers.field_errors import field_errors, in_words
from handlers.idempotency import Attempt
from handlers.opened import Opened
from handlers.reference_fields import Find, answer_lookup, chosen, finder, reference
from handlers.registry import calls
from mattermost.markdown import escaped, plain, visible

log = structlog.get_logger(__name__)

TABLE = "change_request"
_KINDS = (NORMAL, EMERGENCY, STANDARD)
_FIELDS = ("short_description", "justification", *LOOKUPS, *DATES, *SELECTS, TEMPLATE, "type")
_NO_CONFLICT = {"", "No Conflict", "Not Run"}
_NAMED = 3


@calls.form(PATH, needs=Requirement.CONNECTED)
def open_form(call: Call, context: Context) -> Reply:
    """Open the form."""
    return _show(call, context, call.values)


@calls.refresh(PATH, needs=Requirement.CONNECTED)
def refresh(call: Call, context: Context) -> Reply:
    """Another type shows or hides the template; everything entered stays."""
    return _show(call, context, call.values)


@calls.lookup(PATH, needs=Requirement.CONNECTED)
def look_up(call: Call, context: Context) -> Reply:
    """Offer templates, groups or configuration items."""
    return Options(answer_lookup(call, _finder(call.selected_field, context)))


@calls.submit(PATH, needs=Requirement.CONNECTED)
def create(call: Call, context: Context) -> Reply:
    """
    Create the change as the person who asked; answer with its link, show its card.

    Open changes of the same item in the same time are shown first, and a switch creates it all the same.
    """
    opened = Opened.of(call)
    kind = call.values.text("type") or NORMAL
    if not call.state and not visible(call.values.text("short_description")):
        return _show(call, context, call.values)
    columns, template = _columns(call, kind, context)
    if conflict := _conflict(call, columns, context):
        header = (
            f":warning: {escaped(conflict, 500)} Nothing was created. Choose another time, or create it all the same."
        )
        return _show(call, context, call.values, header=header, conflict=conflict)
    columns["correlation_id"] = opened.form_id
    try:
        return create_record(
            TABLE,
            columns,
            opened,
            context,
            then=partial(_checked, kind=kind, columns=columns, context=context),
            insert=lambda given: _inserted(kind, given, template, context),
        )
    except Refused as refusal:
        raise field_errors(context, TABLE, _FIELDS, refusal) from refusal


def _inserted(kind: str, columns: Mapping[str, str], template: str, context: Context) -> Record:
    """By the Change Management API; where the instance lacks it, by the Table API, which has no templates."""
    try:
        return context.servicenow.changes.create(kind, columns, template)
    except NotInstalled:
        if kind == STANDARD:
            raise
        log.info("no Change Management API, using the Table API")
        return context.servicenow.create(TABLE, {**columns, "type": kind})


def _checked(record: Record, _attempt: Attempt, *, kind: str, columns: Mapping[str, str], context: Context) -> str:
    """What ServiceNow made of it: another type than asked for, and its own check for conflicts."""
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


def _zone(context: Context) -> str:
    account = context.account
    return (account.identity.time_zone if account else "") or "UTC"


def _show(call: Call, context: Context, values: Values, *, header: str = "", conflict: str = "") -> ShowForm:
    entered, problems = chosen(values, {name: _finder(name, context) for name in (*LOOKUPS, TEMPLATE)})
    form = change_form(
        context.servicenow.columns(TABLE),
        Values(entered),
        zone=_zone(context),
        state=Opened.of(call).signed(PATH, context, asked=bool(conflict)),
        header=" ".join(filter(None, (header, in_words(problems)))),
        conflict=conflict,
        steps=call.steps,
    )
    return ShowForm(form)


def _finder(name: str, context: Context) -> Find:
    return context.servicenow.changes.find_templates if name == TEMPLATE else finder(context, name)


def _columns(call: Call, kind: str, context: Context) -> tuple[dict[str, str], str]:
    """
    What is sent to ServiceNow, raw and without empty values, and the template's sys_id.

    Raises:
        InvalidInput: Sentences at the fields.
    """
    problems: dict[str, str] = {}
    if kind not in _KINDS:
        problems["type"] = "Choose one of the list."
    columns = _texts(call, kind, problems)
    for name in LOOKUPS:
        columns[name] = _referred(name, call, context, problems)
    template = _referred(TEMPLATE, call, context, problems) if kind == STANDARD else ""
    if kind == STANDARD and not template and TEMPLATE not in problems:
        problems[TEMPLATE] = "A standard change is made from a template: choose one."
    columns |= _dates(call, context, problems)
    known = context.servicenow.columns(TABLE)
    for name in SELECTS:
        columns[name] = call.values.text(name)
        allowed = {option.value for option in choices_of(known, name)}
        if columns[name] and allowed and columns[name] not in allowed:
            problems[name] = "Choose one of the list."
    if problems:
        raise InvalidInput(problems, in_words(problems) if not call.state else None)
    return {name: value for name, value in columns.items() if value}, template


def _texts(call: Call, kind: str, problems: dict[str, str]) -> dict[str, str]:
    short_description = " ".join(call.values.text("short_description").split())
    justification = call.values.text("justification").strip()
    if not visible(short_description) and kind != STANDARD:
        problems["short_description"] = "Say in a few words what is to be changed."
    if len(short_description) > SHORT_TEXT_CHARACTERS:
        problems["short_description"] = f"At most {SHORT_TEXT_CHARACTERS} characters fit here."
    if len(justification) > LONG_TEXT_CHARACTERS:
        problems["justification"] = f"At most {LONG_TEXT_CHARACTERS:,} characters fit here."
    return {"short_description": short_description, "justification": justification}


def _referred(name: str, call: Call, context: Context, problems: dict[str, str]) -> str:
    found, problem = reference(call.values.option(name), _finder(name, context))
    if problem:
        problems[name] = problem
    return found


def _dates(call: Call, context: Context, problems: dict[str, str]) -> dict[str, str]:
    """Raw UTC times; the end is not before the start."""
    dates: dict[str, str] = {}
    for name in DATES:
        typed = call.values.text(name).strip()
        try:
            dates[name] = stored(typed, _zone(context)) if typed else ""
        except NoMoment:
            problems[name] = f"Write day and time like {EXAMPLE}."
    if dates.get("start_date") and dates.get("end_date") and dates["end_date"] <= dates["start_date"]:
        problems["end_date"] = "The end has to come after the start."
    return dates


def _conflict(call: Call, columns: Mapping[str, str], context: Context) -> str:
    """Open changes of the same item in the same time, in words; "" for none, or when the person knows."""
    if call.values.flag(DESPITE) and call.state.get("asked"):
        return ""
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
    zone = _zone(context)
    planned = [
        f"{plain(one.number, 40)}, {shown(one.value('start_date'), zone)} to {shown(one.value('end_date'), zone)}"
        for one in found[:_NAMED]
    ]
    return f"Another change of this item is planned then: {'; '.join(planned)}."
