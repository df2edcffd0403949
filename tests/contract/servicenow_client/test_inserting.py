"""Creating records, and finding what an unanswered insert saved."""

import time

import pytest

from core.upstream_errors import (
    AccessDenied,
    Broken,
    Busy,
    CutShort,
    Dropped,
    Hibernating,
    InsertHidden,
    Misdirected,
    NotInstalled,
    Refused,
    ServiceNowError,
    TooLong,
    Unanswered,
    Unreachable,
)
from tests.contract.servicenow_client.world import INSERT, World


def test_a_record_is_created_in_one_round_trip(world: World) -> None:
    """The answer has everything a card shows, raw and as displayed to the account."""
    record = world.client("agent2").create("incident", INSERT)
    assert record.number.startswith("INC")
    assert record.display("priority") == "1 - Kritisch"
    assert (record.value("state"), record.value("sys_mod_count")) == ("1", "0")
    assert record.value("correlation_id") == INSERT["correlation_id"]
    assert [(r["method"], r["path"]) for r in world.double.requests()] == [("POST", "/api/now/v2/table/incident")]
    assert world.printers()[0]["sys_id"] == record.sys_id


@pytest.mark.parametrize(
    ("kind", "error", "saved"),
    [
        *(("hibernating", Hibernating, 0), ("html_login", Misdirected, 0), ("429", Busy, 0), ("429_bare", Busy, 0)),
        *(("500", Broken, 0), ("202", Dropped, 0), ("414", TooLong, 0)),
        *(("500_after_commit", Broken, 1), ("403_after_insert", InsertHidden, 1), ("truncated", CutShort, 1)),
    ],
)
def test_a_failed_insert_is_never_retried(world: World, kind: str, error: type[ServiceNowError], saved: int) -> None:
    """There is one POST in every case; if it may have been saved, the error says so, and a lookup shows it."""
    client = world.client()
    since = world.clock()
    world.double.fault(kind, "/api/now/v2/table/incident")
    with pytest.raises(error) as caught:
        client.create("incident", INSERT)
    assert type(caught.value) is error
    assert len(world.asked("POST", "/api")) == 1
    assert len(world.printers()) == saved
    assert caught.value.may_have_been_saved or not saved
    found = client.find_created("incident", INSERT, since)
    assert (found.sys_id if found else None) == (world.printers()[0]["sys_id"] if saved else None)


def test_an_unanswered_insert_is_found_later(world: World) -> None:
    """ServiceNow took longer than the call's deadline, but the row was created."""
    client = world.client(seconds=0.5)
    since = world.clock()
    world.double.fault("slow", "/api/now/v2/table/incident", seconds=30)
    with pytest.raises(Unanswered) as caught:
        client.create("incident", INSERT)
    assert caught.value.may_have_been_saved
    with pytest.raises(Unreachable):
        client.find_created("incident", INSERT, since)
    world.double.clear_faults()
    deadline = time.monotonic() + 5
    while not world.printers() and time.monotonic() < deadline:
        pass
    assert world.client().find_created("incident", INSERT, since) is not None


def test_a_row_is_found_without_its_correlation_id(world: World) -> None:
    """If the column can't be read back: by opener, short description and time."""
    client = world.client()
    since = world.clock()
    made = client.create("incident", INSERT)
    world.double.fault("strip_field", "/api/now/v2/table/incident", times=50)
    found = client.find_created("incident", INSERT, since)
    assert found is not None
    assert found.sys_id == made.sys_id
    assert client.find_created("incident", INSERT | {"short_description": "Another"}, since) is None


def test_a_dropped_condition_matches_no_other_row(world: World) -> None:
    """Without the column ServiceNow drops the condition and returns any rows: none of them is ours."""
    client = world.client()
    since = world.clock()
    del world.double.store.tables["task"].columns["correlation_id"]
    assert client.find_created("incident", INSERT, since) is None
    made = client.create("incident", INSERT)
    found = client.find_created("incident", INSERT, since)
    assert found is not None
    assert found.sys_id == made.sys_id


def test_only_ones_own_recent_row_is_taken_for_ours(world: World) -> None:
    """The same text by another person, long ago or of another form is another record."""
    world.client("agent2").create("incident", INSERT | {"correlation_id": ""})
    world.client("agent").create("incident", INSERT | {"correlation_id": ""})
    world.advance(1000)
    world.client("agent").create("incident", INSERT | {"correlation_id": "f" * 16})
    assert world.client("agent").find_created("incident", INSERT, world.clock()) is None


def test_mandatory_fields_are_named(world: World) -> None:
    """An instance's data policy becomes labels that a capability shows at its fields."""
    world.double.store.insert(
        "sys_dictionary",
        {"name": "incident", "element": "u_cost_center", "column_label": "Cost center", "mandatory": "true"},
        "admin",
    )
    with pytest.raises(Refused) as caught:
        world.client().create("incident", INSERT)
    assert caught.value.labels == ("Cost center",)


def test_missing_rights_and_missing_tables_are_told_apart(world: World) -> None:
    """A missing right is definite, so nothing is looked up; a missing table isn't installed."""
    with pytest.raises(AccessDenied) as caught:
        world.client("requester").create("task", INSERT)
    assert not caught.value.may_have_been_saved
    with pytest.raises(NotInstalled):
        world.client().create("x_example_case", INSERT)
