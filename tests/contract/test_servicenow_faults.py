"""Each fault of the ServiceNow double behaves as observed on an instance, and only as often as requested."""

import json
import threading
import time
from typing import Any

import pytest
import requests

from sandbox.servicenow import ServiceNowDouble
from sandbox.servicenow.faults import KINDS

LOGIN = ("admin", "sandbox-1")
TABLE = "/api/now/v2/table/incident"
CLIENT = {"client_id": "c" * 32, "client_secret": "s", "redirect_url": "http://127.0.0.1/back"}


def get(double: ServiceNowDouble, path: str = TABLE, who: str = "admin", **params: str) -> requests.Response:
    """A read with basic auth."""
    return requests.get(double.url + path, params=params, auth=(who, "sandbox-1"), timeout=10)


def create(double: ServiceNowDouble) -> requests.Response:
    """Create an incident."""
    body = {"short_description": "x", "correlation_id": "form-1"}
    return requests.post(double.url + TABLE, json=body, auth=LOGIN, timeout=10)


def saved(double: ServiceNowDouble) -> int:
    """The number of incidents that were created."""
    return sum(row["correlation_id"] == "form-1" for row in double.rows("incident"))


@pytest.mark.parametrize(
    ("kind", "status", "content_type"),
    [
        ("hibernating", 200, "text/html"),
        ("401", 401, "application/json;charset=UTF-8"),
        ("429", 429, "application/json;charset=UTF-8"),
        ("429_bare", 429, "text/html; charset=utf-8"),
        ("500", 500, "application/json;charset=UTF-8"),
        ("202", 202, "text/html; charset=utf-8"),
        ("html_login", 200, "text/html;charset=UTF-8"),
        ("414", 414, "text/html"),
    ],
)
def test_faults_that_replace_the_answer(double: ServiceNowDouble, kind: str, status: int, content_type: str) -> None:
    """Nothing is saved. The second request gets the normal answer."""
    double.fault(kind, TABLE)
    answer = create(double)
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, content_type)
    assert saved(double) == 0
    assert create(double).status_code == 201
    assert double.armed() == 0


def test_a_rate_limit_says_when_to_retry(double: ServiceNowDouble) -> None:
    """A rate limit rule sends headers. A full node doesn't."""
    double.fault("429", seconds=7)
    limited = get(double)
    assert limited.headers["Retry-After"] == "7"
    assert {"X-RateLimit-Limit", "X-RateLimit-Reset", "X-RateLimit-Rule"} <= set(limited.headers)
    assert limited.json()["error"]["message"] == "Rate limit exceeded"
    double.fault("429_bare")
    assert not any("limit" in name.lower() or name == "Retry-After" for name in get(double).headers)


def test_faults_after_a_save(double: ServiceNowDouble) -> None:
    """A 500 and a 403 are returned after a committed write."""
    double.fault("500_after_commit")
    assert create(double).status_code == 500
    double.fault("403_after_insert")
    refused = create(double)
    assert refused.json()["error"] == {"message": "Insufficient rights to query records", "detail": None}
    assert saved(double) == 2


def test_a_truncated_answer_is_not_json(double: ServiceNowDouble) -> None:
    """The answer has status 200 and half a body."""
    double.fault("truncated")
    answer = get(double)
    assert answer.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        json.loads(answer.text)


def test_rows_and_columns_can_be_hidden(double: ServiceNowDouble) -> None:
    """The faults are an empty page with the full count, a short page, and a column missing from every row."""
    double.fault("empty_acl")
    hidden = get(double)
    assert (hidden.json(), hidden.headers["X-Total-Count"]) == ({"result": []}, "3")
    double.fault("empty_acl")
    assert get(double, f"{TABLE}/{double.rows('incident')[0]['sys_id']}").status_code == 404
    double.fault("short_page")
    assert len(get(double).json()["result"]) == 1
    double.fault("strip_field")
    assert not any("correlation_id" in row for row in get(double).json()["result"])
    assert all("correlation_id" in row for row in get(double).json()["result"])


def test_invalid_terms_can_also_find_nothing(double: ServiceNowDouble) -> None:
    """With a property that is off by default, an unknown term finds no rows."""
    assert len(get(double, sysparm_query="no_such=1").json()["result"]) == 3
    double.fault("drop_unknown_terms")
    assert get(double, sysparm_query="no_such=1").json()["result"] == []


def test_metadata_can_be_forbidden(double: ServiceNowDouble) -> None:
    """The 403 is from the API-level ACL."""
    double.fault("meta_refused")
    answer = get(double, "/api/now/ui/meta/incident", "agent")
    assert answer.status_code == 403
    assert answer.json()["error"]["detail"] == "Failed API level ACL Validation"


