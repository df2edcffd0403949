"""
Parses encoded queries as the Table API does (API reference §2). No I/O.

A term on an unknown column is silently dropped, as on instances by default. A real operator that isn't implemented here
raises an error, so that nobody mistakes the double's result for ServiceNow's.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

OPERATORS = (
    "NOT LIKE", "NOTLIKE", "DOES NOT CONTAIN", "STARTSWITH", "ISNOTEMPTY", "INSTANCEOF", "EMPTYSTRING", "ENDSWITH",
    "CONTAINS", "ANYTHING", "ISEMPTY", "BETWEEN", "NSAMEAS", "NOT IN", "SAMEAS", "LIKE", "IN", "GT_FIELD",
    "LT_FIELD", "GT_OR_EQUALS_FIELD", "LT_OR_EQUALS_FIELD", "RELATIVEGT", "RELATIVEGE", "RELATIVELT", "RELATIVELE",
    "RELATIVEEE", "NOTON", "ON", "!=", ">=", "<=", "!*", "=", ">", "<", "*", "%",
)  # fmt: skip
REAL_BUT_NOT_DONE = (
    "DATEPART", "MORETHAN", "LESSTHAN", "DYNAMIC", "IN_HIERARCHY_DYNAMIC", "IN_HIERARCHY", "DOESNOTHAVE", "EXCLUDING",
    "VALCHANGES", "CHANGESFROM", "CHANGESTO", "MATCH_PAT", "MATCH_RGX",
)  # fmt: skip
_LONGEST_FIRST = sorted((*OPERATORS, *REAL_BUT_NOT_DONE), key=len, reverse=True)
_NOT_DONE_WORDS = ("GROUPBY", "TRENDBY", "RLQUERY", "JOIN", "SUBQUERY")
_FIELD = re.compile(r"\s*([a-z_][a-z0-9_]*(?:\.[a-z_][a-z0-9_]*)*)\s*")
_SEPARATOR = re.compile(r"\^\^|\^")
TEXT = "123TEXTQUERY321"


class Unsupported(Exception):
    """A real feature that this double doesn't implement."""


@dataclass
class Term:
    """One condition."""

    column: str
    operator: str
    value: str


@dataclass
class Parsed:
    """Queries joined by `^NQ`, each an AND of ORs, and sort keys as (column, descending)."""

    queries: list[list[list[Term]]] = field(default_factory=list)
    order: list[tuple[str, bool]] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)


def parse(text: str, known: Callable[[str], bool]) -> Parsed:
    """
    Parse an encoded query.

    Args:
        known: Whether a (dot-walked) column exists. Terms on others are dropped.

    Raises:
        Unsupported: A real operator that isn't implemented here.
    """
    parsed = Parsed(queries=[[]])
    for raw in _split(text):
        if raw == "EQ" or not raw:
            continue
        if raw.startswith("ORDERBY"):
            column = raw.removeprefix("ORDERBYDESC").removeprefix("ORDERBY").strip()
            if known(column):
                parsed.order.append((column, raw.startswith("ORDERBYDESC")))
            continue
        if raw.startswith(_NOT_DONE_WORDS):
            raise Unsupported(raw)
        new_query, either = raw.startswith("NQ"), raw.startswith("OR")
        body = raw[2:] if new_query or either else raw
        term = _term(body, known)
        if new_query:
            parsed.queries.append([])
        if term is None:
            if body:
                parsed.dropped.append(body)
            continue
        group = parsed.queries[-1]
        if either and group:
            group[-1].append(term)
        else:
            group.append([term])
    return parsed


def _split(text: str) -> list[str]:
    """Split at `^`. A doubled one is a literal `^`."""
    parts, current, position = [], "", 0
    for match in _SEPARATOR.finditer(text):
        current += text[position : match.start()]
        position = match.end()
        if match.group() == "^^":
            current += "^"
        else:
            parts.append(current)
            current = ""
    parts.append(current + text[position:])
    return parts


def _term(text: str, known: Callable[[str], bool]) -> Term | None:
    if text.strip().startswith(TEXT):
        return Term("", TEXT, text.strip().removeprefix(TEXT).lstrip("="))
    match = _FIELD.match(text)
    if match is None:
        return None
    column, rest = match[1], text[match.end() :]
    if column.startswith("sys_tags."):
        raise Unsupported(column)
    operator = next((one for one in _LONGEST_FIRST if rest.startswith(one)), None)
    if operator is None or not known(column):
        return None
    if operator in REAL_BUT_NOT_DONE:
        raise Unsupported(f"{column}{operator}")
    return Term(column, operator, rest[len(operator) :].strip())
