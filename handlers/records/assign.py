"""Assign a record to a person or a group."""

from dataclasses import dataclass, replace
from functools import partial

from core.calls import Call, Options, Reply, ShowForm, Text, Value, Values, person_option
from core.errors import InvalidInput
from core.fields import Option
from core.menus import Requirement
from core.records import Record
from core.tables import table_of
from core.upstream_errors import MattermostRefused, Unanswered, Unreachable
from forms.records.assign import LOOKUPS, PATH, PICK_TITLE, TO_ME_PATH, assign_form
from forms.records.record_lookup import pick_form
from handlers.context import Context
from handlers.form_reader import FormReader
from handlers.form_state import RecordRef
from handlers.records.record_lookup import look_up_records, record_or_form, requested_record
from handlers.records.record_updates import (
    NOT_READ,
    announce,
    change_text,
    is_stale,
    link_to,
    stale_header,
    stale_text,
    update_record,
)
from handlers.reference_fields import answer_lookup, as_offered, finder, is_reference, resolve
from handlers.registry import calls
from mattermost.markdown import escaped

_ME = "me"
_pick_form = partial(pick_form, PATH, PICK_TITLE)


@dataclass(frozen=True, kw_only=True)
class AssignState(RecordRef):
    """``unread``: ServiceNow didn't answer when the form opened, so the form doesn't show the current assignee."""

    unread: bool = False


@calls.form(PATH, needs=Requirement.CONNECTED)
def open_form(call: Call, context: Context) -> Reply:
    """Show the current assignee. If ServiceNow doesn't answer in time, fields that are left empty don't change."""
    try:
        record = _read(call, context)
    except (Unanswered, Unreachable):
        seen = AssignState.of(call)
        if seen is None:
            raise
        state = replace(seen, unread=True).signed(context, PATH)
        header = f"{NOT_READ} A field that you leave empty stays as it is."
        return ShowForm(assign_form(seen.number, Values(), state=state, header=header))
    return ShowForm(_pick_form()) if record is None else _show(call, context, record)


@calls.lookup(PATH, needs=Requirement.CONNECTED)
def look_up(call: Call, context: Context) -> Reply:
    """Offer records, people or groups."""
    if call.selected_field in LOOKUPS:
        found = answer_lookup(call, finder(context, call.selected_field))
        account = context.account
        if call.unsearched and call.selected_field == "assigned_to" and account and account.identity.known:
            [me] = as_offered(call, [person_option(account.identity)])
            found = (me, *(one for one in found if one.value != me.value))
        return Options(found)
    return look_up_records(call, context)


@calls.submit(PATH, needs=Requirement.CONNECTED)
def assign(call: Call, context: Context) -> Reply:
    """Write person and group. If the record changed since the form opened, show the changes first."""
    seen = AssignState.of(call)
    now = record_or_form(call, context, _pick_form, _read)
    if isinstance(now, ShowForm):
        return now
    entered = Values({name: call.values[name] for name in LOOKUPS if name in call.values})
    if seen is None and not entered:
        return _show(call, context, now)
    form = FormReader(call, context, entered, typed=seen is None)
    columns = _columns(form, now, keep_empty=seen is None or seen.unread)
    if is_stale(seen, now):
        labels = {name: option.label for name in columns if (option := entered.option(name))}
        wanted = {name: Option(labels.get(name, name), value) for name, value in columns.items() if value}
        return _show(call, context, now, Values(wanted), stale_header(call, now))
    return _save(call, context, now, columns)


@calls.submit(TO_ME_PATH, needs=Requirement.CONNECTED)
def assign_to_me(call: Call, context: Context) -> Reply:
    """Assign the record to the person. If somebody else is the assignee, ask for confirmation."""
    seen = RecordRef.of(call)
    now = _read(call, context)
    if now is None:
        raise InvalidInput({}, "Name the record: `/servicenow assign INC0010001 me`.")
    me = _own_option(context)
    # A card's button doesn't say which version of the record the card showed.
    unseen = seen is None or not seen.sys_mod_count or is_stale(seen, now)
    if now.value("assigned_to") not in {"", me.value} and unseen:
        header = stale_text(now) if is_stale(seen, now) else _assignee_text(now)
        return _show(call, context, now, Values({**_current_values(now), "assigned_to": me}), header)
    return _save(call, context, now, {"assigned_to": me.value})


