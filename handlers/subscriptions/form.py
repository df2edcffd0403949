"""Open the form of a subscription, new or stored."""

import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

from core.calls import Call, Channel, Reply, ShowForm, Value, Values
from core.fields import Option
from core.records import Column
from core.subscriptions import PostOption, Subscription
from core.upstream_errors import MattermostError
from forms.subscriptions.edit import ADD, EDIT, ONE_RECORD, WHOLE_TABLE, chosen_table, subscription_form
from handlers.context import Context
from handlers.form_state import RecordRef
from handlers.subscriptions.lookups import REFERENCED_TABLES, names_in, read_title, tables_of
from handlers.subscriptions.permissions import read_managed
from handlers.subscriptions.states import EditState

_PREFILLED = ("table", "kind", "record", "name")


def open_new(call: Call, context: Context) -> Reply:
    """Open the form for the channel that the person views, and for the record of the card if there is one."""
    values: dict[str, Value] = {name: value for name, value in call.values.items() if name in _PREFILLED}
    if (ref := RecordRef.of(call)) is not None:
        values |= {"kind": ONE_RECORD, "table": ref.table, "record": Option(ref.number, ref.sys_id)}
    return show_form(call, context, ADD, Values({**_current_channel(context, call.channel), **values}), fresh=True)


def open_stored(call: Call, context: Context, sys_id: str) -> Reply:
    """Open the form of a stored subscription that the person can manage."""
    stored, _ = read_managed(context, sys_id)
    return show_form(call, context, EDIT, _entered_values(context, stored), sys_id=sys_id)


def show_form(
    call: Call,
    context: Context,
    path: str,
    values: Values,
    *,
    sys_id: str = "",
    fresh: bool = False,
    header: str = "",
) -> ShowForm:
    """
    Args:
        sys_id: The subscription to change.
        fresh: Whether the form is opened now, so that empty fields get their defaults.
    """
    tables = tables_of(context)
    if path == EDIT and (table := values.text("table")) and table not in tables:
        tables[table] = f"{table} (no longer offered)"
        columns: Mapping[str, Column] = {}  # it may be no table at all
    else:
        columns = context.servicenow.columns(chosen_table(values, tables))
    state = EditState.of(call)
    if call.path != path or not call.state:
        state = replace(state, form_id=uuid.uuid4().hex)  # opened from another form
    state = replace(state, sys_id=sys_id)
    form = subscription_form(
        tables, columns, values, path=path, state=state.signed(context, path), fresh=fresh, header=header
    )
    return ShowForm(form)


def _current_channel(context: Context, channel: Channel | None) -> dict[str, Value]:
    """The channel that the person views; direct messages if that is a direct or group message."""
    if channel is not None and not channel.type:  # a card's button sends only the id
        with suppress(MattermostError):  # the id is enough
            channel = context.mattermost.channel(channel.id)
    if channel is None or channel.archived:
        return {}
    if channel.type in {"D", "G"}:
        return {"direct": True}
    return _as_value(channel)


def _stored_channel(context: Context, channel_id: str) -> dict[str, Value]:
    """The channel of a stored subscription; nothing if the person can no longer see it."""
    try:
        channel = context.mattermost.channel(channel_id)
        if channel.type == "D" and channel.id == context.mattermost.bot_channel():
            return {"direct": True}
    except MattermostError:
        return {}
    return _as_value(channel)


def _as_value(channel: Channel) -> dict[str, Value]:
    return {"channel": Option(channel.display_name or channel.name or channel.id, channel.id)}


def _entered_values(context: Context, subscription: Subscription) -> Values:
    """The form's values for a stored subscription. Reads its record and the names in its filter from ServiceNow."""
    stored: dict[str, Value] = {
        "kind": ONE_RECORD if subscription.record_id else WHOLE_TABLE,
        "table": subscription.table,
        "events": tuple(Option(event, event) for event in subscription.events),
        "name": subscription.name,
        "show_comment": PostOption.HIDE_COMMENT not in subscription.options,
        "in_thread": PostOption.IN_CHANNEL not in subscription.options,
        "mention_assignee": PostOption.MENTION_ASSIGNEE in subscription.options,
    }
    stored |= _stored_channel(context, subscription.channel_id)
    if subscription.record_id:
        record = read_title(context, subscription)
        label = f"{record.number}: {record.value('short_description')}" if record else "A record that you may not see"
        stored["record"] = Option(label, subscription.record_id)
    rows = context.servicenow.subscriptions(context.settings.app_url)
    wanted = rows.decode(subscription.filter_query, subscription.table)
    names = names_in(context, wanted)
    for field in REFERENCED_TABLES:
        if value := getattr(wanted, field):
            stored[field] = Option(names.get(value, value), value)
    stored |= {"priority": wanted.priority, "category": wanted.category, "text": wanted.text, "filter": wanted.query}
    return Values({name: value for name, value in stored.items() if value != ""})
