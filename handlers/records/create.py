"""
Create one record per form, and post its card.

The form's id is the record's ``correlation_id``. If the form is sent again, `handlers/idempotency.py` finds the
record by it instead of creating another one.
"""

import json
from collections.abc import Callable, Mapping

import structlog

from core.calls import Text
from core.errors import MayNotPost
from core.records import Record
from core.tables import table_of
from core.upstream_errors import MattermostError, ServiceNowError
from handlers.context import Context
from handlers.form_state import FormState
from handlers.idempotency import Attempt, once
from handlers.records.cards import post_card_once
from handlers.records.record_updates import link_to
from mattermost.cards import record_title
from mattermost.markdown import escaped

log = structlog.get_logger(__name__)

_RECORD = "record"


def create_record(
    context: Context,
    state: FormState,
    table: str,
    columns: Mapping[str, str],
    then: Callable[[Attempt, Record], str] = lambda _attempt, _record: "",
    insert: Callable[[Mapping[str, str]], Record] | None = None,
) -> Text:
    """
    Insert *columns*, post the card and return the confirmation. A form that is sent again gets the first answer.

    Args:
        then: Does what else the form asks for and returns further paragraphs for the confirmation. It must not raise,
            because the record exists in any case.
        insert: Inserts the record, if not through the Table API.

    Raises:
        StillWorking: The same form is being submitted by another request.
        MayBeSaved: ServiceNow didn't say whether it saved the record, and the lookup couldn't tell either.
        ServiceNowError: Nothing was saved, with the reason.
    """

    def work(attempt: Attempt) -> Text:
        sent = {**columns, "correlation_id": state.form_id}
        record = _insert(context, attempt, table, sent, insert)
        text = _confirmation(context, record, _post_card(context, attempt, state, record))
        text += then(attempt, record)
        log.info("record created", table=table, sys_id=record.sys_id, person=context.person.id)
        return Text(text)

    return once(context, state.form_id, work)


def _insert(
    context: Context,
    attempt: Attempt,
    table: str,
    columns: Mapping[str, str],
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
        again=lambda record: _oldest(context, attempt, record),
    )
    attempt.set_record(record)
    return record


def _oldest(context: Context, attempt: Attempt, record: Record) -> Record:
    """
    The first of all records that the form created, because *record* was sent a second time.

    A person can't delete a record, and others may have seen the earlier one. So the oldest one gets the card, and the
    confirmation names the others.
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


def _post_card(context: Context, attempt: Attempt, state: FormState, record: Record) -> str:
    """Return why the card couldn't be posted, or ""."""
    if not state.channel_id:
        return "there is no channel to post it in"
    try:
        post_card_once(context, attempt, record, channel_id=state.channel_id, root_id=state.root_id, did="created")
    except (MattermostError, MayNotPost) as error:
        log.warning("card not posted", sys_id=record.sys_id, reason=error.log_message)
        return error.user_message
    return ""


def _confirmation(context: Context, record: Record, problem: str) -> str:
    title = escaped(record_title(record).partition(": ")[2], 160)
    text = f"Created {link_to(context, record)}: {title}"
    return f"{text}\n\nIts card was not posted here: {problem}" if problem else text
