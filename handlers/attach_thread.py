"""The thread and the files of the message that a new record was made from."""

import structlog

from core.calls import Call
from core.errors import AppError, MattermostError, NotKept
from core.records import Record
from handlers.confirmed import MayBeSaved
from handlers.context import Context
from handlers.conversation import Conversation, as_entries, attach, conversation
from handlers.idempotency import Attempt
from handlers.journal import add_entries, entry_name

log = structlog.get_logger(__name__)


def attach_thread(call: Call, record: Record, attempt: Attempt, context: Context) -> list[str]:
    """
    Put what was asked for into the new *record*; a sentence about each.

    The record exists in any case, so nothing is raised.
    """
    post_id = str(call.state.get("post_id", ""))
    whole, files = call.values.flag("whole_thread"), call.values.flag("files")
    if not post_id or not (whole or files):
        return []
    try:
        taken = conversation(call, post_id, context, whole=whole)
    except MattermostError as error:
        log.warning("thread not read", reason=error.log_message)
        return ["Neither thread nor files were taken along: Mattermost did not give them out. Add them by hand."]
    told = [_thread(taken, record, attempt, context)] if whole else []
    return told + ([attach(record, taken.files, attempt, context, new_record=True)] if files and taken.files else [])


def _thread(taken: Conversation, record: Record, attempt: Attempt, context: Context) -> str:
    """As work notes, for a chat is internal; as comments where the account may write no work notes."""
    entries = as_entries(taken, context)
    kind = "work notes"
    try:
        try:
            add_entries(record, "work_notes", entries, attempt, context)
        except NotKept:
            kind = "comments"
            add_entries(record, "comments", entries, attempt, context)
    except AppError as error:
        log.warning("thread not added", sys_id=record.sys_id, reason=error.log_message)
        element = kind.replace(" ", "_")
        done = sum(attempt.has_done(entry_name(element, number)) for number in range(len(entries)))
        if done:
            return f"Only {done} of {len(entries)} parts of the thread were added: {error.user_message}"
        if isinstance(error, MayBeSaved):
            return "ServiceNow did not say whether it saved the thread; look at the record."
        return f"The thread was not added: {error.user_message}"
    return f"The thread ({len(taken.messages)} messages) is in its {kind}."
