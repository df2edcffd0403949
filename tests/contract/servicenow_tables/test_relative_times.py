"""Relative times in queries, in the reader's zone, and filtered and sorted groups."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from sandbox.servicenow import ServiceNowDouble
from sandbox.servicenow.queries.relative_times import Unknown, generated, relative
from sandbox.servicenow.seed.records import sys_id
from tests.contract.servicenow_tables.asking import send

INCIDENT, STATS = "/api/now/table/incident", "/api/now/stats/incident"
UTC_ZONE, PACIFIC = ZoneInfo("UTC"), ZoneInfo("America/Los_Angeles")
NOW = datetime(2026, 3, 31, 2, 30, 15, tzinfo=UTC)  # Tuesday, but still Monday in Los Angeles


@pytest.mark.parametrize(
    ("script", "there", "in_utc"),
    [
        ("gs.dateGenerate('2026-07-01','00:00:00')", "2026-07-01 07:00:00", "2026-07-01 00:00:00"),
        ('gs.dateGenerate("2026-07-01", "end");', "2026-07-02 06:59:59", "2026-07-01 23:59:59"),
        ("gs.beginningOfToday()", "2026-03-30 07:00:00", "2026-03-31 00:00:00"),
        ("gs.endOfToday()", "2026-03-31 06:59:59", "2026-03-31 23:59:59"),
        ("gs.beginningOfYesterday()", "2026-03-29 07:00:00", "2026-03-30 00:00:00"),
        ("gs.beginningOfThisWeek()", "2026-03-30 07:00:00", "2026-03-30 00:00:00"),
        ("gs.endOfLastWeek()", "2026-03-30 06:59:59", "2026-03-29 23:59:59"),
        ("gs.beginningOfLastMonth()", "2026-02-01 08:00:00", "2026-02-01 00:00:00"),
        ("gs.endOfLastMonth()", "2026-03-01 07:59:59", "2026-02-28 23:59:59"),
        ("gs.beginningOfNextMonth()", "2026-04-01 07:00:00", "2026-04-01 00:00:00"),
        ("gs.beginningOfThisQuarter()", "2026-01-01 08:00:00", "2026-01-01 00:00:00"),
        ("gs.endOfThisQuarter()", "2026-04-01 06:59:59", "2026-03-31 23:59:59"),
        ("gs.beginningOfLastYear()", "2025-01-01 08:00:00", "2025-01-01 00:00:00"),
        ("gs.endOfNextYear()", "2028-01-01 07:59:59", "2027-12-31 23:59:59"),
        ("gs.daysAgo(1)", "2026-03-30 02:30:15", "2026-03-30 02:30:15"),
        ("gs.daysAgo(-1)", "2026-04-01 02:30:15", "2026-04-01 02:30:15"),
        ("gs.daysAgoStart(0)", "2026-03-30 07:00:00", "2026-03-31 00:00:00"),
        ("gs.daysAgoEnd(7)", "2026-03-24 06:59:59", "2026-03-24 23:59:59"),
        ("gs.hoursAgoStart(1)", "2026-03-31 01:00:00", "2026-03-31 01:00:00"),
        ("gs.minutesAgo('15')", "2026-03-31 02:15:15", "2026-03-31 02:15:15"),
        ("gs.monthsAgo(1)", "2026-03-01 03:30:15", "2026-02-28 02:30:15"),
        ("gs.monthsAgoStart(1)", "2026-02-01 08:00:00", "2026-02-01 00:00:00"),
        ("gs.quartersAgoEnd(1)", "2026-01-01 07:59:59", "2025-12-31 23:59:59"),
        ("gs.yearsAgo(2)", "2024-03-31 02:30:15", "2024-03-31 02:30:15"),
        ("gs.nowDateTime()", "2026-03-31 02:30:15", "2026-03-31 02:30:15"),
    ],
)
def test_functions_return_utc_times(script: str, there: str, in_utc: str) -> None:
    """Days, weeks and months start in the person's zone. A day that a month lacks becomes its last day."""
    assert generated(script, NOW, UTC_ZONE) == in_utc
    assert generated(script, NOW, PACIFIC) == there


