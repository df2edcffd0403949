"""Find the record that a call is about: in the state of a form or button, chosen from a lookup, or typed."""

import re
from collections import Counter
from collections.abc import Callable, Sequence

from core.calls import Call, Options, ShowForm
from core.errors import InvalidInput, NotShared
from core.fields import Form, Option, marked, unmarked
from core.records import Record
from core.tables import as_number, shared_tables, table_of, table_of_number
from forms.records.record_lookup import RECORD, record_option
from handlers.context import Context
from handlers.form_state import RecordRef
from handlers.latest_only import LEAST_CHARACTERS
from handlers.reference_fields import answer_lookup, list_names
from mattermost.markdown import harmless

_CHOSEN = re.compile(r"([a-z][a-z0-9_]*)\.([0-9a-f]{32})")


class NoSuchRecord(InvalidInput):
    """What was typed matches no record or several. *sentence* is Markdown, shown at the field and above the form."""

    def __init__(self, sentence: str) -> None:
        super().__init__({RECORD: sentence}, sentence)


def shared_table_names(context: Context) -> list[str]:
    return [table.name for table in shared_tables(context.settings.shared_tables)]


def requested_record(call: Call, context: Context, more: Sequence[str] = ()) -> Record | None:
    """
    The record that *call* is about, just read, with its card's columns and *more*. None if it names no record.

    Raises:
        NoSuchRecord: What was typed matches no record or several.
        NotFound: It was deleted, or this account can't see it.
        NotShared: Its class isn't shared here.
    """
    ref = RecordRef.of(call)
    if ref is not None:
        return read_record(context, ref.table, ref.sys_id, more)
    option = call.values.option(RECORD)
    return None if option is None else resolve_record(context, option, more)


def required_record(call: Call, context: Context, more: Sequence[str] = ()) -> Record:
    """As `requested_record`, for a button. Raises InvalidInput if the call names no record."""
    record = requested_record(call, context, more)
    if record is None:
        raise InvalidInput({}, "Open the record first: `/servicenow view INC0010001`.")
    return record


def record_or_form(
    call: Call,
    context: Context,
    pick_form: Callable[[str], Form],
    read: Callable[[Call, Context], Record | None] = requested_record,
) -> Record | ShowForm:
    """
    The record of a command, or the form that asks for it if the command names none or can't be resolved.

    Args:
        pick_form: Builds that form with a header that says what is wrong.
        read: Reads the record.
    """
    try:
        record = read(call, context)
    except NoSuchRecord as error:
        if call.state:
            raise
        return ShowForm(pick_form(error.user_message))
    return ShowForm(pick_form("")) if record is None else record


def read_record(context: Context, table: str, sys_id: str, more: Sequence[str] = ()) -> Record:
    """One record of a shared class, with its card's columns and *more*. Raises as `requested_record`."""
    if table not in shared_table_names(context):
        raise NotShared(f"table {table[:80]!r}")
    record = context.servicenow.records.read(table, sys_id, (*table_of(table).card_columns, *more))
    return _check_shared(context, record)


def search_records(context: Context, words: str, tables: Sequence[str]) -> tuple[Option, ...]:
    """Records that match *words*, as options with unique labels."""
    return _as_options(context.servicenow.records.search(words, tables))


def _as_options(records: Sequence[Record]) -> tuple[Option, ...]:
    """Records that share a number also show the end of their sys_id, by which `resolve_record` finds them."""
    numbered = Counter(record.number for record in records)
    options: dict[str, Option] = {}
    for record in records:
        option = record_option(record)
        if numbered[record.number] > 1:
            word = marked(record.number, record.sys_id)
            option = Option(marked(option.label, record.sys_id), option.value, word)
        options[option.label] = option
    return tuple(options.values())


def look_up_records(call: Call, context: Context, tables: Sequence[str] = ()) -> Options:
    """
    Handle the lookup of a record field. Without a query, offer nothing, because there are too many records.

    Args:
        tables: Where to search, if not in all shared tables.
    """
    if call.unsearched:
        return Options()
    names = tables or shared_table_names(context)
    return Options(answer_lookup(call, lambda words: search_records(context, words, names)))


def resolve_record(context: Context, option: Option, more: Sequence[str] = ()) -> Record:
    """The record that *option* names, chosen from a lookup or typed. Raises as `requested_record`."""
    if chosen := _CHOSEN.fullmatch(option.value):
        return read_record(context, chosen[1], chosen[2], more)
    words, mark = unmarked(" ".join(option.value.split()))
    if number := as_number(words):
        return _find_by_number(context, number, mark, more)
    if len(words) < LEAST_CHARACTERS:
        raise NoSuchRecord("Type a number such as INC0010001, or at least two letters of the record's text.")
    match search_records(context, words, shared_table_names(context)):
        case []:
            raise NoSuchRecord(f"ServiceNow finds no record for {_quoted(words)} that your account may see.")
        case [one]:
            return resolve_record(context, one, more)
        case several if exact := [one for one in several if option.value.casefold() in _names(one)]:
            return resolve_record(context, exact[0], more)  # a number in another format, or a label as offered
        case several:
            raise NoSuchRecord(f"Several records match {_quoted(words)}: {list_names(several)}. Name its number.")


def _names(option: Option) -> set[str]:
    return {option.label.casefold(), option.word.casefold()}


def _find_by_number(context: Context, number: str, mark: str, more: Sequence[str]) -> Record:
    names = shared_table_names(context)
    found = context.servicenow.records.with_number(number, names)
    match [record for record in found if record.sys_id.endswith(mark)]:
        case []:
            raise NoSuchRecord(f"ServiceNow has no record {number}, or your account may not see it.")
        case [record]:
            if not more and table_of_number(number) == record.table:
                return _check_shared(context, record)
            return read_record(context, record.table, record.sys_id, more)  # with the columns of its own table
        case several:
            names_of = list_names(_as_options(several))
            raise NoSuchRecord(f"Several records bear the number {number}: {names_of}. Choose one from the list.")


def _check_shared(context: Context, record: Record) -> Record:
    """Return *record* if its class is shared, because a row that was read from a parent table can be of any class."""
    if record.table not in shared_table_names(context):
        raise NotShared(f"class {record.table[:80]!r}")
    return record


def _quoted(words: str) -> str:
    return f"“{harmless(words, 60)}”"
