"""References in forms: people, groups and other rows, chosen from a look-up or typed in a command."""

import re
from collections.abc import Callable, Collection, Sequence

from core.calls import Call
from core.errors import UnknownRequest
from core.fields import Option
from handlers.context import Context
from handlers.lookups import Lookups
from mattermost.markdown import harmless

_SYS_ID = re.compile(r"[0-9a-f]{32}")
_OFFERED = re.compile(r".*\(([^()]+)\)")  # Name (user_name)
PEOPLE = ("caller_id", "assigned_to")
_MOST_NAMED = 5
_NAME_CHARACTERS = 100

_lookups = Lookups()

Find = Callable[[str], Sequence[Option]]


def finder(name: str, context: Context) -> Find:
    """
    What looks up the rows that the column *name* refers to.

    Raises:
        UnknownRequest: The column is no reference of ours.
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


def looked_up(call: Call, context: Context, names: Collection[str]) -> tuple[Option, ...]:
    """Answer a look-up of one of the fields *names*."""
    if call.selected_field not in names:
        raise UnknownRequest(f"no look-up for field {call.selected_field[:60]!r}")
    return overtaking(call, finder(call.selected_field, context))


def overtaking(call: Call, find: Find) -> tuple[Option, ...]:
    """
    Answer a look-up by *find*, unless it is too short or a newer one has overtaken it.

    A client that can't search gets the first ones, or it could choose nothing at all.
    """
    if call.unsearched:
        return tuple(find(""))
    return _lookups.run(call.person.id, f"{call.path}:{call.selected_field}", call.query, find)


def is_reference(option: Option) -> bool:
    """Whether it was chosen, not typed: its value is a sys_id."""
    return bool(_SYS_ID.fullmatch(option.value))


def reference(option: Option | None, find: Find) -> tuple[str, str]:
    """The sys_id of a choice, or what is wrong with it; text typed in a command must match exactly one."""
    if option is None:
        return "", ""
    if is_reference(option):
        return option.value, ""
    typed = option.value.strip()
    offered = _OFFERED.fullmatch(typed)
    found = find(offered[1] if offered else typed)
    wanted = typed.casefold()
    # As offered, or the exact user name, which one person alone has.
    exact = [one for one in found if one.label.casefold() == wanted]
    exact = exact or [one for one in found if one.label.casefold().endswith(f"({wanted})")]
    match exact or list(found):
        case [one]:
            return one.value, ""
        case []:
            return "", "Nothing in ServiceNow matches this. Type two letters and choose from the list."
        case several:
            return "", f"Several match: {named(several)}. Choose one from the list."


def named(several: Sequence[Option]) -> str:
    """The first few candidates in words, as Markdown: what they are called is data."""
    more = len(several) - _MOST_NAMED
    names = ", ".join(harmless(one.label, _NAME_CHARACTERS) for one in several[:_MOST_NAMED])
    return names + (f" and {more} more" if more > 0 else "")