def _assignee_text(now: Record) -> str:
    assignee = escaped(now.display("assigned_to"), 100)
    return f":warning: {escaped(now.number, 40)} is assigned to **{assignee}**. Submit to assign it to you instead."


def _read(call: Call, context: Context) -> Record | None:
    record = requested_record(call, context)
    if record is not None and not table_of(record.table).is_task:
        problem = "Knowledge articles are assigned to nobody."
        raise InvalidInput({"record": problem}, problem)
    return record


def _show(call: Call, context: Context, record: Record, values: Values | None = None, header: str = "") -> ShowForm:
    """The form with *values*, or else with the current person and group."""
    if values is None:
        values = Values(_current_values(record))
    state = AssignState.to(call, record).signed(context, PATH)
    return ShowForm(assign_form(record.number, values, state=state, header=header))


def _current_values(record: Record) -> dict[str, Value]:
    return {
        name: Option(record.display(name) or record.value(name), record.value(name))
        for name in LOOKUPS
        if record.value(name)
    }


def _columns(form: FormReader, now: Record, *, keep_empty: bool) -> dict[str, str]:
    """
    The values to send to ServiceNow.

    Args:
        keep_empty: Whether an empty field means no change, as in a command, or that the column is emptied.
    """
    names = [name for name in LOOKUPS if form.values.option(name) is not None or not keep_empty]
    columns = {name: _sys_id(form, name) for name in names}
    form.finish()
    if all(now.value(name) == value for name, value in columns.items()):
        raise InvalidInput({}, f"{escaped(now.number, 40)} is assigned so already; nothing was changed.")
    return columns


def _sys_id(form: FormReader, name: str) -> str:
    option = form.values.option(name)
    typed = option.value.strip() if name == "assigned_to" and option and not is_reference(option) else ""
    if typed.casefold() == _ME:
        return _own_option(form.context).value
    if typed.startswith("@"):
        with form.collecting():
            return _sys_id_of_mention(form.context, name, typed[1:])
        return ""
    return form.reference(name, finder(form.context, name))


def _sys_id_of_mention(context: Context, name: str, username: str) -> str:
    """
    The sys_id of a Mattermost user's connected account, or else of the ServiceNow user with the same user name.

    Raises:
        InvalidInput: At the field *name*.
    """
    mention = f"@{escaped(username, 60)}"
    try:
        account = context.stores.accounts.get(context.mattermost.person_id(username))
    except MattermostRefused as error:
        raise InvalidInput({name: f"There is nobody called {mention} here."}) from error
    if account is not None and account.instance == context.instance.url and account.identity.known:
        return account.identity.sys_id
    try:
        return resolve(name, Option(username, username), context.servicenow.find_users).value
    except InvalidInput as error:
        problem = f"{mention} has not connected a ServiceNow account. {error.fields[name]}"
        raise InvalidInput({name: problem}) from error


def _own_option(context: Context) -> Option:
    account = context.account
    if account is None or not account.identity.known:
        raise InvalidInput(
            {"assigned_to": "ServiceNow does not say who you are: choose yourself from the list."},
            "ServiceNow does not say who you are there, so this can't be assigned to you here.",
        )
    return person_option(account.identity)


def _save(call: Call, context: Context, now: Record, columns: dict[str, str]) -> Text:
    if all(now.value(name) == value for name, value in columns.items()):
        return Text(f"{link_to(context, now)} is assigned so already; nothing was changed.")
    after = update_record(context, now, columns, LOOKUPS)
    labels = {"assigned_to": "Assigned to", "assignment_group": "Assignment group"}
    steps = [change_text(labels[name], now, after, name) for name in LOOKUPS if now.value(name) != after.value(name)]
    changed = ", ".join(steps)
    return announce(call, context, after, f"set {changed}", f"{link_to(context, after)}: {changed}.")
