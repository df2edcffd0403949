"""What other Table API clients send: parameters in any case, typed values, XML and empty bodies."""

import json
from typing import Any
from xml.etree import ElementTree

import pytest
import requests

from sandbox.servicenow import ServiceNowDouble
from sandbox.servicenow.seed.records import sys_id
from sandbox.servicenow.web.content_negotiation import chosen
from tests.contract.servicenow_tables.asking import Json, error, send

INCIDENT, CHANGE, USER = (f"/api/now/table/{name}" for name in ("incident", "change_request", "sys_user"))
LOGIN = ("agent", "sandbox-1")
KINDS = ("application/json", "application/xml", "text/xml")


def call(double: ServiceNowDouble, method: str, path: str, data: Any = None, **headers: str) -> requests.Response:
    """A request with exactly these headers."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return requests.request(method, double.url + path, data=data, headers=named, auth=LOGIN, timeout=10)


def test_boolean_parameters_are_case_insensitive(double: ServiceNowDouble) -> None:
    """Python's True and False work, since pysnow sends `False` on every call. An unknown value means false."""

    def first(**params: str) -> Any:
        return send(double, "GET", INCIDENT, **params).json()["result"][0]["caller_id"]

    for off in ("False", "FALSE", "false", "junk", "1", ""):
        assert set(first(sysparm_display_value=off)) == {"link", "value"}
        assert set(first(sysparm_exclude_reference_link=off)) == {"link", "value"}
    for on in ("True", "TRUE", " true "):
        assert set(first(sysparm_display_value=on)) == {"display_value", "link"}
        assert first(sysparm_exclude_reference_link=on) == sys_id("user abel.tuter")
    assert set(first(sysparm_display_value="ALL")) == {"display_value", "link", "value"}
    switches = {"sysparm_limit": "1", "sysparm_suppress_pagination_header": "True"}
    assert "Link" not in send(double, "GET", INCIDENT, **switches).headers
    assert "X-Total-Count" not in send(double, "GET", INCIDENT, sysparm_no_count="TRUE").headers
    made = send(double, "POST", INCIDENT, {"urgency": "1 - High"}, sysparm_input_display_value="True").json()
    assert made["result"]["urgency"] == "1"
    stats = send(double, "GET", "/api/now/stats/incident", sysparm_count="True").json()["result"]
    assert stats == {"stats": {"count": "4"}}


@pytest.mark.parametrize(
    ("column", "sent", "kept"),
    [
        ("state", "abc", "1"),
        ("state", "2", "2"),
        ("state", 2, "2"),
        ("state", 2.0, "2"),
        ("impact", "high", "3"),
        ("reassignment_count", "1,234", "1234"),
        ("reassignment_count", "-7", "-7"),
        ("reassignment_count", "1.9", "1"),
        ("reassignment_count", "", ""),
        ("opened_at", "2021-07-15T08:00:00", "2021-07-15 08:00:00"),
        ("opened_at", "2021-07-15T08:00:00Z", "2021-07-15 08:00:00"),
        ("opened_at", "2021-07-15T08:00:00+02:00", "2021-07-15 06:00:00"),
        ("opened_at", "2021-07-15 08:00", "2021-07-15 08:00:00"),
        ("opened_at", "2021-07-15", "2021-07-15 00:00:00"),
        ("due_date", "tomorrow", ""),
        ("due_date", "2021-02-30 08:00:00", ""),
        ("knowledge", "nonsense", "false"),
        ("knowledge", "TRUE", "true"),
        ("knowledge", 1, "true"),
        ("knowledge", True, "true"),
        ("made_sla", "no", "false"),
        ("made_sla", False, "false"),
        ("business_duration", "01:30:00", "1970-01-01 01:30:00"),
        ("business_duration", "2 01:30:00", "1970-01-03 01:30:00"),
        ("business_duration", "soon", ""),
        ("category", "anything", "anything"),
    ],
)
def test_typed_columns_store_only_valid_values(double: ServiceNowDouble, column: str, sent: object, kept: str) -> None:
    """An invalid value leaves the column's default. A choice column of strings accepts any text."""
    made = send(double, "POST", INCIDENT, {"short_description": "x", column: sent})
    assert (made.status_code, made.json()["result"][column]) == (201, kept)


