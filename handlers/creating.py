"""
One opened form makes one record, whatever happens in between.

What is stored before what: the attempt before the insert, the record before the card, the answer
before it is given. A form that is sent again continues where it stopped, and an insert that may
have been saved is looked for before anything is said.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

import structlog

from core.accounts import FormResult
from core.errors import AppError, Broken, MattermostError, MayBeSaved, MayNotPost, ServiceNowError
from core.records import Record
from handlers.cards import post_card
from handlers.context import Context
from handlers.opened import Opened
from mattermost.cards import record_link, record_title
from mattermost.markdown import escaped

log = structlog.get_logger(__name__)


def created_once(
    table: str,
    columns: Mapping[str, str],
    opened: Opened,
    context: Context,
    then: Callable[[Record], str] = lambda _record: "",
    insert: Callable[[Mapping[str, str]], Record] | None = None,
) -> str:
    """
    Insert *columns*, post the card and return the confirmation; the first result when sent again.

    *then* does what follows from the record and says how that went, as a further paragraph; it raises
    nothing, for the record exists in any case, and may run again after a crash. *insert* is what inserts,
    where that is not the Table API.

    Raises:
        StillWorking: The same form is being submitted by another request.
        MayBeSaved: ServiceNow did not say whether it saved the record, and looking did not tell.
        ServiceNowError: Nothing was saved, with the reason.
    """
    with context.form_results.claim(opened.form_id):
        known = context.form_results.get(opened.form_id)
        if known is not None and known.person_id == context.person.id and known.text:
            return known.text
        attempt = known or FormResult(opened.form_id, context.person.id, table, "", "", "", stored_at=context.clock())
        record = None
        if known is None:
            context.form_results.put(attempt)
        else:
            record = _look(table, columns, attempt, context)
        if record is None:
            record = _insert(table, columns, attempt, context, insert)
        context.form_results.put(replace(attempt, sys_id=record.sys_id, number=record.number))
        text = _confirmation(record, _card_problem(record, opened, context), context) + then(record)
        context.form_results.put(replace(attempt, sys_id=record.sys_id, number=record.number, text=text))
    log.info("record created", table=table, sys_id=record.sys_id, person=context.person.id)
    return text


def _insert(
    table: str,
    columns: Mapping[str, str],
    attempt: FormResult,
    context: Context,
    insert: Callable[[Mapping[str, str]], Record] | None,
) -> Record:
    try:
        return insert(columns) if insert else context.servicenow.create(table, columns)
    except ServiceNowError as error:
        if not error.may_have_been_saved:
            context.form_results.forget(attempt.form_id)
            raise
        log.warning("insert unanswered, looking for it", table=table, reason=type(error).__name__)
        found = _look(table, columns, attempt, context, cause=error)
        if found is not None:
            return found
        if isinstance(error, Broken):
            # The transaction is over and left nothing behind.
            context.form_results.forget(attempt.form_id)
            raise
        raise MayBeSaved(f"no answer, nothing found: {error}", context.links.list(table)) from error


def _look(
    table: str,
    columns: Mapping[str, str],
    attempt: FormResult,
    context: Context,
    cause: AppError | None = None,
) -> Record | None:
    """What an earlier try left behind. Unsure is not no: then nothing may be inserted again."""
    try:
        return context.servicenow.find_created(table, columns, attempt.stored_at)
    except ServiceNowError as error:
        raise MayBeSaved(f"looking failed: {error}", context.links.list(table)) from (cause or error)


def _card_problem(record: Record, opened: Opened, context: Context) -> str:
    """Post the card; why it could not be posted, or "". The record exists in any case."""
    if not opened.channel_id:
        return "there is no channel to post it in"
    try:
        post_card(
            record,
            context,
            channel_id=opened.channel_id,
            root_id=opened.root_id,
            pending_post_id=f"{context.person.id}:{opened.form_id}",
        )
    except (MattermostError, MayNotPost) as error:
        log.warning("card not posted", sys_id=record.sys_id, reason=str(error))
        return error.tell
    return ""


def _confirmation(record: Record, problem: str, context: Context) -> str:
    link = record_link(record, context.links.record(record.table, record.sys_id))
    title = escaped(record_title(record).partition(": ")[2], 160)
    text = f"Created {link}: {title}"
    return f"{text}\n\nIts card was not posted here: {problem}" if problem else text