@pytest.mark.parametrize(
    "script",
    [
        "gs.beginningOf()", "gs.beginningOfWeek()", "gs.beginningOfThisToday()", "gs.daysAgo()", "gs.daysAgo(x)",
        "gs.dateGenerate('2026-13-01','00:00:00')", "gs.dateGenerate('2026-01-01')", "gs.log('x')", "new Date()",
        "gs.getUserID(); gs.daysAgo(1)", "gs.daysAgo(1,2)",
    ],
)  # fmt: skip
def test_other_scripts_are_unknown(script: str) -> None:
    """They raise an error instead of a guess."""
    with pytest.raises(Unknown):
        generated(script, NOW, UTC_ZONE)


@pytest.mark.parametrize(
    ("operator", "wanted", "fits"),
    [
        ("RELATIVEGT", "@hour@ago@1", ["2026-03-31 01:30:16"]),
        ("RELATIVEGE", "@hour@ago@1", ["2026-03-31 01:30:15", "2026-03-31 01:30:16"]),
        ("RELATIVELT", "@hour@ago@1", ["2026-03-30 23:00:00", "2026-03-31 01:30:14"]),
        ("RELATIVELE", "@minute@ago@60", ["2026-03-30 23:00:00", "2026-03-31 01:30:14", "2026-03-31 01:30:15"]),
        ("RELATIVEEE", "@dayofweek@ago@1", ["2026-03-30 23:00:00"]),
        ("RELATIVEGT", "@month@ahead@1", []),
    ],
)
def test_relative_operators_compare_with_now(operator: str, wanted: str, fits: list[str]) -> None:
    """The value has a unit, a direction and a number. EE matches the whole unit."""
    times = ["2026-03-30 23:00:00", "2026-03-31 01:30:14", "2026-03-31 01:30:15", "2026-03-31 01:30:16"]
    assert [one for one in times if relative(one, operator, wanted, NOW, UTC_ZONE)] == fits


def test_a_list_can_be_filtered_by_relative_times(double: ServiceNowDouble) -> None:
    """Operators and functions use the double's clock. Both bounds of BETWEEN can be scripts."""
    rows = double.rows("incident")
    now = double.store.now()
    for row, opened in zip(rows, ("2026-01-05 10:00:00", "2026-02-10 10:00:00", now), strict=True):
        double.store.put("incident", row | {"opened_at": opened, "due_date": ""})

    def found(query: str) -> list[str]:
        answer = send(double, "GET", INCIDENT, sysparm_query=f"{query}^ORDERBYnumber")
        assert answer.status_code == 200, answer.text
        return [row["number"][-1] for row in answer.json()["result"]]

    assert found("opened_at>=javascript:gs.daysAgoStart(1)") == ["3"]
    assert found("opened_at<javascript:gs.daysAgo(1)") == ["1", "2"]
    january = "javascript:gs.dateGenerate('2026-01-01','start')@javascript:gs.dateGenerate('2026-01-31','end')"
    assert found(f"opened_atBETWEEN{january}") == ["1"]
    assert found("opened_atBETWEEN2026-01-01 00:00:00@2026-02-28 00:00:00") == ["1", "2"]
    today = "Today@javascript:gs.beginningOfToday()@javascript:gs.endOfToday()"
    assert found(f"opened_atON{today}") == ["3"]
    assert found(f"opened_atNOTON{today}") == ["1", "2"]
    assert found("opened_atRELATIVEGT@hour@ago@1") == ["3"]
    assert found("opened_atRELATIVELT@dayofweek@ago@7^caller_idISNOTEMPTY") == ["1", "2"]
    assert found("due_dateRELATIVELT@hour@ago@1") == []
    assert found("opened_by=javascript:gs.getUserID()") == []
    double.advance(7200)
    assert found("opened_atRELATIVEGT@hour@ago@1") == []


