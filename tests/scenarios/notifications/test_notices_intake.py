"""What `/webhooks/servicenow` accepts. Everything else is rejected, counted, and changes nothing."""

import json
from pathlib import Path
from typing import Any

import pytest
import requests

from core.notices import WebhookKey
from tests.reports import (
    KEY_ID,
    SECRET,
    Component,
    grant,
    incident,
    notices,
    pass_time,
    posted_just_now,
    signed,
    stored,
)
from tests.world import World

Json = dict[str, Any]


def disk_state(world: World) -> dict[str, bytes]:
    """Everything in storage, except when a key was last used."""
    folder = Path(world.config.storage_url.removeprefix("tinydb://"))
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*.json")) if path.stem != "settings"}


def rejections(world: World) -> dict[str, int]:
    """Rejected reports so far, by reason."""
    return dict(world.running.service.services.deliveries.health().refused)


def test_a_report_is_stored_sealed_before_it_is_acknowledged(world: World, component: Component) -> None:
    """After the 202, the files contain no record text in clear, and only their owner can read them."""
    [one] = stored(world, grant(world))
    posted_just_now(world, incident(world))
    component.changed(incident(world), [one], comments=[{"kind": "comments", "text": "a very private text"}])
    files = {path: content for path, content in disk_state(world).items() if path.endswith("outbox.json")}
    [(path, content)] = files.items()
    assert one.channel_id.encode() in content
    assert b"private" not in content
    assert b"In Progress" not in content
    assert Path(path).stat().st_mode & 0o777 == 0o600
    pass_time(world, 20)
    assert b'"sealed"' not in disk_state(world)[path]


def test_a_repeated_event_does_nothing(world: World, component: Component) -> None:
    """It is answered with 200 while it waits, after it was posted, and after a restart, for seven days."""
    [one] = stored(world, grant(world))
    report = component.report(incident(world), [one])
    assert component.send(report).status_code == 202
    assert component.send(report).status_code == 200
    pass_time(world, 2)
    assert component.send(report).status_code == 200
    world.restart()
    assert component.send(report).status_code == 200
    pass_time(world, 6.9 * 86_400)
    assert component.send(report).status_code == 200
    pass_time(world, 30)
    assert len(notices(world)) == 1


def test_an_event_without_subscribers_is_remembered_too(world: World, component: Component) -> None:
    """A report without a granted subscription is accepted once."""
    report = component.report(incident(world), [grant(world)])
    assert component.send(report).status_code == 202
    assert component.send(report).status_code == 200


FORGED: dict[str, Json] = {
    "no signature": {"X-ServiceNow-Signature": ""},
    "another's signature": {"X-ServiceNow-Signature": "v1=" + "A" * 43 + "="},
    "no version": {"X-ServiceNow-Signature": "A" * 43 + "="},
    "not ASCII": {"X-ServiceNow-Signature": "v1=\u00fc"},
    "no timestamp": {"X-ServiceNow-Timestamp": ""},
    "another timestamp": {"X-ServiceNow-Timestamp": "1800000000"},
    "a timestamp of another kind": {"X-ServiceNow-Timestamp": "1e9"},
}


@pytest.mark.parametrize("how", FORGED)
def test_a_forged_report_is_rejected_and_counted(world: World, component: Component, how: str) -> None:
    """401 `bad_mac`; nothing is stored, and the status keeps the last rejection with its time."""
    [one] = stored(world, grant(world))
    before = disk_state(world)
    body = json.dumps(component.report(incident(world), [one])).encode()
    headers = {**signed(body, world.now()), **FORGED[how]}
    response = requests.post(component.address, data=body, headers=_bytes(headers), timeout=20)
    assert (response.status_code, response.json()) == (401, {"error": "bad_mac"})
    assert disk_state(world) == before
    health = world.running.service.services.deliveries.health()
    assert (health.refused_reason, health.refused) == ("bad_mac", {"bad_mac": 1})
    assert abs(health.refused_at - world.now()) < 60


def _bytes(headers: Json) -> dict[str, bytes]:
    return {name: value.encode("latin-1") for name, value in headers.items()}


def test_a_changed_body_is_rejected(world: World, component: Component) -> None:
    """The signature covers the raw bytes: one more space makes another report."""
    [one] = stored(world, grant(world))
    body = json.dumps(component.report(incident(world), [one])).encode()
    response = requests.post(component.address, data=body + b" ", headers=signed(body, world.now()), timeout=20)
    assert response.json() == {"error": "bad_mac"}


def test_an_unknown_key_is_rejected(world: World, component: Component) -> None:
    """401 `unknown_key`, whatever else is wrong."""
    report = component.report(incident(world), [])
    response = component.send(report, key_id="another")
    assert (response.status_code, response.json()) == (401, {"error": "unknown_key"})
    assert rejections(world) == {"unknown_key": 1}
    assert "Refused since the service started: 1 unknown key" in world.person("admin").command("status")["text"]


@pytest.mark.parametrize("seconds", [-301, 301, -600, 3600])
def test_an_old_report_is_rejected_and_the_clock_difference_is_known(
    world: World, component: Component, seconds: int
) -> None:
    """401 `stale` beyond five minutes in either direction; administrators see the clock difference."""
    [one] = stored(world, grant(world))
    body = json.dumps(component.report(incident(world), [one])).encode()
    headers = signed(body, world.now() + seconds)
    response = requests.post(component.address, data=body, headers=headers, timeout=20)
    assert (response.status_code, response.json()) == (401, {"error": "stale"})
    health = world.running.service.services.deliveries.health()
    assert abs(health.clock_offset - seconds) < 5
    assert component.send(component.report(incident(world), [one])).status_code == 202


