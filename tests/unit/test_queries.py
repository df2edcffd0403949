"""
No typed value changes a query's meaning. A parser written from the grammar (API reference §2.1 and §2.2) checks it: it
reads the finished text as an instance would, and must find exactly the requested conditions.
"""

import re
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from servicenow.queries import (
    NOTHING,
    Query,
    UnsafeValue,
    at_or_after,
    compare,
    contains,
    equals,
    is_me,
    is_sys_id,
    one_of,
    overlapping,
    starts_with,
    text_matches,
)

# Longest first, as a parser must try them.
OPERATORS = sorted(
    [
        *("=", "!=", "<", ">", "<=", ">=", "LIKE", "*", "CONTAINS", "NOT LIKE", "!*", "NOTLIKE", "DOES NOT CONTAIN"),
        *("STARTSWITH", "ENDSWITH", "%", "IN", "NOT IN", "ISEMPTY", "ISNOTEMPTY", "EMPTYSTRING", "ANYTHING"),
        *("BETWEEN", "SAMEAS", "NSAMEAS", "GT_FIELD", "LT_FIELD", "ON", "NOTON", "DATEPART", "RELATIVEGT", "DYNAMIC"),
        *("INSTANCEOF", "IN_HIERARCHY", "IN_HIERARCHY_DYNAMIC", "DOESNOTHAVE", "EXCLUDING", "VALCHANGES"),
    ],
    key=len,
    reverse=True,
)
FIELD = re.compile(r" *([a-z][a-z0-9_.]*) *")
SCRIPT = re.compile(r"\s*javascript\s*:", re.IGNORECASE)


@dataclass
class Read:
    """What an instance understands: AND of ORs, `^NQ` counted, sort keys."""

    groups: list[list[tuple[str, str, str]]] = field(default_factory=list)
    new_queries: int = 0
    order: list[str] = field(default_factory=list)


def read(text: str) -> Read:
    """Parse an encoded query by the grammar alone."""
    result = Read()
    for part in text.split("^"):
        if part.startswith("ORDERBY"):
            result.order.append(part)
        elif part.startswith("NQ"):
            result.new_queries += 1
        elif part.startswith("OR"):
            result.groups[-1].append(condition(part[2:]))
        elif part != "EQ":
            result.groups.append([condition(part)])
    return result


def condition(part: str) -> tuple[str, str, str]:
    """One ``field operator value``."""
    found = FIELD.match(part)
    assert found, part
    rest = part[found.end() :]
    operator = next(operator for operator in OPERATORS if rest.startswith(operator))
    return found[1], operator, rest[len(operator) :]


NASTY = st.sampled_from(
    [
        *("^", "^OR", "^NQ", "^EQ", "^^", "^ORDERBYDESCsys_created_on", "^ORsys_idISNOTEMPTY", "^NQactive=true"),
        *("javascript:", "JavaScript :", " javascript:gs.getUserID()", "java\nscript:", "javascript^:"),
        *("\n", "\r\n", "\t", "\x00", "\x85", "\u2028", "\ud800", ",", "@", "=", "!", " ", "  ", "\u3000"),
        *("STANCEOFtask", "_HIERARCHY", "ISEMPTY", "NOT LIKE", "%", "*", "ä", "名前", "🙂", "active=true"),
    ]
)
TYPED = st.lists(NASTY | st.text(max_size=8), max_size=6).map("".join)


@settings(deadline=None)
@given(TYPED)
def test_a_typed_value_remains_a_value(typed: str) -> None:
    """Whatever is typed into a lookup, the query has our conditions, our sort order and nothing else."""
    query = (
        Query()
        .where(equals("active", "true"))
        .where(contains("name", typed), starts_with("user_name", typed), starts_with("email", typed))
        .order_by("name")
    )
    found = read(str(query))
    assert found.new_queries == 0
    assert found.order == ["ORDERBYname"]
    assert [[(name, operator) for name, operator, _ in group] for group in found.groups] == [
        [("active", "=")],
        [("name", "LIKE"), ("user_name", "STARTSWITH"), ("email", "STARTSWITH")],
    ]
    values = {value for _, _, value in found.groups[1]}
    assert len(values) == 1
    value = values.pop()
    assert value, "an empty value would match every row"
    assert not SCRIPT.match(value)
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u2028\ud800-\udfff]", value)


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8", categories=("L", "N")), min_size=1, max_size=30))
def test_ordinary_words_are_searched_as_typed(typed: str) -> None:
    """Only separators, control characters and scripts are changed."""
    assert read(str(Query().where(contains("name", typed)))).groups == [[("name", "LIKE", typed)]]


