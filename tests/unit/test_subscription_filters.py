"""Filters of subscriptions: what becomes an encoded query, what is refused, and what reads back."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from core.errors import InvalidInput
from core.filters import Filter
from core.records import Column
from servicenow.filters import decode, encode

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
    """The sentence at the field of the encoded query."""
    with pytest.raises(InvalidInput) as refused:
        encoded(query)
    assert set(refused.value.fields) == {"filter"}
    return refused.value.fields["filter"]


def test_fields_become_conditions_that_all_hold() -> None:
    """Each field is one condition; a priority stands for those above it, empty ones left out."""
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
def test_what_was_saved_reads_back_into_the_same_fields(wanted: Filter) -> None:
    """Opening the form again shows what was entered."""
    assert decode(encode(wanted, "incident", COLUMNS), "incident") == wanted


@pytest.mark.parametrize(
    "query",
    [
        "priority=1", "priority<=2^state!=6", "stateIN1,2^ORstateISEMPTY", "short_descriptionSTARTSWITHVPN", "order>3",
        "order>=3^order<9", "stateNOT IN6,7", "short_descriptionNOT LIKEtest", "short_descriptionENDSWITHdown",
        "assigned_toISNOTEMPTY", "category=_HIERARCHY",
    ],
)  # fmt: skip
def test_comparisons_are_taken_as_they_are(query: str) -> None:
    """Columns of the table, comparing operators and plain values, joined by AND and OR."""
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
def test_what_is_no_comparison_is_refused_in_words(query: str, word: str) -> None:
    """Neither a second query nor a script, a sort, a dot-walk, a journal or an unknown column gets through."""
    assert word.casefold() in refusal(query).casefold()


def test_a_query_that_is_too_long_or_too_wide_is_refused() -> None:
    """The column holds 4,000 characters; forty conditions are enough for anybody."""
    assert "long" in refusal("short_description=" + "x" * 4000)
    assert "many" in refusal("^".join(["priority=1"] * 41))


def test_without_known_columns_no_query_is_taken() -> None:
    """Where ServiceNow does not say what the person sees, nothing can be checked; the fields still work."""
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
def test_a_field_takes_only_what_its_list_offers(field: str, value: str) -> None:
    """Whatever a client sends for a choice, nothing but a choice gets through; the sentence is at its field."""
    with pytest.raises(InvalidInput) as refused:
        encoded(**{field: value})
    assert set(refused.value.fields) == {field}


def test_words_are_words() -> None:
    """Text that looks like a query is looked for, not run."""
    assert encoded(text="x^NQactive=true") == "short_descriptionLIKEx NQactive=true^ORdescriptionLIKEx NQactive=true"


def test_articles_have_no_fields_of_a_task() -> None:
    """What a table does not have is left out, so that no condition is dropped in silence."""
    assert encode(Filter(priority="1", text="VPN"), "kb_knowledge", {}) == "short_descriptionLIKEVPN"


@given(some.text(max_size=60))
def test_no_text_breaks_out_of_its_condition(words: str) -> None:
    """However words look, they stay inside one condition on each of two columns, and read back without an error."""
    query = encoded(text=words)
    assert query.count("^") == (1 if query else 0)
    decode(query, "incident")


@given(some.text(alphabet="priostaNQEOR^=<>!.LIKE 1\njavscript:", max_size=40))
def test_whatever_is_typed_is_refused_or_rebuilt_whole(query: str) -> None:
    """A query comes through unchanged or not at all; decoding what is stored never fails."""
    decode(query, "incident")
    try:
        kept = encoded(query)
    except InvalidInput:
        return
    assert kept == query.strip()
    assert not [part for part in kept.split("^") if part.startswith(("NQ", "EQ", "ORDERBY"))]
