"""A table of what each kind of answer from an instance means (API reference §3)."""

import json
from pathlib import Path
from typing import Any

import pytest
from requests.structures import CaseInsensitiveDict

from core.upstream_errors import (
    AccessDenied,
    Broken,
    Busy,
    CredentialsRefused,
    CutShort,
    Dropped,
    GatewayFailed,
    Hibernating,
    InsertHidden,
    Misdirected,
    NotAccepted,
    NotFound,
    NotInstalled,
    Refused,
    ServiceNowError,
    TooLarge,
    TooLong,
    Unanswered,
)
from servicenow.classify import read_answer, read_plain_answer, read_token_answer

RECORDED = Path(__file__).parents[3] / "shared" / "recorded" / "servicenow"
ASLEEP = "<!DOCTYPE html><html><head><title>Instance Hibernating page</title></head></html>"
LOGIN = "<html><head><title>ServiceNow</title></head><body><form>Log in</form></body></html>"
GATEWAY = "<html><head><title>502 Bad Gateway</title></head></html>"
CANCELLED = "Transaction cancelled: maximum execution time exceeded"
RULE = (
    "Operation against file 'incident' was aborted by Business Rule "
    "'Check the caller^4d4f378a1b55c8105c080f23cc4bcb9b'. Business Rule Stack:Check the caller,Outer rule"
)


def failure(message: str | None, detail: Any = None) -> str:
    """The body of every error."""
    return json.dumps({"error": {"message": message, "detail": detail}, "status": "failure"})


ANSWERS = [
    # method, status, headers, body, error
    ("GET", 200, {}, ASLEEP, Hibernating),
    ("POST", 200, {"Content-Type": "application/json"}, ASLEEP, Hibernating),
    ("DELETE", 200, {}, ASLEEP, Hibernating),
    ("GET", 302, {"Location": "https://developer.servicenow.com/dev.do#!/home?wu=true"}, "", Hibernating),
    ("GET", 200, {}, LOGIN, Misdirected),
    ("POST", 201, {"Content-Type": "application/json"}, LOGIN, Misdirected),
    ("GET", 302, {"Location": "https://idp.example/login"}, "", Misdirected),
    ("GET", 307, {"Location": "/login.do"}, '{"result": []}', Misdirected),
    ("GET", 200, {}, '{"result": [{"sys_id": "1"}, {"sys', CutShort),
    ("POST", 201, {}, '{"result": {"sys_id"', CutShort),
    ("GET", 200, {}, "", CutShort),
    ("GET", 200, {}, json.dumps({"result": [{}], "error": {"message": CANCELLED}, "status": "failure"}), CutShort),
    ("GET", 200, {}, failure("Something"), Broken),
    ("GET", 200, {}, "[]", Broken),
    ("GET", 200, {}, "[" * 100_000, CutShort),
    ("GET", 202, {}, "", Dropped),
    ("POST", 202, {}, "{}", Dropped),
    ("GET", 400, {}, failure("Invalid table x_y"), NotInstalled),
    ("GET", 400, {}, failure("Invalid table x_y", "Table x_y does not exist"), NotInstalled),
    ("GET", 400, {}, failure("Requested URI does not represent any resource"), NotInstalled),
    ("GET", 404, {}, failure("Requested URI does not represent any resource: /api/x"), NotInstalled),
    ("POST", 400, {}, failure("Exception while reading request", "Rejected large REST payload"), TooLarge),
    ("GET", 401, {}, failure("User is not authenticated", "Required to provide Auth information"), CredentialsRefused),
    ("GET", 401, {}, json.dumps({"error": {"message": "User Not Authenticated"}}), CredentialsRefused),
    ("GET", 401, {}, "", CredentialsRefused),
    ("GET", 403, {}, failure("User Not Authorized", "Failed API level ACL Validation"), AccessDenied),
    ("POST", 403, {}, failure("User Not Authorized", "Failed API level ACL Validation"), AccessDenied),
    ("GET", 403, {}, failure("Insufficient rights to query records"), AccessDenied),
    ("POST", 403, {}, failure("Insufficient rights to query records"), InsertHidden),
    (
        *("POST", 403, {}),
        failure("Operation Failed", "ACL Exception Insert Failed due to security constraints"),
        AccessDenied,
    ),
    ("PATCH", 403, {}, failure("Operation Failed", "ACL Exception Update Failed"), AccessDenied),
    ("POST", 403, {}, failure("Operation Failed", RULE), Refused),
    ("POST", 200, {}, failure(None, RULE), Refused),
    ("POST", 403, {}, failure("Operation Failed", "Error during insert of incident (INC1)"), Refused),
    ("PATCH", 403, {}, "<html>Forbidden</html>", AccessDenied),
    ("GET", 404, {}, failure("No Record found", "Record doesn't exist or ACL restricts the retrieval"), NotFound),
    ("GET", 404, {}, "<html>not found</html>", NotInstalled),
    ("GET", 405, {}, failure("Method not Supported"), NotAccepted),
    ("POST", 415, {}, failure("Invalid content-type. Supported request media types"), NotAccepted),
    ("GET", 414, {}, "<html><title>414 Request-URI Too Large</title></html>", TooLong),
    ("GET", 414, {}, "", TooLong),
    ("POST", 413, {}, "", TooLarge),
    ("POST", 413, {}, failure("Payload too large"), TooLarge),
    ("GET", 429, {"Retry-After": "7"}, failure("Rate limit exceeded"), Busy),
    ("GET", 429, {}, "", Busy),
    ("POST", 500, {}, failure(CANCELLED, CANCELLED), Broken),
    ("GET", 500, {}, "oops", Broken),
    ("GET", 502, {}, GATEWAY, GatewayFailed),
    ("GET", 503, {}, "<html>maintenance</html>", Busy),
    ("GET", 503, {}, ASLEEP, Hibernating),
    ("GET", 504, {}, failure("Gateway"), GatewayFailed),
]


