"""What may come in at `/webhooks/servicenow`: everything else is refused, counted, and touches nothing."""

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


def disk(world: World) -> dict[str, bytes]:
    """Everything that is stored, but when a key was last used."""
    folder = Path(world.config.storage_url.removeprefix("tinydb://"))
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*.json")) if path.stem != "settings"}


def refused(world: World) -> dict[str, int]:
    """What was refused so far, by reason."""
    return dict(world.running.service.services.deliveries.health().refused)


def test_a_report_is_on_disk_before_it_is_answered_and_sealed(world: World, component: Component) -> None:
    """202; nothing of the record can be read in the files, and they are for their owner alone."""
    [one] = stored(world, grant(world))
    posted_just_now(world, incident(world))
    component.changed(incident(world), [one], comments=[{"kind": "comments", "text": "a very private text"}])
    files = {path: content for path, content in disk(world).items() if path.endswith("outbox.json")}
    [(path, content)] = files.items()
    assert one.channel_id.encode() in content
    assert b"private" not in content
    assert b"In Progress" not in content
    assert Path(path).stat().st_mode & 0o777 == 0o600
    pass_time(world, 20)
    assert b'"sealed"' not in disk(world)[path]


def test_an_event_that_came_before_does_nothing(world: World, component: Component) -> None:
    """200 while it waits, after it was posted, and after a restart; for seven days."""
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


def test_an_event_that_nobody_may_have_is_known_as_well(world: World, component: Component) -> None:
    """A report without a granted subscription is taken, and once."""
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
def test_a_forged_report_is_refused_and_counted(world: World, component: Component, how: str) -> None:
    """401 `bad_mac`; nothing is stored, and the last refusal is kept with its time."""
    [one] = stored(world, grant(world))
    before = disk(world)
    body = json.dumps(component.report(incident(world), [one])).encode()
    headers = {**signed(body, world.now()), **FORGED[how]}
    response = requests.post(component.address, data=body, headers=_bytes(headers), timeout=20)
    assert (response.status_code, response.json()) == (401, {"error": "bad_mac"})
    assert disk(world) == before
    health = world.running.service.services.deliveries.health()
    assert (health.refused_reason, health.refused) == ("bad_mac", {"bad_mac": 1})
    assert abs(health.refused_at - world.now()) < 60


def _bytes(headers: Json) -> dict[str, bytes]:
    return {name: value.encode("latin-1") for name, value in headers.items()}


def test_a_changed_body_is_refused(world: World, component: Component) -> None:
    """The signature is over the raw bytes: one more blank is another report."""
    [one] = stored(world, grant(world))
    body = json.dumps(component.report(incident(world), [one])).encode()
    response = requests.post(component.address, data=body + b" ", headers=signed(body, world.now()), timeout=20)
    assert response.json() == {"error": "bad_mac"}


def test_an_unknown_key_is_refused(world: World, component: Component) -> None:
    """401 `unknown_key`, whatever else is wrong."""
    report = component.report(incident(world), [])
    response = component.send(report, key_id="another")
    assert (response.status_code, response.json()) == (401, {"error": "unknown_key"})
    assert refused(world) == {"unknown_key": 1}
    assert "Refused since the service started: 1 unknown key" in world.person("admin").command("status")["text"]


@pytest.mark.parametrize("seconds", [-301, 301, -600, 3600])
def test_an_old_report_is_refused_and_its_clock_known(world: World, component: Component, seconds: int) -> None:
    """401 `stale` beyond five minutes either way; how far the clock is off is kept for administrators."""
    [one] = stored(world, grant(world))
    body = json.dumps(component.report(incident(world), [one])).encode()
    headers = signed(body, world.now() + seconds)
    response = requests.post(component.address, data=body, headers=headers, timeout=20)
    assert (response.status_code, response.json()) == (401, {"error": "stale"})
    health = world.running.service.services.deliveries.health()
    assert abs(health.clock_offset - seconds) < 5
    assert component.send(component.report(incident(world), [one])).status_code == 202


def test_both_of_two_keys_are_accepted(world: World, component: Component) -> None:
    """While a key is replaced, what either signs is taken; the old one alone stops when it is gone."""
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
def test_a_large_report_is_refused_before_it_is_read(world: World, component: Component, honest: bool) -> None:
    """413 over 256 KiB, with a length in front or without; counted."""
    body = b"x" * (256 * 1024 + 1)
    data: Any = body if honest else iter([body])
    response = requests.post(component.address, data=data, headers=signed(body, world.now()), timeout=20)
    assert response.status_code == 413
    assert refused(world) == {"too_large": 1}


def test_256_kib_are_not_too_large(world: World, component: Component) -> None:
    """Exactly the limit is let in."""
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
def test_a_report_of_another_shape_is_refused_with_what_is_wrong(world: World, component: Component, how: str) -> None:
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
    before = disk(world)
    response = component.send(report)
    assert response.status_code == 400, response.text
    named = response.json()["fields"]
    assert any((inner or outer).replace("many", "subscriptions") in field for field in named), named
    assert "etc" not in response.text
    assert "drop" not in response.text
    assert disk(world) == before
    assert sum(refused(world).values()) == 1


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff\xfe", b'"text"', b"[" * 100_000])
def test_what_is_no_json_object_is_refused(world: World, component: Component, body: bytes) -> None:
    """400, however odd the bytes."""
    response = requests.post(component.address, data=body, headers=signed(body, world.now()), timeout=20)
    assert response.status_code == 400
    assert refused(world) == {"malformed": 1}


def test_later_versions_may_say_more(world: World, component: Component) -> None:
    """Keys and events that we do not know are no reason to lose what we do."""
    [one] = stored(world, grant(world))
    component.changed(incident(world), [one], events=["state", "approved"], approvals=[{"by": "x"}])
    pass_time(world, 2)
    [post] = notices(world)
    assert "**State changed** by" in post["message"]


def test_a_test_of_the_way_is_noted_and_posts_nothing(world: World, component: Component) -> None:
    """A report with a nonce and no record arrives for whoever waits for it."""
    report = component.report(incident(world), []) | {"record": None, "test": "nonce-1", "events": [], "changes": []}
    assert component.send(report).status_code == 202
    arrivals = world.running.service.services.test_reports
    assert arrivals.arrived("nonce-1", 1)
    assert not arrivals.arrived("nonce-2", 0)
    assert notices(world) == []


def test_a_full_disk_is_said_so_that_servicenow_sends_again(world: World, component: Component) -> None:
    """503 where it could not be stored; the same report is taken later."""
    [one] = stored(world, grant(world))
    report = component.report(incident(world), [one])
    folder = Path(world.config.storage_url.removeprefix("tinydb://"))
    (folder / "outbox.new").mkdir()
    assert component.send(report).status_code == 503
    (folder / "outbox.new").rmdir()
    assert component.send(report).status_code == 202
