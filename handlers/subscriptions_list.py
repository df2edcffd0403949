"""
The list of subscriptions: pages of ten, whatever the number, of what the reader may see.

ServiceNow is asked in large steps from a place on (a keyset), and rows of channels that the reader is not
in are left out until a page is full; so no page is short, and none is skipped.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from core.calls import Call, Channel, Reply, ShowForm
from core.errors import InvalidInput, MattermostError, ServiceNowError
from core.fields import Option
from core.menus import Requirement
from core.records import Record
from core.subscriptions import ROLE, Cursor, Subscription, SubscriptionFilter
from forms.subscriptions_list import ALL_CHANNELS, ANY, ANYONE, LIST, ME, THIS_CHANNEL, View, list_form
from handlers.context import Context
from handlers.registry import calls
from handlers.subscriptions import open_add
from handlers.subscriptions_changing import with_known_state
from handlers.subscriptions_detail import channel_name, show_detail, signed
from handlers.subscriptions_form import TITLE_COLUMNS, of_shared_class, tables_of
from handlers.subscriptions_permissions import owner_of, rows_of
from handlers.subscriptions_text import STATUS_LABELS, events_text, short_subject, shown_status, status_text, subject
from mattermost.markdown import escaped

PAGE = 10
# Rows asked for at once: few, for they mostly do; many where the reader may see few of them.
_STEPS = (200, *(1000,) * 24)


@dataclass(frozen=True)
class _Page:
    """``before`` is the place after which it begins, None for the very top; ``start`` its first number."""

    rows: list[Subscription]
    before: Cursor | None
    start: int
    further: bool


@calls.form(LIST, needs=Requirement.CONNECTED)
def open_list(call: Call, context: Context) -> Reply:
    """What is subscribed in this channel, by anybody."""
    return _first(call, context, View(owner=ANYONE))


@calls.submit(LIST, needs=Requirement.CONNECTED)
def list_subscriptions(call: Call, context: Context) -> Reply:
    """The list as a command asks for it, or what its buttons ask for."""
    view = _view(call, context)
    if not call.state:
        return _first(call, context, view)
    match call.values.text("action"):
        case "add":
            return open_add(call, context)
        case "open":
            return _open(call, context)
        case "next" if view == _stored_view(call):
            beyond = _key(call.state.get("last"))
            return _show(call, context, view, _down(context, call, view, beyond, int(call.state["start"]) + PAGE))
        case "previous" if view == _stored_view(call):
            return _show(call, context, view, _up(context, call, view))
        case _:
            return _first(call, context, view)


def back_to_list(call: Call, context: Context) -> Reply:
    """The page from which a subscription was picked."""
    view = _stored_view(call)
    page = _down(context, call, view, _key(call.state.get("before")), int(call.state.get("start", 1)))
    return _show(call, context, view, page)


def _first(call: Call, context: Context, view: View) -> Reply:
    return _show(call, context, view, _down(context, call, view, None, 1))


def _open(call: Call, context: Context) -> Reply:
    sys_id = call.values.text("pick")
    if sys_id not in call.state.get("ids", ()):
        raise InvalidInput({"pick": "Choose one of the list."}, "Choose a subscription first.")
    with rows_of(context) as rows:
        stored = rows.get(sys_id)
    return show_detail(call, context, with_known_state(stored, context))


def _view(call: Call, context: Context) -> View:
    """
    What is asked for.

    Raises:
        InvalidInput: A word that is none of the choices.
    """
    owner, where = call.values.text("owner") or ME, call.values.text("where") or THIS_CHANNEL
    if owner not in {ME, ANYONE}:
        raise InvalidInput({"owner": "Choose me or anyone."}, "The list knows `me` and `anyone`.")
    if where not in {THIS_CHANNEL, ALL_CHANNELS}:
        user_message = "The list knows `this_channel` and `all_channels`."
        raise InvalidInput({"where": "Choose this channel or all channels."}, user_message)
    table, status = call.values.text("table"), call.values.text("status")
    if table not in {"", ANY, *tables_of(context)} or status not in {"", ANY, *STATUS_LABELS}:
        raise InvalidInput({}, "Choose from the lists of tables and of statuses.")
    return View(owner=owner, channel=where, table=table.replace(ANY, ""), status=status.replace(ANY, ""))


def _stored_view(call: Call) -> View:
    state = call.state
    return View(
        owner=str(state.get("owner", ME)),
        channel=str(state.get("where", THIS_CHANNEL)),
        table=str(state.get("table", "")),
        status=str(state.get("status", "")),
    )


def _channel_id(call: Call) -> str:
    """The channel where the list was opened; ``this channel`` stays that one."""
    return str(call.state.get("channel_id", "")) or (call.channel.id if call.channel else "")


class _Sight:
    """Which rows the reader may see: those of own channels and own ones; a system administrator all."""

    def __init__(self, call: Call, context: Context, view: View) -> None:
        self.channels: Mapping[str, Channel] = context.mattermost.channels()
        self._call, self._context, self._status = call, context, view.status

    def shows(self, row: Subscription) -> bool:
        """Whether *row* belongs into this person's list."""
        grant = self._context.stores.grants.get(row.sys_id)
        mine = self._call.person.id == (grant.owner_id if grant else row.user_id)
        if row.channel_id not in self.channels and not mine and not self._call.person.administrator:
            return False
        return not self._status or shown_status(row, self._context)[0] == self._status


