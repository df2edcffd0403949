"""Tokens in use: refreshed once, replaced, suspended, never another person's."""

import threading
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

from core.errors import Suspended
from core.upstream_errors import Busy, TokenRefused
from servicenow.tokens import SUSPEND_AFTER
from tests.contract.servicenow_client.world import INSERT, World


def test_ten_parallel_calls_make_one_refresh(world: World) -> None:
    """Their token has expired; the first call refreshes for all, and the result is stored."""
    world.client()
    world.advance(1800)
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(_tolerant(world))) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(found) == 10
    assert len(world.asked("POST", "/oauth_token.do")) == 1
    assert world.accounts.kept["agent"].version == 2


def _tolerant(world: World) -> Any:
    """Ten calls of one person at once can exceed the person's three slots, which doesn't matter here."""
    try:
        return world.client().find_groups("net")
    except Busy as busy:
        return busy


def test_a_token_that_expires_between_two_calls_is_replaced(world: World) -> None:
    """After a 401 to a live token: one refresh, then the same call again, for a write as well as a read."""
    world.client().find_groups("net")
    world.double.oauth.expire_access()
    assert world.client().create("incident", INSERT).number
    world.double.oauth.expire_access()
    assert world.client().find_groups("net")
    assert len(world.printers()) == 1
    assert len(world.asked("POST", "/oauth_token.do")) == 2


def test_a_second_401_suspends_after_minutes(world: World) -> None:
    """A fresh token is rejected: the call can't do anything, and the connection doesn't end yet."""
    client = world.client()
    world.double.fault("401", "/api", times=2)
    with pytest.raises(TokenRefused):
        client.create("incident", INSERT)
    assert not world.accounts.kept["agent"].suspended
    world.advance(SUSPEND_AFTER)
    world.double.fault("401", "/api", times=2)
    with pytest.raises(Suspended):
        client.create("incident", INSERT)
    assert world.accounts.kept["agent"].suspended
    assert world.printers() == []


def test_two_people_share_only_a_connection(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The instance sets session cookies on every answer; none is sent back, with anyone's token."""
    seen: list[tuple[requests.PreparedRequest, requests.Response]] = []
    send = HTTPAdapter.send

    def spy(self: HTTPAdapter, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        response = send(self, request, *args, **kwargs)
        seen.append((request, response))
        return response

    people = ("agent", "agent2", "agent", "agent2")
    for name in people:
        world.client(name)
    monkeypatch.setattr(HTTPAdapter, "send", spy)
    for name in people:
        world.client(name).find_groups("net")
    assert len(seen) == 4
    assert all("JSESSIONID" in response.headers["Set-Cookie"] for _, response in seen)
    assert all("Cookie" not in request.headers for request, _ in seen)
    assert len({request.headers["Authorization"] for request, _ in seen}) == 2
    assert len({request["connection"] for request in world.double.requests()}) == 1
