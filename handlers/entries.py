"""Journal entries, written once even where ServiceNow leaves the answer out."""

from collections.abc import Sequence

import structlog

from core.errors import AppError, Broken, MayBeSaved, ServiceNowError
from core.records import Record
from core.tables import card_columns
from handlers.context import Context

log = structlog.get_logger(__name__)


def add_entry(table: str, sys_id: str, element: str, text: str, context: Context) -> Record:
    """
    Write *text* into a record's journal and return the record as it is then, with its card's columns.

    Args:
        element: ``comments`` or ``work_notes``.

    Raises:
        MayBeSaved: No answer, and looking did not tell either.
        NotKept: The account may not write such entries.
        ServiceNowError: Nothing was saved, with the reason.
    """
    try:
        return context.servicenow.journal.add(table, sys_id, element, text, card_columns(table))
    except ServiceNowError as error:
        if not error.may_have_been_saved:
            raise
        return _looked_for(table, sys_id, element, text, error, context)


def add_entries(record: Record, element: str, entries: Sequence[str], context: Context) -> int:
    """Write the entries in order; how many are there. Raises what the first one meets, for then nothing is."""
    for done, entry in enumerate(entries):
        try:
            add_entry(record.table, record.sys_id, element, entry, context)
        except ServiceNowError as error:
            if not done:
                raise
            log.warning("entries stopped", sys_id=record.sys_id, done=done, reason=str(error))
            return done
    return len(entries)


def _looked_for(table: str, sys_id: str, element: str, text: str, error: ServiceNowError, context: Context) -> Record:
    """Whether an unanswered entry is there: the newest of its kind bears our text."""
    address = context.links.record(table, sys_id)
    try:
        entries = context.servicenow.journal.latest(table, sys_id).entries
        newest = next((entry for entry in entries if entry.element == element), None)
        if newest is not None and newest.text.split() == text.split():
            return context.servicenow.records.read(table, sys_id, card_columns(table))
    except AppError as second:
        raise MayBeSaved(f"looking failed: {second}", address, "the record") from error
    if isinstance(error, Broken):
        raise error
    raise MayBeSaved(f"no answer, and not there yet: {error}", address, "the record") from error
