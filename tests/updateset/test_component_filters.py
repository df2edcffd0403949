"""Filters of subscriptions: what matches, what is rejected, and what the row says about it."""

import pytest

from tests.updateset.facts import SUBSCRIPTIONS
from tests.updateset.instance import Instance


def _error(instance: Instance, subscription: str) -> str:
    return str(next(row["filter_error"] for row in instance.rows(SUBSCRIPTIONS) if row["sys_id"] == subscription))


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("priority=5", 1),
        ("priority<=4", 0),
        ("short_descriptionLIKEMAIL", 1),  # case is ignored, as in lists
        ("short_descriptionLIKEprinter", 0),
        ("priority=1^ORpriority=5", 1),
        ("priority=1^NQstate=2", 1),
    ],
)
def test_a_filter_decides_which_records_match(instance: Instance, query: str, told: int) -> None:
    """It is evaluated on the record as it was saved."""
    subscription = instance.subscribe("state", filter_query=query)
    incident = instance.incident()
    instance.save("incident", incident, state="2")
    assert len(instance.reports()) == told
    assert _error(instance, subscription) == ""


@pytest.mark.parametrize(
    "query",
    [
        "caller_id=javascript:gs.getUserID()",
        "priority=5^caller_id=JAVA SCRIPT :gs.getUserID()",
        "caller_id=JavaScript\t:new GlideRecord('incident').deleteMultiple()",
    ],
)
def test_a_script_in_a_filter_is_rejected(instance: Instance, query: str) -> None:
    """It matches nothing, is never evaluated, and the row says why; other subscriptions are still reported."""
    subscription = instance.subscribe("state", filter_query=query)
    other = instance.subscribe("state")
    incident = instance.incident()
    instance.save("incident", incident, state="2")
    [report] = instance.reports()
    assert [one["sys_id"] for one in report["subscriptions"]] == [other]
    assert "script" in _error(instance, subscription)


def test_a_filter_with_an_unknown_column_matches_nothing(instance: Instance) -> None:
    """The platform would drop the column, and everything would match."""
    subscription = instance.subscribe("state", filter_query="no_such_column=1")
    incident = instance.incident()
    instance.save("incident", incident, state="2")
    assert instance.reports() == []
    assert "column" in _error(instance, subscription)


def test_a_corrected_filter_works_again(instance: Instance) -> None:
    """The row no longer shows the error."""
    subscription = instance.subscribe("state", filter_query="no_such_column=1")
    incident = instance.incident()
    instance.save("incident", incident, state="2")
    instance.settle()
    instance.save(SUBSCRIPTIONS, subscription, filter_query="priority=5")
    instance.save("incident", incident, state="3", hold_reason="1")
    assert len(instance.reports()) == 1
    assert _error(instance, subscription) == ""


def test_the_row_isnt_written_at_every_event(instance: Instance) -> None:
    """The same error again changes nothing."""
    subscription = instance.subscribe("state", filter_query="no_such_column=1")
    incident = instance.incident()
    for state in ("2", "3", "2"):
        instance.save("incident", incident, state=state, hold_reason="1")
        instance.settle()
    row = next(row for row in instance.rows(SUBSCRIPTIONS) if row["sys_id"] == subscription)
    assert row["sys_mod_count"] == "1"


def test_the_captured_values_decide_even_if_the_record_has_changed(instance: Instance) -> None:
    """Priority was critical in the first save and no longer is when it is evaluated."""
    instance.load(lambda xml: xml.replace(b"Reports().process(String(event.parm1))", b"Missing(event.parm1)"))
    instance.subscribe("state", filter_query="priority=1")
    incident = instance.incident()
    instance.save("incident", incident, state="2", impact="1", urgency="1")
    instance.settle()
    instance.save("incident", incident, impact="3", urgency="3")
    assert instance.reports() == []
    instance.load()
    instance.advance(180)
    instance.save("incident", incident, state="3", hold_reason="1")
    [report] = instance.reports()
    assert report["record"]["priority"]["value"] == "1"
    assert report["changes"][0]["new"] == "In Progress"
