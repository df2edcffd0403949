"""
The ServiceNow tables whose records people meet (design §5), one entry each. Whatever depends on a table asks its entry.

States, mandatory columns and levels are the base system's. An instance can differ, so ServiceNow has the last word.
These let us ask for a column before ServiceNow refuses, and stand in where it tells a person nothing. Tables that
extend ours, such as HR cases, take part only if an administrator names them (``SHARED_TABLES``). They look like tasks.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from core.menus import (
    ASSIGN,
    ASSIGN_TO_ME,
    CLOSE,
    COMMENT,
    NOTE,
    PRIORITY,
    REFRESH,
    REOPEN,
    RESOLVE,
    STATE,
    SUBSCRIBE,
    WATCH,
    Action,
    Offer,
)
from core.records import Choice, Column, Record
from core.subscriptions import Event

Names = tuple[str, ...]

AWAITING_CALLER = "1"  # the on-hold reason that requires a comment for the caller

_CLOSURE = ("close_code", "close_notes")
_FINDINGS = ("cause_notes", "fix_notes")
# Columns that describe a record in any state: who works on it and what they found out.
_ANY_STATE = ("assigned_to", "assignment_group", *_FINDINGS)

_NEW_PROBLEM = "101"

# API reference §5.2
_LEVELS = (Choice("1 - High", "1"), Choice("2 - Medium", "2"), Choice("3 - Low", "3"))


@dataclass(frozen=True)
class State:
    """
    A state of the base system (API reference §5.3, §5.4, §6.2).

    Args:
        mandatory: Columns without which ServiceNow refuses the state.
        optional: Columns that the state's form shows as well.
        ended: Whether the work is over, so that only comments and notes remain.
    """

    label: str
    value: str
    mandatory: Names = ()
    optional: Names = ()
    ended: bool = False


_TASK_STATES = (
    State("Pending", "-5"),
    State("Open", "1"),
    State("Work in Progress", "2"),
    State("Closed Complete", "3", ended=True),
    State("Closed Incomplete", "4", ended=True),
    State("Closed Skipped", "7", ended=True),
)
_TASK_CARD = (
    ("state", "State"),
    ("priority", "Priority"),
    ("assigned_to", "Assigned to"),
    ("assignment_group", "Assignment group"),
)
_FILTERS = ("priority", "assignment_group", "category", "cmdb_ci")


@dataclass(frozen=True, kw_only=True)
class Table:
    """
    A table. The defaults describe a task of a class that we don't know.

    Args:
        label: What people call one of its records.
        prefix: How its numbers start; "" where the instance decides.
        card: The card's columns in order, each with its label.
        is_task: Whether it extends task, and so has comments, a state and an assignee.
        states: The base system's states, in order.
        resolved: The state in which work is done and can be taken up again; "" for none.
        caller_closes: Whether the caller closes or reopens what is resolved, so that both are buttons of their own.
        has_impact: Whether its priority follows from impact and urgency.
        state_needs_form: Whether only ServiceNow's own form changes its state; its API ignores it (since Rome).
        base_columns: Columns with the base system's choices.
        choice_columns: Columns whose choices our forms offer.
        dependent_columns: Those of them whose choices depend on another column.
        filter_columns: Columns that the form of a subscription filters by.
        text_columns: Columns in which a subscription looks for words.
        events: What a subscription can report.
    """

    name: str
    label: str
    prefix: str = ""
    card: tuple[tuple[str, str], ...] = _TASK_CARD
    is_task: bool = True
    states: tuple[State, ...] = _TASK_STATES
    resolved: str = ""
    caller_closes: bool = False
    has_impact: bool = False
    state_needs_form: bool = False
    base_columns: Mapping[str, Column] = field(default_factory=dict)
    choice_columns: Names = ()
    dependent_columns: Names = ()
    filter_columns: Names = ("priority", "assignment_group", "cmdb_ci")
    text_columns: Names = ("short_description", "description")
    events: tuple[Event, ...] = tuple(Event)

    @property
    def state_choices(self) -> list[Choice]:
        """The base system's states as choices."""
        return [Choice(state.label, state.value) for state in self.states]

    def mandatory(self, state: str) -> Names:
        """The columns that *state* requires."""
        return self._state(state).mandatory

    def form_columns(self, state: str) -> Names:
        """The columns that the form for *state* shows, mandatory ones first."""
        return (*self.mandatory(state), *self._state(state).optional)

    @property
    def all_form_columns(self) -> Names:
        """The columns that the form shows for any state, each once; those of states that require some come first."""
        states = sorted(self.states, key=lambda state: not state.mandatory)
        return tuple(dict.fromkeys(column for state in states for column in self.form_columns(state.value)))

    def columns_in_force(self, state: str) -> Names:
        """
        The columns whose values still describe a record in *state*.

        A record keeps what only another state requires, such as a reopened incident's resolution or an old on-hold
        reason. A new problem has no findings.
        """
        always = (name for name in _ANY_STATE if state != _NEW_PROBLEM or name not in _FINDINGS)
        return tuple(dict.fromkeys((*always, *self.form_columns(state))))

    def offer(self, state: str) -> Offer:
        """
        The actions for a record in *state* (the raw value, "" for unknown).

        Permissions differ per person but a card is for everybody, so ServiceNow refuses what an account can't do.
        """
        if not self.is_task:
            return Offer((REFRESH,), (SUBSCRIBE,))
        if self._state(state).ended:
            return Offer((COMMENT, STATE), (NOTE, SUBSCRIBE, REFRESH))
        if state and state == self.resolved:
            buttons = (COMMENT, CLOSE, REOPEN) if self.caller_closes else (COMMENT, STATE)
            more = (STATE, NOTE, ASSIGN, WATCH, SUBSCRIBE, REFRESH)
            return Offer(buttons, tuple(action for action in more if action not in buttons))
        support: tuple[Action, ...] = (RESOLVE, PRIORITY) if self.has_impact else ()
        return Offer((COMMENT, STATE, ASSIGN_TO_ME), (NOTE, ASSIGN, *support, WATCH, SUBSCRIBE, REFRESH))

    @property
    def card_columns(self) -> Names:
        """What we read of a record for its card, its actions, and the comparison with what was seen before."""
        own = [column for column, _ in self.card]
        more = ("active", "caller_id", "impact", "urgency") if self.has_impact else ("active",)
        fixed = ("sys_id", "number", "short_description", "sys_class_name", "sys_mod_count", "sys_updated_by")
        return tuple(dict.fromkeys((*fixed, "sys_updated_on", *own, *more)))

    def _state(self, value: str) -> State:
        return next((state for state in self.states if state.value == value), State("", value))


