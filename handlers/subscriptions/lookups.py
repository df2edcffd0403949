"""What forms and lists of subscriptions look up: tables, records, names, and the person's own subscriptions."""

import threading
from collections.abc import Iterable, Mapping, Sequence

from cachetools import TTLCache

from core.calls import Call, Options, Reply
from core.errors import InvalidInput, UnknownRequest
from core.fields import Option, marked, unmarked
from core.records import Record
from core.subscriptions import Filter, Subscription
from core.tables import as_its_class, shared_tables
from core.upstream_errors import ServiceNowError
from handlers.context import Context
from handlers.reference_fields import as_offered, is_reference, list_names

TITLE_COLUMNS = ("number", "short_description", "sys_class_name")
REFERENCED_TABLES = {"assignment_group": "sys_user_group", "cmdb_ci": "cmdb_ci"}
_MOST_OFFERED = 20
# Labels that a person was offered recently, because the label that a client sends with an id can't be trusted.
_offered: TTLCache[tuple[str, str], str] = TTLCache(maxsize=5000, ttl=900)
_lock = threading.Lock()


def tables_of(context: Context) -> dict[str, str]:
    """Tables that can be subscribed to, with unique labels."""
    labels: dict[str, str] = {}
    for table in shared_tables(context.settings.shared_tables):
        taken = table.label in labels.values()
        labels[table.name] = f"{table.label} ({table.name})" if taken else table.label
    return labels


def find_records(call: Call, context: Context, query: str) -> Sequence[Option]:
    """Records of the chosen table that match *query*."""
    table = call.values.text("table") or next(iter(tables_of(context)))
    if table not in tables_of(context):
        raise UnknownRequest("look-up in a table that is not shared")
    found = context.servicenow.records.search(query, [table])
    labels = {f"{record.number}: {record.value('short_description')}": record.sys_id for record in found}
    return [Option(label, sys_id) for label, sys_id in labels.items()]


def remember_labels(context: Context, options: Sequence[Option]) -> None:
    """Remember the labels of *options*, so that `names_in` doesn't have to ask ServiceNow for them."""
    with _lock:
        for option in options:
            _offered[context.person.id, option.value] = option.label


def names_in(context: Context, wanted: Filter) -> dict[str, str]:
    """Display values of a filter's sys_ids, if the person can read them."""
    names: dict[str, str] = {}
    for field, table in REFERENCED_TABLES.items():
        if value := getattr(wanted, field):
            with _lock:
                known = _offered.get((context.person.id, value))
            if known:
                names[value] = known
                continue
            try:
                found = context.servicenow.read_records(table, [value], ("name",))
            except ServiceNowError:
                continue  # show the sys_id
            names |= {sys_id: record.value("name") for sys_id, record in found.items()}
    return names


def read_title(context: Context, subscription: Subscription) -> Record | None:
    """Number and title of the record. None if the subscription has none, or the person can't see it."""
    return read_titles(context, [subscription]).get((subscription.table, subscription.record_id))


def read_titles(context: Context, subscriptions: Iterable[Subscription]) -> Mapping[tuple[str, str], Record]:
    """The records of *subscriptions* by table and sys_id, with one request per table. Failures are left out."""
    wanted: dict[str, list[str]] = {}
    for one in subscriptions:
        if is_reference(Option(one.record_id, one.record_id)):  # other tools may have written anything
            wanted.setdefault(one.table, []).append(one.record_id)
    titles: dict[tuple[str, str], Record] = {}
    for table, ids in wanted.items():
        try:
            found = context.servicenow.read_records(table, list(dict.fromkeys(ids)), TITLE_COLUMNS)
        except (ServiceNowError, ValueError):
            continue  # a list or a form is still useful without titles
        titles |= {(table, sys_id): record for sys_id, record in found.items() if is_shared(context, record)}
    return titles


def is_shared(context: Context, record: Record) -> bool:
    """Whether the record's own class is shared, no matter through which table it was read."""
    return as_its_class(record).table in tables_of(context)


def own_subscriptions(call: Call, context: Context) -> Reply:
    """Offer the subscriptions that the person created through this app, without asking ServiceNow."""
    words = call.query.casefold().split()
    found = [
        one for one in _own_options(context) if all(word in f"{one.label} {one.value}".casefold() for word in words)
    ]
    return Options(as_offered(call, found[:_MOST_OFFERED]))


def typed_id(call: Call, context: Context) -> str:
    """
    The id of the subscription that a command names: by its id, its label or its name.

    Raises:
        InvalidInput: It names none, or several of the person's own subscriptions.
    """
    typed = " ".join(call.values.text("subscription").split())
    if is_reference(Option(typed, typed)):
        return typed
    wanted = typed.casefold()
    mine = _own_options(context) if typed else []
    found = [one for one in mine if wanted == one.label.casefold()]
    match found or [one for one in mine if wanted == unmarked(one.label)[0].casefold()]:
        case [one]:
            return one.value
        case []:
            what = "That is no id of a subscription." if typed else "The id of a subscription is missing."
            problem = f"{what} It has 32 letters and digits; `/servicenow subscriptions list` shows them."
        case several:
            problem = f"Several subscriptions are called that: {list_names(several)}. Choose one from the list."
    raise InvalidInput({"subscription": problem}, problem)


def _own_options(context: Context) -> list[Option]:
    """The person's subscriptions, newest first."""
    tables = tables_of(context)
    grants = [grant for grant in context.stores.grants.all() if grant.owner_id == context.person.id]
    grants.sort(key=lambda grant: grant.granted_at, reverse=True)
    called = ((grant.name or tables.get(grant.table, grant.table), grant.sys_id) for grant in grants)
    return [Option(marked(name, sys_id), sys_id) for name, sys_id in called]
