"""Show a record only to the person who asks, in a form, because a private message can't have the card's buttons."""

from dataclasses import replace

from core.calls import Call, Options, Reply, ShowForm, Values
from core.errors import InvalidInput
from core.fields import Form
from core.menus import BY_WORD, REFRESH, Requirement
from core.records import Record
from core.tables import table_of
from forms.records.view import ACTION, PATH, view_form, view_pick_form
from handlers.context import Context
from handlers.form_state import RecordRef
from handlers.records.cards import actions_of
from handlers.records.record_lookup import NoSuchRecord, look_up_records, requested_record
from handlers.registry import calls
from mattermost.cards import record_summary


@calls.form(PATH, needs=Requirement.CONNECTED)
def open_form(call: Call, context: Context) -> Reply:
    """Show the record, or ask for it."""
    return _show(call, context)


@calls.lookup(PATH, needs=Requirement.CONNECTED)
def look_up(call: Call, context: Context) -> Reply:
    """Offer records of all shared tables."""
    return Options(look_up_records(call, context))


@calls.submit(PATH, needs=Requirement.CONNECTED)
def choose(call: Call, context: Context) -> Reply:
    """Show the record, or open the form of the action whose button was pressed in the same modal."""
    if RecordRef.of(call) is None:
        return _show(call, context)
    action = BY_WORD.get(call.values.text(ACTION))
    if action is None or not calls.has(action.path, action.kind):
        raise InvalidInput({}, "Press one of the buttons.")
    if action is REFRESH:
        return _show(call, context)
    return calls.answer(replace(call, path=action.path, kind=action.kind, values=Values()), context)


def _show(call: Call, context: Context) -> Reply:
    try:
        record = requested_record(call, context)
    except NoSuchRecord as error:
        if call.state:
            raise
        return ShowForm(view_pick_form(Values(), error.user_message))
    if record is None:
        return ShowForm(view_pick_form(Values()))
    return ShowForm(_view(call, context, record))


def _view(call: Call, context: Context, record: Record) -> Form:
    offered = actions_of(record)
    state = RecordRef.to(call, record).signed(context, PATH)
    summary = record_summary(record, context.links.record(record.table, record.sys_id))
    return view_form(record.number, table_of(record.table).label, summary, [*offered.buttons, *offered.more], state)
