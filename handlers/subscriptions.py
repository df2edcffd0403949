"""Make a subscription and change one: open the form, look things up, try it, save it once."""

import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, replace

from core.calls import Call, Channel, Options, Reply, ShowForm, Text, Value, Values
from core.errors import InvalidInput, MattermostError
from core.fields import Option, marked, unmarked
from core.menus import Requirement
from core.records import Column
from core.subscriptions import Event, Status, Subscription
from forms.subscriptions import ADD, EDIT, FILTER_FIELDS, LOOKUPS, ONE_RECORD, TEST, chosen_table, subscription_form
from handlers.context import Context
from handlers.opened import LIFE, Opened
from handlers.opened_record import OpenedRecord
from handlers.reference_fields import answer_lookup, as_offered, is_reference, list_names, look_up_reference
from handlers.registry import calls
from handlers.subscriptions_changing import change
from handlers.subscriptions_detail import show_detail
from handlers.subscriptions_form import entered_values, find_records, read_form, remembered, tables_of
from handlers.subscriptions_permissions import check_may_manage, rows_of
from handlers.subscriptions_saving import AlreadyThere, create
from mattermost.markdown import escaped

DAY = 86_400.0
_MOST_CHANGES = 200
_SAMPLES = 3


@calls.form(ADD, needs=Requirement.CONNECTED)
def open_add(call: Call, context: Context) -> Reply:
    """Open the form for the channel that is viewed."""
    values: dict[str, Value] = {
        name: value for name, value in call.values.items() if name in {"table", "kind", "record", "name"}
    }
    if (card := OpenedRecord.of(call)) is not None:
        values |= {"kind": ONE_RECORD, "table": card.table, "record": Option(card.number, card.sys_id)}
    return _show(call, context, Values({**_here(call.channel, context), **values}), ADD, fresh=True)


@calls.submit(ADD, needs=Requirement.CONNECTED)
def add(call: Call, context: Context) -> Reply:
    """Save it as the person who asked; or say what it would have caught, and keep the form open."""
    if not call.state:
        return open_add(call, context)  # a command: it has no flags
    wanted, description = read_form(call, context)
    if call.values.text("action") == TEST:
        return _show(call, context, call.values, ADD, header=_would_have_matched(wanted, context))
    try:
        return Text(create(wanted, description, Opened.of(call).form_id, context))
    except AlreadyThere as there:
        return show_detail(call, context, there.twin, note=there.user_message)


@calls.submit(EDIT, needs=Requirement.CONNECTED)
def edit(call: Call, context: Context) -> Reply:
    """Save what differs; a broken subscription whose rights hold again is active from then on."""
    if not call.state.get("sys_id"):
        return open_edit(call, context, typed_id(call, context))
    with rows_of(context) as rows:
        before = rows.get(str(call.state["sys_id"]))
    entered, description = read_form(call, context, before)
    if call.values.text("action") == TEST:
        return _show(call, context, call.values, EDIT, header=_would_have_matched(entered, context))
    status = Status.PAUSED if before.status is Status.PAUSED else Status.ACTIVE
    after = replace(
        before,
        name=entered.name,
        channel_id=entered.channel_id,
        table=entered.table,
        record_id=entered.record_id,
        filter_query=entered.filter_query,
        events=entered.events,
        options=entered.options,
        status=status,
        status_reason="",
        filter_error="",
    )
    try:
        return Text(change(before, after, description, Opened.of(call).form_id, context))
    except AlreadyThere as there:
        return show_detail(call, context, there.twin, note=there.user_message)


def open_edit(call: Call, context: Context, sys_id: str) -> Reply:
    """Open the form of a stored subscription, for those who may change it."""
    with rows_of(context) as rows:
        stored = rows.get(sys_id)
    check_may_manage(stored, context)
    return _show(call, context, entered_values(stored, context), EDIT, sys_id=sys_id)


def typed_id(call: Call, context: Context) -> str:
    """
    The id of the subscription behind a command: typed as it is, chosen by what it is called, or by its name.

    Raises:
        InvalidInput: None, or what names none or several of the person's own subscriptions.
    """
    typed = " ".join(call.values.text("subscription").split())
    if is_reference(Option(typed, typed)):
        return typed
    wanted = typed.casefold()
    mine = _own(context) if typed else []
    found = [one for one in mine if wanted == one.label.casefold()]
    match found or [one for one in mine if wanted == unmarked(one.label)[0].casefold()]:
        case [one]:
            return one.value
        case []:
            what = "That is no id of a subscription." if typed else "The id of a subscription is missing."
            user_message = f"{what} It has 32 letters and digits; `/servicenow subscriptions list` shows them."
        case several:
            user_message = f"Several subscriptions are called that: {list_names(several)}. Choose one from the list."
    raise InvalidInput({"subscription": user_message}, user_message)