@pytest.mark.parametrize(("method", "status", "headers", "body", "kind"), ANSWERS)
def test_each_answer_has_one_meaning(
    method: str, status: int, headers: dict[str, str], body: str, kind: type[ServiceNowError]
) -> None:
    """Each answer is exactly one class of error, whatever its status and content type claim."""
    with pytest.raises(ServiceNowError) as caught:
        read_answer(method, status, CaseInsensitiveDict(headers), body.encode())
    assert type(caught.value) is kind
    assert "http" not in str(caught.value)


def test_successful_answers_are_returned() -> None:
    """200 and 201 with a result, and 204 without one."""
    assert read_answer("GET", 200, {}, b'{"result": []}') == {"result": []}
    assert read_answer("POST", 201, {}, b'{"result": {"sys_id": "1"}}') == {"result": {"sys_id": "1"}}
    assert read_answer("DELETE", 204, {}, b"") is None


@pytest.mark.parametrize(
    ("detail", "labels"),
    [
        ("Data Policy Exception: The following fields are mandatory: Resolution code", ("Resolution code",)),
        ("Data Policy Exception: The following fields are mandatory: Caller, Cost center", ("Caller", "Cost center")),
        ("Data Policy Exception: Short description is mandatory", ("Short description",)),
        ("Data Policy Exception: Caller is mandatory, Service is mandatory", ("Caller", "Service")),
        ("Data Policy Exception: The following fields are read only: Number", ()),
    ],
)
def test_a_data_policy_names_its_fields(detail: str, labels: tuple[str, ...]) -> None:
    """The labels are extracted from the old and the new wording; a capability maps them to its fields."""
    with pytest.raises(Refused) as caught:
        read_answer("POST", 403, {}, failure("Operation Failed", detail).encode())
    assert caught.value.labels == labels
    assert not caught.value.may_have_been_saved


def test_a_business_rule_is_named_without_its_id() -> None:
    """The rule that aborted, not those that called it."""
    with pytest.raises(Refused) as caught:
        read_answer("PATCH", 403, {}, failure("Operation Failed", RULE).encode())
    assert caught.value.rule == "Check the caller"
    assert "Check the caller" in caught.value.user_message


@pytest.mark.parametrize(
    ("error", "saved"),
    [
        *(
            (Hibernating, False),
            (Misdirected, False),
            (Busy, False),
            (CredentialsRefused, False),
            (AccessDenied, False),
        ),
        *((InsertHidden, True), (CutShort, True), (GatewayFailed, True), (Dropped, True), (Broken, True)),
    ],
)
def test_only_what_might_have_been_saved_is_looked_up(error: type[ServiceNowError], saved: bool) -> None:
    """A write is looked up if its result is unknown, and a definite rejection is believed."""
    assert error("x").may_have_been_saved is saved
    assert issubclass(GatewayFailed, Unanswered)


