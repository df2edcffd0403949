"""Batch requests have the documented format."""

import base64
import json
from typing import Any

import pytest
import requests

from sandbox.servicenow import ServiceNowDouble
from tests.contract.servicenow_tables.asking import Json, error, recorded, send

BATCH, INCIDENT = "/api/now/v1/batch", "/api/now/table/incident"
JSON_HEADERS = [{"name": "Content-Type", "value": "application/json"}, {"name": "Accept", "value": "application/json"}]


def part(number: int, method: str, url: str, body: Any = None, **more: Any) -> Json:
    """One request of a batch."""
    encoded = {} if body is None else {"body": base64.b64encode(json.dumps(body).encode()).decode()}
    return {"id": str(number), "method": method, "url": url, "headers": JSON_HEADERS} | encoded | more


def batch(double: ServiceNowDouble, *parts: Json, who: str = "agent", path: str = BATCH) -> list[Json]:
    """The answers, in order."""
    answer = send(double, "POST", path, {"batch_request_id": "7", "rest_requests": list(parts)}, who)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["batch_request_id"], found["unserviced_requests"]) == ("7", [])
    served: list[Json] = found["serviced_requests"]
    return served


def inside(answer: Json) -> Any:
    """The decoded body of one answer."""
    return json.loads(base64.b64decode(answer["body"]))


def test_a_batch_answer_has_the_documented_format(double: ServiceNowDouble) -> None:
    """All keys are equal. Unless they are excluded, a part has the documented headers and its body's length."""
    documented = recorded("batch", "Three parts")["response"]["body"]
    body = {"urgency": "1", "short_description": "From a batch", "comments": "Hello"}
    xml = [{"name": "Accept", "value": "application/xml"}]
    served = batch(
        double,
        part(11, "GET", f"{INCIDENT}?sysparm_limit=1&sysparm_fields=number", headers=xml),
        part(12, "GET", f"{INCIDENT}?sysparm_limit=1", exclude_response_headers=True),
        part(13, "POST", INCIDENT, body, exclude_response_headers=True),
    )
    assert [set(one) for one in served] == [set(one) for one in documented["serviced_requests"]]
    for ours, theirs in zip(served, documented["serviced_requests"], strict=True):
        fixed = ("id", "status_code", "status_text")
        assert {name: ours[name] for name in fixed} == {name: theirs[name] for name in fixed}
        assert isinstance(ours["execution_time"], int)
    first = base64.b64decode(served[0]["body"]).decode()
    assert first.startswith('<?xml version="1.0" encoding="UTF-8"?><response><result><number>')
    headers = {one["name"].lower(): one["value"] for one in served[0]["headers"]}
    assert {one["name"].lower() for one in documented["serviced_requests"][0]["headers"]} <= set(headers)
    assert headers["content-length"] == str(len(first))
    assert served[1]["headers"] == []
    made = inside(served[2])["result"]
    assert (made["short_description"], made["priority"]) == ("From a batch", "3")
    assert double.row("incident", made["sys_id"])["sys_created_by"] == "agent"


def test_parts_run_in_order_and_fail_independently(double: ServiceNowDouble) -> None:
    """A part sees what earlier parts saved. A failed part has its own status, while the batch answers 200."""
    number = double.rows("incident")[0]["sys_id"]
    served = batch(
        double,
        part(1, "PATCH", f"{INCIDENT}/{number}", {"urgency": "1"}),
        part(2, "GET", f"{INCIDENT}/{number}?sysparm_fields=urgency"),
        part(3, "GET", f"{INCIDENT}/{'0' * 32}"),
        part(4, "DELETE", f"{INCIDENT}/{number}"),
        part(5, "GET", "/api/now/table/sys_audit"),
        part(6, "GET", "/api/now/nosuch"),
        path="/api/now/batch",
    )
    assert [(one["id"], one["status_code"], one["status_text"]) for one in served] == [
        ("1", 200, "OK"), ("2", 200, "OK"), ("3", 404, "Not Found"), ("4", 403, "Forbidden"),
        ("5", 501, "Not Implemented"), ("6", 400, "Bad Request"),
    ]  # fmt: skip
    assert inside(served[1]) == {"result": {"urgency": "1"}}
    assert inside(served[2])["error"]["message"] == "No Record found"
    [deleted] = batch(double, part(1, "DELETE", f"{INCIDENT}/{number}"), who="admin")
    assert (deleted["status_code"], deleted["body"]) == (204, "")


def test_parts_use_the_batch_s_account_and_host(double: ServiceNowDouble) -> None:
    """Credentials in a part are ignored. Without credentials, no part runs. The log has one request."""
    other = base64.b64encode(b"admin:sandbox-1").decode()
    smuggled = [{"name": "Authorization", "value": f"Basic {other}"}]
    [hidden] = batch(double, part(1, "GET", "/api/now/table/oauth_entity", headers=smuggled))
    assert hidden["status_code"] == 403
    [row] = batch(double, part(1, "GET", f"{INCIDENT}?sysparm_limit=1"))
    assert inside(row)["result"][0]["caller_id"]["link"].startswith(double.url)
    double.clear_requests()
    body = {"batch_request_id": "1", "rest_requests": [part(1, "POST", INCIDENT, {})]}
    assert requests.post(double.url + BATCH, json=body, timeout=10).status_code == 401
    assert len(double.rows("incident")) == 3
    assert [entry["path"] for entry in double.requests()] == [BATCH]


def test_a_part_can_have_a_long_url(double: ServiceNowDouble) -> None:
    """PySNC sends queries this way that exceed the limit for URLs."""
    query = "^".join(["AAAA=BBBB"] * 2300 + ["number=INC0010002"])
    [found] = batch(double, part(1, "GET", f"{INCIDENT}?sysparm_query={query}"))
    assert [row["number"] for row in inside(found)["result"]] == ["INC0010002"]


def test_a_fault_can_apply_to_a_part(double: ServiceNowDouble) -> None:
    """The fault matches the part's path."""
    double.fault("429", INCIDENT)
    served = batch(double, part(1, "GET", INCIDENT), part(2, "GET", INCIDENT))
    assert [one["status_code"] for one in served] == [429, 200]


@pytest.mark.parametrize(
    "body",
    [
        [], {}, {"batch_request_id": "1"}, {"batch_request_id": "1", "rest_requests": ["x"]},
        {"batch_request_id": "1", "rest_requests": [{"id": "1"}]},
        {"batch_request_id": "1", "rest_requests": [{"id": "1", "method": "GET", "url": "http://127.0.0.1/x"}]},
        {"batch_request_id": "1", "rest_requests": [{"id": "1", "method": "MOVE", "url": "/api/now/table/incident"}]},
        {"batch_request_id": "1", "rest_requests": [{"id": "1", "method": "GET", "url": "/x", "headers": ["x"]}]},
    ],
)  # fmt: skip
def test_a_malformed_batch_is_rejected(double: ServiceNowDouble, body: Any) -> None:
    """The answer is 400."""
    answer = send(double, "POST", BATCH, body)
    assert error(answer)[:2] == (400, "Exception while reading request")


def test_a_body_that_is_not_base64_is_rejected_before_any_part_runs(double: ServiceNowDouble) -> None:
    """The parts before it aren't saved either."""
    parts = [part(1, "POST", INCIDENT, {}), part(2, "POST", INCIDENT, {}) | {"body": "not base64!"}]
    answer = send(double, "POST", BATCH, {"batch_request_id": "1", "rest_requests": parts})
    assert error(answer) == (400, "Exception while reading request", "body of 2 is not base64")
    assert len(double.rows("incident")) == 3