def test_an_invalid_value_leaves_the_column_unchanged(double: ServiceNowDouble) -> None:
    """The answer is 200, and the other columns are saved. Without a valid value, nothing is updated."""
    path = f"{INCIDENT}/{double.rows('incident')[0]['sys_id']}"
    send(double, "PATCH", path, {"due_date": "2026-01-02 03:04:05"})
    body = {"due_date": "next week", "state": "open", "short_description": "Changed"}
    row = send(double, "PATCH", path, body).json()["result"]
    assert (row["due_date"], row["state"], row["short_description"]) == ("2026-01-02 03:04:05", "1", "Changed")
    again = send(double, "PATCH", path, {"state": "open"}).json()["result"]
    assert again["sys_mod_count"] == row["sys_mod_count"]


def test_numbers_of_custom_columns(double: ServiceNowDouble) -> None:
    """A decimal column stores decimals."""
    column = {"name": "incident", "element": "u_cost", "column_label": "Cost", "internal_type": "decimal"}
    send(double, "POST", "/api/now/table/sys_dictionary", column, "admin")
    costs = [
        send(double, "POST", INCIDENT, {"u_cost": sent}).json()["result"]["u_cost"] for sent in ("1,000.50", 3, "dear")
    ]
    assert costs == ["1000.5", "3", ""]


# --- XML


def test_xml_is_returned_on_request(double: ServiceNowDouble) -> None:
    """Lists, references and errors are returned as XML, and inserts accept XML."""
    asked = call(double, "GET", f"{INCIDENT}?sysparm_limit=2&sysparm_fields=number,caller_id", Accept="application/xml")
    assert asked.headers["Content-Type"] == "application/xml;charset=UTF-8"
    assert asked.headers["X-Total-Count"] == "3"
    root = ElementTree.fromstring(asked.content)
    assert [row.findtext("number") for row in root.iterfind("result")] == ["INC0010001", "INC0010002"]
    assert root.findtext("result/caller_id/value") == sys_id("user abel.tuter")
    missing = call(double, "GET", f"{INCIDENT}/{'0' * 32}", Accept="text/xml")
    assert (missing.status_code, missing.headers["Content-Type"]) == (404, "application/xml;charset=UTF-8")
    assert ElementTree.fromstring(missing.content).findtext("error/message") == "No Record found"
    hostile = "a < b & \x02 ]]> “c”"
    send(double, "POST", INCIDENT, {"short_description": hostile})
    rows = call(double, "GET", f"{INCIDENT}?sysparm_query=short_descriptionLIKEa <", Accept="application/xml")
    assert ElementTree.fromstring(rows.content).findtext("result/short_description") == "a < b &  ]]> “c”"
    body = (
        "<request><entry><short_description>From &lt;XML&gt;</short_description><urgency>1</urgency></entry></request>"
    )
    made = call(double, "POST", INCIDENT, body, Content_Type="application/xml", Accept="application/json")
    assert made.status_code == 201
    assert (made.json()["result"]["short_description"], made.json()["result"]["urgency"]) == ("From <XML>", "1")
    for wrong in ("<request>", "<other/>", "nothing"):
        refused = call(double, "POST", INCIDENT, wrong, Content_Type="text/xml")
        assert error(refused)[:2] == (400, "Exception while reading request")
    nobody = requests.get(double.url + INCIDENT, headers={"Accept": "application/xml"}, timeout=10)
    assert nobody.status_code == 401
    assert ElementTree.fromstring(nobody.content).findtext("error/message") == "User is not authenticated"


def test_unsupported_xml_answers_501(double: ServiceNowDouble) -> None:
    """The keys of state labels aren't valid XML names."""
    change = double.rows("change_request")[0]["sys_id"]
    answer = call(double, "GET", f"/api/sn_chg_rest/change/{change}/nextstates", Accept="application/xml")
    assert answer.status_code == 501
    assert "nextstates" in answer.text


