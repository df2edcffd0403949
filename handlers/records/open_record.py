"""Open a record in ServiceNow: answers a number or keywords with the record's link, visible only to the person."""

from functools import partial

from core.calls import Call, Reply, ShowForm, Text
from core.fields import Option, unmarked
from core.menus import Requirement
from core.records import Record
from core.tables import numbers_in
from forms.records.open_record import PATH, TITLE
from forms.records.record_lookup import RECORD, pick_form
from handlers.context import Context
from handlers.records.record_lookup import look_up_records, record_or_form, resolve_record
from handlers.records.record_updates import link_to
from handlers.registry import calls
from mattermost.markdown import escaped

_TITLE_CHARACTERS = 160

calls.lookup(PATH, needs=Requirement.CONNECTED)(look_up_records)


@calls.submit(PATH, needs=Requirement.CONNECTED)
def open_record(call: Call, context: Context) -> Reply:
    """Answer with the link, or with a form if no record or several match."""
    record = record_or_form(call, context, partial(pick_form, PATH, TITLE), _read)
    if isinstance(record, ShowForm):
        return record
    return Text(f"{link_to(context, record)}: {escaped(record.value('short_description'), _TITLE_CHARACTERS)}")


def _read(call: Call, context: Context) -> Record | None:
    option = call.values.option(RECORD)
    return resolve_record(context, _number_in(context, option)) if option else None


def _number_in(context: Context, option: Option) -> Option:
    """The first record number in typed text, such as “look at INC0010001”. Choices from a list stay as they are."""
    numbers = numbers_in(option.value, context.settings.shared_tables)
    _, mark = unmarked(option.value)
    return Option(numbers[0], numbers[0]) if numbers and not mark else option
