"""Give a record to a person or a group, or take it."""

from core.calls import Call, Options, Reply, ShowForm, Text, Value, Values
from core.errors import InvalidInput
from core.fields import Option
from core.menus import Requirement
from core.records import Record
from core.tables import table_of
from core.upstream_errors import MattermostRefused, Refused, Unanswered, Unreachable
from forms.assign import LOOKUPS, MINE, PATH, assign_form, assign_pick_form
from handlers.context import Context
from handlers.field_errors import field_errors, in_words
from handlers.opened_record import OpenedRecord
from handlers.record_lookup import NoSuchRecord, look_up_records, requested_record
from handlers.record_updates import (
    NOT_READ,
    announce,
    change_text,
    is_stale,
    link_to,
    stale_header,
    stale_text,
    update_record,
)
from handlers.reference_fields import answer_lookup, as_offered, finder, is_reference, reference
from handlers.registry import calls
from mattermost.markdown import escaped

_ME = "me"


@calls.form(PATH, needs=Requirement.CONNECTED)
def open_form(call: Call, context: Context) -> Reply:
    """Show who has it now; where ServiceNow does not answer in time, what is left empty stays as it is."""
    opened = OpenedRecord.of(call)
    try:
        record = _read(call, context)
    except (Unanswered, Unreachable):
        if opened is None:
            raise
        state = opened.signed(PATH, context, unread=True)
        header = f"{NOT_READ} A field that you leave empty stays as it is."
        return ShowForm(assign_form(opened.number, Values(), state=state, header=header))
    return ShowForm(assign_pick_form(PATH, Values())) if record is None else _show(call, context, record)


@calls.lookup(PATH, needs=Requirement.CONNECTED)
def look_up(call: Call, context: Context) -> Reply:
    """Offer records, people or groups."""
    if call.selected_field in LOOKUPS:
        found = answer_lookup(call, finder(context, call.selected_field))
        if (
            call.unsearched
            and call.selected_field == "assigned_to"
            and context.account
            and context.account.identity.known
        ):
            [me] = as_offered(call, [context.account.identity.option])
            found = (me, *(one for one in found if one.value != me.value))
        return Options(found)
    return Options(look_up_records(call, context))


@calls.submit(PATH, needs=Requirement.CONNECTED)
def assign(call: Call, context: Context) -> Reply:
    """Write person and group; what changed meanwhile is shown first."""
    opened = OpenedRecord.of(call)
    try:
        now = _read(call, context)
    except NoSuchRecord as error:
        if call.state:
            raise
        return ShowForm(assign_pick_form(PATH, Values(), error.user_message))
    if now is None:
        return ShowForm(assign_pick_form(PATH, Values()))
    entered = Values({name: call.values[name] for name in LOOKUPS if name in call.values})
    if opened is None and not entered:
        return _show(call, context, now)
    columns = _columns(entered, now, context, typed=opened is None, unseen=bool(call.state.get("unread")))
    if is_stale(opened, now):
        wanted = {name: Option(_label(name, entered), value) for name, value in columns.items() if value}
        return _show(call, context, now, Values(wanted), stale_header(call, now))
    return _saved(now, call, columns, context)


@calls.submit(MINE, needs=Requirement.CONNECTED)
def take(call: Call, context: Context) -> Reply:
    """Assign it to whoever asks; only somebody else's work is not taken without asking once more."""
    opened = OpenedRecord.of(call)
    now = _read(call, context)
    if now is None:
        raise InvalidInput({}, "Name the record: `/servicenow assign INC0010001 me`.")
    me = _myself(context)
    if now.value("assigned_to") not in {"", me.value} and overtaken_or_unknown(opened, now):
        # Pressed on a card that may not show who has it: show it, filled in, before it is taken away.
        told = stale_text(now) if is_stale(opened, now) else _held_words(now)
        return _show(call, context, now, Values({**_held(now), "assigned_to": me}), told)
    return _saved(now, call, {"assigned_to": me.value}, context)


