"""What was entered in the form of a subscription, checked; and a stored one as what is entered there."""

import threading
from collections.abc import Sequence

from cachetools import TTLCache

from core.calls import Call, Value, Values, is_mattermost_id
from core.errors import InvalidInput, MattermostError, MayNotPost, NotShared, ServiceNowError, UnknownRequest
from core.fields import Option
from core.records import Record
from core.subscriptions import NAME_CHARACTERS, Event, Filter, PostOption, Subscription
from core.tables import as_its_class, shared_tables, table_of
from forms.choices import choices_of
from forms.subscriptions import ONE_RECORD, WHOLE_TABLE, events_of, kind_of
from handlers.context import Context
from handlers.reference_fields import finder, is_reference, reference
from handlers.subscriptions_announcements import Description
from handlers.subscriptions_text import filter_text, subject

TITLE_COLUMNS = ("number", "short_description", "sys_class_name")
# Names of what was offered to a person a moment ago: a client could send any label with an id.
_offered: TTLCache[tuple[str, str], str] = TTLCache(maxsize=5000, ttl=900)
_lock = threading.Lock()
_NAMED = {"assignment_group": "sys_user_group", "cmdb_ci": "cmdb_ci"}


def tables_of(context: Context) -> dict[str, str]:
    """What may be subscribed to, with labels."""
    labels: dict[str, str] = {}
    for table in shared_tables(context.settings.shared_tables):
        taken = table.label in labels.values()
        labels[table.name] = f"{table.label} ({table.name})" if taken else table.label
    return labels


def find_records(call: Call, query: str, context: Context) -> Sequence[Option]:
    """Records of the chosen table that match *query*; choosing one of them costs nothing more."""
    table = call.values.text("table") or next(iter(tables_of(context)))
    if table not in tables_of(context):
        raise UnknownRequest("look-up in a table that is not shared")
    found = context.servicenow.records.search(query, [table])
    labels = {f"{record.number}: {record.value('short_description')}": record.sys_id for record in found}
    return [Option(label, sys_id) for label, sys_id in labels.items()]


def remembered(options: Sequence[Option], context: Context) -> tuple[Option, ...]:
    """*options*, whose names are known from now on, so that choosing one costs nothing more."""
    with _lock:
        for option in options:
            _offered[context.person.id, option.value] = option.label
    return tuple(options)


def read_form(call: Call, context: Context, before: Subscription | None = None) -> tuple[Subscription, Description]:
    """
    The subscription that was entered, and how it reads; *before* is the one that is changed.

    Raises:
        InvalidInput: Sentences at the fields.
        MattermostError, ServiceNowError: Looking something up failed; nothing was saved.
    """
    values = call.values
    problems: dict[str, str] = {}
    channel_id = _channel(values, problems, context)
    table, kind = values.text("table"), kind_of(values)
    if table not in tables_of(context):
        raise InvalidInput({"table": "Choose one of the list."})
    record_id, record = _record(call, table, kind, problems, context)
    events = _events(values, table, kind, problems, before)
    name = " ".join(values.text("name").split())
    if len(name) > NAME_CHARACTERS:
        problems["name"] = f"At most {NAME_CHARACTERS} characters fit here."
    filter_query, only = "", ""
    if kind == WHOLE_TABLE:
        filter_query, only = _filter(values, table, problems, context)
    if problems:
        raise InvalidInput(problems)
    entered = Subscription(
        sys_id=before.sys_id if before else "",
        name=name,
        channel_id=channel_id,
        user_id=before.user_id if before else context.person.id,
        table=table,
        record_id=record_id,
        filter_query=filter_query,
        events=events,
        options=_options(values, before),
    )
    return entered, Description(subject(entered, record, context), only)


def check_allowed(stored: Subscription, context: Context) -> None:
    """
    Refuse a row that the form would not have made: somebody may have written it past the form.

    Raises:
        NotShared: Its table is not shared here.
        InvalidInput: Its filter names something that the person may not see, or that isn't taken here.
    """
    if stored.table not in tables_of(context):
        raise NotShared(f"subscription to {stored.table[:80]!r}")
    if not stored.filter_query:
        return
    columns = context.servicenow.visible_columns(stored.table)
    subscriptions = context.servicenow.subscriptions(context.settings.app_url)
    try:
        subscriptions.encode(Filter(query=stored.filter_query), stored.table, columns)
    except InvalidInput as wrong:
        raise InvalidInput({}, "Its filter names a column that you can't see. Edit the filter first.") from wrong


def entered_values(subscription: Subscription, context: Context) -> Values:
    """A stored subscription as the form shows it. One round trip for the record, one for each name in its filter."""
    stored: dict[str, Value] = {
        "kind": ONE_RECORD if subscription.record_id else WHOLE_TABLE,
        "table": subscription.table,
        "events": tuple(Option(event, event) for event in subscription.events),
        "name": subscription.name,
        "show_comment": PostOption.HIDE_COMMENT not in subscription.options,
        "in_thread": PostOption.IN_CHANNEL not in subscription.options,
        "mention_assignee": PostOption.MENTION_ASSIGNEE in subscription.options,
    }
    stored |= _stored_channel(subscription.channel_id, context)
    if subscription.record_id:
        record = read_title(subscription, context)
        label = f"{record.number}: {record.value('short_description')}" if record else "A record that you may not see"
        stored["record"] = Option(label, subscription.record_id)
    wanted = context.servicenow.subscriptions(context.settings.app_url).decode(
        subscription.filter_query, subscription.table
    )
    names = names_in(wanted, context)
    for field in ("assignment_group", "cmdb_ci"):
        if value := getattr(wanted, field):
            stored[field] = Option(names.get(value, value), value)
    stored |= {"priority": wanted.priority, "category": wanted.category, "text": wanted.text, "filter": wanted.query}
    return Values({name: value for name, value in stored.items() if value != ""})


