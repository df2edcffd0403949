"""Encoded queries applied to rows (API reference §2.2). Pure."""

import operator as op
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sandbox.servicenow.query import TEXT, NotDone, Parsed, Term

Row = Mapping[str, str]

_ORDERED: dict[str, Callable[[Any, Any], bool]] = {
    ">": op.gt, "<": op.lt, ">=": op.ge, "<=": op.le,
    "GT_FIELD": op.gt, "LT_FIELD": op.lt, "GT_OR_EQUALS_FIELD": op.ge, "LT_OR_EQUALS_FIELD": op.le,
}  # fmt: skip


class Evaluator:
    """
    Args:
        value: The raw value of a (dot-walked) column of a row.
        display: What stands for it: the display value of a reference, else the raw value.
        is_reference: Whether text operators look at the display value.
        classes: A table and its descendants.
        me: The caller's sys_id, for ``javascript:gs.getUserID()``.
        case_sensitive: Whether texts differ by case; to a list they do not.
    """

    def __init__(
        self,
        value: Callable[[Row, str], str],
        display: Callable[[Row, str], str],
        is_reference: Callable[[str], bool],
        classes: Callable[[str], Sequence[str]],
        me: str,
        case_sensitive: bool = False,
    ) -> None:
        self._value = value
        self._display = display
        self._is_reference = is_reference
        self._classes = classes
        self._me = me
        self.empty_is_least = False  # filters of scripts: an empty value is below every other
        self._fold = str if case_sensitive else str.casefold

    def select(self, rows: Sequence[dict[str, str]], parsed: Parsed) -> list[dict[str, str]]:
        """
        The rows that fit, sorted; without a sort key in the order of creation.

        Raises:
            NotDone: A script that is not done here.
        """
        found = [row for row in rows if self.matches(row, parsed)]
        for column, descending in reversed(parsed.order):
            found.sort(key=lambda row: sortable(self._display(row, column)), reverse=descending)
        return found

    def matches(self, row: dict[str, str], parsed: Parsed) -> bool:
        """Whether a row fits. Raises NotDone."""
        return any(all(any(self._fits(row, term) for term in ors) for ors in ands) for ands in parsed.queries)

    def _fits(self, row: dict[str, str], term: Term) -> bool:
        if term.operator == TEXT:
            words = term.value.casefold().split()
            return all(word in text_of(row) for word in words)
        value, wanted = self._value(row, term.column), self._scripted(term.value)
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
            case "BETWEEN":
                first, _, last = wanted.partition("@")
                return value != "" and sortable(first) <= sortable(value) <= sortable(last)
            case "SAMEAS":
                return value == self._value(row, wanted)
            case "NSAMEAS":
                return value != self._value(row, wanted)
            case _:  # INSTANCEOF
                return value in self._classes(wanted)

    def _scripted(self, value: str) -> str:
        if not value.startswith("javascript:"):
            return value
        if value.removeprefix("javascript:").strip().rstrip(";") != "gs.getUserID()":
            raise NotDone(value)
        return self._me


def text_of(row: Row) -> str:
    """What the text index holds of a row: everything that a person reads."""
    return " ".join(value for name, value in row.items() if not name.startswith("sys_")).casefold()


def sortable(text: str) -> tuple[int, float, str]:
    """Numbers by size, everything else by letters."""
    try:
        return (0, float(text), "")
    except ValueError:
        return (1, 0.0, text.casefold())
