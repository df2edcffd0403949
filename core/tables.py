"""
The tables whose records may be shown, shared and acted on (design §5), and what each one's card holds.

Tables that extend them, such as HR cases, take part only when an administrator names them
(``SHARED_TABLES``); they look like tasks.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from core.base import table_label
from core.records import Record

Columns = tuple[tuple[str, str], ...]

_TASK: Columns = (
    ("state", "State"),
    ("priority", "Priority"),
    ("assigned_to", "Assigned to"),
    ("assignment_group", "Assignment group"),
)
_CHANGE: Columns = (
    *_TASK,
    ("type", "Type"),
    ("risk", "Risk"),
    ("start_date", "Planned start"),
    ("end_date", "Planned end"),
    ("approval", "Approval"),
)
_KNOWLEDGE: Columns = (
    ("kb_knowledge_base", "Knowledge base"),
    ("workflow_state", "Workflow"),
    ("kb_category", "Category"),
    ("author", "Author"),
)


@dataclass(frozen=True, kw_only=True)
class Table:
    """
    A table that people meet.

    Args:
        prefix: What its numbers begin with; "" where the instance decides.
        columns: The card's fields in order, as column and label.
        task: Whether it extends task, and so has comments, a state and somebody to do it.
        resolved: State in which the work is done and can still be taken up again; "" for none.
        by_impact: Whether its priority follows from impact and urgency.
    """

    name: str
    prefix: str = ""
    columns: Columns = _TASK
    task: bool = True
    resolved: str = ""
    by_impact: bool = False

    @property
    def label(self) -> str:
        """What people call one of its rows."""
        return table_label(self.name)


_TABLES = (
    Table(name="incident", prefix="INC", resolved="6", by_impact=True),
    Table(name="problem", prefix="PRB", resolved="106", by_impact=True),
    Table(name="change_request", prefix="CHG", columns=_CHANGE),
    Table(name="kb_knowledge", prefix="KB", columns=_KNOWLEDGE, task=False),
    Table(name="task", prefix="TASK", resolved="3"),
    Table(name="change_task", prefix="CTASK", resolved="3"),
    Table(name="cert_follow_on_task", resolved="3"),
)
TABLES = {table.name: table for table in _TABLES}

# Number prefixes of tables that are shared only where an administrator says so.
_OTHER_PREFIXES = {"REQ": "sc_request", "RITM": "sc_req_item", "SCTASK": "sc_task", "PTASK": "problem_task"}

# A prefix of one letter, or of a part of the word, would make every model name and postal code a number.
_NUMBER = re.compile(r"[A-Z]{2,10}\d{3,15}")
_IN_TEXT = re.compile(r"(?<![A-Za-z0-9])([A-Za-z]{2,10}\d{3,15})(?![A-Za-z0-9])")


def table_of(name: str) -> Table:
    """What is known of a table; one that an administrator added is a task under its own name."""
    return TABLES.get(name) or Table(name=name)


def tables_shared(added: Sequence[str] = ()) -> tuple[Table, ...]:
    """All tables that may be shared: ours, then those *added* by an administrator."""
    return (*_TABLES, *(table_of(name) for name in dict.fromkeys(added) if name not in TABLES))


def as_number(words: str) -> str:
    """*words* as a record number, upper case; "" when they do not look like one."""
    text = words.strip().upper()
    return text if _NUMBER.fullmatch(text) else ""


def numbers_in(text: str, added: Sequence[str] = ()) -> list[str]:
    """Record numbers that a text names, each once, in order: those of our tables and those *added*."""
    found = (match[1].upper() for match in _IN_TEXT.finditer(text))
    return list(dict.fromkeys(number for number in found if table_with(number, added)))


def table_with(number: str, added: Sequence[str] = ()) -> str:
    """The table whose numbers begin like *number*, or ""."""
    prefix = number.upper().rstrip("0123456789")
    by_prefix = {table.prefix: table.name for table in _TABLES if table.prefix}
    by_prefix |= {prefix: name for prefix, name in _OTHER_PREFIXES.items() if name in added}
    return by_prefix.get(prefix, "")


def of_its_class(record: Record) -> Record:
    """
    *record*, read through whatever table with ``sys_class_name``, under its own class.

    A task whose class can't be read could be of any class: its table is "", which is never shared. Articles
    of a template's class are articles.
    """
    return replace(record, table=record.value("sys_class_name")) if table_of(record.table).task else record


def card_columns(table: str) -> tuple[str, ...]:
    """What is read of a record for its card, its actions and the comparison with what was seen before."""
    about = table_of(table)
    own = [column for column, _ in about.columns]
    task = ("active", "caller_id", "impact", "urgency") if about.by_impact else ("active",)
    fixed = ("sys_id", "number", "short_description", "sys_class_name", "sys_mod_count", "sys_updated_by")
    return tuple(dict.fromkeys((*fixed, "sys_updated_on", *own, *task)))