def test_token_faults(double: ServiceNowDouble) -> None:
    """One fault omits the refresh token. Another rejects a refresh with 401, like every error there."""
    double.store.insert("oauth_entity", CLIENT, "admin")
    [agent] = [row for row in double.rows("sys_user") if row["user_name"] == "agent"]
    code = double.oauth.issue_code("c" * 32, agent["sys_id"], CLIENT["redirect_url"], "")
    client = {"client_id": "c" * 32, "client_secret": "s"}
    form = client | {"grant_type": "authorization_code", "code": code, "redirect_uri": CLIENT["redirect_url"]}
    double.fault("no_refresh_token")
    answer = requests.post(f"{double.url}/oauth_token.do", data=form, timeout=10)
    assert "refresh_token" not in answer.json()
    [grant] = double.oauth.grants()
    refresh = client | {"grant_type": "refresh_token", "refresh_token": grant.refresh_token}
    double.fault("refresh_refused")
    assert requests.post(f"{double.url}/oauth_token.do", data=refresh, timeout=10).status_code == 401
    assert requests.post(f"{double.url}/oauth_token.do", data=refresh, timeout=10).status_code == 200
    assert requests.post(f"{double.url}/oauth_token.do", data=refresh, auth=LOGIN, timeout=10).status_code == 401


def test_clearing_faults_releases_slow_requests(double: ServiceNowDouble) -> None:
    """The request is then answered normally."""
    double.fault("slow", TABLE, seconds=60)
    answers: list[int] = []
    waiting = threading.Thread(target=lambda: answers.append(get(double).status_code))
    began = time.monotonic()
    waiting.start()
    while double.armed():
        assert time.monotonic() - began < 10
    double.clear_faults()
    waiting.join(10)
    assert answers == [200]
    assert time.monotonic() - began < 10


def test_a_fault_matches_by_path_times_and_method(double: ServiceNowDouble) -> None:
    """A fault counts only the requests that match it."""
    double.fault("500", "/api/now/v2/table/sys_user", times=2, method="GET")
    assert get(double).status_code == 200
    users = "/api/now/v2/table/sys_user"
    assert [get(double, users).status_code for _ in range(3)] == [500, 500, 200]


def test_a_dropped_class_term_returns_every_class(double: ServiceNowDouble) -> None:
    """The other terms still apply, and the next list is normal again."""
    query = "sys_class_name=problem^numberSTARTSWITHINC"
    assert get(double, sysparm_query=query, path="/api/now/v2/table/task").json()["result"] == []
    double.fault("class_dropped", "/api/now/v2/table/task")
    found = get(double, sysparm_query=query, path="/api/now/v2/table/task").json()["result"]
    assert {row["sys_class_name"] for row in found} == {"incident"}
    assert get(double, sysparm_query=query, path="/api/now/v2/table/task").json()["result"] == []


def test_a_late_request_is_carried_out_when_it_is_released(double: ServiceNowDouble) -> None:
    """The client gets a gateway's 504 immediately. The row is created at the release, in the order of requests."""
    double.fault("late", TABLE, method="POST", times=2)
    answers = [create(double), create(double)]
    assert [answer.status_code for answer in answers] == [504, 504]
    assert saved(double) == 0
    assert double.release(1) == [201]
    assert saved(double) == 1
    assert switch(double, "POST", "release") == {"statuses": [201]}
    assert saved(double) == 2
    assert [entry["status"] for entry in double.requests()] == [504, 504]
    assert double.release() == []


def switch(double: ServiceNowDouble, method: str, path: str, body: Any = None) -> Any:
    """Call a control, as tests in other processes do."""
    answer = requests.request(method, f"{double.url}/_sandbox/{path}", json=body, timeout=10)
    assert answer.ok
    return answer.json()


def test_controls_work_over_http(double: ServiceNowDouble) -> None:
    """The controls are faults, the clock, the request log and the reset."""
    assert set(KINDS) == {
        "hibernating", "401", "429", "429_bare", "500", "500_after_commit", "403_after_insert", "202", "truncated",
        "html_login", "slow", "empty_acl", "short_page", "strip_field", "no_refresh_token", "refresh_refused", "414",
        "drop_unknown_terms", "meta_refused", "late", "class_dropped",
    }  # fmt: skip
    switch(double, "POST", "faults", {"kind": "401", "path": TABLE, "times": 5})
    assert get(double).status_code == 401
    switch(double, "DELETE", "faults")
    with requests.Session() as session:
        for _ in range(2):
            session.get(double.url + TABLE, params={"sysparm_limit": "1"}, auth=LOGIN, timeout=10)
    first, second, third = switch(double, "GET", "requests")
    assert (first["method"], first["path"], first["query"], first["status"]) == ("GET", TABLE, "", 401)
    assert (second["query"], second["status"]) == ("sysparm_limit=1", 200)
    assert second["connection"] == third["connection"] != first["connection"]
    switch(double, "DELETE", "requests")
    assert switch(double, "GET", "requests") == []
    before = switch(double, "POST", "clock", {"advance": 0})["now"]
    assert switch(double, "POST", "clock", {"advance": 3600})["now"] - before >= 3600
    create(double)
    switch(double, "POST", "reset")
    assert saved(double) == 0
    assert abs(switch(double, "POST", "clock", {"advance": 0})["now"] - time.time()) < 60
