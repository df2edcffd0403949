"""
Encoded queries: parsed and evaluated as the Table API does (API reference §2). Pure.

A term that is not understood is dropped without a word, as by default on real instances.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# Longest first: NOT LIKE before LIKE, != before =.
OPERATORS = (
    "NOT LIKE", "DOES NOT CONTAIN", "STARTSWITH", "ISNOTEMPTY", "INSTANCEOF", "EMPTYSTRING", "ENDSWITH",
    "CONTAINS", "ANYTHING", "NOTLIKE", "ISEMPTY", "BETWEEN", "NSAMEAS", "NOT IN", "SAMEAS", "LIKE", "IN",
    "!=", ">=", "<=", "!*", "=", ">", "<", "*", "%",
)  # fmt: skip
_FIELD = re.compile(r"\s*([a-z_][a-z0-9_]*(?:\.[a-z_][a-z0-9_]*)*)\s*")
_SEPARATOR = re.compile(r"\^\^|\^")
TEXT = "123TEXTQUERY321"

Row = Mapping[str, str]


@dataclass
class Term:
    """One condition."""

    column: str
    operator: str
    value: str


@dataclass
class Parsed:
    """Groups joined by OR (`^NQ`), each an AND of ORs; sort keys as (column, descending)."""

    queries: list[list[list[Term]]] = field(default_factory=list)
    order: list[tuple[str, bool]] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)


def parse(text: str, known: Callable[[str], bool]) -> Parsed:
    """
    Read an encoded query.

    Args:
        known: Whether a (dot-walked) column exists; terms on others are dropped.
    """
    parsed = Parsed(queries=[[]])
    for raw in _split(text):
        if raw == "EQ" or not raw:
            continue
        if raw.startswith("ORDERBYDESC"):
            parsed.order.append((raw.removeprefix("ORDERBYDESC"), True))
            continue
        if raw.startswith("ORDERBY"):
            parsed.order.append((raw.removeprefix("ORDERBY"), False))
            continue
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
    """Split at `^`; a doubled one stands for itself."""
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
    for operator in OPERATORS:
        if rest.startswith(operator):
            return Term(column, operator, rest[len(operator) :].strip()) if known(column) else None
    return None


class Evaluator:
    """
    Args:
        value: The raw value of a (dot-walked) column of a row.
        display: What stands for it: the display value of a reference, else the raw value.
        is_reference: Whether text operators look at the display value.
        classes: A table and its descendants.
        me: The caller's sys_id, for ``javascript:gs.getUserID()``.
    """

    def __init__(
        self,
        value: Callable[[Row, str], str],
        display: Callable[[Row, str], str],
        is_reference: Callable[[str], bool],
        classes: Callable[[str], set[str]],
        me: str,
    ) -> None:
        self._value = value
        self._display = display
        self._is_reference = is_reference
        self._classes = classes
        self._me = me

    def select(self, rows: Sequence[dict[str, str]], parsed: Parsed) -> list[dict[str, str]]:
        """The rows that fit, sorted; without a sort key in the order of creation."""
        found = [
            row
            for row in rows
            if any(all(any(self._fits(row, t) for t in ors) for ors in ands) for ands in parsed.queries)
        ]
        for column, descending in reversed(parsed.order):
            found.sort(key=lambda row: _sortable(self._display(row, column)), reverse=descending)
        return found

    def _fits(self, row: dict[str, str], term: Term) -> bool:
        if term.operator == TEXT:
            text = " ".join(row.values()).casefold()
            return all(word in text for word in term.value.casefold().split())
        value = self._value(row, term.column)
        wanted = self._scripted(term.value)
        text = self._display(row, term.column) if self._is_reference(term.column) else value
        low, sought = text.casefold(), wanted.casefold()
        match term.operator:
            case "=":
                return value.casefold() == sought
            case "!=":
                return value.casefold() != sought and not (self._is_reference(term.column) and not value)
            case "LIKE" | "CONTAINS" | "*":
                return sought in low
            case "NOT LIKE" | "NOTLIKE" | "DOES NOT CONTAIN" | "!*":
                return sought not in low
            case "STARTSWITH":
                return low.startswith(sought)
            case "ENDSWITH" | "%":
                return low.endswith(sought)
            case "IN":
                return value in wanted.split(",")
            case "NOT IN":
                return value not in wanted.split(",")
            case "ISEMPTY" | "EMPTYSTRING":
                return value == ""
            case "ISNOTEMPTY":
                return value != ""
            case "ANYTHING":
                return True
            case "BETWEEN":
                first, _, last = wanted.partition("@")
                return _sortable(first) <= _sortable(value) <= _sortable(last)
            case "SAMEAS":
                return value == self._value(row, wanted)
            case "NSAMEAS":
                return value != self._value(row, wanted)
            case "INSTANCEOF":
                return value in self._classes(wanted)
            case ">" | "<" | ">=" | "<=":
                return value != "" and _compare(term.operator, _sortable(value), _sortable(wanted))
        return False

    def _scripted(self, value: str) -> str:
        if value.startswith("javascript:"):
            return self._me if "gs.getUserID()" in value else ""
        return value


def _sortable(text: str) -> tuple[int, Any, str]:
    """Numbers by size, everything else by letters."""
    try:
        return (0, float(text), "")
    except ValueError:
        return (1, 0.0, text.casefold())


def _compare(operator: str, one: Any, other: Any) -> bool:
    results = {">": one > other, "<": one < other, ">=": one >= other, "<=": one <= other}
    return bool(results[operator])