_TABLES = (
    Table(
        name="incident",
        label="Incident",
        prefix="INC",
        states=(
            State("New", "1"),
            State("In Progress", "2", optional=("comments",)),
            State("On Hold", "3", mandatory=("hold_reason",), optional=("comments",)),
            State("Resolved", "6", mandatory=_CLOSURE),
            State("Closed", "7", mandatory=_CLOSURE, ended=True),
            State("Canceled", "8", ended=True),
        ),
        resolved="6",
        caller_closes=True,
        has_impact=True,
        base_columns={
            "impact": Column("impact", "Impact", type="integer", choices=_LEVELS),
            "urgency": Column("urgency", "Urgency", type="integer", choices=_LEVELS),
        },
        choice_columns=("impact", "urgency", "category", "subcategory"),
        dependent_columns=("subcategory",),
        filter_columns=_FILTERS,
    ),
    Table(
        name="problem",
        label="Problem",
        prefix="PRB",
        states=(
            State("New", _NEW_PROBLEM),
            State("Assess", "102", mandatory=("assigned_to",)),
            State("Root Cause Analysis", "103", mandatory=("assigned_to",)),
            State("Fix in Progress", "104", mandatory=("assigned_to",), optional=("cause_notes",)),
            State("Resolved", "106", mandatory=("assigned_to", "resolution_code", "cause_notes", "fix_notes")),
            State("Closed", "107", mandatory=("resolution_code",), optional=("close_notes",), ended=True),
        ),
        resolved="106",
        has_impact=True,
        state_needs_form=True,
        filter_columns=_FILTERS,
    ),
    Table(
        name="change_request",
        label="Change request",
        prefix="CHG",
        card=(
            *_TASK_CARD,
            ("type", "Type"),
            ("risk", "Risk"),
            ("start_date", "Planned start"),
            ("end_date", "Planned end"),
            ("approval", "Approval"),
        ),
        states=(
            State("New", "-5"),
            State("Assess", "-4", mandatory=("assignment_group",)),
            State("Authorize", "-3", mandatory=("assignment_group",)),
            State("Scheduled", "-2", mandatory=("assignment_group",)),
            State("Implement", "-1", mandatory=("assignment_group",)),
            State("Review", "0", mandatory=("assignment_group",)),
            State("Closed", "3", mandatory=_CLOSURE, ended=True),
            State("Canceled", "4", ended=True),
        ),
        filter_columns=_FILTERS,
    ),
    Table(
        name="kb_knowledge",
        label="Knowledge article",
        prefix="KB",
        card=(
            ("kb_knowledge_base", "Knowledge base"),
            ("workflow_state", "Workflow"),
            ("kb_category", "Category"),
            ("author", "Author"),
        ),
        is_task=False,
        states=(),
        filter_columns=(),
        text_columns=("short_description",),
        events=(Event.CREATED, Event.STATE),  # articles have no priority, assignee or journal
    ),
    Table(name="task", label="Task", prefix="TASK", resolved="3"),
    Table(
        name="change_task",
        label="Change task",
        prefix="CTASK",
        states=(
            State("Pending", "-5"),
            State("Open", "1"),
            State("In Progress", "2"),
            State("Closed", "3", optional=_CLOSURE, ended=True),
            State("Canceled", "4", ended=True),
        ),
        resolved="3",
    ),
    Table(name="cert_follow_on_task", label="Follow-on task", resolved="3"),
)
TABLES = {table.name: table for table in _TABLES}