@calls.refresh(ADD, needs=Requirement.CONNECTED)
@calls.refresh(EDIT, needs=Requirement.CONNECTED)
def refresh(call: Call, context: Context) -> Reply:
    """Build the form again; what no longer fits the table or the kind goes, everything else stays."""
    values: dict[str, Value] = dict(call.values)
    if call.selected_field == "table":
        values.pop("record", None)
        values.pop("category", None)
        table = chosen_table(call.values, tables_of(context))
        if "filter" in values and not _fits(call.values.text("filter"), table, context):
            del values["filter"]
    if call.selected_field == "kind":
        for name in (*FILTER_FIELDS, "record"):
            values.pop(name, None)
    return _show(call, context, Values(values), call.path, sys_id=str(call.state.get("sys_id", "")))


@calls.lookup(ADD, needs=Requirement.CONNECTED)
@calls.lookup(EDIT, needs=Requirement.CONNECTED)
def look_up(call: Call, context: Context) -> Reply:
    """Offer records, groups or configuration items; behind a command the person's own subscriptions."""
    if call.selected_field == "subscription":
        return own_subscriptions(call, context)
    if call.selected_field == "record":
        return Options(answer_lookup(call, lambda words: find_records(call, words, context)))
    return Options(remembered(look_up_reference(call, context, LOOKUPS), context))


def own_subscriptions(call: Call, context: Context) -> Reply:
    """What the person set up through us, by name or table; from our own storage, so every key may ask."""
    words = call.query.casefold().split()
    found = [one for one in _own(context) if all(word in f"{one.label} {one.value}".casefold() for word in words)]
    return Options(as_offered(call, found[:20]))


def _own(context: Context) -> list[Option]:
    """The person's subscriptions, newest first."""
    tables = tables_of(context)
    grants = [grant for grant in context.stores.grants.all() if grant.owner_id == context.person.id]
    grants.sort(key=lambda grant: grant.granted_at, reverse=True)
    called = ((grant.name or tables.get(grant.table, grant.table), grant.sys_id) for grant in grants)
    return [Option(marked(name, sys_id), sys_id) for name, sys_id in called]


def _show(
    call: Call,
    context: Context,
    values: Values,
    path: str,
    *,
    fresh: bool = False,
    header: str = "",
    sys_id: str = "",
) -> ShowForm:
    tables = tables_of(context)
    sys_id = sys_id or (str(call.state.get("sys_id", "")) if path == EDIT else "")
    if path == EDIT and (table := values.text("table")) and table not in tables:
        tables[table] = f"{table} (no longer offered)"
    columns: Mapping[str, Column] = context.servicenow.columns(chosen_table(values, tables))
    opened = Opened.of(call)
    if call.path != path or not call.state:
        opened = replace(opened, form_id=uuid.uuid4().hex)  # a form of its own, wherever it was opened from
    content = {**asdict(opened), **({"sys_id": sys_id} if sys_id else {})}
    state = context.signer.sign(content, person=call.person.id, path=path, expires_at=context.clock() + LIFE)
    form = subscription_form(tables, columns, values, path=path, state=state, fresh=fresh, header=header)
    return ShowForm(form)


def _here(channel: Channel | None, context: Context) -> dict[str, Value]:
    """The viewed channel; the person alone, where that is a direct or group message."""
    if channel is not None and not channel.type:  # a card's press tells no more than the id
        with suppress(MattermostError):  # its id will do
            channel = context.mattermost.channel(channel.id)
    if channel is None or channel.archived:
        return {}
    if channel.type in {"D", "G"}:
        return {"direct": True}
    return {"channel": Option(channel.display_name or channel.name or channel.id, channel.id)}


def _fits(query: str, table: str, context: Context) -> bool:
    columns = context.servicenow.columns(table)
    names = {part.removeprefix("OR") for part in query.split("^")}
    return all(any(name.startswith(column) for column in columns) for name in names)


def _would_have_matched(wanted: Subscription, context: Context) -> str:
    """How many changes of the last 24 hours it is about, with samples."""
    created = wanted.events == (Event.CREATED.value,)
    rows = context.servicenow.subscriptions(context.settings.app_url)
    found = rows.changed(wanted, context.clock() - DAY, _MOST_CHANGES, created=created)
    did = "were created" if created else "changed"
    if not found:
        return f"**Test:** none of the records that you may see and that {did} in the last 24 hours matches."
    many = f"{_MOST_CHANGES} or more" if len(found) >= _MOST_CHANGES else str(len(found))
    lines = [f"**Test:** {many} matching record{'s' if len(found) > 1 else ''} {did} in the last 24 hours, such as"]
    for record in found[:_SAMPLES]:
        link = f"[{escaped(record.number, 60)}]({context.links.record(record.table, record.sys_id)})"
        lines.append(f"- {link}: {escaped(record.value('short_description'), 100)}")
    return "\n".join(lines)
