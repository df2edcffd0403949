"""OAuth grants without a browser: password and client credentials. Each client sets its grants and lifespans."""

from typing import Any

import pytest
import requests

from sandbox.servicenow import ServiceNowDouble
from sandbox.servicenow.seed.records import sys_id
from tests.contract.servicenow_tables.asking import Json, recorded, send

CLIENT = {"name": "Robot", "client_id": "c" * 32, "client_secret": "s3cret"}
PASSWORD = {"grant_type": "password", "username": "agent", "password": "sandbox-1"}
REFUSAL = {"error_description": "access_denied", "error": "server_error"}
ALL = "authorization_code,refresh_token,password,client_credentials"


def register(double: ServiceNowDouble, **more: str) -> str:
    """Add the client; returns the path of its row."""
    answer = send(double, "POST", "/api/now/table/oauth_entity", CLIENT | more, "admin")
    assert answer.status_code == 201
    return f"/api/now/table/oauth_entity/{answer.json()['result']['sys_id']}"


def token(double: ServiceNowDouble, **form: str) -> requests.Response:
    """Send a request to the token endpoint as the client."""
    whole = {"client_id": CLIENT["client_id"], "client_secret": CLIENT["client_secret"]} | form
    return requests.post(f"{double.url}/oauth_token.do", data=whole, timeout=10)


def who(double: ServiceNowDouble, tokens: Json) -> Any:
    """The token's user, or the error status."""
    answer = requests.get(
        f"{double.url}/api/now/table/sys_user",
        params={"sysparm_query": "sys_id=javascript:gs.getUserID()"},
        headers={"Authorization": f"Bearer {tokens['access_token']}"},
        timeout=10,
    )
    return answer.json()["result"][0]["user_name"] if answer.ok else answer.status_code


def test_a_password_is_exchanged_for_tokens(double: ServiceNowDouble) -> None:
    """The answer is as recorded. A repeated request gets the same token until it expires, then a new one."""
    register(double)
    wanted = recorded("oauth", "Password grant, legacy registry")["response"]
    first = token(double, **PASSWORD)
    assert (first.status_code, list(first.json())) == (wanted["status"], list(wanted["body"]))
    fixed = ("scope", "token_type", "expires_in")
    assert {name: first.json()[name] for name in fixed} == {name: wanted["body"][name] for name in fixed}
    assert (len(first.json()["access_token"]), who(double, first.json())) == (86, "agent")
    double.advance(600)
    again = token(double, **PASSWORD).json()
    assert again["access_token"] == first.json()["access_token"]
    assert again["expires_in"] in {1198, 1199}
    double.advance(1200)
    later = token(double, **PASSWORD).json()
    assert later["access_token"] != again["access_token"]
    assert (who(double, again), who(double, later)) == (401, "agent")
    renewed = token(double, grant_type="refresh_token", refresh_token=again["refresh_token"]).json()
    assert (renewed["refresh_token"], who(double, renewed)) == (again["refresh_token"], "agent")


def test_client_credentials_act_as_the_application_user(double: ServiceNowDouble) -> None:
    """There is no refresh token. Without an application user, the grant is rejected as recorded."""
    path = register(double, grant_types=ALL, user=sys_id("user agent2"))
    answer = token(double, grant_type="client_credentials")
    assert answer.status_code == 200
    assert list(answer.json()) == ["access_token", "scope", "token_type", "expires_in"]
    assert who(double, answer.json()) == "agent2"
    assert token(double, grant_type="client_credentials").json()["access_token"] == answer.json()["access_token"]
    send(double, "PATCH", path, {"user": ""}, "admin")
    wanted = recorded("oauth", "Same refusal for client_credentials")["response"]
    refused = token(double, grant_type="client_credentials")
    assert (refused.status_code, refused.json()) == (wanted["status"], wanted["body"])


