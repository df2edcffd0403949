"""Filters of subscriptions: what becomes an encoded query, what is rejected, and what reads back."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from core.errors import InvalidInput
from core.records import Column
from core.subscriptions import FILTER_CHARACTERS, Filter
from servicenow.filters import BadQuery, decode, encode, parse

GROUP, ITEM = "a" * 32, "b" * 32
COLUMNS = {
    name: Column(name, name, type=kind)
    for name, kind in (
        ("priority", "integer"),
        ("state", "integer"),
        ("category", "string"),
        ("short_description", "string"),
        ("description", "string"),
        ("assigned_to", "reference"),
        ("order", "integer"),
        ("work_notes", "journal_input"),
        ("u_secret", "password2"),
    )
}


def encoded(query: str = "", **rest: str) -> str:
    """The filter of an incident subscription."""
    return encode(Filter(query=query, **rest), "incident", COLUMNS)


def refusal(query: str) -> str:
    """The error at the encoded query's field."""
    with pytest.raises(InvalidInput) as refused:
        encoded(query)
    assert set(refused.value.fields) == {"filter"}
    return refused.value.fields["filter"]


def test_fields_become_conditions_joined_by_and() -> None:
    """Each field is one condition; a priority includes higher ones, and empty fields are left out."""
    query = encoded(priority="2", assignment_group=GROUP, category="network", cmdb_ci=ITEM, text="VPN down")
    assert query == (
        f"priorityIN1,2^assignment_group={GROUP}^cmdb_ci={ITEM}^category=network"
        "^short_descriptionLIKEVPN down^ORdescriptionLIKEVPN down"
    )
    assert encoded() == ""


@pytest.mark.parametrize(
    "wanted",
    [
        Filter(),
        Filter(priority="1"),
        Filter(priority="5", text="VPN"),
        Filter(assignment_group=GROUP, category="software", cmdb_ci=ITEM),
        Filter(priority="3", query="state!=6^ORstateISEMPTY^assigned_toISNOTEMPTY"),
        Filter(query="priority=1"),
    ],
)
def test_a_saved_filter_reads_back_into_the_same_fields(wanted: Filter) -> None:
    """Reopening the form shows what was entered."""
    assert decode(encode(wanted, "incident", COLUMNS), "incident") == wanted


@pytest.mark.parametrize(
    "query",
    [
        "priority=1", "priority<=2^state!=6", "stateIN1,2^ORstateISEMPTY", "short_descriptionSTARTSWITHVPN", "order>3",
        "order>=3^order<9", "stateNOT IN6,7", "short_descriptionNOT LIKEtest", "short_descriptionENDSWITHdown",
        "assigned_toISNOTEMPTY", "category=_HIERARCHY",
    ],
)  # fmt: skip
def test_comparisons_are_accepted_unchanged(query: str) -> None:
    """The table's columns, comparison operators and plain values, joined by AND and OR."""
    assert encoded(query) == query


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("priority=1^NQactive=true", "NQ"),
        ("priority=1^EQ", "EQ"),
        ("NQpriority=1", "NQ"),
        ("priority=1^ORDERBYpriority", "ORDERBY"),
        ("priority=1^GROUPBYstate", "GROUPBY"),
        ("123TEXTQUERY321=vpn", "123TEXT"),
        ("RLQUERYtask_sla.task,>=1^ENDRLQUERY", "RLQUERY"),
        ("assigned_to=javascript:gs.getUserID()", "javascript"),
        ("short_descriptionLIKEx JavaScript :alert(1)", "javascript"),
        ("assigned_to.manager=x", "another table"),
        ("u_unknown=1", "no column"),
        ("work_notesLIKEx", "compared"),
        ("u_secret=x", "compared"),
        ("priority", "no condition"),
        ("^priority=1", "no condition"),
        ("priority=1^^", "no condition"),
        ("priority=", "does not fit"),
        ("priorityISEMPTY1", "does not fit"),
        ("priority<=", "does not fit"),
        ("priority>=", "does not fit"),
        ("stateNOT INSTANCEOFtask", "does not fit"),
        ("stateINSTANCEOFtask", "does not fit"),
        ("priority=1\nstate=2", "does not fit"),
        ("stateDYNAMIC1", "no condition"),
        ("stateBETWEEN1@2", "no condition"),
        ("ORpriority=1", "no condition"),
        ("Priority=1", "no condition"),
    ],
)
def test_anything_but_comparisons_is_rejected_with_a_message(query: str, word: str) -> None:
    """A second query, a script, a sort, a dot-walk, a journal and an unknown column."""
    assert word.casefold() in refusal(query).casefold()


def test_a_query_that_is_too_long_or_too_wide_is_rejected() -> None:
    """The column holds 4,000 characters; forty conditions are enough."""
    assert "long" in refusal("short_description=" + "x" * 4000)
    assert "many" in refusal("^".join(["priority=1"] * 41))


