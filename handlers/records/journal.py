"""Add journal entries (comments and work notes) to a record, each once no matter how often its form is sent."""

from collections.abc import Sequence

from core.records import Record
from core.tables import table_of
from handlers.context import Context
from handlers.idempotency import Attempt, digest_of

TWICE = (
    ":warning: ServiceNow saved this entry twice, because it finished an earlier attempt late. "
    "Entries can't be deleted from here."
)


def add_entry(
    context: Context, attempt: Attempt, table: str, sys_id: str, element: str, text: str, number: int = 0
) -> Record:
    """
    Add *text* to a record's journal and return the updated record with its card's columns.

    Args:
        element: ``comments`` or ``work_notes``.
        number: Position of this entry among those of the form.

    Raises:
        MayBeSaved: There was no answer, and the lookup couldn't tell either.
        NotSaved: The account isn't allowed to add such entries.
        ServiceNowError: Nothing was saved, with the reason.
    """
    journal, columns = context.servicenow.journal, table_of(table).card_columns

    def count(digest: str) -> int:
        same = text if digest == digest_of(text) else ""
        return journal.count(table, sys_id, element, lambda one: digest_of(one) == digest, attempt.since, same)

    def look(digest: str) -> Record | None:
        return context.servicenow.records.read(table, sys_id, columns) if count(digest) else None

    def again(record: Record) -> Record:
        if count(digest_of(text)) > 1:
            attempt.notes.append(TWICE)
        return record

    return attempt.write(
        _entry_name(element, number),
        send=lambda: journal.add(table, sys_id, element, text, columns, attempt.since),
        look=look,
        content=text,
        address=context.links.record(table, sys_id),
        what="the record",
        again=again,
    )


def add_entries(context: Context, attempt: Attempt, record: Record, element: str, entries: Sequence[str]) -> None:
    """Add the entries in order, except those that an earlier submit of the form added. Raises as `add_entry`."""
    for number, entry in enumerate(entries):
        if not attempt.has_done(_entry_name(element, number)):
            add_entry(context, attempt, record.table, record.sys_id, element, entry, number)


def count_added(attempt: Attempt, element: str, entries: Sequence[str]) -> int:
    """How many of *entries* are known to be added, by this submit or an earlier one."""
    return sum(attempt.has_done(_entry_name(element, number)) for number in range(len(entries)))


def _entry_name(element: str, number: int) -> str:
    """The name of an entry's write within an attempt."""
    return f"{element}.{number}"
