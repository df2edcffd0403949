"""
One opened form makes one record, whatever happens in between.

`handlers/idempotency.py` stores what is sent before it is sent. A form that is sent again continues where it
stopped: the record is looked for by its ``correlation_id``, which is the form's id.
"""

import json
from collections.abc import Callable, Mapping

import structlog

from core.calls import Text
from core.errors import MattermostError, MayNotPost, ServiceNowError
from core.records import Record
from core.tables import table_of
from handlers.cards import post_card_once
from handlers.context import Context
from handlers.idempotency import Attempt, once
from handlers.opened import Opened
from handlers.record_updates import link_to
from mattermost.cards import record_link, record_title
from mattermost.markdown import escaped

log = structlog.get_logger(__name__)

_RECORD = "record"


def create_record(
    table: str,
    columns: Mapping[str, str],
    opened: Opened,
    context: Context,
    then: Callable[[Record, Attempt], str] = lambda _record, _attempt: "",
    insert: Callable[[Mapping[str, str]], Record] | None = None,
) -> Text:
    """
    Insert *columns*, post the card and return the confirmation; the first result when sent again.

    *then* does what follows from the record and says how that went, as a further paragraph; it raises
    nothing, for the record exists in any case. *insert* is what inserts, where that is not the Table API.

    Raises:
        StillWorking: The same form is being submitted by another request.
        MayBeSaved: ServiceNow did not say whether it saved the record, and looking did not tell.
        ServiceNowError: Nothing was saved, with the reason.
    """

    def work(attempt: Attempt) -> Text:
        record = _record(table, columns, attempt, context, insert)
        text = _confirmation(record, _card_problem(record, opened, attempt, context), context)
        text += then(record, attempt)
        log.info("record created", table=table, sys_id=record.sys_id, person=context.person.id)
        return Text(text)

    return once(opened.form_id, context, work)


def _record(
    table: str,
    columns: Mapping[str, str],
    attempt: Attempt,
    context: Context,
    insert: Callable[[Mapping[str, str]], Record] | None,
) -> Record:
    if attempt.has_done(_RECORD):
        return context.servicenow.records.read(table, attempt.record_id, table_of(table).card_columns)
    record = attempt.write(
        _RECORD,
        send=lambda: insert(columns) if insert else context.servicenow.create(table, columns),
        look=lambda _digest: context.servicenow.find_created(table, columns, attempt.since),
        content=json.dumps(dict(columns), sort_keys=True),
        address=context.links.list(table),
        again=lambda record: _oldest(record, attempt, context),
    )
    attempt.made(record)
    return record


def _oldest(record: Record, attempt: Attempt, context: Context) -> Record:
    """
    The first of all records that the form made, for *record* was sent a second time.

    A person can't delete a record, and one that was committed after the hold may have been seen already. So the
    oldest one gets the card, and the person is told about the others.
    """
    try:
        found = context.servicenow.created_by_form(record.table, attempt.form_id)
    except ServiceNowError as error:
        log.warning("other records of the form not looked for", reason=type(error).__name__)
        return record
    if len(found) < 2:
        return record
    others = ", ".join(link_to(context, other) for other in found[1:])
    attempt.notes.append(
        f":warning: ServiceNow saved this {len(found)} times, because it finished an earlier attempt late. "
        f"Also created: {others}. Close what you don't need."
    )
    return found[0]


def _card_problem(record: Record, opened: Opened, attempt: Attempt, context: Context) -> str:
    """Post the card; why it could not be posted, or "". The record exists in any case."""
    if not opened.channel_id:
        return "there is no channel to post it in"
    try:
        post_card_once(record, attempt, context, channel_id=opened.channel_id, root_id=opened.root_id, did="created")
    except (MattermostError, MayNotPost) as error:
        log.warning("card not posted", sys_id=record.sys_id, reason=error.log_message)
        return error.user_message
    return ""


def _confirmation(record: Record, problem: str, context: Context) -> str:
    link = record_link(record, context.links.record(record.table, record.sys_id))
    title = escaped(record_title(record).partition(": ")[2], 160)
    text = f"Created {link}: {title}"
    return f"{text}\n\nIts card was not posted here: {problem}" if problem else text
