"""Reference fields: people, groups and other rows, chosen from a lookup or typed in a command."""

import re
from collections.abc import Callable, Collection, Sequence

from core.calls import Call
from core.errors import InvalidInput, UnknownRequest
from core.fields import Option, unmarked
from handlers.context import Context
from handlers.latest_only import LatestOnly
from mattermost.markdown import harmless

_SYS_ID = re.compile(r"[0-9a-f]{32}")
_OFFERED = re.compile(r".*\(([^()]+)\)")  # Name (user_name)
PEOPLE = ("caller_id", "assigned_to")
_MOST_NAMED = 5
_NAME_CHARACTERS = 100

_lookups = LatestOnly()

Find = Callable[[str], Sequence[Option]]


def finder(context: Context, name: str) -> Find:
    """
    The function that looks up rows for the reference field *name*.

    Raises:
        UnknownRequest: There is no such reference field.
    """
    if name in PEOPLE:
        return lambda query: context.servicenow.find_users(query.removeprefix("@"))
    match name:
        case "assignment_group":
            return context.servicenow.find_groups
        case "cmdb_ci":
            return context.servicenow.find_configuration_items
        case _:
            raise UnknownRequest(f"no look-up for field {name[:60]!r}")


def look_up_reference(call: Call, context: Context, names: Collection[str]) -> tuple[Option, ...]:
    """Answer the lookup of one of the fields *names*."""
    if call.selected_field not in names:
        raise UnknownRequest(f"no look-up for field {call.selected_field[:60]!r}")
    return answer_lookup(call, finder(context, call.selected_field))


def answer_lookup(call: Call, find: Find) -> tuple[Option, ...]:
    """
    Answer a lookup with *find*. It is empty if the query is too short or a newer lookup of the field is waiting.

    A client that can't search gets the first rows, so that it has something to choose from.
    """
    if call.unsearched:
        return as_offered(call, find(""))
    return as_offered(call, _lookups.run(call.person.id, f"{call.path}:{call.selected_field}", call.query, find))


def as_offered(call: Call, options: Sequence[Option]) -> tuple[Option, ...]:
    """
    *options* with the values that the client needs.

    A command line shows values, so they must be readable. A form, which has a state, shows labels only, and its values
    are sys_ids.
    """
    if call.state:
        return tuple(options)
    return tuple(Option(option.label, option.word or option.label) for option in options)


def is_reference(option: Option) -> bool:
    """Whether *option* was chosen, not typed: its value is a sys_id."""
    return bool(_SYS_ID.fullmatch(option.value))


def resolve(name: str, option: Option, find: Find) -> Option:
    """
    The row that *option* of the field *name* stands for. Text typed in a command must match exactly one row.

    Raises:
        InvalidInput: At the field, if none or several match.
    """
    if is_reference(option):
        return option
    typed = option.value.strip()
    wanted = typed.casefold()
    found: Sequence[Option] = ()
    exact: list[Option] = []
    for words in _searches(typed):
        found = find(words)
        # The label as offered, or the user name, which is unique.
        exact = [one for one in found if one.label.casefold() == wanted]
        exact = exact or [one for one in found if one.word.casefold() == wanted]
        if exact:
            break
    match exact or list(found):
        case [one]:
            return one
        case []:
            problem = "Nothing in ServiceNow matches this. Type two letters and choose from the list."
        case several:
            problem = f"Several match: {list_names(several)}. Choose one from the list."
    raise InvalidInput({name: problem})


def _searches(typed: str) -> list[str]:
    """What to search for. A label as offered can contain more than the row's name, and then matches nothing."""
    called, mark = unmarked(typed)
    if mark:
        return [called]
    person = _OFFERED.fullmatch(typed)
    return [person[1], typed] if person else [typed]


def list_names(several: Sequence[Option]) -> str:
    """The first few candidates by name, as Markdown."""
    more = len(several) - _MOST_NAMED
    names = ", ".join(harmless(one.label, _NAME_CHARACTERS) for one in several[:_MOST_NAMED])
    return names + (f" and {more} more" if more > 0 else "")
