"""Which reported records may be posted at all."""

from dataclasses import replace

from core.notices import Report, ReportedRecord
from notifications.authorization import shared
from tests.unit.noticing import MATCH, RECORD, REPORT

TABLES = ("incident", "task", "kb_knowledge")


def of(table: str, *subscribed: str) -> Report:
    """A report of a record of *table* that subscriptions to other tables match."""
    record = ReportedRecord(table=table, sys_id=RECORD, number="N1")
    return replace(REPORT, record=record, matches=[replace(MATCH, table=one) for one in subscribed])


def test_a_shared_class_is_posted_as_it_is() -> None:
    """Whatever matched it; and a test of the way has no record."""
    report = of("incident", "task")
    assert shared(report, TABLES) is report
    alone = replace(report, record=None)
    assert shared(alone, TABLES) is alone


def test_a_class_that_nobody_named_is_not_posted_for_a_subscription_to_what_it_extends() -> None:
    """A case of HR is a task, and stays in ServiceNow."""
    assert shared(of("sn_hr_core_case", "task", "incident"), TABLES) is None
    assert shared(of("sn_hr_core_case"), TABLES) is None


def test_a_template_of_articles_counts_as_an_article() -> None:
    """Where articles are shared; the rest of the report stays."""
    report = of("kb_template_how_to", "task", "kb_knowledge")
    found = shared(report, TABLES)
    assert found is not None
    assert report.record is not None
    assert found == replace(report, record=replace(report.record, table="kb_knowledge"))
    assert shared(report, ("incident", "task")) is None