def test_both_of_two_keys_are_accepted(world: World, component: Component) -> None:
    """While a key is replaced, both are valid. The old one stops working when it is removed."""
    [one] = stored(world, grant(world))
    new = WebhookKey(key_id="test-2", secret="another secret of thirty-two letters.", from_environment=True)
    old = WebhookKey(key_id=KEY_ID, secret=SECRET, from_environment=True)
    world.restart(webhook_keys=(new, old))
    record = incident(world)
    assert component.changed(record, [one]).ok
    report = component.report(record, [one])
    assert component.send(report, key_id="test-2", secret=new.secret).status_code == 202
    world.restart(webhook_keys=(new,))
    assert component.send(component.report(record, [one])).json() == {"error": "unknown_key"}


@pytest.mark.parametrize("honest", [True, False])
def test_a_large_report_is_rejected_before_it_is_read(world: World, component: Component, honest: bool) -> None:
    """413 above 256 KiB, with or without a Content-Length; counted."""
    body = b"x" * (256 * 1024 + 1)
    data: Any = body if honest else iter([body])
    response = requests.post(component.address, data=data, headers=signed(body, world.now()), timeout=20)
    assert response.status_code == 413
    assert rejections(world) == {"too_large": 1}


def test_256_kib_is_accepted(world: World, component: Component) -> None:
    """Exactly the limit is accepted."""
    [one] = stored(world, grant(world))
    report = component.report(incident(world), [one], comments=[{"kind": "comments", "text": ""}])
    room = 256 * 1024 - len(json.dumps(report))
    report["comments"][0]["text"] = "x" * room
    assert component.send(report).status_code == 202


SHAPES: dict[str, Any] = {
    "no event id": {"event_id": None},
    "an event id with a path": {"event_id": "../../etc"},
    "another sys_id": {"record.sys_id": "x" * 32},
    "an odd table": {"record.table": "incident;drop"},
    "no record": {"record": None},
    "a number for a text": {"record.number": 5},
    "no list of changes": {"changes": {}},
    "a comment of another kind": {"comments": [{"kind": "secret", "text": ""}]},
    "a time without zone": {"occurred_at": "2026-11-24T13:00:00"},
    "a channel with a path": {"subscriptions.channel_id": "../" * 8 + "aa"},
    "a mod count below zero": {"record.sys_mod_count": -1},
    "another server": {"server_url": "https://another.example"},
    "too many subscriptions": {"many": 201},
}


@pytest.mark.parametrize("how", SHAPES)
def test_a_malformed_report_is_rejected_with_the_reason(world: World, component: Component, how: str) -> None:
    """400 names the key and never its value; nothing is stored."""
    [one] = stored(world, grant(world))
    report = component.report(incident(world), [one])
    [(key, value)] = SHAPES[how].items()
    outer, _, inner = key.partition(".")
    if key == "many":
        report["subscriptions"] = report["subscriptions"] * value
    elif outer == "subscriptions":
        report["subscriptions"][0][inner] = value
    elif inner:
        report[outer][inner] = value
    else:
        report[outer] = value
    before = disk_state(world)
    response = component.send(report)
    assert response.status_code == 400, response.text
    named = response.json()["fields"]
    assert any((inner or outer).replace("many", "subscriptions") in field for field in named), named
    assert "etc" not in response.text
    assert "drop" not in response.text
    assert disk_state(world) == before
    assert sum(rejections(world).values()) == 1


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff\xfe", b'"text"', b"[" * 100_000])
def test_a_body_that_isnt_a_json_object_is_rejected(world: World, component: Component, body: bytes) -> None:
    """400, whatever the bytes."""
    response = requests.post(component.address, data=body, headers=signed(body, world.now()), timeout=20)
    assert response.status_code == 400
    assert rejections(world) == {"malformed": 1}


def test_unknown_keys_and_events_are_ignored(world: World, component: Component) -> None:
    """A later version of the component can add some without losing what we know."""
    [one] = stored(world, grant(world))
    component.changed(incident(world), [one], events=["state", "approved"], approvals=[{"by": "x"}])
    pass_time(world, 2)
    [post] = notices(world)
    assert "**State changed** by" in post["message"]


def test_a_test_report_is_recorded_and_posts_nothing(world: World, component: Component) -> None:
    """A report with a nonce and no record reaches the waiting administrator."""
    report = component.report(incident(world), []) | {"record": None, "test": "nonce-1", "events": [], "changes": []}
    assert component.send(report).status_code == 202
    arrivals = world.running.service.services.test_reports
    assert arrivals.arrived("nonce-1", 1)
    assert not arrivals.arrived("nonce-2", 0)
    assert notices(world) == []


def test_a_full_disk_is_reported_so_that_servicenow_retries(world: World, component: Component) -> None:
    """503 if it couldn't be stored; the same report is accepted later."""
    [one] = stored(world, grant(world))
    report = component.report(incident(world), [one])
    folder = Path(world.config.storage_url.removeprefix("tinydb://"))
    (folder / "outbox.new").mkdir()
    assert component.send(report).status_code == 503
    (folder / "outbox.new").rmdir()
    assert component.send(report).status_code == 202
