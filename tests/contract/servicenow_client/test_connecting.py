"""Connecting and disconnecting: the token endpoint and every way that it fails."""

import time

import pytest

from core.errors import Suspended
from core.records import Identity
from core.upstream_errors import (
    Broken,
    Busy,
    Dropped,
    Hibernating,
    Misdirected,
    OAuthRefused,
    ServiceNowError,
    Unanswered,
)
from tests.contract.servicenow_client.world import VERIFIER, World


def test_the_account_is_the_one_that_signed_in(world: World) -> None:
    """Code with PKCE, tokens for half an hour, and the account's identity."""
    tokens = world.oauth.exchange(world.code("agent2"), VERIFIER)
    assert 1700 < tokens.expires_at - world.clock() < 1801
    assert tokens.refresh_token
    identity = world.oauth.identify(tokens)
    assert (identity.user_name, identity.name, identity.language) == ("agent2", "Aiko Agent", "de")
    assert identity.known


@pytest.mark.parametrize("wrong", ["code", "verifier", "secret", "twice"])
def test_a_wrong_exchange_is_rejected(world: World, wrong: str) -> None:
    """ServiceNow answers every cause alike, so it is one error here."""
    code = world.code("agent")
    oauth = world.oauth_client("wrong") if wrong == "secret" else world.oauth
    if wrong == "twice":
        oauth.exchange(code, VERIFIER)
    with pytest.raises(OAuthRefused):
        oauth.exchange("made-up" if wrong == "code" else code, "w" * 43 if wrong == "verifier" else VERIFIER)


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        *(("hibernating", Hibernating), ("html_login", Misdirected), ("429_bare", Busy), ("500", Broken)),
        *(("202", Dropped),),
    ],
)
def test_a_failing_token_endpoint_rejects_nobody(world: World, kind: str, error: type[ServiceNowError]) -> None:
    """A refresh that fails raises the failure, suspends nobody, and the next one works."""
    world.client()
    before = world.accounts.kept["agent"]
    world.advance(1800)
    world.double.fault(kind, "/oauth_token.do")
    with pytest.raises(error):
        world.client().find_groups("net")
    assert world.accounts.kept["agent"] == before
    assert world.client().find_groups("net")
    assert len(world.asked("POST", "/oauth_token.do")) == 2


def test_a_slow_token_endpoint_keeps_the_calls_deadline(world: World) -> None:
    """A lookup doesn't wait longer because its token had to be refreshed."""
    world.client()
    world.advance(1800)
    world.double.fault("slow", "/oauth_token.do", seconds=30)
    began = time.monotonic()
    with pytest.raises(Unanswered):
        world.client(seconds=0.6).find_groups("net")
    assert time.monotonic() - began < 3
    assert not world.accounts.kept["agent"].suspended


def test_a_rejected_refresh_suspends_and_deletes_nothing(world: World) -> None:
    """One request is sent; then the person has to reconnect."""
    tokens = world.connect("agent")
    world.advance(1800)
    world.double.fault("refresh_refused", "/oauth_token.do")
    for _ in range(2):
        with pytest.raises(Suspended):
            world.client().find_groups("net")
    assert len(world.asked("POST", "/oauth_token.do")) == 1
    assert world.accounts.kept["agent"].tokens == tokens


def test_a_refresh_without_a_refresh_token_keeps_the_old_one(world: World) -> None:
    """ServiceNow can answer with only an access token."""
    tokens = world.connect("agent")
    world.double.fault("no_refresh_token", "/oauth_token.do")
    renewed = world.oauth.refresh(tokens)
    assert (renewed.refresh_token, renewed.granted_at) == (tokens.refresh_token, tokens.granted_at)
    assert renewed.access_token != tokens.access_token


def test_a_connection_without_a_refresh_token_ends_with_its_access_token(world: World) -> None:
    """Public clients get none: the person then reconnects, and ServiceNow gets no useless request."""
    world.double.fault("no_refresh_token", "/oauth_token.do")
    tokens = world.connect("agent")
    assert tokens.refresh_token == ""
    world.advance(1800)
    with pytest.raises(Suspended):
        world.client().find_groups("net")
    assert world.asked("POST", "/oauth_token.do") == []


def test_a_disconnect_revokes_both_tokens(world: World) -> None:
    """Neither works afterwards, and neither was in a URL."""
    tokens = world.connect("agent")
    world.oauth.revoke(tokens)
    assert world.double.oauth.owner(tokens.access_token) == ""
    with pytest.raises(OAuthRefused):
        world.oauth.refresh(tokens)
    assert [request["query"] for request in world.asked("POST", "/oauth_revoke_token.do")] == ["", ""]


@pytest.mark.parametrize("kind", ["hibernating", "html_login", "500", "401"])
def test_an_unconfirmed_revocation_is_reported(world: World, kind: str) -> None:
    """An instance that answers with a page has revoked nothing."""
    tokens = world.connect("agent")
    world.double.fault(kind, "/oauth_revoke_token.do", times=2)
    with pytest.raises(ServiceNowError):
        world.oauth.revoke(tokens)


def test_an_account_that_cant_read_users_has_no_name(world: World) -> None:
    """A closed `sys_user` doesn't prevent connecting."""
    tokens = world.connect("agent")
    world.double.fault("empty_acl", "/api/now/v2/table/sys_user")
    assert world.oauth.identify(tokens) == Identity()


def test_the_fingerprint_only_distinguishes_clients(world: World) -> None:
    """It changes with the secret, and reveals neither ID nor secret."""
    one, other = world.oauth.client_fingerprint, world.oauth_client("other").client_fingerprint
    assert one != other
    assert one == world.oauth_client().client_fingerprint
    assert "hush" not in one
