"""Filters of subscriptions: what matches, what is refused, and what the row says about it."""

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
        ("short_descriptionLIKEMAIL", 1),  # case does not matter, as in lists
        ("short_descriptionLIKEprinter", 0),
        ("priority=1^ORpriority=5", 1),
        ("priority=1^NQstate=2", 1),
    ],
)
def test_a_filter_decides(instance: Instance, query: str, told: int) -> None:
    """On the record as it was saved."""
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
def test_script_in_a_filter_is_refused(instance: Instance, query: str) -> None:
    """It matches nothing, is never evaluated, and the row says why; other subscriptions are told all the same."""
    subscription = instance.subscribe("state", filter_query=query)
    other = instance.subscribe("state")
    incident = instance.incident()
    instance.save("incident", incident, state="2")
    [report] = instance.reports()
    assert [one["sys_id"] for one in report["subscriptions"]] == [other]
    assert "script" in _error(instance, subscription)


def test_a_filter_that_is_not_understood_matches_nothing(instance: Instance) -> None:
    """Left to the platform, an unknown column would be dropped and everything would match."""
    subscription = instance.subscribe("state", filter_query="no_such_column=1")
    incident = instance.incident()
    instance.save("incident", incident, state="2")
    assert instance.reports() == []
    assert "column" in _error(instance, subscription)


def test_a_filter_that_was_mended_works_again(instance: Instance) -> None:
    """And the row no longer says otherwise."""
    subscription = instance.subscribe("state", filter_query="no_such_column=1")
    incident = instance.incident()
    instance.save("incident", incident, state="2")
    instance.settle()
    instance.save(SUBSCRIPTIONS, subscription, filter_query="priority=5")
    instance.save("incident", incident, state="3", hold_reason="1")
    assert len(instance.reports()) == 1
    assert _error(instance, subscription) == ""


def test_the_row_is_not_written_at_every_event(instance: Instance) -> None:
    """The same error again changes nothing."""
    subscription = instance.subscribe("state", filter_query="no_such_column=1")
    incident = instance.incident()
    for state in ("2", "3", "2"):
        instance.save("incident", incident, state=state, hold_reason="1")
        instance.settle()
    row = next(row for row in instance.rows(SUBSCRIPTIONS) if row["sys_id"] == subscription)
    assert row["sys_mod_count"] == "1"


def test_the_captured_values_decide_even_when_the_record_has_moved_on(instance: Instance) -> None:
    """Priority was critical in the first save and is not any more by the time that it is looked at."""
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
