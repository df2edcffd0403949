"""The ServiceNow double answers as the API reference says and as instances do."""

import base64
import hashlib
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from sandbox.client import PASSWORD, follow_consent
from sandbox.servicenow import ServiceNowDouble

Json = dict[str, Any]
TABLE = "/api/now/table/incident"


class Instance:
    """A client of the double."""

    def __init__(self, double: ServiceNowDouble) -> None:
        self.double = double
        self.url = double.url

    def get(self, path: str, who: str = "admin", **params: str) -> requests.Response:
        """A GET with basic auth."""
        return requests.get(self.url + path, params=params, auth=(who, PASSWORD), timeout=10)

    def send(self, method: str, path: str, body: Any, who: str = "admin", **headers: str) -> requests.Response:
        """A write with basic auth."""
        return requests.request(method, self.url + path, json=body, auth=(who, PASSWORD), headers=headers, timeout=10)

    def rows(self, query: str, who: str = "admin") -> list[str]:
        """The numbers that a query finds."""
        found = self.get(TABLE, who, sysparm_query=query, sysparm_fields="number").json()["result"]
        return [row["number"] for row in found]


@pytest.fixture
def instance(started: ServiceNowDouble) -> Instance:
    """The double with its seed."""
    started.reset()
    return Instance(started)


def offsets(link: str) -> dict[str, str]:
    """The offset of each rel in a Link header."""
    found = {}
    for part in link.split(","):
        address, _, rel = part.partition(";rel=")
        found[rel.strip('"')] = parse_qs(urlsplit(address.strip("<>")).query)["sysparm_offset"][0]
    return found


def test_pages_have_the_recorded_links(instance: Instance) -> None:
    """A complete list has no Link. `prev` has offset -1 at limit 1. The last page has no `next`."""
    everything = instance.get(TABLE)
    assert "Link" not in everything.headers
    assert everything.headers["X-Total-Count"] == "3"
    first = instance.get(TABLE, sysparm_limit="1", query="misspelt")
    assert offsets(first.headers["Link"]) == {"first": "0", "prev": "-1", "next": "1", "last": "2"}
    assert "query=misspelt" in first.headers["Link"]
    last = instance.get(TABLE, sysparm_limit="2", sysparm_offset="2")
    assert offsets(last.headers["Link"]) == {"first": "0", "prev": "0", "last": "2"}
    assert "Link" not in instance.get(TABLE, sysparm_limit="1", sysparm_suppress_pagination_header="true").headers


def test_values_have_three_shapes(instance: Instance) -> None:
    """Values are raw, displayed or both. References can omit their link. An empty reference is an empty text."""
    fields = "number,caller_id,assigned_to,priority,hold_reason,caller_id.name,nosuch"

    def row(mode: str, exclude: str = "false") -> Json:
        answer = instance.get(
            TABLE,
            sysparm_query="number=INC0010003",
            sysparm_fields=fields,
            sysparm_display_value=mode,
            sysparm_exclude_reference_link=exclude,
        )
        found: Json = answer.json()["result"][0]
        return found

    raw = row("false")
    assert set(raw["caller_id"]) == {"link", "value"}
    assert raw["assigned_to"] == ""
    assert "nosuch" not in raw
    assert row("false", "true")["caller_id"] == raw["caller_id"]["value"]
    shown = row("true")
    assert shown["caller_id"]["display_value"] == "Rosa Requester"
    assert "value" not in shown["caller_id"]
    assert shown["hold_reason"] == ""
    both = row("all", "true")
    assert both["caller_id"] == {"display_value": "Rosa Requester", "value": raw["caller_id"]["value"]}
    assert both["assigned_to"] == {"display_value": "", "value": ""}
    assert both["hold_reason"] == {"display_value": None, "value": ""}
    assert both["caller_id.name"]["value"] == "Rosa Requester"


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("numberSTARTSWITHINC^ORDERBYDESCnumber", ["3", "2", "1"]),
        ("short_descriptionLIKEvpn", ["3"]),
        ("short_description LIKEvpn ^OR number STARTSWITHINC0010001", ["1", "3"]),
        ("active=true^urgency=1^ORurgency=2", ["1", "3"]),
        ("urgency=1^NQurgency=2", ["1", "3"]),
        ("urgencyIN1,3", ["2", "3"]),
        ("urgencyNOT IN1,3", ["1"]),
        ("urgencyBETWEEN1@2", ["1", "3"]),
        ("assigned_toISEMPTY^caller_id.nameLIKErosa", ["3"]),
        ("assigned_toISNOTEMPTY", []),
        ("no_such_field=banana", ["1", "2", "3"]),
        ("^^^", ["1", "2", "3"]),
        ("state==1", []),
        ("state=NOT_A_NUMBER", []),
        ("sys_class_nameINSTANCEOFtask", ["1", "2", "3"]),
        ("123TEXTQUERY321=vpn hour", ["3"]),
    ],
)
def test_queries_find_the_same_rows_as_on_an_instance(instance: Instance, query: str, numbers: list[str]) -> None:
    """Operators and groups work, and unknown terms are silently dropped."""
    assert [number[-1] for number in instance.rows(query)] == numbers


