"""Watch a record in ServiceNow or stop, and refresh its card."""

from core.calls import Call, Reply, Text
from core.errors import InvalidInput
from core.menus import Requirement
from core.tables import table_of
from handlers.context import Context
from handlers.form_state import RecordRef
from handlers.records.cards import update_card
from handlers.records.record_lookup import required_record
from handlers.records.record_updates import announce, link_to, update_record
from handlers.registry import calls

WATCH = "record/watch"
REFRESH = "record/refresh"
_LIST = "watch_list"


@calls.submit(WATCH, needs=Requirement.CONNECTED)
def watch(call: Call, context: Context) -> Reply:
    """Add the person to the watch list, or remove them from it."""
    account = context.account
    if account is None or not account.identity.known:
        raise InvalidInput({}, "ServiceNow does not say who you are there, so you can't be put on the watch list.")
    record = required_record(call, context, (_LIST,))
    if not table_of(record.table).is_task:
        raise InvalidInput({}, "Knowledge articles have no watch list.")
    watching = [one for one in record.value(_LIST).split(",") if one]
    me = account.identity.sys_id
    stop = me in watching
    names = [one for one in watching if one != me] if stop else [*watching, me]
    after = update_record(context, record, {_LIST: ",".join(names)})
    link = link_to(context, after)
    if stop:
        return announce(call, context, after, "stopped watching this", f"You no longer watch {link}.")
    return announce(call, context, after, "watches this", f"You now watch {link}: ServiceNow tells you of its changes.")


@calls.submit(REFRESH, needs=Requirement.CONNECTED)
def refresh(call: Call, context: Context) -> Reply:
    """Read the record and update its card."""
    record = required_record(call, context)
    ref = RecordRef.of(call)
    if ref and ref.post_id and not update_card(context, record, ref.post_id, ref.channel_id).updated:
        return Text(f"This card couldn't be updated. Open {link_to(context, record)} to see what it is now.")
    return Text(f"{link_to(context, record)} is up to date.")