@pytest.mark.parametrize(
    ("value", "seconds"), [("7", 7.0), ("0", 0.0), ("", None), ("Wed, 21 Oct 2026 07:28:00 GMT", None), ("²", None)]
)
def test_a_pause_is_taken_from_the_header(value: str, seconds: float | None) -> None:
    """`Retry-After` in seconds; anything else is ignored."""
    with pytest.raises(Busy) as caught:
        read_answer("GET", 429, CaseInsensitiveDict({"retry-after": value}), b"")
    assert caught.value.retry_after == seconds


TOKEN = json.dumps({"access_token": "a", "token_type": "Bearer", "expires_in": 1799})
REFUSED = json.dumps({"error_description": "access_denied", "error": "server_error"})


@pytest.mark.parametrize(
    ("status", "body", "good"),
    [
        (200, TOKEN, True),
        (401, REFUSED, False),
        (400, json.dumps({"error": "invalid_grant"}), False),
        (401, json.dumps({"error": "invalid_client", "error_description": "x"}), False),
        (200, json.dumps({"error": "invalid_grant"}), False),
    ],
)
def test_the_token_endpoint_grants_or_rejects(status: int, body: str, good: bool) -> None:
    """Only JSON with 400 or 401, or an error instead of a token, is a rejection."""
    assert read_token_answer(status, {}, body.encode()) is good


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        *((200, ASLEEP, Hibernating), (401, ASLEEP, Hibernating), (200, LOGIN, Misdirected), (302, "", Misdirected)),
        *((401, "", Misdirected), (200, TOKEN[:20], CutShort), (200, "{}", Broken), (200, "[]", CutShort)),
        *((429, "", Busy), (503, "<html>", Busy), (502, GATEWAY, GatewayFailed), (500, REFUSED, Broken)),
        *((202, "", Dropped), (403, REFUSED, AccessDenied), (404, "<html>", NotInstalled)),
    ],
)
def test_an_answer_about_something_else_is_no_rejection(status: int, body: str, kind: type[ServiceNowError]) -> None:
    """A page, an error or a timeout of the instance must never suspend an account."""
    with pytest.raises(ServiceNowError) as caught:
        read_token_answer(status, {}, body.encode())
    assert isinstance(caught.value, kind)


def test_a_revocation_answered_by_a_page_didnt_happen() -> None:
    """A hibernating instance answers 200 to everything."""
    assert read_plain_answer(200, {}, b"")
    assert read_plain_answer(200, {}, b"{}")
    assert not read_plain_answer(401, {}, b"")
    with pytest.raises(Hibernating):
        read_plain_answer(200, {}, ASLEEP.encode())
    with pytest.raises(Misdirected):
        read_plain_answer(302, {"Location": "/login.do"}, b"")


# Statuses of recorded errors and the classes they must become.
KINDS: dict[int, tuple[type[ServiceNowError], ...]] = {
    200: (Hibernating, Refused, Misdirected, CutShort),
    400: (NotInstalled, ServiceNowError),
    401: (CredentialsRefused,),
    403: (AccessDenied, Refused),
    404: (NotFound, NotInstalled),
    429: (Busy,),
    500: (Broken,),
    502: (GatewayFailed,),
}


@pytest.mark.skipif(not RECORDED.is_dir(), reason="recordings are not at hand; the table above restates them")
@pytest.mark.parametrize("name", ["table_errors", "auth_errors", "hibernation"])
def test_recorded_errors_are_classified(name: str) -> None:
    """Every recorded error of a real instance becomes the class that its status and text require."""
    for entry in json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8")):
        response, body = entry["response"], entry["response"]["body"]
        if (response["status"] == 200 and body is None) or "woff2" in str(body):
            continue
        text = body if isinstance(body, str) else "" if body is None else json.dumps(body)
        with pytest.raises(ServiceNowError) as caught:
            read_answer(entry["request"]["method"], response["status"], response["headers"], text.encode())
        kinds = KINDS.get(response["status"], (ServiceNowError,))
        assert isinstance(caught.value, kinds), entry["what"]
        if name == "hibernation" and response["status"] == 200:
            assert type(caught.value) is Hibernating, entry["what"]


@pytest.mark.parametrize("token", ["\N{SNOWMAN}", "two words", "a\nb", "", None, 5])
def test_a_token_that_fits_no_header_is_rejected(token: object) -> None:
    """An access token with anything but visible ASCII is a malformed answer, before it is stored or sent."""
    body = json.dumps({"access_token": token, "token_type": "Bearer"}).encode()
    with pytest.raises(Broken, match="neither token nor error"):
        read_token_answer(200, {}, body)
