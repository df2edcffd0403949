"""
Builds encoded queries from typed terms, never from concatenated text. Pure.

A person's input can only be a value. Otherwise `^` would start a new term, a leading ``javascript:`` would run on the
instance, and a comma would extend a list (API reference §2.3 and §2.5). ServiceNow silently drops terms that it doesn't
understand, so column names come from our own code.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

_COLUMN = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*")
_SYS_ID = re.compile(r"[0-9a-f]{32}")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")  # and halves of pairs
_SCRIPT = re.compile(r"\s*javascript\s*:", re.IGNORECASE)
# Operators that begin with IN: a list's first value must not make one of them.
_AFTER_IN = ("STANCEOF", "_HIERARCHY")
NOTHING = "\ufffd"  # a value that no record has
# What `compare` takes: operators on one column and plain values, understood by lists and by the component alike.
_WITHOUT_VALUE = ("ISEMPTY", "ISNOTEMPTY")
_LISTS = ("IN", "NOT IN")
OPERATORS = (
    *_WITHOUT_VALUE, *_LISTS, "=", "!=", "<", "<=", ">", ">=", "LIKE", "NOT LIKE", "STARTSWITH", "ENDSWITH",
)  # fmt: skip


class UnsafeValue(ValueError):
    """The value would change the query's meaning. The text names the column, never the value."""


@dataclass(frozen=True)
class Term:
    """One condition whose value is already checked."""

    text: str


def equals(column: str, value: str) -> Term:
    """Equal to *value*. Raises UnsafeValue if the value can't be expressed."""
    return Term(f"{_column(column)}={_exact(column, value)}")


def is_me(column: str) -> Term:
    """Equal to the sys_id of the account that sends the request."""
    return Term(f"{_column(column)}=javascript:gs.getUserID()")


def one_of(column: str, values: Iterable[str]) -> Term:
    """Equal to one of *values*. Raises UnsafeValue for a comma in one, which can't be escaped."""
    checked = [_exact(column, value) for value in values]
    if not checked or any("," in value or not value.strip() for value in checked):
        raise UnsafeValue(f"{column}: no list, or a value that is empty or has a comma")
    if checked[0].startswith(_AFTER_IN):
        raise UnsafeValue(f"{column}: a value that reads as an operator")
    return Term(f"{_column(column)}IN{','.join(checked)}")


def starts_with(column: str, words: str) -> Term:
    """Starts with a person's input."""
    return Term(f"{_column(column)}STARTSWITH{_words(words)}")


def contains(column: str, words: str) -> Term:
    """Contains a person's input."""
    return Term(f"{_column(column)}LIKE{_words(words)}")


def text_matches(words: str) -> Term:
    """Rows whose text index has all words of a person's input. Tables without an index ignore it."""
    return Term(f"123TEXTQUERY321={_words(words)}")


def compare(column: str, operator: str, value: str) -> Term:
    """
    A comparison from a person's query. *operator* is one of `OPERATORS`; lists are comma separated.

    Raises:
        UnsafeValue: The value can't be expressed, or is missing.
    """
    if operator not in OPERATORS:
        raise UnsafeValue(f"{column}: no operator that is taken")
    if operator in _WITHOUT_VALUE:
        if value:
            raise UnsafeValue(f"{column}: a value behind {operator}")
        return Term(f"{_column(column)}{operator}")
    if not value.strip() or (operator in _LISTS and value.startswith(_AFTER_IN)):
        raise UnsafeValue(f"{column}: no value, or one that reads as an operator")
    return Term(f"{_column(column)}{operator}{_exact(column, value)}")


def at_or_after(column: str, moment: float) -> Term:
    """A raw UTC time; *moment* is Unix seconds."""
    return Term(f"{_column(column)}>={datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M:%S}")


def overlapping(first_column: str, last_column: str, start: str, end: str) -> tuple[Term, Term]:
    """Rows whose interval from *first_column* to *last_column* overlaps the one from *start* to *end* (raw UTC)."""
    return (
        Term(f"{_column(first_column)}<={_exact(first_column, end)}"),
        Term(f"{_column(last_column)}>={_exact(last_column, start)}"),
    )


@dataclass(frozen=True)
class Query:
    """
    Groups joined by AND, each of terms joined by OR, and a sort order.

    ``others`` are queries joined by ``^NQ``, which add their rows. The first query's order applies.
    """

    groups: tuple[tuple[Term, ...], ...] = ()
    order: tuple[str, ...] = ()
    others: tuple["Query", ...] = ()

    def where(self, *alternatives: Term) -> "Query":
        """Also require one of *alternatives*."""
        if not alternatives:
            raise ValueError("a group needs a term")
        return replace(self, groups=(*self.groups, alternatives))

    def or_else(self, other: "Query") -> "Query":
        """Add the rows of *other*. Later conditions apply only to the first part."""
        return replace(self, others=(*self.others, other))

    def order_by(self, column: str, *, descending: bool = False) -> "Query":
        """Sort by *column*, after the columns given before."""
        direction = "ORDERBYDESC" if descending else "ORDERBY"
        return replace(self, order=(*self.order, f"{direction}{_column(column)}"))

    def __str__(self) -> str:
        """The encoded query, without percent-encoding."""
        parts = ["^".join(query._terms()) for query in (self, *self.others)]
        return "^".join(["^NQ".join(parts), *self.order] if self.groups else self.order)

    def _terms(self) -> list[str]:
        return ["^OR".join(term.text for term in group) for group in self.groups]


def is_sys_id(value: str) -> bool:
    """Whether the whole text is 32 lower-case hex digits."""
    return bool(_SYS_ID.fullmatch(value))


def _column(name: str) -> str:
    if not _COLUMN.fullmatch(name):
        raise ValueError(f"{name!r} is no column name")
    return name


def _exact(column: str, value: str) -> str:
    if "^" in value or _CONTROL.search(value) or _SCRIPT.match(value):
        raise UnsafeValue(f"{column}: a value with a separator, a line break or a script")
    return value


def _words(words: str) -> str:
    """
    Free text, with spaces for characters that can't be searched for.

    ``^`` is dropped, because the REST API doesn't accept ``^^`` as an escape (reference §2.3).
    """
    text = " ".join(_CONTROL.sub(" ", words).replace("^", " ").split())
    while match := _SCRIPT.match(text):
        text = text[match.end() :].strip()
    return text or NOTHING  # an empty value would match everything