def test_without_known_columns_no_query_is_accepted() -> None:
    """If ServiceNow doesn't return the person's columns, nothing can be checked; the fields still work."""
    with pytest.raises(InvalidInput) as refused:
        encode(Filter(query="priority=1"), "incident", {})
    assert list(refused.value.fields) == ["filter"]
    assert encode(Filter(priority="1"), "incident", {}) == "priorityIN1"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("priority", "9"),
        ("assignment_group", "a" * 31),
        ("assignment_group", f"{GROUP}^NQactive=true"),
        ("cmdb_ci", "javascript:gs.getUserID()"),
        ("category", "network^NQactive=true"),
    ],
)
def test_a_field_accepts_only_offered_choices(field: str, value: str) -> None:
    """Whatever a client sends, only a choice is accepted; the error is at its field."""
    with pytest.raises(InvalidInput) as refused:
        encoded(**{field: value})
    assert set(refused.value.fields) == {field}


def test_text_is_searched_not_executed() -> None:
    """Text that looks like a query is searched as text."""
    assert encoded(text="x^NQactive=true") == "short_descriptionLIKEx NQactive=true^ORdescriptionLIKEx NQactive=true"


def test_articles_have_no_task_fields() -> None:
    """Fields that a table lacks are left out, so that no condition is dropped silently."""
    assert encode(Filter(priority="1", text="VPN"), "kb_knowledge", {}) == "short_descriptionLIKEVPN"


@given(some.text(max_size=60))
def test_no_text_escapes_from_its_condition(words: str) -> None:
    """
    Whatever the text looks like, it remains inside one condition on each of two columns and reads back without an
    error.
    """
    query = encoded(text=words)
    assert query.count("^") == (1 if query else 0)
    decode(query, "incident")


@given(some.text(alphabet="priostaNQEOR^=<>!.LIKE 1\njavscript:", max_size=40))
def test_any_typed_query_is_rejected_or_unchanged(query: str) -> None:
    """Decoding what is stored never fails."""
    decode(query, "incident")
    try:
        kept = encoded(query)
    except InvalidInput:
        return
    assert kept == query.strip()
    assert not [part for part in kept.split("^") if part.startswith(("NQ", "EQ", "ORDERBY"))]


@pytest.mark.parametrize(
    "word",
    ["NQ", "EQ", "ORDERBY", "GROUPBY", "TRENDBY", "RLQUERY", "ENDRLQUERY", "JOIN", "SUBQUERY", "123TEXT"],
)
def test_the_error_names_the_part_that_is_no_condition(word: str) -> None:
    """Someone who copied a query from a list learns which part a filter doesn't support."""
    assert refusal(f"priority=1^{word}state=1") == f"A filter takes no {word}: only conditions joined by ^ and ^OR."


def test_limits_are_exact() -> None:
    """4,000 characters and forty conditions are accepted; one more of either is rejected."""
    most = "short_description=".ljust(FILTER_CHARACTERS, "x")
    assert encoded(most) == most
    assert refusal(f"{most}x") == "This is too long: a query may have 4,000 characters."
    with pytest.raises(InvalidInput) as refused:
        encoded(most[:-10], priority="1")
    assert refused.value.fields == {"filter": "This is too long: all of the filter may have 4,000 characters."}
    forty = "^".join(["priority=1"] * 40)
    assert encoded(forty) == forty


def test_a_table_keeps_only_its_own_fields() -> None:
    """An article has no group, item or category."""
    wanted = Filter(assignment_group=GROUP, cmdb_ci=ITEM, category="network", text="VPN")
    assert encode(wanted, "kb_knowledge", {}) == "short_descriptionLIKEVPN"


def test_a_stored_query_can_name_any_column() -> None:
    """Its conditions were checked when it was stored; without known columns a typed one is rejected with a message."""
    assert str(parse("u_anything=1^ORstate=2", None)) == "u_anything=1^ORstate=2"
    with pytest.raises(BadQuery, match="ServiceNow does not say which columns you may use"):
        parse("state=1", {})


@pytest.mark.parametrize(
    "query",
    [
        "category=a^ORcategory=b",
        "category!=a",
        "category=",
        f"assigned_to={GROUP}",
        f"priority={GROUP}",
        "short_descriptionLIKE^ORdescriptionLIKE",
        "short_descriptionLIKEx",
        "short_descriptionLIKEx^ORdescriptionLIKEy",
        "assignment_group=x",
    ],
)
def test_a_condition_without_a_field_remains_a_query(query: str) -> None:
    """Alternatives, other comparisons, empty values, other columns, and half of a text search."""
    assert decode(query, "incident") == Filter(query=query)


def test_a_field_shows_one_condition() -> None:
    """
    The first; a second on the same column remains a query, and so does one that the table's form has no field for.
    """
    assert decode("category=a^category=b", "incident") == Filter(category="a", query="category=b")
    assert decode("priorityIN1", "kb_knowledge") == Filter(query="priorityIN1")


def test_an_error_quotes_at_most_forty_characters() -> None:
    """A longer part is cut."""
    assert refusal("x" * 40).startswith(f"“{'x' * 40}” is no condition")
    assert refusal("x" * 41).startswith(f"“{'x' * 39}…” is no condition")
