"""
Converts filters of subscriptions to encoded queries and back. Pure.

The component evaluates a filter as the system. So a filter can contain only columns that the person sees, no
dot-walks, and only comparison operators. A query that a person typed is parsed and rebuilt from typed terms. Anything
else is rejected with an explanation, because ServiceNow would drop it silently (API reference §2.4).
"""

import re
from collections.abc import Mapping, Sequence

from core.errors import InvalidInput
from core.records import Column
from core.subscriptions import FILTER_CHARACTERS, PRIORITIES, UNFILTERABLE_TYPES, Filter
from core.tables import table_of
from servicenow.queries import OPERATORS, Query, Term, UnsafeValue, compare, contains, equals, is_sys_id, one_of

_SCRIPT = re.compile(r"javascript\s*:", re.IGNORECASE)
_WORDS = ("NQ", "EQ", "ORDERBY", "GROUPBY", "TRENDBY", "RLQUERY", "ENDRLQUERY", "JOIN", "SUBQUERY", "123TEXT")
_LONGEST_FIRST = "|".join(re.escape(operator) for operator in sorted(OPERATORS, key=len, reverse=True))
_TERM = re.compile(rf"([a-z][a-z0-9_]*(?:\.[a-z0-9_.]+)?)({_LONGEST_FIRST})(.*)", re.DOTALL)
_MOST_TERMS = 40


def encode(wanted: Filter, table: str, columns: Mapping[str, Column]) -> str:
    """
    The encoded query of *wanted* on *table*; "" for an empty filter.

    Args:
        columns: The columns that the person sees. An encoded query can't contain others.

    Raises:
        InvalidInput: Names the field with the problem.
    """
    query = Query()
    problems: dict[str, str] = {}
    asked = table_of(table).filter_columns
    if wanted.priority and "priority" in asked:
        if wanted.priority in PRIORITIES:
            query = query.where(one_of("priority", PRIORITIES[: PRIORITIES.index(wanted.priority) + 1]))
        else:
            problems["priority"] = "Choose one of the list."
    for name in ("assignment_group", "cmdb_ci"):
        if (value := getattr(wanted, name)) and name in asked:
            if is_sys_id(value):
                query = query.where(equals(name, value))
            else:
                problems[name] = "Choose one from the list."
    if wanted.category and "category" in asked:
        try:
            query = query.where(equals("category", wanted.category))
        except UnsafeValue:
            problems["category"] = "Choose one of the list."
    if wanted.text.strip():
        query = query.where(*(contains(name, wanted.text) for name in table_of(table).text_columns))
    if wanted.query.strip():
        try:
            for group in parse(wanted.query, columns).groups:
                query = query.where(*group)
        except BadQuery as bad:
            problems["filter"] = str(bad)
    text = str(query)
    if len(text) > FILTER_CHARACTERS:
        problems["filter"] = f"This is too long: all of the filter may have {FILTER_CHARACTERS:,} characters."
    if problems:
        raise InvalidInput(problems)
    return text


def decode(text: str, table: str) -> Filter:
    """Split a stored query into what the form's fields can show and the remaining encoded query."""
    found: dict[str, str] = {}
    rest: list[str] = []
    for group in _groups(text):
        name, value = _shown(group, table)
        if name and name not in found:
            found[name] = value
        else:
            rest.append("^OR".join(group))
    return Filter(**found, query="^".join(rest))


class BadQuery(ValueError):
    """The query can't be parsed. The text explains it to the person who typed it."""


def parse(text: str, columns: Mapping[str, Column] | None) -> Query:
    """
    Rebuild a person's query from checked terms.

    Args:
        columns: The allowed columns. None allows any, for a stored query whose terms were checked before.

    Raises:
        BadQuery: It contains more than comparisons joined by ``^`` and ``^OR``.
    """
    text = text.strip()
    if len(text) > FILTER_CHARACTERS:
        raise BadQuery(f"This is too long: a query may have {FILTER_CHARACTERS:,} characters.")
    if _SCRIPT.search(text):
        raise BadQuery("Scripts (javascript:) are not taken in a filter. Use plain values.")
    if columns is not None and not columns:
        raise BadQuery("ServiceNow does not say which columns you may use. Use the other fields instead.")
    query = Query()
    groups = _groups(text)
    if sum(map(len, groups)) > _MOST_TERMS:
        raise BadQuery(f"That are too many conditions: at most {_MOST_TERMS} fit.")
    for group in groups:
        query = query.where(*(_term(term, columns) for term in group))
    return query


def _groups(text: str) -> list[list[str]]:
    """Split at ``^``. Each group is a term with its ``^OR`` alternatives."""
    groups: list[list[str]] = []
    for part in text.split("^") if text else ():
        if part.startswith("OR") and not part.startswith("ORDERBY") and groups:
            groups[-1].append(part[2:])
        else:
            groups.append([part])
    return groups


def _term(text: str, columns: Mapping[str, Column] | None) -> Term:
    if text.startswith(_WORDS):
        word = next(word for word in _WORDS if text.startswith(word))
        raise BadQuery(f"A filter takes no {word}: only conditions joined by ^ and ^OR.")
    match = _TERM.fullmatch(text)
    if match is None:
        raise BadQuery(f"“{_short(text)}” is no condition that can be checked. Write it like priority=1^state!=6.")
    name, operator, value = match.groups()
    if "." in name:
        raise BadQuery(f"“{_short(name)}” reaches into another table; use a column of this table.")
    if columns is not None:
        column = columns.get(name)
        if column is None:
            raise BadQuery(f"This table has no column “{_short(name)}” that you may see.")
        if column.type in UNFILTERABLE_TYPES:
            raise BadQuery(f"“{_short(name)}” holds no value that can be compared.")
    try:
        return compare(name, operator, value)
    except UnsafeValue:
        raise BadQuery(f"“{_short(text)}” has a value that does not fit {operator.strip()}.") from None


def _shown(group: Sequence[str], table: str) -> tuple[str, str]:
    """The form's field that is equivalent to *group*, and its value; "" if there is none."""
    asked = table_of(table).filter_columns
    for priority in PRIORITIES:
        if "priority" in asked and list(group) == [one_of("priority", PRIORITIES[: int(priority)]).text]:
            return "priority", priority
    match = _TERM.fullmatch(group[0])
    if match is None:
        return "", ""
    name, operator, value = match.groups()
    if len(group) == 1 and operator == "=" and name in asked and value and name != "priority":
        return (name, value) if name == "category" or is_sys_id(value) else ("", "")
    if operator == "LIKE" and value and list(group) == [f"{name}LIKE{value}" for name in table_of(table).text_columns]:
        return "text", value
    return "", ""


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:39]}…"