@pytest.mark.parametrize(
    "query",
    [
        "opened_at>javascript:gs.beginningOfTime()", "opened_atRELATIVEGT@fortnight@ago@1",
        "opened_atRELATIVEGT@hour@ago@x", "opened_atONToday", "opened_atBETWEEN2026-01-01", "active=true^GROUPBYstate",
        "opened_atON1@2@3@4",
    ],
)  # fmt: skip
def test_unsupported_times_answer_501(double: ServiceNowDouble, query: str) -> None:
    """The term is never dropped, even if the table has no rows."""
    for path in (INCIDENT, "/api/now/table/change_task", "/api/now/table/u_facility_incident"):
        answer = send(double, "GET", path, sysparm_query=query)
        assert answer.status_code == 501
        assert f"{path} with" in answer.text


def test_days_start_in_the_person_s_zone(double: ServiceNowDouble) -> None:
    """Two people in different zones get different results for the same query."""
    agent = double.row("sys_user", sys_id("user agent"))
    double.store.put("sys_user", agent | {"time_zone": "Pacific/Kiritimati"})
    row = double.rows("incident")[0]
    double.store.put("incident", row | {"opened_at": "2026-06-30 12:00:00"})
    query = (
        "opened_atONx@javascript:gs.dateGenerate('2026-07-01','start')@javascript:gs.dateGenerate('2026-07-01','end')"
    )
    counts = [
        send(double, "GET", INCIDENT, who=who, sysparm_query=query).headers["X-Total-Count"]
        for who in ("agent", "agent2")
    ]
    assert counts == ["1", "0"]


# --- groups


def grouped(double: ServiceNowDouble, **params: str) -> list[str]:
    """The values of the groups, in order."""
    answer = send(double, "GET", STATS, sysparm_count="true", sysparm_group_by="urgency", **params)
    assert answer.status_code == 200, answer.text
    return [group["groupby_fields"][0]["value"] for group in answer.json()["result"]]


def test_groups_can_be_filtered_and_sorted(double: ServiceNowDouble) -> None:
    """Both support counts, aggregates and fields. Several can be combined."""
    for urgency, count in (("1", "5"), ("3", "1"), ("3", "3")):
        body = {"urgency": urgency, "reassignment_count": count}
        assert send(double, "POST", INCIDENT, body).status_code == 201
    assert grouped(double) == ["1", "2", "3"]
    assert grouped(double, sysparm_having="count^urgency^>^1") == ["1", "3"]
    assert grouped(double, sysparm_having="count^urgency^>^1,sum^reassignment_count^>=^5") == ["1"]
    assert grouped(double, sysparm_having="avg^reassignment_count^<^1") == ["2"]
    assert grouped(double, sysparm_order_by="COUNT") == ["2", "1", "3"]
    assert grouped(double, sysparm_order_by="COUNT^DESC") == ["3", "1", "2"]
    assert grouped(double, sysparm_order_by="urgency^DESC") == ["3", "2", "1"]
    assert grouped(double, sysparm_order_by="SUM^reassignment_count^DESC,urgency") == ["1", "3", "2"]
    assert grouped(double, urgency="3 - Low") == ["3"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sysparm_having", "count>1"), ("sysparm_having", "median^urgency^>^1"), ("sysparm_having", "count^nosuch^>^1"),
        ("sysparm_order_by", "state"), ("sysparm_order_by", "MEDIAN^urgency"),
        ("sysparm_having", "count^urgency^LIKE^1"),
    ],
)  # fmt: skip
def test_unsupported_orders_and_conditions_answer_501(double: ServiceNowDouble, name: str, value: str) -> None:
    """This holds without a group too."""
    params = {name: value, "sysparm_count": "true"}
    assert send(double, "GET", STATS, sysparm_group_by="urgency", **params).status_code == 501
    assert send(double, "GET", STATS, **params).status_code == 501
