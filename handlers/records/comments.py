"""Comments and work notes of a record: show the latest, and add one."""

import uuid
from dataclasses import dataclass, field, replace
from functools import partial

import structlog

from core.calls import Call, Kind, Reply, ShowForm, Text, Values
from core.errors import InvalidInput
from core.menus import Requirement
from core.records import Entries, JournalEntry
from core.tables import table_of
from core.upstream_errors import ServiceNowError, Unanswered, Unreachable
from forms.choices import LONG_TEXT_CHARACTERS
from forms.records.comments import ACTION, ADD_AS, COMMENT, ELEMENT, NOTE, OLDER, comments_form, comments_pick_form
from forms.records.record_lookup import RECORD
from handlers.context import Context
from handlers.form_reader import FormReader
from handlers.form_state import RecordRef
from handlers.idempotency import Attempt, once
from handlers.records.journal import add_entry
from handlers.records.record_lookup import look_up_records, record_or_form
from handlers.records.record_updates import announce, link_to
from handlers.registry import calls
from mattermost.markdown import escaped, quoted, visible

log = structlog.get_logger(__name__)

_PAGE_SIZE = 10
_ENTRY_CHARACTERS = 500
_KINDS = {"comments": "Comment", "work_notes": "Work note"}
_WORDS = {"comments": "a comment", "work_notes": "a work note"}


@dataclass(frozen=True, kw_only=True)
class CommentsState(RecordRef):
    """``skip``: how many newer entries the form leaves out. ``form_id``: each form adds one entry, once."""

    skip: int = 0
    form_id: str = field(default_factory=lambda: uuid.uuid4().hex)


calls.lookup(COMMENT, NOTE, needs=Requirement.CONNECTED)(look_up_records)


@calls.form(COMMENT, NOTE, needs=Requirement.CONNECTED)
def open_form(call: Call, context: Context) -> Reply:
    """Show the latest entries and a text area."""
    state = CommentsState.of(call)
    return _run_command(call, context) if state is None else _show(call, context, state, Values())


@calls.submit(COMMENT, NOTE, needs=Requirement.CONNECTED)
def submit(call: Call, context: Context) -> Reply:
    """Add the entry, or show older entries, or ask for the record."""
    state = CommentsState.of(call)
    if state is None:
        return _run_command(call, context)
    if call.values.text(ACTION) == OLDER:
        return _show(call, context, state, call.values, skip=state.skip + _PAGE_SIZE)
    reply = _add(call, context, state)
    if not call.stays:
        return reply
    kind = call.values.text(ADD_AS)
    try:
        return _show(call, context, state, Values({ADD_AS: kind} if kind else {}), header=reply.text)
    except ServiceNowError as error:
        log.info("entries not read again", reason=error.log_message)
        return reply


def _run_command(call: Call, context: Context) -> Reply:
    """Add the typed text, or show the entries if there is none. The form that asks for the record ends here, too."""
    name = ELEMENT[call.path]
    typed = Values({name: call.values.text(name)})
    record = record_or_form(call, context, partial(comments_pick_form, call.path, typed))
    if isinstance(record, ShowForm):
        return record
    _check_has_journal(record.table)
    state = CommentsState.to(call, record)
    return _add(call, context, state) if visible(typed.text(name)) else _show(call, context, state, Values())


def _check_has_journal(table: str) -> None:
    if not table_of(table).is_task:
        raise InvalidInput({RECORD: "Knowledge articles take no comments."}, "Knowledge articles take no comments.")


def _add(call: Call, context: Context, state: CommentsState) -> Text:
    form = FormReader(call, context)
    text = form.text(ELEMENT[call.path], most=LONG_TEXT_CHARACTERS, required="Write something first.")
    element = form.one_of(ADD_AS, _KINDS) or ELEMENT[call.path]
    form.finish()

    def work(attempt: Attempt) -> Text:
        after = add_entry(context, attempt, state.table, state.sys_id, element, text)
        attempt.set_record(after)
        log.info("journal entry added", table=state.table, sys_id=state.sys_id, element=element)
        words = _WORDS[element]
        return announce(call, context, after, f"added {words}", f"Added {words} to {link_to(context, after)}.")

    return once(context, state.form_id, work)


def _show(
    call: Call, context: Context, state: CommentsState, values: Values, *, skip: int = 0, header: str = ""
) -> ShowForm:
    _check_has_journal(state.table)
    try:
        found = context.servicenow.journal.latest(state.table, state.sys_id, skip=skip, most=_PAGE_SIZE)
        shown = entries_text(found, skip)
    except (Unanswered, Unreachable):
        if call.kind is not Kind.FORM:
            raise
        # A dialog can't wait. Let the person write, and check their permissions when they submit.
        found, shown = Entries((), False, work_notes=True), "ServiceNow did not answer in time."
    if call.path == NOTE and not found.work_notes:
        raise InvalidInput({}, "Your account sees no work notes, so it can't add any. Add a comment instead.")
    form = comments_form(
        call.path,
        state.number,
        shown,
        values,
        work_notes=found.work_notes,
        older=found.older and call.steps,
        state=replace(state, skip=skip, form_id=uuid.uuid4().hex).signed(context, call.path),
        header=header or _link(call, context, state, found),
    )
    return ShowForm(form)


def _link(call: Call, context: Context, ref: RecordRef, found: Entries) -> str:
    """A link to the older entries, for forms that can't be shown again."""
    if call.steps or not found.older:
        return ""
    address = context.links.record(ref.table, ref.sys_id)
    return f"Older entries: [{escaped(ref.number, 60)}]({address})."


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
