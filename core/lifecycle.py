"""
Which fields a state demands (API reference §5.4, §6.2). Pure.

ServiceNow decides in the end, by data policies of each instance; these are the base system's, so that
people are asked before they are refused.
"""

from collections.abc import Mapping, Sequence

from core.records import Choice

_CLOSURE = ("close_code", "close_notes")
_PROBLEM = ("resolution_code", "cause_notes", "fix_notes")

_DEMANDED: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "incident": {"3": ("hold_reason",), "6": _CLOSURE, "7": _CLOSURE},
    "problem": {
        "102": ("assigned_to",),
        "103": ("assigned_to",),
        "104": ("assigned_to",),
        "106": ("assigned_to", *_PROBLEM),
        "107": ("resolution_code",),
    },
    "change_request": {
        **dict.fromkeys(("-4", "-3", "-2", "-1", "0"), ("assignment_group",)),
        "3": _CLOSURE,
    },
}
# Fields that a state offers beside those that it demands.
_OFFERED: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "incident": {"2": ("comments",), "3": ("comments",)},
    "problem": {"104": ("cause_notes",), "107": ("close_notes",)},
    "change_task": {"3": _CLOSURE},
}

AWAITING_CALLER = "1"  # an on-hold reason that needs a word to the caller

# What states are called where an instance tells a person nothing (API reference §5.3).
_TASK = (
    Choice("Pending", "-5"), Choice("Open", "1"), Choice("Work in Progress", "2"), Choice("Closed Complete", "3"),
    Choice("Closed Incomplete", "4"), Choice("Closed Skipped", "7"),
)  # fmt: skip
BASE_STATES: Mapping[str, Sequence[Choice]] = {
    "incident": (
        Choice("New", "1"), Choice("In Progress", "2"), Choice("On Hold", "3"), Choice("Resolved", "6"),
        Choice("Closed", "7"), Choice("Canceled", "8"),
    ),
    "problem": (
        Choice("New", "101"), Choice("Assess", "102"), Choice("Root Cause Analysis", "103"),
        Choice("Fix in Progress", "104"), Choice("Resolved", "106"), Choice("Closed", "107"),
    ),
    "change_request": (
        Choice("New", "-5"), Choice("Assess", "-4"), Choice("Authorize", "-3"), Choice("Scheduled", "-2"),
        Choice("Implement", "-1"), Choice("Review", "0"), Choice("Closed", "3"), Choice("Canceled", "4"),
    ),
    "change_task": (
        Choice("Pending", "-5"), Choice("Open", "1"), Choice("In Progress", "2"), Choice("Closed", "3"),
        Choice("Canceled", "4"),
    ),
}  # fmt: skip


# Columns that say something about a record in whatever state: who does it, and what was found out about it so far.
_LASTING = ("assigned_to", "assignment_group", "cause_notes", "fix_notes")
_FINDINGS = ("cause_notes", "fix_notes")
_PROBLEM_NEW = "101"


def base_states(table: str) -> Sequence[Choice]:
    """The base system's states; tasks of other classes have those of task."""
    return BASE_STATES.get(table, _TASK)


def demanded(table: str, state: str) -> tuple[str, ...]:
    """The columns without which *state* is refused."""
    return _DEMANDED.get(table, {}).get(state, ())


def offered(table: str, state: str) -> tuple[str, ...]:
    """The columns that a form for *state* shows: demanded ones first."""
    return (*demanded(table, state), *_OFFERED.get(table, {}).get(state, ()))


def current(table: str, state: str) -> tuple[str, ...]:
    """
    The columns that hold of a record in *state*.

    What only another state demands, such as a reopened incident's resolution or an old hold reason, was left
    behind when the record went through that state.
    """
    lasting = [name for name in _LASTING if name not in _FINDINGS or state != _PROBLEM_NEW]
    return tuple(dict.fromkeys((*lasting, *offered(table, state))))


def demanded_by_any(table: str) -> tuple[str, ...]:
    """Every column that some state of *table* demands or offers, each once."""
    of_table = [*_DEMANDED.get(table, {}), *_OFFERED.get(table, {})]
    return tuple(dict.fromkeys(column for state in of_table for column in offered(table, state)))