def test_an_unsupported_accept_header_answers_406(double: ServiceNowDouble) -> None:
    """Nothing is saved. A file can be read as its own type."""
    body = json.dumps({"short_description": "x"})
    refused = call(double, "POST", INCIDENT, body, Accept="text/csv", Content_Type="application/json")
    status, message, detail = error(refused)
    assert (status, detail) == (406, None)
    assert message.endswith(
        "Supported response media types for this service are: [application/json, application/xml, text/xml]"
    )
    assert len(double.rows("incident")) == 3
    where = f"?table_name=incident&table_sys_id={double.rows('incident')[0]['sys_id']}&file_name=a.txt"
    made = call(double, "POST", f"/api/now/attachment/file{where}", "text", Content_Type="text/plain")
    path = f"/api/now/attachment/{made.json()['result']['sys_id']}/file"
    assert call(double, "GET", path, Accept="text/plain").text == "text"


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", "application/json"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "application/xml"),
        ("application/*", "application/json"),
        ("text/*", "text/xml"),
        ("application/json;q=0, application/xml", "application/xml"),
        ("application/json;q=junk", ""),
        ("image/png", ""),
    ],
)
def test_accept_headers_are_parsed_leniently(header: str, kind: str) -> None:
    """The quality decides first, then the order of the supported types."""
    assert chosen(header, KINDS) == kind


# --- bodies and accounts


def test_an_empty_write_needs_no_content_type(double: ServiceNowDouble) -> None:
    """A POST without a body inserts a row with defaults. A body needs a supported type."""
    made = call(double, "POST", INCIDENT)
    assert made.status_code == 201
    assert made.json()["result"]["number"] == "INC0010004"
    assert error(call(double, "POST", INCIDENT, "x=1", Content_Type="text/plain"))[0] == 415
    assert error(call(double, "POST", INCIDENT, b"{}"))[0] == 415
    assert len(double.rows("incident")) == 4


def test_a_url_that_is_too_long_gets_an_html_page(double: ServiceNowDouble) -> None:
    """The status is 414, as from the web server in front of an instance."""
    answer = send(double, "GET", INCIDENT, sysparm_query="sys_idIN" + "a" * 8200)
    assert (answer.status_code, answer.headers["Content-Type"]) == (414, "text/html")
    assert "414 Request-URI Too Large" in answer.text


def test_a_password_is_masked_and_can_not_be_set_over_rest(double: ServiceNowDouble) -> None:
    """An existing password is shown as asterisks. A user created over REST has none and can't sign in."""
    shown = send(double, "GET", f"{USER}/{sys_id('user agent')}", who="admin").json()["result"]
    assert shown["user_password"] == "********"
    body = {"user_name": "robot", "user_password": "sandbox-1"}
    assert send(double, "POST", USER, body, "admin").json()["result"]["user_password"] == ""
    assert send(double, "GET", INCIDENT, who="robot").status_code == 401


def test_user_names_are_unique(double: ServiceNowDouble) -> None:
    """Inserts and updates with another user's name are rejected. Several users can have no user name."""
    refused: list[Json] = []
    for method, path in (("POST", USER), ("PATCH", f"{USER}/{sys_id('user agent2')}")):
        answer = send(double, method, path, {"user_name": "agent"}, "admin")
        refused.append(answer.json()["error"])
        assert answer.status_code == 403
    assert refused == [
        {"message": "Operation Failed", "detail": f"Error during {verb} of sys_user (agent)"}
        for verb in ("insert", "update")
    ]
    assert double.row("sys_user", sys_id("user agent2"))["user_name"] == "agent2"
    for _ in range(2):
        assert send(double, "POST", USER, {"first_name": "Sam"}, "admin").status_code == 201


@pytest.mark.parametrize(
    "term",
    [
        "short_descriptionMATCH_PAT*", "short_descriptionMATCH_RGX.*", "stateVALCHANGES", "stateCHANGESFROM1",
        "stateCHANGESTO2", "sys_tags.nameLIKEx", "opened_atDATEPARTMonday@x@y", "locationIN_HIERARCHYx",
    ],
)  # fmt: skip
def test_unsupported_query_terms_answer_501(double: ServiceNowDouble, term: str) -> None:
    """The answer has the term, so that it is never silently ignored."""
    answer = send(double, "GET", INCIDENT, sysparm_query=f"active=true^{term}")
    assert answer.status_code == 501
    assert term[:10] in answer.text
