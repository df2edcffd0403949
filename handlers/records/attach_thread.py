"""Add the thread and the files of a message to the record that was created from it."""

from dataclasses import dataclass, replace
from typing import Self

import structlog

from core.calls import Call
from core.errors import AppError
from core.records import Record
from core.upstream_errors import MattermostError, NotSaved
from handlers.confirmed import MayBeSaved
from handlers.context import Context
from handlers.form_state import FormState
from handlers.idempotency import Attempt
from handlers.records.conversation import Conversation, as_entries, attach_files, read_conversation
from handlers.records.journal import add_entries, count_added

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class ThreadSource(FormState):
    """
    A form that may have been opened from the menu of a message.

    Args:
        post_id: The message, "" if the form was opened elsewhere.
        messages, files: How many its thread has.
    """

    post_id: str = ""
    messages: int = 1
    files: int = 0

    @classmethod
    def counted(cls, call: Call, context: Context) -> Self:
        """As `of`, with the size of the thread. If Mattermost doesn't answer, only the message counts."""
        state = cls.of(call)
        if call.state or call.post is None:
            return state
        state = replace(state, post_id=call.post.id)
        try:
            messages = context.mattermost.thread(call.post.id)
        except MattermostError as error:
            log.info("thread not read", reason=error.log_message)
            return state
        return replace(state, messages=len(messages), files=sum(len(message.files) for message in messages))


def attach_thread(call: Call, context: Context, attempt: Attempt, record: Record) -> list[str]:
    """
    Add what the form asks for to the new *record*, and return a sentence about each part.

    Raises nothing, because the record exists in any case.
    """
    post_id = ThreadSource.of(call).post_id
    whole, files = call.values.flag("whole_thread"), call.values.flag("files")
    if not post_id or not (whole or files):
        return []
    try:
        conversation = read_conversation(call, context, post_id, whole=whole)
    except MattermostError as error:
        log.warning("thread not read", reason=error.log_message)
        return ["Neither thread nor files were taken along: Mattermost did not give them out. Add them by hand."]
    sentences = [_add_messages(context, attempt, record, conversation)] if whole else []
    if files and conversation.files:
        sentences.append(attach_files(context, attempt, record, conversation.files, new_record=True))
    return sentences


def _add_messages(context: Context, attempt: Attempt, record: Record, conversation: Conversation) -> str:
    """As work notes, because a chat is internal, or as comments if the account can't add work notes."""
    entries = as_entries(context, conversation)
    element = "work_notes"
    try:
        try:
            add_entries(context, attempt, record, element, entries)
        except NotSaved:
            element = "comments"
            add_entries(context, attempt, record, element, entries)
    except AppError as error:
        log.warning("thread not added", sys_id=record.sys_id, reason=error.log_message)
        if done := count_added(attempt, element, entries):
            return f"Only {done} of {len(entries)} parts of the thread were added: {error.user_message}"
        if isinstance(error, MayBeSaved):
            return "ServiceNow did not say whether it saved the thread; look at the record."
        return f"The thread was not added: {error.user_message}"
    return f"The thread ({len(conversation.messages)} messages) is in its {element.replace('_', ' ')}."