def test_acls_filter_rows_but_not_the_count(instance: Instance) -> None:
    """A person without roles sees only their own incident, while the count is three."""
    answer = instance.get(TABLE, "requester", sysparm_fields="number")
    assert [row["number"] for row in answer.json()["result"]] == ["INC0010003"]
    assert answer.headers["X-Total-Count"] == "3"
    other = instance.double.rows("incident")[0]["sys_id"]
    assert instance.get(f"{TABLE}/{other}", "requester").status_code == 404
    assert instance.get("/api/now/table/sys_choice", "agent", sysparm_query="name=incident").status_code == 403


def test_writes_have_the_effects_of_an_instance(instance: Instance) -> None:
    """An insert sets number, defaults and priority, and ignores unknown fields. Only a change increments the count."""
    answer = instance.send("POST", TABLE, {"short_description": "x", "impact": "1", "urgency": "2", "nosuch": "y"})
    assert answer.status_code == 201
    row = answer.json()["result"]
    assert answer.headers["Location"] == f"{instance.url}{TABLE}/{row['sys_id']}"
    assert (row["number"], row["priority"], row["category"], row["state"]) == ("INC0010004", "2", "inquiry", "1")
    assert "nosuch" not in row
    path = f"{TABLE}/{row['sys_id']}"
    changed = instance.send("PATCH", path, {"urgency": "3"}).json()["result"]
    assert (changed["priority"], changed["sys_mod_count"]) == ("3", "1")
    assert instance.send("PATCH", path, {"urgency": "3"}).json()["result"]["sys_mod_count"] == "1"
    collision = instance.send("POST", TABLE, {"sys_id": row["sys_id"]})
    assert collision.status_code == 403
    assert "Error during insert of incident (INC0010004)" in collision.text
    assert instance.send("DELETE", path, None).status_code == 204
    assert instance.send("DELETE", path, None).status_code == 404


def test_resolving_requires_a_code_and_notes(instance: Instance) -> None:
    """The data policy names labels. A code that isn't a choice is dropped, so it counts as missing."""
    path = f"{TABLE}/{instance.double.rows('incident')[0]['sys_id']}"
    refused = instance.send("PATCH", path, {"state": "6", "close_code": "Made up", "close_notes": "n"}, "agent")
    assert refused.status_code == 403
    error = refused.json()["error"]
    assert error["message"] == "Operation Failed"
    assert error["detail"] == "Data Policy Exception: The following fields are mandatory: Resolution code"
    good = {"state": "6", "close_code": "User error", "close_notes": "n"}
    assert instance.send("PATCH", path, good, "agent").json()["result"]["state"] == "6"


def test_errors_have_the_recorded_bodies(instance: Instance) -> None:
    """The errors are for an unknown table, path or record, and for missing credentials or content type."""
    assert instance.get("/api/now/table/nosuch").json()["error"]["message"] == "Invalid table nosuch"
    nowhere = instance.get("/api/x_nobody/nothing")
    assert nowhere.status_code == 400
    assert nowhere.json()["error"]["message"] == "Requested URI does not represent any resource"
    stranger = requests.get(instance.url + TABLE, timeout=10)
    assert stranger.status_code == 401
    assert stranger.headers["WWW-Authenticate"] == 'Basic realm="Service-now"'
    assert "Set-Cookie" not in stranger.headers
    assert "X-Is-Logged-In" not in stranger.headers
    missing = instance.get(f"{TABLE}/{'0' * 32}").json()
    assert missing == {
        "error": {
            "message": "No Record found",
            "detail": "Record doesn't exist or ACL restricts the record retrieval",
        },
        "status": "failure",
    }
    assert instance.get("/api/now/v1/table/incident", sysparm_query="number=none").status_code == 404
    text = requests.post(instance.url + TABLE, data="x", auth=("admin", PASSWORD), timeout=10)
    assert text.status_code == 415


def test_a_session_cookie_is_set_only_once(instance: Instance) -> None:
    """The first call gets a session. A call with this session gets other cookies, but no new session."""
    first = instance.get(TABLE, sysparm_limit="1")
    assert "JSESSIONID" in first.cookies
    assert "glide_user_route" in first.headers["Set-Cookie"]
    cookie = {"JSESSIONID": first.cookies["JSESSIONID"]}
    again = requests.get(instance.url + TABLE, auth=("admin", PASSWORD), cookies=cookie, timeout=10)
    assert "JSESSIONID=" not in again.headers["Set-Cookie"]
    assert "glide_user_activity" in again.headers["Set-Cookie"]


