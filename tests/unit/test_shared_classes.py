"""Which reported records can be posted at all."""

from dataclasses import replace

from core.notices import Report, ReportedRecord
from notifications.authorization import shared
from tests.unit.noticing import MATCH, RECORD, REPORT

TABLES = ("incident", "task", "kb_knowledge")


def report_of(table: str, *subscribed: str) -> Report:
    """A report about a record of *table* that matched subscriptions to other tables."""
    record = ReportedRecord(table=table, sys_id=RECORD, number="N1")
    return replace(REPORT, record=record, matches=[replace(MATCH, table=one) for one in subscribed])


def test_a_shared_class_is_posted() -> None:
    """Whatever matched it; a connection test has no record."""
    report = report_of("incident", "task")
    assert shared(report, TABLES) is report
    alone = replace(report, record=None)
    assert shared(alone, TABLES) is alone


def test_a_class_that_isnt_shared_isnt_posted_for_its_parent() -> None:
    """An HR case is a task, and isn't posted."""
    assert shared(report_of("sn_hr_core_case", "task", "incident"), TABLES) is None
    assert shared(report_of("sn_hr_core_case"), TABLES) is None


def test_a_template_of_articles_counts_as_an_article() -> None:
    """If articles are shared; the rest of the report is unchanged."""
    report = report_of("kb_template_how_to", "task", "kb_knowledge")
    found = shared(report, TABLES)
    assert found is not None
    assert report.record is not None
    assert found == replace(report, record=replace(report.record, table="kb_knowledge"))
    assert shared(report, ("incident", "task")) is None