def test_each_client_allows_its_own_grants(double: ServiceNowDouble) -> None:
    """Client credentials are off by default. A grant that the client doesn't allow is rejected, even a refresh."""
    path = register(double, user=sys_id("user agent"))
    granted = token(double, **PASSWORD).json()
    assert token(double, grant_type="client_credentials").status_code == 401
    send(double, "PATCH", path, {"grant_types": "client_credentials"}, "admin")
    refresh = {"grant_type": "refresh_token", "refresh_token": granted["refresh_token"]}
    for form in (PASSWORD, refresh):
        refused = token(double, **form)
        assert (refused.status_code, refused.json()) == (401, REFUSAL)
    assert token(double, grant_type="client_credentials").status_code == 200
    assert who(double, granted) == "agent"  # existing tokens remain valid


@pytest.mark.parametrize(
    "change",
    [
        {"password": "wrong"}, {"username": "nobody"}, {"client_secret": "wrong"}, {"client_id": "x"},
        {"grant_type": "implicit"}, {"grant_type": ""},
    ],
)  # fmt: skip
def test_every_error_is_the_same(double: ServiceNowDouble, change: dict[str, str]) -> None:
    """Whichever value is wrong, the answer is 401 with the recorded body."""
    register(double)
    refused = token(double, **PASSWORD | change)
    assert (refused.status_code, refused.json()) == (401, REFUSAL)


@pytest.mark.parametrize("column", ["locked_out", "password_needs_reset"])
def test_people_who_can_t_sign_in_get_no_token(double: ServiceNowDouble, column: str) -> None:
    """Their account is locked, or they must reset their password."""
    register(double)
    send(double, "PATCH", f"/api/now/table/sys_user/{sys_id('user agent')}", {column: "true"}, "admin")
    assert token(double, **PASSWORD).json() == REFUSAL


def test_an_unsupported_grant_answers_501(double: ServiceNowDouble) -> None:
    """The answer has the path and the grant. With wrong client credentials, it is still 401."""
    register(double)
    form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": "x"}
    answer = token(double, **form)
    assert answer.status_code == 501
    assert "/oauth_token.do" in answer.text
    assert "jwt-bearer" in answer.text
    assert token(double, **form, client_secret="wrong").json() == REFUSAL


@pytest.mark.parametrize(
    ("login", "body", "status"),
    [
        ((CLIENT["client_id"], "s3cret"), {}, 200),
        ((CLIENT["client_id"], "s3cret"), {"client_id": CLIENT["client_id"]}, 200),
        ((CLIENT["client_id"], "s3cret"), {"client_id": "other"}, 401),
        ((CLIENT["client_id"], "wrong"), {}, 401),
        ((CLIENT["client_id"], "wrong"), {"client_id": CLIENT["client_id"], "client_secret": "s3cret"}, 401),
        (("agent", "sandbox-1"), {}, 401),
    ],
)
def test_a_client_can_use_basic_auth(
    double: ServiceNowDouble, login: tuple[str, str], body: dict[str, str], status: int
) -> None:
    """PySNC and pysnow do this. Wrong credentials, or a client that differs from the body's, are rejected."""
    register(double)
    answer = requests.post(f"{double.url}/oauth_token.do", data=PASSWORD | body, auth=login, timeout=10)
    assert answer.status_code == status
    if status == 401:
        assert answer.json() == REFUSAL


def test_each_client_sets_token_lifespans(double: ServiceNowDouble) -> None:
    """Both tokens expire after the lifespans in the registry entry."""
    register(double, access_token_lifespan="60", refresh_token_lifespan="120")
    granted = token(double, **PASSWORD).json()
    assert granted["expires_in"] == 59
    double.advance(61)
    assert who(double, granted) == 401
    refresh = {"grant_type": "refresh_token", "refresh_token": granted["refresh_token"]}
    assert token(double, **refresh).status_code == 200
    double.advance(61)
    assert token(double, **refresh).json() == REFUSAL