def _steps(
    context: Context, call: Call, view: View, beyond: Cursor | None, *, back: bool
) -> tuple[list[Subscription], "_Sight"]:
    """A page of rows and one more, where there are so many."""
    wanted = SubscriptionFilter(
        user_id=call.person.id if view.owner == ME else "",
        channel_id=_channel_id(call) if view.channel == THIS_CHANNEL else "",
        table=view.table,
    )
    sight = _Sight(call, context, view)
    found: list[Subscription] = []
    for most in _STEPS:
        with rows_of(context) as rows:
            batch = rows.page(wanted, most, beyond=beyond, back=back)
        found += [row for row in batch if sight.shows(row)]
        if len(found) > PAGE or len(batch) < most:
            break
        beyond = batch[-1].cursor
    return found[: PAGE + 1], sight


def _down(context: Context, call: Call, view: View, beyond: Cursor | None, start: int) -> tuple[_Page, _Sight]:
    found, sight = _steps(context, call, view, beyond, back=False)
    return _Page(found[:PAGE], beyond, start, further=len(found) > PAGE), sight


def _up(context: Context, call: Call, view: View) -> tuple[_Page, _Sight]:
    start = int(call.state["start"]) - PAGE
    first = _key(call.state.get("first"))
    if start <= 1 or first is None:
        return _down(context, call, view, None, 1)  # from the top, so that numbers are right again
    found, sight = _steps(context, call, view, first, back=True)
    before = found[PAGE].cursor if len(found) > PAGE else None
    return _Page(found[PAGE - 1 :: -1], before, start, further=True), sight


def _show(call: Call, context: Context, view: View, found: tuple[_Page, _Sight]) -> ShowForm:
    page, sight = found
    tables = tables_of(context)
    titles = _titles(page.rows, context)
    makers = _makers(page.rows, context)
    lines, picks = [], []
    for number, row in enumerate(page.rows, page.start):
        record = titles.get((row.table, row.record_id))
        lines.append(_line(number, row, record, makers, sight, context))
        picks.append(Option(f"{number}. {short_subject(row, record)}", row.sys_id))
    if not lines:
        lines = [
            "There are no such subscriptions. Press **Add** to make one, or choose others below.",
            f"If you expected some: your ServiceNow account needs the role `{ROLE}` to see them.",
        ]
    state = {
        "channel_id": _channel_id(call),
        "owner": view.owner,
        "where": view.channel,
        "table": view.table,
        "status": view.status,
        "before": _written(page.before),
        "first": _written(page.rows[0].cursor if page.rows else None),
        "last": _written(page.rows[-1].cursor if page.rows else None),
        "start": page.start,
        "ids": [row.sys_id for row in page.rows],
    }
    form = list_form(
        view,
        tables,
        lines,
        picks,
        state=signed(state, LIST, call, context),
        previous=page.start > 1,
        further=page.further,
    )
    return ShowForm(form)


def _line(
    number: int,
    row: Subscription,
    record: Record | None,
    makers: Mapping[str, str],
    sight: _Sight,
    context: Context,
) -> str:
    channel = sight.channels.get(row.channel_id)
    if channel is None:
        place = channel_name(row.channel_id, context)
    else:
        place = "direct messages" if channel.type == "D" else escaped(channel.display_name or channel.name, 64)
    name = makers.get(row.sys_id)
    maker = f"@{escaped(name, 64)}" if name else f"{escaped(row.created_by, 64)} (in ServiceNow)"
    parts = [
        f"**{escaped(row.name, 100)}:** {subject(row, record, context)}" if row.name else subject(row, record, context),
        events_text(row.events) + (", filtered" if row.filter_query else ""),
        f"in {place}",
        f"by {maker}",
        status_text(row, context),
        f"`{row.sys_id}`",
    ]
    return f"**{number}.** {' · '.join(parts)}\n"


def _titles(rows: list[Subscription], context: Context) -> dict[tuple[str, str], Record]:
    """Records by table and sys_id: one round trip for each table."""
    wanted: dict[str, list[str]] = {}
    for row in rows:
        if row.record_id:
            wanted.setdefault(row.table, []).append(row.record_id)
    titles: dict[tuple[str, str], Record] = {}
    for table, ids in wanted.items():
        try:
            found = context.servicenow.read_records(table, list(dict.fromkeys(ids)), TITLE_COLUMNS)
        except (ServiceNowError, ValueError):
            continue  # rows of another tool may name anything; the list is worth more than a title
        titles |= {(table, sys_id): one for sys_id, one in found.items() if of_shared_class(one, context) is not None}
    return titles


def _makers(rows: list[Subscription], context: Context) -> Mapping[str, str]:
    """
    User names of who made rows, by sys_id, where that was through us. The column ``user_id`` proves nothing: of any
    other row the list names who created it in ServiceNow.
    """
    owners = {row.sys_id: owner for row in rows if (owner := owner_of(row, context))}
    try:
        names = context.mattermost.usernames(set(owners.values()))
    except MattermostError:
        return {}
    return {sys_id: names[owner] for sys_id, owner in owners.items() if owner in names}


def _key(written: object) -> Cursor | None:
    match written:
        case [str(created_on), str(sys_id)]:
            return Cursor(created_on, sys_id)
        case _:
            return None


def _written(key: Cursor | None) -> list[str]:
    return [key.created_on, key.sys_id] if key else []
