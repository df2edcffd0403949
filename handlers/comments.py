"""Comments and work notes: read the last ones, add one (spec §9)."""

import uuid

import structlog

from core.calls import Call, Kind, Options, Reply, ShowForm, Text, Value, Values
from core.errors import InvalidInput
from core.menus import Requirement
from core.record_ports import Entries, JournalEntry
from core.tables import table_of
from core.upstream_errors import ServiceNowError, Unanswered, Unreachable
from forms.choices import LONG_TEXT_CHARACTERS
from forms.comments import ACTION, ADD_AS, COMMENT, ELEMENT, NOTE, OLDER, comments_form, comments_pick_form
from forms.record import RECORD
from handlers.context import Context
from handlers.idempotency import Attempt, once
from handlers.journal import add_entry
from handlers.opened_record import OpenedRecord
from handlers.record_lookup import NoSuchRecord, look_up_records, requested_record
from handlers.record_updates import announce, link_to
from handlers.registry import calls
from mattermost.markdown import escaped, quoted, visible

log = structlog.get_logger(__name__)

SHOWN = 10
_ENTRY_CHARACTERS = 500
_KINDS = {"comments": "Comment", "work_notes": "Work note"}
_WORDS = {"comments": "a comment", "work_notes": "a work note"}


@calls.form(COMMENT, needs=Requirement.CONNECTED)
@calls.form(NOTE, needs=Requirement.CONNECTED)
def open_form(call: Call, context: Context) -> Reply:
    """Show the last entries and a box."""
    opened = OpenedRecord.of(call)
    if opened is None:
        return _picked(call, context)
    return _show(call, context, opened, Values())


@calls.lookup(COMMENT, needs=Requirement.CONNECTED)
@calls.lookup(NOTE, needs=Requirement.CONNECTED)
def look_up(call: Call, context: Context) -> Reply:
    """Offer records that take comments."""
    return Options(look_up_records(call, context))


@calls.submit(COMMENT, needs=Requirement.CONNECTED)
@calls.submit(NOTE, needs=Requirement.CONNECTED)
def submit(call: Call, context: Context) -> Reply:
    """Add what was written, or show older entries; without a record, ask which."""
    opened = OpenedRecord.of(call)
    if opened is None:
        return _picked(call, context)
    if call.values.text(ACTION) == OLDER:
        return _show(call, context, opened, call.values, skip=int(call.state.get("skip", 0)) + SHOWN)
    text = _checked(call)
    element = _element(call)
    form_id = str(call.state.get("form_id") or uuid.uuid4().hex)
    reply = once(form_id, context, lambda attempt: _added(opened, call, element, text, attempt, context))
    if not call.stays:
        return reply
    try:
        return _show(call, context, opened, Values(_kind_kept(call)), header=reply.text)
    except ServiceNowError as error:
        log.info("entries not read again", reason=error.log_message)
        return reply


def _picked(call: Call, context: Context) -> Reply:
    """A command, or the form that asks for the record: add at once where everything is there."""
    text_name = ELEMENT[call.path]
    typed = Values({text_name: call.values.text(text_name)})
    try:
        record = requested_record(call, context)
    except NoSuchRecord as error:
        return ShowForm(comments_pick_form(call.path, typed, error.user_message))
    if record is None:
        return ShowForm(comments_pick_form(call.path, typed))
    _refuse_without_journal(record.table)
    opened = OpenedRecord.to(record, call)
    if not visible(typed.text(text_name)):
        return _show(call, context, opened, Values())
    text = _checked(call)
    form_id = uuid.uuid4().hex  # a command stands for itself
    return once(form_id, context, lambda attempt: _added(opened, call, text_name, text, attempt, context))


def _refuse_without_journal(table: str) -> None:
    if not table_of(table).is_task:
        raise InvalidInput({RECORD: "Knowledge articles take no comments."}, "Knowledge articles take no comments.")


def _checked(call: Call) -> str:
    """The text, trimmed. Raises InvalidInput for one that nobody could see, or that is too long."""
    name = ELEMENT[call.path]
    text = call.values.text(name).strip()
    if not visible(text):
        raise InvalidInput({name: "Write something first."}, "There is nothing to add: write something first.")
    if len(text) > LONG_TEXT_CHARACTERS:
        raise InvalidInput({name: f"At most {LONG_TEXT_CHARACTERS:,} characters fit here."})
    return text


def _element(call: Call) -> str:
    chosen = call.values.text(ADD_AS) or ELEMENT[call.path]
    if chosen not in _KINDS:
        raise InvalidInput({ADD_AS: "Choose one of the list."})
    return chosen


def _kind_kept(call: Call) -> dict[str, Value]:
    return {ADD_AS: call.values.text(ADD_AS)} if call.values.text(ADD_AS) else {}


def _added(opened: OpenedRecord, call: Call, element: str, text: str, attempt: Attempt, context: Context) -> Text:
    after = add_entry(context, attempt, opened.table, opened.sys_id, element, text)
    attempt.made(after)
    log.info("journal entry added", table=opened.table, sys_id=opened.sys_id, element=element)
    words = _WORDS[element]
    return announce(call, context, after, f"added {words}", f"Added {words} to {link_to(context, after)}.")


def _show(
    call: Call, context: Context, opened: OpenedRecord, values: Values, *, skip: int = 0, header: str = ""
) -> ShowForm:
    _refuse_without_journal(opened.table)
    try:
        found = context.servicenow.journal.latest(opened.table, opened.sys_id, skip=skip, most=SHOWN)
        shown = entries_text(found, skip)
    except (Unanswered, Unreachable):
        if call.kind is not Kind.FORM:
            raise
        # A dialog can't wait: a comment can be written all the same, and what may be written shows then.
        found, shown = Entries((), False, work_notes=True), "ServiceNow did not answer in time."
    if call.path == NOTE and not found.work_notes:
        raise InvalidInput({}, "Your account sees no work notes, so it can't add any. Add a comment instead.")
    state = opened.signed(call.path, context, skip=skip, form_id=uuid.uuid4().hex)
    form = comments_form(
        call.path,
        opened.number,
        shown,
        values,
        work_notes=found.work_notes,
        older=found.older and call.steps,
        state=state,
        header=header or _link(opened, found, call, context),
    )
    return ShowForm(form)


def _link(opened: OpenedRecord, found: Entries, call: Call, context: Context) -> str:
    """Where the rest is, for forms that can't be shown again."""
    if call.steps or not found.older:
        return ""
    address = context.links.record(opened.table, opened.sys_id)
    return f"Older entries: [{escaped(opened.number, 60)}]({address})."


def entries_text(found: Entries, skip: int = 0) -> str:
    """Entries as Markdown, newest first: kind, author, time, and the text as a quotation."""
    if not found.entries:
        return "No older entries." if skip else "No entries yet."
    lines = [_entry(entry) for entry in found.entries]
    if not found.older:
        lines.append("*These are all.*")
    return "\n\n".join(lines)


def _entry(entry: JournalEntry) -> str:
    author = escaped(entry.author, 100)
    parts = [_KINDS[entry.element], f"**{author}**" if author else "", escaped(entry.at, 40)]
    heading = " · ".join(part for part in parts if part)
    return f"{heading}\n{quoted(entry.text, _ENTRY_CHARACTERS)}"
