"""What the forms of subscriptions carry, also if they were opened before an upgrade."""

from typing import Any

import pytest

from core.signing import ExpiredState
from core.subscriptions import Cursor
from forms.subscriptions.list import ListFilter
from handlers.subscriptions.states import DetailState, EditState, ListState, cursor_of

# As they were signed before their attributes had types.
LIST: dict[str, Any] = {
    "form_id": "f" * 32,
    "channel_id": "c" * 26,
    "owner": "anyone",
    "where": "all_channels",
    "table": "incident",
    "status": "paused",
    "before": [],
    "first": ["2026-11-24 10:00:02", "b" * 32],
    "last": ["2026-11-24 10:00:01", "a" * 32],
    "start": 11,
    "ids": ["b" * 32, "a" * 32],
}
EDIT: dict[str, Any] = {"form_id": "f" * 32, "channel_id": "c" * 26, "root_id": "r" * 26, "sys_id": "5" * 32}


def test_a_list_opened_before_an_upgrade_still_pages() -> None:
    """Its filter, its cursors and its rows are read; an empty cursor is the top of the list."""
    state = ListState.read(LIST)
    assert state.filter == ListFilter(owner="anyone", where="all_channels", table="incident", status="paused")
    assert cursor_of(state.before) is None
    assert cursor_of(state.last) == Cursor("2026-11-24 10:00:01", "a" * 32)
    assert (state.start, state.ids, state.channel_id) == (11, ("b" * 32, "a" * 32), "c" * 26)


def test_a_detail_and_an_edit_form_opened_before_an_upgrade_are_about_the_same_subscription() -> None:
    """The subscription, the place in the list, and the form's id, which saves once."""
    detail = DetailState.read({**LIST, "sys_id": "a" * 32})
    assert (detail.sys_id, detail.neighbor(-1), detail.neighbor(1)) == ("a" * 32, "b" * 32, "a" * 32)
    assert EditState.read(EDIT) == EditState(**EDIT)
    assert EditState.read({name: EDIT[name] for name in EDIT if name != "sys_id"}).sys_id == ""


def test_another_subscription_is_another_form() -> None:
    """The place in the list stays, and the form id, which saves once, is new."""
    detail = DetailState.read({**LIST, "sys_id": "a" * 32})
    other = detail.about("b" * 32)
    assert (other.sys_id, other.ids, other.start) == ("b" * 32, detail.ids, detail.start)
    assert other.form_id != detail.form_id


@pytest.mark.parametrize("wrong", [{"start": "11"}, {"ids": "a" * 32}, {"last": [1, 2]}, {"sys_id": None}])
def test_a_state_of_other_types_has_expired(wrong: dict[str, Any]) -> None:
    """It is refused as a form to open again, not as a failure of the service."""
    with pytest.raises(ExpiredState):
        DetailState.read({**LIST, "sys_id": "a" * 32, **wrong})
