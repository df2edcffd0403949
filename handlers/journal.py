"""Journal entries, each written once however often its form is sent."""

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
    table: str, sys_id: str, element: str, text: str, attempt: Attempt, context: Context, number: int = 0
) -> Record:
    """
    Write *text* into a record's journal and return the record as it is then, with its card's columns.

    Args:
        element: ``comments`` or ``work_notes``.
        number: Of this entry among those of the form.

    Raises:
        MayBeSaved: No answer, and looking did not tell either.
        NotKept: The account may not write such entries.
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
        entry_name(element, number),
        send=lambda: journal.add(table, sys_id, element, text, columns, attempt.since),
        look=look,
        content=text,
        address=context.links.record(table, sys_id),
        what="the record",
        again=again,
    )


def add_entries(record: Record, element: str, entries: Sequence[str], attempt: Attempt, context: Context) -> None:
    """Write the entries in order, without those that an earlier submit of the form wrote. Raises as `add_entry`."""
    for number, entry in enumerate(entries):
        if not attempt.has_done(entry_name(element, number)):
            add_entry(record.table, record.sys_id, element, entry, attempt, context, number)


def entry_name(element: str, number: int) -> str:
    """What an attempt calls the write of an entry."""
    return f"{element}.{number}"
