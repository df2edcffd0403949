"""Read the form of a subscription, and check that a stored subscription has nothing that the form forbids."""

from core.calls import Call, is_mattermost_id
from core.errors import InvalidInput, MayNotPost, NotShared
from core.records import Record
from core.subscriptions import NAME_CHARACTERS, Event, Filter, PostOption, Subscription
from core.tables import table_of
from forms.choices import choices_of
from forms.subscriptions.edit import ONE_RECORD, WHOLE_TABLE, events_of, kind_of
from handlers.context import Context
from handlers.form_reader import NOT_OFFERED, FormReader
from handlers.reference_fields import finder
from handlers.subscriptions.announcements import Description
from handlers.subscriptions.lookups import (
    REFERENCED_TABLES,
    TITLE_COLUMNS,
    find_records,
    is_shared,
    names_in,
    tables_of,
)
from handlers.subscriptions.text import filter_text, subject


def read_form(call: Call, context: Context, before: Subscription | None = None) -> tuple[Subscription, Description]:
    """
    The subscription that was entered, and its description. *before* is the subscription to change.

    Raises:
        InvalidInput: With all problems, each at its field.
        MattermostError, ServiceNowError: A lookup failed.
    """
    form = FormReader(call, context)
    channel_id = _channel(form)
    table, kind = call.values.text("table"), kind_of(call.values)
    if table not in tables_of(context):
        raise InvalidInput({"table": NOT_OFFERED})
    record = _record(call, context, form, table) if kind == ONE_RECORD else None
    events = _events(form, table, kind, before)
    name = form.line("name", most=NAME_CHARACTERS)
    filter_query, only = _filter(form, table) if kind == WHOLE_TABLE else ("", "")
    form.finish()
    entered = Subscription(
        sys_id=before.sys_id if before else "",
        name=name,
        channel_id=channel_id,
        user_id=before.user_id if before else context.person.id,
        table=table,
        record_id=record.sys_id if record else "",
        filter_query=filter_query,
        events=events,
        options=_options(form, before),
    )
    return entered, Description(subject(context, entered, record), only)


def check_allowed(context: Context, stored: Subscription) -> None:
    """
    Check a row that may have been written in ServiceNow.

    Raises:
        NotShared: Its table is not shared here.
        InvalidInput: Its filter names a column that the person can't see, or that no filter can use.
    """
    if stored.table not in tables_of(context):
        raise NotShared(f"subscription to {stored.table[:80]!r}")
    if not stored.filter_query:
        return
    columns = context.servicenow.visible_columns(stored.table)
    rows = context.servicenow.subscriptions(context.settings.app_url)
    try:
        rows.encode(Filter(query=stored.filter_query), stored.table, columns)
    except InvalidInput as wrong:
        raise InvalidInput({}, "Its filter names a column that you can't see. Edit the filter first.") from wrong


def _channel(form: FormReader) -> str:
    mattermost = form.context.mattermost
    if form.flag("direct"):
        return mattermost.bot_channel()
    channel_id = form.values.text("channel")
    if not is_mattermost_id(channel_id):
        form.refuse("channel", "Choose a channel, or switch on “Send to me alone”.")
        return ""
    try:
        mattermost.may_post(channel_id)
    except MayNotPost as error:
        form.refuse("channel", error.user_message)
    return channel_id


def _record(call: Call, context: Context, form: FormReader, table: str) -> Record | None:
    missing = "Choose the record, by its number or by words of its title."
    sys_id = form.reference("record", lambda words: find_records(call, context, words), required=missing)
    if not sys_id:
        return None
    record = context.servicenow.records.found(table, sys_id)
    if record is None:
        found = context.servicenow.read_records(table, [sys_id], TITLE_COLUMNS).get(sys_id)
        record = found if found is not None and is_shared(context, found) else None
    if record is None:
        form.refuse("record", f"There is no such {table_of(table).label.lower()}, or you may not see it.")
    return record


def _events(form: FormReader, table: str, kind: str, before: Subscription | None) -> tuple[str, ...]:
    offered = [event.value for event in events_of(table, kind)]
    if kind == ONE_RECORD and Event.CREATED in [option.value for option in form.values.options("events")]:
        form.refuse("events", "A record that exists is never created; leave out “New record created”.")
    chosen = form.choices("events", offered, required="Choose at least one event.")
    return (*chosen, *(event for event in (before.events if before else ()) if event not in set(Event)))


def _options(form: FormReader, before: Subscription | None) -> tuple[str, ...]:
    ours = {
        PostOption.HIDE_COMMENT: not form.flag("show_comment", default=True),
        PostOption.IN_CHANNEL: not form.flag("in_thread", default=True),
        PostOption.MENTION_ASSIGNEE: form.flag("mention_assignee"),
    }
    later = [option for option in (before.options if before else ()) if option not in set(PostOption)]
    return (*(option.value for option, on in ours.items() if on), *later)


def _filter(form: FormReader, table: str) -> tuple[str, str]:
    """The encoded query, and its description."""
    context = form.context
    columns = context.servicenow.columns(table)
    ids = {field: form.reference(field, finder(context, field)) for field in REFERENCED_TABLES}
    wanted = Filter(
        priority=form.values.text("priority"),
        category=form.choice("category", choices_of(columns, "category")),
        text=form.values.text("text"),
        query=form.values.text("filter").strip(),
        **ids,
    )
    # A query can name only what this person can see; cached columns may have been read by somebody else.
    visible = context.servicenow.visible_columns(table) if wanted.query else columns
    rows = context.servicenow.subscriptions(context.settings.app_url)
    with form.collecting():
        return rows.encode(wanted, table, visible), filter_text(wanted, names_in(context, wanted), columns)
    return "", ""
