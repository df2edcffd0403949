"""Administrators see how the service does."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from core.accounts import Installation
from core.notices import WebhookKey
from core.storage_ports import Stores
from core.subscriptions import Grant
from storage.embedded import open_storage
from storage.sealing import derive_keys
from tests.scenarios.subscriptions.subscribing import install_component
from tests.world import World

Json = dict[str, Any]


@pytest.fixture
def installed(world: World) -> World:
    """The component is in ServiceNow and has a key; an administrator is connected."""
    install_component(world)
    world.connected("admin")
    press(world, "new_key")
    return world


def press(world: World, value: str) -> Json:
    """One button of ``/servicenow setup``."""
    admin = world.person("admin")
    form = admin.command("setup")["form"]
    answer: Json = admin.submit(form, {"action": {"label": value, "value": value}})
    return answer


def status(world: World) -> str:
    """What an administrator is told."""
    answer = world.person("admin").command("status")
    assert answer["type"] == "ok", answer
    return str(answer["text"])


def line(text: str, start: str) -> str:
    """One line, without its bullet."""
    return next(one for one in text.splitlines() if one.startswith(f"- {start}")).removeprefix("- ")


def test_a_test_travels_the_whole_way_and_back(installed: World) -> None:
    """Component, outbox, webhook: said at once, and seen in the key's last use."""
    assert "last used never" in line(status(installed), "Webhook key")
    answer = press(installed, "test")
    assert "The test came back" in answer["form"]["header"]
    assert "✓ **Reports reach this service**" in answer["form"]["header"]
    text = status(installed)
    assert "last used never" not in line(text, "Webhook key")
    assert line(text, "ServiceNow's clock") == "ServiceNow's clock: as ours"
    assert line(text, "Waiting there") == "Waiting there: 0"
    assert line(text, "Its last try").startswith("Its last try: HTTP 20")


@pytest.mark.waits
def test_a_test_that_does_not_come_back_says_where_it_waits(installed: World) -> None:
    """Signed with a key that does not count here: refused, with its reason; ServiceNow keeps it and sends it again."""
    table = "x_830655_mm_std_servicenow_for_mattermost_notifications_auth"
    [row] = installed.servicenow.rows(table)
    form = installed.person("admin").command("setup")["form"]
    installed.administer("PATCH", f"/api/now/table/{table}/{row['sys_id']}", {"key_id": "of-nobody"})

    answer = installed.person("admin").submit(form, {"action": {"label": "Send a test", "value": "test"}})

    assert "still on its way" in answer["form"]["header"]
    assert "`unknown_key`" in answer["form"]["header"]
    text = status(installed)
    assert "a key that does not count here" in line(text, "Last one refused")
    assert line(text, "Waiting there").startswith("Waiting there: 1")
    assert line(text, "Its last try").startswith("Its last try: HTTP 401")

    press(installed, "write_key")
    installed.advance(120)
    installed.servicenow.settle()
    text = status(installed)
    assert line(text, "Waiting there") == "Waiting there: 0"
    assert "last used never" not in line(text, "Webhook key")


def test_a_rotation_loses_nothing_in_either_order(installed: World) -> None:
    """A report signed with the old key counts while the new one is being written; then the old one ends by itself."""
    press(installed, "test")
    old = line(status(installed), "Webhook key").split("`")[1]
    path = "/api/now/v2/table/x_830655_mm_std_servicenow_for_mattermost_notifications_auth"
    installed.servicenow.fault("500", path=path, method="PATCH")
    press(installed, "new_key")  # made here, not written there
    assert "The test came back" in press(installed, "test")["form"]["header"]

    press(installed, "write_key")
    assert "The test came back" in press(installed, "test")["form"]["header"]
    assert old in status(installed)
    installed.advance(86_500)
    assert "The test came back" in press(installed, "test")["form"]["header"]
    assert old not in status(installed)


def test_broken_subscriptions_are_listed_with_their_reason(installed: World) -> None:
    """Counted by state; names and reasons as text, whatever stands in them."""
    active = Grant(sys_id="a" * 32, owner_id="p", channel_id="c", table="incident")
    broken = replace(active, sys_id="c" * 32, status="broken", name="**Loud** @all", reason="**Archived** by @all.")
    with storage_of(installed) as stores:
        for grant in (active, replace(active, sys_id="b" * 32, status="paused"), broken):
            stores.grants.put(grant)
    text = status(installed)
    assert [line(text, f"1 {one}") for one in ("active", "paused", "broken")]
    told = line(text, "Broken")
    assert "Archived" in told
    assert "**Loud**" not in told
    assert "**Archived**" not in told
    assert "@all" not in told


@contextmanager
def storage_of(world: World) -> Iterator[Stores]:
    """The storage, while the service is stopped."""
    world.running.stop()
    stores = open_storage(world.config.storage_url, partial(derive_keys, world.config.app_secrets))
    yield stores
    stores.close()
    world.start()


def test_what_can_not_be_found_out_hides_nothing_else(world: World) -> None:
    """Not connected, no component, ServiceNow silent: said in its place."""
    text = status(world)
    assert "not connected" in text
    assert line(text, "Webhook keys") == "Webhook keys: none yet; make one with `/servicenow setup`"
    world.connected("admin")
    assert "lacks something" in status(world)
    world.servicenow.fault("hibernating", path="/api/", times=5)
    assert "asleep" in status(world)
    assert line(status(world), "Storage") == "Storage: takes changes"


def test_keys_of_the_environment_are_named_as_such(world: World) -> None:
    """And are changed there: no button makes one."""
    world.restart(webhook_keys=(WebhookKey(key_id="outside", secret="s" * 40, from_environment=True),))
    install_component(world)
    world.connected("admin")
    assert "from `WEBHOOK_SECRETS`" in line(status(world), "Webhook key `outside`")
    form = world.person("admin").command("setup")["form"]
    assert [one["value"] for one in form["fields"][0]["options"]] == ["check", "write_key"]
    forged = press(world, "new_key")
    assert "WEBHOOK_SECRETS" in forged["text"]
    press(world, "write_key")
    assert "The test came back" in press(world, "test")["form"]["header"]


def test_ordinary_people_are_not_told(world: World) -> None:
    """Neither offered nor answered."""
    agent = world.connected("agent")
    assert "servicenow status" not in agent.entries("/command")
    answer = agent.call({"path": "/status/show/submit", "expand": {"acting_user": "+summary"}})
    assert answer["type"] == "error"
    assert "administrator" in answer["text"]


def test_an_administrators_call_brings_the_webhook_secret_of_a_new_installation(world: World) -> None:
    """Kept sealed, for with it we wake ourselves up; ordinary people's calls bring none."""
    world.mattermost.registry.apps["servicenow"].webhook_secret = "x" * 26
    world.person("agent").command("help")
    with storage_of(world) as stores:
        assert installation_of(stores).webhook_secret != "x" * 26
    status(world)
    with storage_of(world) as stores:
        assert installation_of(stores).webhook_secret == "x" * 26


def installation_of(stores: Stores) -> Installation:
    """What Mattermost gave us."""
    found = stores.installations.get()
    assert found is not None
    return found
