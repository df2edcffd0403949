"""List subscriptions, and open one of them."""

from collections.abc import Callable, Mapping
from dataclasses import astuple, replace

import structlog

from core.calls import Call, Channel, Reply, ShowForm
from core.errors import InvalidInput
from core.fields import Option
from core.menus import Requirement
from core.records import Record
from core.subscriptions import REASON_CHARACTERS, ROLE, Status, Subscription
from core.upstream_errors import MattermostError, ServiceNowError
from forms.subscriptions.list import ALL_CHANNELS, ANY, ANYONE, LIST, ME, THIS_CHANNEL, ListFilter, list_form
from handlers.context import Context
from handlers.registry import calls
from handlers.subscriptions.detail import show_detail
from handlers.subscriptions.form import open_new
from handlers.subscriptions.lookups import read_titles, tables_of
from handlers.subscriptions.pages import Page, SubscriptionPages
from handlers.subscriptions.permissions import STATUSES, is_creator, owner_of, rows_of, status_text
from handlers.subscriptions.states import ListState
from handlers.subscriptions.text import channel_text, creator_text, events_text, short_subject, subject
from mattermost.markdown import escaped

log = structlog.get_logger(__name__)

# A page of fifty must fit into a request of 300,000 bytes, in which a character can take twelve.
_NAME_CHARACTERS = 60
_REASON_CHARACTERS = 100


@calls.form(LIST, needs=Requirement.CONNECTED)
def open_list(call: Call, context: Context) -> Reply:
    """Show everyone's subscriptions of this channel."""
    return _show(call, context, _state(call).filtered(ListFilter(owner=ANYONE)), SubscriptionPages.first)


@calls.submit(LIST, needs=Requirement.CONNECTED)
def list_subscriptions(call: Call, context: Context) -> Reply:
    """Show what a command asks for, or do what a button of the list says."""
    state, chosen = _state(call), _chosen_filter(call, context)
    unchanged = bool(call.state) and chosen == state.filter
    match call.values.text("action") if call.state else "":
        case "add":
            return open_new(call, context)
        case "open":
            return _open_picked(call, context, state)
        case "next" if unchanged:
            return _show(call, context, state, SubscriptionPages.next)
        case "previous" if unchanged:
            return _show(call, context, state, SubscriptionPages.previous)
        case _:
            return _show(call, context, state.filtered(chosen), SubscriptionPages.first)


def back_to_list(call: Call, context: Context) -> Reply:
    """Show the page where a subscription was picked."""
    return _show(call, context, _state(call), SubscriptionPages.current)


def _open_picked(call: Call, context: Context, state: ListState) -> Reply:
    sys_id = call.values.text("pick")
    if sys_id not in state.ids:
        raise InvalidInput({"pick": "Choose one of the list."}, "Choose a subscription first.")
    with rows_of(context) as rows:
        stored = rows.get(sys_id)
    return show_detail(call, context, _copy_broken_status(context, stored))


def _state(call: Call) -> ListState:
    """The state of the list that *call* opens or belongs to. Its channel stays the one where it was opened."""
    state = ListState.of(call)
    return state if state.channel_id or call.channel is None else replace(state, channel_id=call.channel.id)


def _chosen_filter(call: Call, context: Context) -> ListFilter:
    """Raises InvalidInput if a value is none of the choices."""
    owner, where = call.values.text("owner") or ME, call.values.text("where") or THIS_CHANNEL
    if owner not in {ME, ANYONE}:
        raise InvalidInput({"owner": "Choose me or anyone."}, "The list knows `me` and `anyone`.")
    if where not in {THIS_CHANNEL, ALL_CHANNELS}:
        problem = "The list knows `this_channel` and `all_channels`."
        raise InvalidInput({"where": "Choose this channel or all channels."}, problem)
    table, status = call.values.text("table"), call.values.text("status")
    if table not in {"", ANY, *tables_of(context)} or status not in {"", ANY, *STATUSES}:
        raise InvalidInput({}, "Choose from the lists of tables and of statuses.")
    return ListFilter(owner=owner, where=where, table=table.replace(ANY, ""), status=status.replace(ANY, ""))


def _show(call: Call, context: Context, state: ListState, turn_to: Callable[[SubscriptionPages], Page]) -> ShowForm:
    pages = SubscriptionPages(call, context, state)
    page = turn_to(pages)
    titles = read_titles(context, page.rows)
    creators = _creators(context, page.rows)
    channels = pages.channels_of(page)
    lines, picks = [], []
    for number, row in enumerate(page.rows, page.start):
        record = titles.get((row.table, row.record_id))
        line = _line(context, row, record, creators.get(row.sys_id, ""), channels.get(row.channel_id))
        lines.append(f"**{number}.** {line}\n")
        picks.append(Option(f"{number}. {short_subject(row, record)}", row.sys_id))
    if not lines:
        lines = [
            "There are no such subscriptions. Press **Add** to make one, or choose others below.",
            f"If you expected some: your ServiceNow account needs the role `{ROLE}` to see them.",
        ]
    shown = replace(
        state.filtered(state.filter),
        before=astuple(page.before) if page.before else (),
        first=astuple(page.rows[0].cursor) if page.rows else (),
        last=astuple(page.rows[-1].cursor) if page.rows else (),
        start=page.start,
        ids=tuple(row.sys_id for row in page.rows),
    )
    form = list_form(
        state.filter,
        tables_of(context),
        lines,
        picks,
        state=shown.signed(context, LIST),
        previous=page.start > 1,
        further=page.has_next,
    )
    return ShowForm(form)


def _line(context: Context, row: Subscription, record: Record | None, creator: str, channel: Channel | None) -> str:
    about = subject(context, row, record)
    parts = [
        f"**{escaped(row.name, _NAME_CHARACTERS)}:** {about}" if row.name else about,
        events_text(row.events) + (", filtered" if row.filter_query else ""),
        f"in {channel_text(channel)}",
        f"by {creator_text(creator, row)}",
        status_text(context, row, _REASON_CHARACTERS),
        f"`{row.sys_id}`",
    ]
    return " · ".join(parts)


def _creators(context: Context, rows: list[Subscription]) -> Mapping[str, str]:
    """
    User names of who created rows through this app, by sys_id. For other rows the list names who created them in
    ServiceNow, because the column ``user_id`` proves nothing.
    """
    owners = {row.sys_id: owner for row in rows if (owner := owner_of(context, row))}
    try:
        names = context.mattermost.usernames(set(owners.values()))
    except MattermostError:
        return {}
    return {sys_id: names[owner] for sys_id, owner in owners.items() if owner in names}


def _copy_broken_status(context: Context, stored: Subscription) -> Subscription:
    """
    If only our grant says that *stored* is broken, write that to its row, where other tools read it.

    Only its creator can. If the update fails, it is tried again when the subscription is next opened.
    """
    grant = context.stores.grants.get(stored.sys_id)
    if grant is None or grant.status != Status.BROKEN or not is_creator(context, stored):
        return stored
    broken = replace(stored, status=Status.BROKEN, status_reason=grant.reason[:REASON_CHARACTERS])
    try:
        with rows_of(context) as rows:
            return rows.update(stored, broken)
    except ServiceNowError as error:
        log.warning("broken status not copied", subscription=stored.sys_id, reason=type(error).__name__)
        return stored