# Number prefixes of tables that are shared only if an administrator says so.
_OTHER_PREFIXES = {"REQ": "sc_request", "RITM": "sc_req_item", "SCTASK": "sc_task", "PTASK": "problem_task"}

# A prefix of one letter, or of a part of the word, would make every model name and postal code a number.
_NUMBER = re.compile(r"[A-Z]{2,10}\d{3,15}")
_IN_TEXT = re.compile(r"(?<![A-Za-z0-9])([A-Za-z]{2,10}\d{3,15})(?![A-Za-z0-9])")


def table_of(name: str) -> Table:
    """The table called *name*. One that we don't know is a task, with a label made of its name."""
    return TABLES.get(name) or Table(name=name, label=name.replace("_", " ").strip().capitalize() or name)


def shared_tables(added: Sequence[str] = ()) -> tuple[Table, ...]:
    """All tables that may be shared and subscribed to: ours, then those *added* by an administrator."""
    return (*_TABLES, *(table_of(name) for name in dict.fromkeys(added) if name not in TABLES))


def as_number(words: str) -> str:
    """*words* as a record number in upper case; "" if they don't look like one."""
    text = words.strip().upper()
    return text if _NUMBER.fullmatch(text) else ""


def numbers_in(text: str, added: Sequence[str] = ()) -> list[str]:
    """Record numbers in a text, each once, in order: those of our tables and those *added*."""
    found = (match[1].upper() for match in _IN_TEXT.finditer(text))
    return list(dict.fromkeys(number for number in found if table_of_number(number, added)))


def table_of_number(number: str, added: Sequence[str] = ()) -> str:
    """The name of the table whose numbers start like *number*, or ""."""
    prefix = number.upper().rstrip("0123456789")
    by_prefix = {table.prefix: table.name for table in _TABLES if table.prefix}
    by_prefix |= {prefix: name for prefix, name in _OTHER_PREFIXES.items() if name in added}
    return by_prefix.get(prefix, "")


def as_its_class(record: Record) -> Record:
    """
    *record*, which was read through any table together with ``sys_class_name``, under its own class.

    A task whose class can't be read could be of any class, so its table becomes "", which is never shared. Articles of
    a template's class count as articles.
    """
    return replace(record, table=record.value("sys_class_name")) if table_of(record.table).is_task else record
