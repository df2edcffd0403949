"""Show a record only to the person who asks, in a form, because a private message can't have the card's buttons."""

from dataclasses import replace
from functools import partial

from core.calls import Call, Reply, ShowForm, Values
from core.errors import InvalidInput
from core.menus import BY_WORD, REFRESH, Requirement
from core.tables import table_of
from forms.records.record_lookup import pick_form
from forms.records.view import ACTION, PATH, PICK_TITLE, view_form
from handlers.context import Context
from handlers.form_state import RecordRef
from handlers.records.cards import actions_of
from handlers.records.record_lookup import look_up_records, record_or_form
from handlers.registry import calls
from mattermost.cards import record_summary

calls.lookup(PATH, needs=Requirement.CONNECTED)(look_up_records)


@calls.form(PATH, needs=Requirement.CONNECTED)
def show(call: Call, context: Context) -> Reply:
    """Show the record, or ask for it."""
    record = record_or_form(call, context, partial(pick_form, PATH, PICK_TITLE))
    if isinstance(record, ShowForm):
        return record
    offered = actions_of(record)
    state = RecordRef.to(call, record).signed(context, PATH)
    summary = record_summary(record, context.links.record(record.table, record.sys_id))
    label, actions = table_of(record.table).label, [*offered.buttons, *offered.more]
    return ShowForm(view_form(record.number, label, summary, actions, state))


@calls.submit(PATH, needs=Requirement.CONNECTED)
def choose(call: Call, context: Context) -> Reply:
    """Show the record, or open the form of the action whose button was pressed in the same modal."""
    if RecordRef.of(call) is None:
        return show(call, context)
    action = BY_WORD.get(call.values.text(ACTION))
    if action is None or not calls.has(action.path, action.kind):
        raise InvalidInput({}, "Press one of the buttons.")
    if action is REFRESH:
        return show(call, context)
    return calls.answer(replace(call, path=action.path, kind=action.kind, values=Values()), context)
