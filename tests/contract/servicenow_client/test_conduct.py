"""The client over time: timeouts, logs, links, instances."""

import time
from contextlib import suppress
from dataclasses import replace
from urllib.parse import unquote, urlsplit

import pytest
import requests
import structlog

from core.errors import Suspended
from core.upstream_errors import Broken, Busy, Unanswered, Unreachable
from servicenow.links import Links
from tests.contract.servicenow_client.world import INSERT, World


def test_during_an_outage_calls_fail_at_once_and_recover_later(world: World) -> None:
    """After five timeouts nobody waits anymore; once it answers again, calls work."""
    ticking = 1000.0
    world.transport._limits._breaker._monotonic = lambda: ticking
    world.client()
    world.double.fault("slow", "/api", times=5, seconds=30)
    for _ in range(5):
        with pytest.raises(Unanswered):
            world.client(seconds=0.4).find_groups("net")
    world.double.clear_faults()
    began = time.monotonic()
    with pytest.raises(Unreachable):
        world.client().find_groups("net")
    assert time.monotonic() - began < 0.1
    ticking += 16
    assert world.client().find_groups("net")


@pytest.mark.usefixtures("every_log_line")
def test_logs_have_no_token_query_or_record_text(world: World) -> None:
    """They have transactions, and neither people's text nor secrets."""
    with structlog.testing.capture_logs() as logs:
        tokens = world.connect("agent")
        world.client().create("incident", INSERT)
        world.client().find_users("Amir")
        world.double.fault("500", "/api")
        with suppress(Broken):
            world.client().create("incident", INSERT)
        world.double.fault("429_bare", "/api", times=3)
        with suppress(Busy):
            world.client().find_created("incident", INSERT, 0.0)
        world.advance(1800)
        world.double.fault("refresh_refused", "/oauth_token.do")
        with suppress(Suspended):
            world.client().find_users("Amir")
    text = str(logs)
    assert any(entry.get("transaction") for entry in logs)
    secrets = (
        tokens.access_token,
        tokens.refresh_token,
        "hush",
        "Printer",
        "Amir",
        INSERT["correlation_id"],
        "sysparm",
    )
    assert [secret for secret in secrets if secret in text] == []


def test_links_open_the_record_and_the_list(world: World) -> None:
    """Everything after `uri=` is encoded once, and the browser decodes it to the classic URL."""
    links = Links("https://acme.service-now.com")
    record = links.record("incident", "a" * 32)
    assert record == "https://acme.service-now.com/nav_to.do?uri=incident.do%3Fsys_id%3D" + "a" * 32
    assert unquote(urlsplit(links.list("incident")).query) == (
        "uri=incident_list.do?sysparm_query=ORDERBYDESCsys_created_on"
    )
    made = world.client().create("incident", INSERT)
    page = requests.get(Links(world.double.url).record("incident", made.sys_id), timeout=5)
    assert page.status_code == 200


def test_an_account_of_another_instance_sends_nothing(world: World) -> None:
    """Tokens are sent only to the instance that issued them."""
    world.client()
    account = world.accounts.kept["agent"]
    world.accounts.kept["agent"] = replace(account, instance="https://old.service-now.com")
    with pytest.raises(Suspended):
        world.client().find_groups("net")
    assert world.double.requests() == []
