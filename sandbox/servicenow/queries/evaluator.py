"""Applies encoded queries to rows (API reference §2.2). No I/O."""

import operator as op
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sandbox.servicenow.queries import relative_times
from sandbox.servicenow.queries.encoded_query import TEXT, Parsed, Term, Unsupported

Row = Mapping[str, str]

_ORDERED: dict[str, Callable[[Any, Any], bool]] = {
    ">": op.gt, "<": op.lt, ">=": op.ge, "<=": op.le,
    "GT_FIELD": op.gt, "LT_FIELD": op.lt, "GT_OR_EQUALS_FIELD": op.ge, "LT_OR_EQUALS_FIELD": op.le,
}  # fmt: skip
_SPANS = {"BETWEEN", "ON", "NOTON", "RELATIVEGT", "RELATIVEGE", "RELATIVELT", "RELATIVELE", "RELATIVEEE"}


@dataclass(frozen=True)
class Asking:
    """Whose query it is, and when: `me` is a sys_id, `now` is aware, and days begin in *zone*."""

    me: str
    now: datetime
    zone: ZoneInfo


class Evaluator:
    """
    Evaluates queries on one table.

    Args:
        value: Returns the raw value of a (dot-walked) column of a row.
        display: Returns the display value of a reference, and the raw value of other columns.
        is_reference: Whether text operators compare the display value of a column.
        classes: A table and its descendants.
        asking: For ``javascript:gs.getUserID()`` and relative times.
        case_sensitive: Whether text comparisons are case-sensitive. In lists they aren't.
    """

    def __init__(
        self,
        value: Callable[[Row, str], str],
        display: Callable[[Row, str], str],
        is_reference: Callable[[str], bool],
        classes: Callable[[str], Sequence[str]],
        asking: Asking,
        case_sensitive: bool = False,
    ) -> None:
        self._value = value
        self._display = display
        self._is_reference = is_reference
        self._classes = classes
        self._asking = asking
        self.empty_is_least = False  # In scripts' filters, an empty value is less than any other.
        self._fold = str if case_sensitive else str.casefold

    def select(self, rows: Sequence[dict[str, str]], parsed: Parsed) -> list[dict[str, str]]:
        """
        The matching rows, sorted. Without a sort key they are in order of creation.

        Raises:
            Unsupported: A script that isn't implemented here.
        """
        for term in (term for ands in parsed.queries for ors in ands for term in ors):
            self._check(term)
        found = [row for row in rows if self.matches(row, parsed)]
        for column, descending in reversed(parsed.order):
            found.sort(key=lambda row: sortable(self._display(row, column)), reverse=descending)
        return found

    def matches(self, row: dict[str, str], parsed: Parsed) -> bool:
        """Whether a row matches. Raises Unsupported."""
        return any(all(any(self._fits(row, term) for term in ors) for ors in ands) for ands in parsed.queries)

    def _fits(self, row: dict[str, str], term: Term) -> bool:
        if term.operator == TEXT:
            words = term.value.casefold().split()
            return all(word in text_of(row) for word in words)
        value = self._value(row, term.column)
        if term.operator in _SPANS:
            return self._spans(value, term)
        wanted = self._scripted(term.value)
        if term.operator in _ORDERED:
            if term.operator.endswith("_FIELD"):
                wanted = self._value(row, wanted)
            if self.empty_is_least and wanted != "" and value == "":
                return _ORDERED[term.operator](0, 1)
            return value != "" and wanted != "" and _ORDERED[term.operator](sortable(value), sortable(wanted))
        text = self._display(row, term.column) if self._is_reference(term.column) else value
        low, sought, plain = self._fold(text), self._fold(wanted), self._fold(value)
        match term.operator:
            case "=":
                return plain == sought
            case "!=":
                return plain != sought and not (self._is_reference(term.column) and not value)
            case "LIKE" | "CONTAINS" | "*":
                return sought in low
            case "NOT LIKE" | "NOTLIKE" | "DOES NOT CONTAIN" | "!*":
                return sought not in low
            case "STARTSWITH":
                return low.startswith(sought)
            case "ENDSWITH" | "%":
                return low.endswith(sought)
            case "IN":
                return plain in sought.split(",")
            case "NOT IN":
                return plain not in sought.split(",")
            case "ISEMPTY" | "EMPTYSTRING":
                return value == ""
            case "ISNOTEMPTY":
                return value != ""
            case "ANYTHING":
                return True
            case "SAMEAS":
                return value == self._value(row, wanted)
            case "NSAMEAS":
                return value != self._value(row, wanted)
            case _:  # INSTANCEOF
                return value in self._classes(wanted)

    def _check(self, term: Term) -> None:
        """Raise Unsupported for a term that can't be evaluated, even if no row is compared with it."""
        if term.operator in _SPANS:
            self._spans("0", term)
        elif term.operator != TEXT:
            self._scripted(term.value)

    def _spans(self, value: str, term: Term) -> bool:
        """Whether a value is between two values, on a day, or in a relative range. An empty value never is."""
        if term.operator.startswith("RELATIVE"):
            try:
                asking = self._asking
                return value != "" and relative_times.relative(
                    value, term.operator, term.value, asking.now, asking.zone
                )
            except relative_times.Unknown as problem:
                raise Unsupported(f"{term.column}{term.operator}{term.value}") from problem
        parts = term.value.split("@")
        if len(parts) != (2 if term.operator == "BETWEEN" else 3):  # ON and NOTON begin with a label
            raise Unsupported(f"{term.column}{term.operator}{term.value}")
        first, last = (self._scripted(part) for part in parts[-2:])
        within = sortable(first) <= sortable(value) <= sortable(last)
        return value != "" and within != (term.operator == "NOTON")

    def _scripted(self, value: str) -> str:
        if not value.startswith("javascript:"):
            return value
        script = value.removeprefix("javascript:").strip()
        if script.rstrip(";") == "gs.getUserID()":
            return self._asking.me
        try:
            return relative_times.generated(script, self._asking.now, self._asking.zone)
        except relative_times.Unknown as problem:
            raise Unsupported(value) from problem


def text_of(row: Row) -> str:
    """The text that the text index has for a row."""
    return " ".join(value for name, value in row.items() if not name.startswith("sys_")).casefold()


def sortable(text: str) -> tuple[int, float, str]:
    """A sort key: numbers by value, everything else alphabetically."""
    try:
        return (0, float(text), "")
    except ValueError:
        return (1, 0.0, text.casefold())