@settings(deadline=None)
@given(TYPED)
def test_an_exact_value_is_used_unchanged_or_rejected(typed: str) -> None:
    """A changed value would find another record."""
    try:
        query = Query().where(equals("correlation_id", typed)).where(is_me("opened_by"))
    except UnsafeValue:
        return
    assert read(str(query)).groups == [
        [("correlation_id", "=", typed)],
        [("opened_by", "=", "javascript:gs.getUserID()")],
    ]


@settings(deadline=None)
@given(st.lists(TYPED, max_size=4))
def test_a_list_has_exactly_its_values_or_is_rejected(values: list[str]) -> None:
    """No value extends a list or turns its operator into another."""
    try:
        query = Query().where(one_of("element", values))
    except UnsafeValue:
        return
    [[(name, operator, text)]] = read(str(query)).groups
    assert (name, operator) == ("element", "IN")
    assert text.split(",") == values


@pytest.mark.parametrize("value", ["STANCEOFtask", "_HIERARCHYx", "a,b", "", "x^NQy", "javascript:1"])
def test_an_ambiguous_list_value_is_rejected(value: str) -> None:
    """`IN` followed by some words is another operator; commas can't be escaped."""
    with pytest.raises(UnsafeValue):
        one_of("element", [value])


@settings(deadline=None)
@given(TYPED)
def test_a_query_survives_the_url(typed: str) -> None:
    """Percent-encoded once by the HTTP client, it arrives as it was built."""
    query = str(Query().where(contains("name", typed)))
    request = requests.Request("GET", "https://x.example/t", params={"sysparm_query": query}).prepare()
    assert parse_qs(urlsplit(request.url or "").query)["sysparm_query"] == [query]


@pytest.mark.parametrize("column", ["", "Name", "name^ORx", "name=", "na me", "name.", "1name", "näme", "name\n"])
def test_columns_are_only_names(column: str) -> None:
    """A column comes from our own code; anything else is a bug there."""
    for build in (lambda: equals(column, "x"), lambda: contains(column, "x"), lambda: Query().order_by(column)):
        with pytest.raises(ValueError, match="column name"):
            build()


def test_times_are_raw_utc() -> None:
    """Literal times in a query are compared as stored."""
    assert str(Query().where(at_or_after("sys_created_on", 0.0))) == "sys_created_on>=1970-01-01 00:00:00"


def test_an_empty_search_finds_nothing() -> None:
    """A value that is empty after cleaning must not match every row."""
    for typed in ("", " ", "^", "javascript:", "\n^\t"):
        assert str(Query().where(contains("name", typed))) == f"nameLIKE{NOTHING}"


def test_a_group_needs_a_condition() -> None:
    """An empty group would be dropped and so widen the query."""
    with pytest.raises(ValueError, match="group"):
        Query().where()


@pytest.mark.parametrize(
    ("value", "good"), [("0" * 32, True), ("0" * 32 + "\n", False), ("G" * 32, False), ("", False)]
)
def test_a_sys_id_has_exactly_32_hex_digits(value: str, good: bool) -> None:
    """A line break at the end is rejected too."""
    assert is_sys_id(value) is good


def test_a_comparison_takes_only_known_operators() -> None:
    """Anything else is rejected before it reaches a query."""
    with pytest.raises(UnsafeValue, match="no operator"):
        compare("state", "SAMEAS", "1")


def test_queries_joined_as_alternatives_are_two() -> None:
    """Each part keeps its own conditions; the sort order is the first one's."""
    joined = Query().where(equals("state", "1")).or_else(Query().where(equals("state", "2")))
    understood = read(str(joined.order_by("number", descending=True)))
    assert understood.new_queries == 1
    assert str(joined) == "state=1^NQstate=2"
    assert understood.order == ["ORDERBYDESCnumber"]


def test_words_are_searched_in_the_text_index() -> None:
    """The index has its own column; what a person types can only be words."""
    query = Query().where(text_matches("printer^active=true on fire"))
    assert str(query) == "123TEXTQUERY321=printer active=true on fire"


def test_overlapping_windows_start_before_the_end_and_end_after_the_start() -> None:
    """Both conditions apply, including for windows that only touch."""
    first, last = overlapping("start_date", "end_date", "2036-01-01 08:00:00", "2036-01-01 10:00:00")
    query = Query().where(first).where(last)
    assert str(query) == "start_date<=2036-01-01 10:00:00^end_date>=2036-01-01 08:00:00"
    with pytest.raises(UnsafeValue):
        overlapping("start_date", "end_date", "2036-01-01^NQ", "2036-01-01")
