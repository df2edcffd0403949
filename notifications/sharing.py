"""Which reported records may be posted at all: those of shared classes (design §5). Pure."""

from collections.abc import Collection
from dataclasses import replace

from core.notices import Report
from core.tables import table_of


def shared(report: Report, tables: Collection[str]) -> Report | None:
    """
    *report* where the class of its record is one of *tables*, else None.

    A subscription to a table also matches the classes that extend it, and those are shared only where an
    administrator named them. Templates of articles are the exception, as everywhere: they count as articles.
    """
    record = report.record
    if record is None or record.table in tables:
        return report
    article = next((one.table for one in report.matches if one.table in tables and not table_of(one.table).is_task), "")
    return replace(report, record=replace(record, table=article)) if article else None
