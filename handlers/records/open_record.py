"""Open a record in ServiceNow: answers a number or keywords with the record's link, visible only to the person."""

from core.calls import Call, Options, Reply, ShowForm, Text
from core.fields import Option, unmarked
from core.menus import Requirement
from core.tables import numbers_in
from forms.records.open_record import PATH, open_pick_form
from forms.records.record_lookup import RECORD
from handlers.context import Context
from handlers.records.record_lookup import NoSuchRecord, look_up_records, resolve_record
from handlers.records.record_updates import link_to
from handlers.registry import calls
from mattermost.markdown import escaped

_TITLE_CHARACTERS = 160


@calls.lookup(PATH, needs=Requirement.CONNECTED)
def look_up(call: Call, context: Context) -> Reply:
    """Offer records of all shared tables."""
    return Options(look_up_records(call, context))


@calls.submit(PATH, needs=Requirement.CONNECTED)
def open_record(call: Call, context: Context) -> Reply:
    """Answer with the link, or with a form if no record or several match."""
    option = call.values.option(RECORD)
    if option is None:
        return ShowForm(open_pick_form())
    try:
        record = resolve_record(context, _number_in(option, context))
    except NoSuchRecord as error:
        return ShowForm(open_pick_form(error.user_message))
    return Text(f"{link_to(context, record)}: {escaped(record.value('short_description'), _TITLE_CHARACTERS)}")


def _number_in(option: Option, context: Context) -> Option:
    """The first record number in typed text, such as “look at INC0010001”. Choices from a list stay as they are."""
    numbers = numbers_in(option.value, context.settings.shared_tables)
    _, mark = unmarked(option.value)
    return Option(numbers[0], numbers[0]) if numbers and not mark else option
