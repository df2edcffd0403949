"""Add a subscription or edit one."""

from dataclasses import replace

from core.calls import Call, Options, Reply, Text, Value, Values
from core.menus import Requirement
from core.subscriptions import Event, Status, Subscription
from forms.subscriptions.edit import ADD, EDIT, FILTER_FIELDS, LOOKUPS, TEST, chosen_table
from handlers.context import Context
from handlers.reference_fields import answer_lookup, look_up_reference
from handlers.registry import calls
from handlers.subscriptions.change import change
from handlers.subscriptions.create import create_subscription
from handlers.subscriptions.detail import show_detail
from handlers.subscriptions.duplicates import AlreadySubscribed
from handlers.subscriptions.form import open_new, open_stored, show_form
from handlers.subscriptions.lookups import find_records, own_subscriptions, remember_labels, tables_of, typed_id
from handlers.subscriptions.permissions import rows_of
from handlers.subscriptions.reader import read_form
from handlers.subscriptions.states import EditState
from mattermost.markdown import escaped

_TEST_SECONDS = 86_400.0
_TEST_RECORDS = 200
_SAMPLES = 3


calls.form(ADD, needs=Requirement.CONNECTED)(open_new)


@calls.submit(ADD, needs=Requirement.CONNECTED)
def add(call: Call, context: Context) -> Reply:
    """Save the subscription, or show what it would have matched. A command, which has no flags, opens the form."""
    if not call.state:
        return open_new(call, context)
    wanted, description = read_form(call, context)
    if call.values.text("action") == TEST:
        return show_form(call, context, ADD, call.values, header=_would_have_matched(context, wanted))
    try:
        return Text(create_subscription(context, wanted, description, EditState.of(call).form_id))
    except AlreadySubscribed as error:
        return show_detail(call, context, error.existing, note=error.user_message)


@calls.submit(EDIT, needs=Requirement.CONNECTED)
def edit(call: Call, context: Context) -> Reply:
    """Save what differs. A broken subscription becomes active, because the permissions for it were just checked."""
    state = EditState.of(call)
    if not state.sys_id:
        return open_stored(call, context, typed_id(call, context))
    with rows_of(context) as rows:
        before = rows.get(state.sys_id)
    entered, description = read_form(call, context, before)
    if call.values.text("action") == TEST:
        header = _would_have_matched(context, entered)
        return show_form(call, context, EDIT, call.values, sys_id=state.sys_id, header=header)
    after = replace(
        before,
        name=entered.name,
        channel_id=entered.channel_id,
        table=entered.table,
        record_id=entered.record_id,
        filter_query=entered.filter_query,
        events=entered.events,
        options=entered.options,
        status=Status.PAUSED if before.status is Status.PAUSED else Status.ACTIVE,
        status_reason="",
        filter_error="",
    )
    try:
        return Text(change(context, before, after, description, state.form_id))
    except AlreadySubscribed as error:
        return show_detail(call, context, error.existing, note=error.user_message)


@calls.refresh(ADD, EDIT, needs=Requirement.CONNECTED)
def refresh(call: Call, context: Context) -> Reply:
    """Build the form again without the values that no longer fit the table or the kind."""
    values: dict[str, Value] = dict(call.values)
    if call.selected_field == "table":
        values.pop("record", None)
        values.pop("category", None)
        table = chosen_table(call.values, tables_of(context))
        if "filter" in values and not _has_columns(context, table, call.values.text("filter")):
            del values["filter"]
    if call.selected_field == "kind":
        for name in (*FILTER_FIELDS, "record"):
            values.pop(name, None)
    return show_form(call, context, call.path, Values(values), sys_id=EditState.of(call).sys_id)


@calls.lookup(ADD, EDIT, needs=Requirement.CONNECTED)
def look_up(call: Call, context: Context) -> Reply:
    """Offer records, groups or configuration items; for a command, the person's own subscriptions."""
    if call.selected_field == "subscription":
        return own_subscriptions(call, context)
    if call.selected_field == "record":
        return Options(answer_lookup(call, lambda words: find_records(call, context, words)))
    options = look_up_reference(call, context, LOOKUPS)
    remember_labels(context, options)
    return Options(options)


def _has_columns(context: Context, table: str, query: str) -> bool:
    """Whether *table* has all columns that an encoded query names."""
    columns = context.servicenow.columns(table)
    names = {part.removeprefix("OR") for part in query.split("^")}
    return all(any(name.startswith(column) for column in columns) for name in names)


def _would_have_matched(context: Context, wanted: Subscription) -> str:
    """How many records of the last 24 hours it would have matched, with samples."""
    created = wanted.events == (Event.CREATED.value,)
    rows = context.servicenow.subscriptions(context.settings.app_url)
    found = rows.changed(wanted, context.clock() - _TEST_SECONDS, _TEST_RECORDS, created=created)
    did = "were created" if created else "changed"
    if not found:
        return f"**Test:** none of the records that you may see and that {did} in the last 24 hours matches."
    many = f"{_TEST_RECORDS} or more" if len(found) >= _TEST_RECORDS else str(len(found))
    lines = [f"**Test:** {many} matching record{'s' if len(found) > 1 else ''} {did} in the last 24 hours, such as"]
    for record in found[:_SAMPLES]:
        link = f"[{escaped(record.number, 60)}]({context.links.record(record.table, record.sys_id)})"
        lines.append(f"- {link}: {escaped(record.value('short_description'), 100)}")
    return "\n".join(lines)
