"""Add a message, or its whole thread, and its files to a record (message menu "Add to ServiceNow record")."""

import structlog

from core.calls import Call, Reply, ShowForm, Text, Value, Values
from core.errors import AppError, InvalidInput
from core.fields import Option
from core.menus import Requirement
from core.records import Record
from core.tables import numbers_in, table_of
from forms.records.message import COMMENT, PATH, WORK_NOTE, message_form
from forms.records.record_lookup import RECORD
from handlers.context import Context
from handlers.idempotency import Attempt, once
from handlers.records.attach_thread import ThreadSource
from handlers.records.conversation import as_entries, attach_files, read_conversation
from handlers.records.journal import add_entries, count_added
from handlers.records.record_lookup import look_up_records, requested_record, shared_table_names
from handlers.records.record_updates import link_to
from handlers.registry import calls
from mattermost.markdown import visible

log = structlog.get_logger(__name__)


@calls.form(PATH, needs=Requirement.CONNECTED)
def open_form(call: Call, context: Context) -> Reply:
    """Open the form, with the record whose number is in the message."""
    post = call.post
    if post is None or post.type.startswith("system_"):
        return Text("This message can't be added to a record. Choose one that somebody wrote.")
    state = ThreadSource.counted(call, context)
    if not visible(post.message) and not state.files:
        return Text("This message has neither text nor files to add. Choose another one.")
    values: dict[str, Value] = dict(call.values)
    if number := next(iter(numbers_in(post.message, context.settings.shared_tables)), ""):
        values[RECORD] = Option(number, number)  # looked up on submit, so that opening is fast
    form = message_form(Values(values), messages=state.messages, files=state.files, state=state.signed(context, PATH))
    return ShowForm(form)


@calls.lookup(PATH, needs=Requirement.CONNECTED)
def look_up(call: Call, context: Context) -> Reply:
    """Offer records that take comments."""
    return look_up_records(call, context, [name for name in shared_table_names(context) if table_of(name).is_task])


@calls.submit(PATH, needs=Requirement.CONNECTED)
def add(call: Call, context: Context) -> Reply:
    """Add everything once, and say what happened to each part."""
    state = ThreadSource.of(call)
    if not state.post_id:
        return Text("Open a message's menu and choose “Add to ServiceNow record” there.")
    element = call.values.text("kind") or WORK_NOTE
    if element not in {COMMENT, WORK_NOTE}:
        raise InvalidInput({"kind": "Choose comment or work note."})

    def work(attempt: Attempt) -> Text:
        record = requested_record(call, context)
        if record is None:
            raise InvalidInput({RECORD: "Choose the record: type its number, or words of its text."})
        if not table_of(record.table).is_task:
            raise InvalidInput({RECORD: "Knowledge articles take no comments."})
        attempt.set_record(record)
        text = _add(call, context, attempt, state.post_id, record, element)
        log.info("message added", table=record.table, sys_id=record.sys_id, person=context.person.id)
        return Text(text)

    return once(context, state.form_id, work)


class PartlyAdded(AppError):
    """Some entries were added. Sending the form again adds the rest."""

    def __init__(self, done: int, of: int, record: str, cause: AppError) -> None:
        super().__init__(f"{done} of {of} entries added: {cause}")
        self.user_message = (
            f"{done} of {of} parts are in {record}. {cause.user_message} Submit this form again to add the rest."
        )
        self.retryable = cause.retryable


def _add(call: Call, context: Context, attempt: Attempt, post_id: str, record: Record, element: str) -> str:
    conversation = read_conversation(call, context, post_id, whole=call.values.flag("whole_thread"))
    if not conversation.messages:
        raise InvalidInput({}, "The message is no longer there, so nothing was added.")
    entries = as_entries(context, conversation)
    try:
        add_entries(context, attempt, record, element, entries)
    except AppError as error:
        done = count_added(attempt, element, entries)
        if not done:
            raise
        raise PartlyAdded(done, len(entries), link_to(context, record), error) from error
    count = len(conversation.messages)
    what = "The message is" if count == 1 else f"{count} messages are"
    text = f"{what} in {link_to(context, record)} as a {'comment' if element == COMMENT else 'work note'}."
    files = attach_files(context, attempt, record, conversation.files) if call.values.flag("files") else ""
    return f"{text} {files}".strip()
