"""The Change Management API's own formats (API reference §6.1), as recorded and as documented."""

from typing import Any

import pytest

from core.upstream_errors import Broken
from servicenow.changes import read_change, read_next_states


def transition(to: str, *, available: bool, automatic: bool = False) -> dict[str, Any]:
    """One transition of a change."""
    return {"to_state": to, "transition_available": available, "automatic_transition": automatic, "conditions": []}


def test_next_states_are_those_with_a_manual_transition() -> None:
    """The current state needs none; one of two transitions to a state is enough; automatic ones are left out."""
    result = {
        "available_states": ["0", "4", "-2", "-1"],
        "state_transitions": [
            [transition("0", available=False, automatic=True), transition("0", available=True)],
            [transition("4", available=True)],
            [transition("-2", available=True, automatic=True)],
        ],
        "state_label": {"0": "Review", "4": "Canceled", "-2": "Scheduled", "-1": "Implement"},
    }
    assert [(choice.label, choice.value) for choice in read_next_states(result)] == [
        ("Review", "0"),
        ("Canceled", "4"),
        ("Implement", "-1"),
    ]


def test_a_change_reads_like_a_row_of_the_table_api() -> None:
    """Numbers and booleans become texts, zero included; times are raw, whatever the display's date format."""
    record = read_change(
        {
            "sys_id": {"display_value": "a" * 32, "value": "a" * 32},
            "state": {"display_value": "New", "value": -5.0},
            "sys_mod_count": {"display_value": "0", "value": 0.0},
            "active": {"display_value": "true", "value": True},
            "chg_model": {"display_value": "", "value": None},
            "start_date": {
                "display_value": "06/01/2022 04:12:43",
                "value": "2022-01-06 12:12:43",
                "display_value_internal": "2022-01-06 04:12:43",
            },
            "__meta": {"ignoredFields": []},
        }
    )
    assert {name: record.value(name) for name in ("state", "sys_mod_count", "active", "chg_model", "start_date")} == {
        "state": "-5",
        "sys_mod_count": "0",
        "active": "true",
        "chg_model": "",
        "start_date": "2022-01-06 12:12:43",
    }
    assert record.display("state") == "New"


def test_a_list_of_one_is_its_row() -> None:
    """The documentation shows lists where instances answer one object; both are read."""
    row = {"sys_id": {"display_value": "x", "value": "x"}}
    assert read_change([row]).sys_id == read_change(row).sys_id == "x"


@pytest.mark.parametrize("result", [None, [], {}, "x", {"number": {"value": "CHG1"}}, [{"__meta": {}}]])
def test_a_malformed_change_is_reported(result: Any) -> None:
    """Nothing is guessed."""
    with pytest.raises(Broken):
        read_change(result)
    with pytest.raises(Broken):
        read_next_states(result)