def names_in(wanted: Filter, context: Context) -> dict[str, str]:
    """What the sys_ids of a filter stand for, as far as the person may read it."""
    names: dict[str, str] = {}
    for field, table in _NAMED.items():
        if value := getattr(wanted, field):
            with _lock:
                offered = _offered.get((context.person.id, value))
            if offered:
                names[value] = offered
                continue
            try:
                found = context.servicenow.read_records(table, [value], ("name",))
            except ServiceNowError:
                continue  # the sys_id has to do
            names |= {sys_id: record.value("name") for sys_id, record in found.items()}
    return names


def read_title(subscription: Subscription, context: Context) -> Record | None:
    """Number and title of the one record; None where there is none, or none to be seen."""
    if not is_reference(Option(subscription.record_id, subscription.record_id)):
        return None
    try:
        found = context.servicenow.read_records(subscription.table, [subscription.record_id], TITLE_COLUMNS)
    except ServiceNowError:
        return None  # a list or a form is worth more than its title
    return of_shared_class(found.get(subscription.record_id), context)


def _channel(values: Values, problems: dict[str, str], context: Context) -> str:
    if values.flag("direct"):
        return context.mattermost.bot_channel()
    channel_id = values.text("channel")
    if not is_mattermost_id(channel_id):
        problems["channel"] = "Choose a channel, or switch on “Send to me alone”."
        return ""
    try:
        context.mattermost.may_post(channel_id)
    except MayNotPost as error:
        problems["channel"] = error.user_message
    return channel_id


def _stored_channel(channel_id: str, context: Context) -> dict[str, Value]:
    """The channel by its name, of whatever team; nothing where the person may not see it any more."""
    try:
        channel = context.mattermost.channel(channel_id)
        if channel.type == "D" and channel.id == context.mattermost.bot_channel():
            return {"direct": True}
    except MattermostError:
        return {}
    return {"channel": Option(channel.display_name or channel.name or channel.id, channel.id)}


def _record(call: Call, table: str, kind: str, problems: dict[str, str], context: Context) -> tuple[str, Record | None]:
    if kind != ONE_RECORD:
        return "", None
    sys_id, problem = reference(call.values.option("record"), lambda words: find_records(call, words, context))
    if not sys_id:
        problems["record"] = problem or "Choose the record, by its number or by words of its title."
        return "", None
    record = context.servicenow.records.found(table, sys_id)
    if record is None:
        found = context.servicenow.read_records(table, [sys_id], TITLE_COLUMNS).get(sys_id)
        record = of_shared_class(found, context)
    if record is None:
        problems["record"] = f"There is no such {table_of(table).label.lower()}, or you may not see it."
    return sys_id, record


def of_shared_class(record: Record | None, context: Context) -> Record | None:
    """None for a record of a class that is not shared: whatever its table, its title is not shown."""
    return record if record is not None and as_its_class(record).table in tables_of(context) else None


def _events(
    values: Values, table: str, kind: str, problems: dict[str, str], before: Subscription | None
) -> tuple[str, ...]:
    asked = [option.value for option in values.options("events")]
    offered = events_of(table, kind)
    if wrong := [event for event in asked if event not in offered]:
        if Event.CREATED in wrong and kind == ONE_RECORD:
            problems["events"] = "A record that exists is never created; leave out “New record created”."
        else:
            problems["events"] = "Choose from the list."
    elif not asked:
        problems["events"] = "Choose at least one event."
    later = [event for event in before.events if event not in set(Event)] if before else []
    return (*(event.value for event in offered if event in asked), *later)


def _options(values: Values, before: Subscription | None) -> tuple[str, ...]:
    ours = {
        PostOption.HIDE_COMMENT: not _flag(values, "show_comment", True),
        PostOption.IN_CHANNEL: not _flag(values, "in_thread", True),
        PostOption.MENTION_ASSIGNEE: _flag(values, "mention_assignee", False),
    }
    later = [option for option in before.options if option not in set(PostOption)] if before else []
    return (*(option.value for option, on in ours.items() if on), *later)


def _flag(values: Values, name: str, default: bool) -> bool:
    return values.flag(name) if name in values else default


def _filter(values: Values, table: str, problems: dict[str, str], context: Context) -> tuple[str, str]:
    columns = context.servicenow.columns(table)
    ids: dict[str, str] = {}
    for field in _NAMED:
        option = values.option(field)
        ids[field], problem = reference(option, finder(context, field))
        if problem:
            problems[field] = problem
    category, known = values.text("category"), choices_of(columns, "category")
    if category and known and category not in {option.value for option in known}:
        problems["category"] = "Choose one of the list."
    wanted = Filter(
        priority=values.text("priority"),
        category=category,
        text=values.text("text"),
        query=values.text("filter").strip(),
        **ids,
    )
    # A query may name what this very person sees, whoever filled the memory of columns.
    visible = context.servicenow.visible_columns(table) if wanted.query else columns
    try:
        encoded = context.servicenow.subscriptions(context.settings.app_url).encode(wanted, table, visible)
    except InvalidInput as wrong:
        problems |= wrong.fields
        return "", ""
    return encoded, filter_text(wanted, names_in(wanted, context), columns)
