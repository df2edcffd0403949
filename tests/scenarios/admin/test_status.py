"""Administrators see the service's health."""

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
    """The component is installed in ServiceNow and has a key; an administrator is connected."""
    install_component(world)
    world.connected("admin")
    press(world, "new_key")
    return world


def press(world: World, value: str) -> Json:
    """Press one button of ``/servicenow setup``."""
    admin = world.person("admin")
    form = admin.command("setup")["form"]
    answer: Json = admin.submit(form, {"action": {"label": value, "value": value}})
    return answer


def status(world: World) -> str:
    """The status that an administrator sees."""
    answer = world.person("admin").command("status")
    assert answer["type"] == "ok", answer
    return str(answer["text"])


def line(text: str, start: str) -> str:
    """One line, without its bullet."""
    return next(one for one in text.splitlines() if one.startswith(f"- {start}")).removeprefix("- ")


def test_a_test_report_comes_back(installed: World) -> None:
    """
    It passes the component, the outbox and the webhook. The answer confirms it at once, and the key's last use shows
    it.
    """
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
def test_a_test_report_that_doesnt_come_back_shows_where_it_waits(installed: World) -> None:
    """Signed with an unknown key, it is rejected with its reason; ServiceNow keeps it and retries."""
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


def test_rotating_a_key_loses_no_report(installed: World) -> None:
    """
    Reports signed with the old key are accepted while the new one is being written; then the old key expires by itself.
    """
    press(installed, "test")
    old = line(status(installed), "Webhook key").split("`")[1]
    path = "/api/now/v2/table/x_830655_mm_std_servicenow_for_mattermost_notifications_auth"
    installed.servicenow.fault("500", path=path, method="PATCH")
    press(installed, "new_key")  # created here, not written there
    assert "The test came back" in press(installed, "test")["form"]["header"]

    press(installed, "write_key")
    assert "The test came back" in press(installed, "test")["form"]["header"]
    assert old in status(installed)
    installed.advance(86_500)
    assert "The test came back" in press(installed, "test")["form"]["header"]
    assert old not in status(installed)


def test_broken_subscriptions_are_listed_with_their_reason(installed: World) -> None:
    """The status counts them by state and shows names and reasons as text, whatever they contain."""
    active = Grant(sys_id="a" * 32, owner_id="p", channel_id="c", table="incident")
    broken = replace(active, sys_id="c" * 32, status="broken", name="**Loud** @all", reason="**Archived** by @all.")
    with open_stores(installed) as stores:
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
def open_stores(world: World) -> Iterator[Stores]:
    """The storage, while the service is stopped."""
    world.running.stop()
    stores = open_storage(world.config.storage_url, partial(derive_keys, world.config.app_secrets))
    yield stores
    stores.close()
    world.start()


def test_an_unavailable_part_hides_no_other(world: World) -> None:
    """If nobody is connected, the component is missing or ServiceNow doesn't answer, that part says so."""
    text = status(world)
    assert "not connected" in text
    assert line(text, "Webhook keys") == "Webhook keys: none yet; make one with `/servicenow setup`"
    world.connected("admin")
    assert "lacks something" in status(world)
    world.servicenow.fault("hibernating", path="/api/", times=5)
    assert "asleep" in status(world)
    assert line(status(world), "Storage") == "Storage: takes changes"


def test_environment_keys_are_marked(world: World) -> None:
    """They are changed in the environment, so no button creates one."""
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


def test_only_administrators_see_it(world: World) -> None:
    """For other people it is neither offered nor answered."""
    agent = world.connected("agent")
    assert "servicenow status" not in agent.entries("/command")
    answer = agent.call({"path": "/status/show/submit", "expand": {"acting_user": "+summary"}})
    assert answer["type"] == "error"
    assert "administrator" in answer["text"]


def test_an_administrators_call_saves_a_new_installations_webhook_secret(world: World) -> None:
    """It is stored sealed, for wake-ups. Other people's calls save none."""
    world.mattermost.registry.apps["servicenow"].webhook_secret = "x" * 26
    world.person("agent").command("help")
    with open_stores(world) as stores:
        assert installation_of(stores).webhook_secret != "x" * 26
    status(world)
    with open_stores(world) as stores:
        assert installation_of(stores).webhook_secret == "x" * 26


def installation_of(stores: Stores) -> Installation:
    """What Mattermost sent at the installation."""
    found = stores.installations.get()
    assert found is not None
    return found