VERIFIER = "v" * 43


def authorize(instance: Instance, decide: str = "allow", **changes: str) -> dict[str, str]:
    """Register a client, sign in and decide; returns the parameters of the redirect."""
    client = {"name": "Test", "client_id": "c" * 32, "client_secret": "s3cret", "redirect_url": f"{instance.url}/back"}
    instance.send("POST", "/api/now/table/oauth_entity", client)
    digest = hashlib.sha256(VERIFIER.encode()).digest()
    query = {
        "response_type": "code",
        "client_id": "c" * 32,
        "redirect_uri": f"{instance.url}/back",
        "state": "abc",
        "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
    } | changes
    browser = requests.Session()
    browser.trust_env = False
    start = requests.Request("GET", f"{instance.url}/oauth_auth.do", params=query).prepare().url or ""
    page = follow_consent(browser, start, "agent", decide)
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}


def token(instance: Instance, **form: str) -> requests.Response:
    """Send a request to the token endpoint."""
    whole = {"client_id": "c" * 32, "client_secret": "s3cret"} | form
    return requests.post(f"{instance.url}/oauth_token.do", data=whole, timeout=10)


def exchange(instance: Instance, code: str, **changes: str) -> requests.Response:
    """Exchange a code."""
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": f"{instance.url}/back"}
    return token(instance, **(form | {"code_verifier": VERIFIER} | changes))


def test_a_code_works_once_within_a_minute(instance: Instance) -> None:
    """Keys are in the recorded order. A second use, a late use, a wrong verifier and a wrong secret get 401."""
    back = authorize(instance)
    assert back["state"] == "abc"
    good = exchange(instance, back["code"])
    assert list(good.json()) == ["access_token", "refresh_token", "scope", "token_type", "expires_in"]
    assert good.json()["expires_in"] == 1799
    refusal = {"error_description": "access_denied", "error": "server_error"}
    for answer in (
        exchange(instance, back["code"]),
        exchange(instance, authorize(instance)["code"], code_verifier="w" * 43),
        exchange(instance, authorize(instance)["code"], client_secret="wrong"),
    ):
        assert answer.status_code == 401
        assert answer.json() == refusal
    late = authorize(instance)["code"]
    instance.double.advance(61)
    assert exchange(instance, late).status_code == 401


def test_a_refresh_token_is_not_rotated_and_expires_after_100_days(instance: Instance) -> None:
    """A refresh returns the same refresh token and a new access token, which expires after 30 minutes."""
    granted = exchange(instance, authorize(instance)["code"]).json()
    renewed = token(instance, grant_type="refresh_token", refresh_token=granted["refresh_token"]).json()
    assert renewed["refresh_token"] == granted["refresh_token"]
    assert renewed["access_token"] != granted["access_token"]
    bearer = {"Authorization": f"Bearer {renewed['access_token']}"}
    assert requests.get(instance.url + TABLE, headers=bearer, timeout=10).status_code == 200
    instance.double.advance(1801)
    assert requests.get(instance.url + TABLE, headers=bearer, timeout=10).status_code == 401
    instance.double.advance(100 * 86_400)
    assert token(instance, grant_type="refresh_token", refresh_token=granted["refresh_token"]).status_code == 401


def test_revoked_tokens_are_rejected(instance: Instance) -> None:
    """A revocation needs no client. Revoking the refresh token also ends the access token."""
    granted = exchange(instance, authorize(instance)["code"]).json()
    requests.post(f"{instance.url}/oauth_revoke_token.do", data={"token": granted["refresh_token"]}, timeout=10)
    bearer = {"Authorization": f"Bearer {granted['access_token']}"}
    assert requests.get(instance.url + TABLE, headers=bearer, timeout=10).status_code == 401


def test_a_denied_consent_redirects_with_an_error(instance: Instance) -> None:
    """The redirect has `error=access_denied` and the state."""
    assert authorize(instance, "deny") == {"error": "access_denied", "state": "abc"}


@pytest.mark.parametrize("change", [{"client_id": "x"}, {"redirect_uri": "http://127.0.0.1/evil"}, {"state": ""}])
def test_an_invalid_authorization_request_gets_no_code(instance: Instance, change: dict[str, str]) -> None:
    """This holds for an unknown client, an unregistered redirect URL and a missing state."""
    assert "code" not in authorize(instance, **change)


def test_an_unknown_fault_is_rejected(instance: Instance) -> None:
    """A misspelled kind gets 400 instead of a fault that never triggers."""
    answer = requests.post(f"{instance.url}/_sandbox/faults", json={"kind": "hibernate"}, timeout=10)
    assert answer.status_code == 400