def overtaken_or_unknown(opened: OpenedRecord | None, now: Record) -> bool:
    """Whether the person may not have seen the record as it is: a card's button does not say what it showed."""
    return opened is None or not opened.sys_mod_count or is_stale(opened, now)


def _held_words(now: Record) -> str:
    holder = escaped(now.display("assigned_to"), 100)
    return f":warning: {escaped(now.number, 40)} is assigned to **{holder}**. Submit to assign it to you instead."


def _read(call: Call, context: Context) -> Record | None:
    record = requested_record(call, context)
    if record is not None and not table_of(record.table).is_task:
        told = "Knowledge articles are assigned to nobody."
        raise InvalidInput({"record": told}, told)
    return record


def _show(call: Call, context: Context, record: Record, values: Values | None = None, header: str = "") -> ShowForm:
    """The form; *values* are what was entered, without them it shows who has the record."""
    if values is None:
        values = Values(_held(record))
    state = OpenedRecord.to(record, call).signed(PATH, context)
    return ShowForm(assign_form(record.number, values, state=state, header=header))


def _held(record: Record) -> dict[str, Value]:
    return {
        name: Option(record.display(name) or record.value(name), record.value(name))
        for name in LOOKUPS
        if record.value(name)
    }


def _label(name: str, entered: Values) -> str:
    option = entered.option(name)
    return option.label if option else name


def _columns(entered: Values, now: Record, context: Context, *, typed: bool, unseen: bool) -> dict[str, str]:
    """Raw values; a field that was cleared in the form is cleared, one *unseen* or left out of a command stays."""
    columns: dict[str, str] = {}
    problems: dict[str, str] = {}
    for name in LOOKUPS:
        option = entered.option(name)
        if option is None and (typed or unseen):
            continue
        columns[name], problem = _referred(name, option, context)
        if problem:
            problems[name] = problem
    if problems:
        raise InvalidInput(problems, in_words(problems) if typed else None)
    if all(now.value(name) == value for name, value in columns.items()):
        raise InvalidInput({}, f"{escaped(now.number, 40)} is assigned so already; nothing was changed.")
    return columns


def _referred(name: str, option: Option | None, context: Context) -> tuple[str, str]:
    if name == "assigned_to" and option is not None and not is_reference(option):
        typed = option.value.strip()
        if typed.casefold() == _ME:
            return _myself(context).value, ""
        if typed.startswith("@"):
            return _mentioned(typed[1:], context)
    return reference(option, finder(context, name))


def _mentioned(username: str, context: Context) -> tuple[str, str]:
    """The ServiceNow user of somebody here: whom that person connected as, else who bears the same user name."""
    try:
        account = context.stores.accounts.get(context.mattermost.person_id(username))
    except MattermostRefused:
        return "", f"There is nobody called @{escaped(username, 60)} here."
    if account is not None and account.instance == context.instance.url and account.identity.known:
        return account.identity.sys_id, ""
    found, problem = reference(Option(username, username), context.servicenow.find_users)
    if problem:
        problem = f"@{escaped(username, 60)} has not connected a ServiceNow account. {problem}"
    return found, problem


def _myself(context: Context) -> Option:
    account = context.account
    if account is None or not account.identity.known:
        raise InvalidInput(
            {"assigned_to": "ServiceNow does not say who you are: choose yourself from the list."},
            "ServiceNow does not say who you are there, so this can't be assigned to you here.",
        )
    return account.identity.option


def _saved(now: Record, call: Call, columns: dict[str, str], context: Context) -> Text:
    if all(now.value(name) == value for name, value in columns.items()):
        return Text(f"{link_to(context, now)} is assigned so already; nothing was changed.")
    try:
        after = update_record(context, now, columns)
    except Refused as refusal:
        raise field_errors(context, now.table, LOOKUPS, refusal) from refusal
    labels = {"assigned_to": "Assigned to", "assignment_group": "Assignment group"}
    steps = [change_text(labels[name], now, after, name) for name in LOOKUPS if now.value(name) != after.value(name)]
    changed = ", ".join(steps)
    return announce(call, context, after, f"set {changed}", f"{link_to(context, after)}: {changed}.")
