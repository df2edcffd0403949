"""The double's Aggregate API, and matching a single row against an encoded query."""

import pytest

from sandbox.servicenow import ServiceNowDouble
from sandbox.servicenow.queries.encoded_query import Unsupported
from sandbox.servicenow.queries.record_queries import matches
from sandbox.servicenow.seed.records import sys_id
from tests.contract.servicenow_tables.asking import error, recorded, send

STATS = "/api/now/stats/incident"


def test_a_count_is_a_string(double: ServiceNowDouble) -> None:
    """It includes rows of child tables, and ignores terms that are dropped."""

    def count(table: str, query: str = "", who: str = "agent") -> object:
        path = f"/api/now/stats/{table}"
        return send(double, "GET", path, who=who, sysparm_count="true", sysparm_query=query).json()

    assert count("incident") == {"result": {"stats": {"count": "3"}}}
    assert count("incident", "urgency<=2") == {"result": {"stats": {"count": "2"}}}
    assert count("incident", "caller_id.nosuch=x") == {"result": {"stats": {"count": "3"}}}
    assert count("change_request", "assignment_group.name=Network") == {"result": {"stats": {"count": "1"}}}
    assert count("task", "sys_class_nameINchange_request,problem") == {"result": {"stats": {"count": "6"}}}
    double.advance(86_400)
    since = f"sys_updated_on>={double.store.now()}"
    assert count("change_request", since) == {"result": {"stats": {"count": "0"}}}
    change = double.rows("change_request")[0]
    send(double, "PATCH", f"/api/now/table/change_request/{change['sys_id']}", {"comments": "x"})
    assert count("change_request", since) == {"result": {"stats": {"count": "1"}}}
    assert count("incident", who="requester") == {"result": {"stats": {"count": "3"}}}  # before row ACLs


def test_groups_are_a_list_with_the_empty_one_first(double: ServiceNowDouble) -> None:
    """Values are strings, averages have four decimals, and display values are included on request."""
    row = double.rows("incident")[0]
    group = {"assignment_group": sys_id("group Network"), "reassignment_count": "3"}
    double.store.put("incident", row | group)
    found = send(
        double, "GET", STATS, sysparm_avg_fields="reassignment_count", sysparm_group_by="assignment_group",
        sysparm_count="true", sysparm_display_value="all",
    ).json()["result"]  # fmt: skip
    assert found == [
        {
            "stats": {"count": "2", "avg": {"reassignment_count": "0.0000"}},
            "groupby_fields": [{"display_value": "", "value": "", "field": "assignment_group"}],
        },
        {
            "stats": {"count": "1", "avg": {"reassignment_count": "3.0000"}},
            "groupby_fields": [
                {"display_value": "Network", "value": sys_id("group Network"), "field": "assignment_group"}
            ],
        },
    ]
    total = send(
        double, "GET", STATS, sysparm_sum_fields="reassignment_count", sysparm_max_fields="reassignment_count"
    ).json()
    assert total == {
        "result": {"stats": {"max": {"reassignment_count": "3"}, "sum": {"reassignment_count": "3"}}},
    }


def test_averages_are_as_recorded(double: ServiceNowDouble) -> None:
    """They have the same values for the recorded rows with and without a group."""
    entry = recorded("stats", "Average grouped by a reference")
    for row in double.rows("incident"):
        double.store.delete("incident", row["sys_id"])
    [nobody, somebody] = entry["response"]["body"]["result"][:2]
    group = somebody["groupby_fields"][0]["value"]
    rows = [("", "1", "804162", 6), ("", "1", "", 0), (group, "1", "2037371", 1)]
    rows += [("", "1", str(5629139 - 6 * 804162), 1), (group, "2", "2037371", 1)]
    number = 0
    for in_group, reassigned, seconds, times in rows:
        for _ in range(times):
            number += 1
            known = {"assignment_group": in_group, "reassignment_count": reassigned, "business_stc": seconds}
            double.store.put("incident", known | {"sys_id": f"{number:032x}", "sys_class_name": "incident"})
    asked = entry["request"]
    assert send(double, "GET", asked["path"], **asked["query"]).json()["result"] == [nobody, somebody]


def test_counts_need_permission(double: ServiceNowDouble) -> None:
    """The error names an unreadable table but not an unreadable column. Without a valid login, it is 401."""
    refused = send(double, "GET", "/api/now/stats/kb_knowledge", who="requester", sysparm_count="true")
    message = "Insufficient rights to query records"
    assert error(refused) == (403, message, "No permission to read table 'kb_knowledge'")
    hidden = send(double, "GET", STATS, who="requester", sysparm_count="true", sysparm_query="work_notesLIKEx")
    assert error(hidden)[:2] == (403, message)
    assert error(send(double, "GET", "/api/now/stats/nosuch")) == (400, "Invalid table nosuch", None)
    assert send(double, "GET", STATS, who="nobody").status_code == 401


@pytest.mark.parametrize(
    ("query", "fits"),
    [
        ("priority<=3", True),
        ("priority<=2^ORurgency=1", True),
        ("priority<=2^urgency=1", False),
        ("stateIN1,2^assignment_group=", True),
        ("short_descriptionLIKEvpn", True),
        ("active=false^NQcaller_id.user_name=requester", True),
        ("caller_id=javascript:gs.getUserID()", True),
        ("nosuch=1", True),
        ("sys_class_nameINSTANCEOFtask^ORDERBYnumber", True),
    ],
)
def test_a_row_can_be_matched_against_a_query(double: ServiceNowDouble, query: str, fits: bool) -> None:
    """The result is the same as in a list. `gs.getUserID()` is the given person."""
    row = next(row for row in double.rows("incident") if "VPN" in row["short_description"])
    assert matches(double.store, "incident", row, query, sys_id("user requester")) is fits
    listed = send(double, "GET", "/api/now/table/incident", who="requester", sysparm_query=query).json()["result"]
    assert (row["number"] in {one["number"] for one in listed}) is fits


def test_a_row_can_be_matched_case_sensitively(double: ServiceNowDouble) -> None:
    """The default is case-insensitive. An unsupported operator raises an error."""
    row = next(row for row in double.rows("incident") if "VPN" in row["short_description"])
    for query in ("short_descriptionLIKEvpn", "short_descriptionSTARTSWITHvpn", "caller_id.nameINrosa requester"):
        assert matches(double.store, "incident", row, query)
        assert not matches(double.store, "incident", row, query, case_sensitive=True)
    assert matches(double.store, "incident", row, "short_descriptionLIKEVPN", case_sensitive=True)
    with pytest.raises(Unsupported):
        matches(double.store, "incident", row, "opened_atMORETHANdue_date@day@before@1")
