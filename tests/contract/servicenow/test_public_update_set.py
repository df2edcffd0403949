"""The update set that the plugin's customers have, loaded and run; the file isn't in the repository."""

import os
from pathlib import Path

import pytest

from tests.contract.servicenow.conftest import Instance, Listener
from tests.updateset.artifact import content

SUBSCRIPTIONS = "x_830655_mm_std_servicenow_for_mattermost_subscriptions"
AUTH = "x_830655_mm_std_servicenow_for_mattermost_notifications_auth"
KEYS = {
    "sys_id", "record_id", "server_url", "number", "short_description", "state", "priority", "assigned_to",
    "assignment_group", "record_type", "record_type_name", "subscription_events", "event_occurred", "type",
    "mm_channel_id", "mm_user_id",
}  # fmt: skip
FILE = os.environ.get("SERVICENOW_V21_UPDATE_SET", "")

pytestmark = pytest.mark.skipif(not FILE, reason="SERVICENOW_V21_UPDATE_SET names no file")


def test_the_public_update_set_runs(instance: Instance, listener: Listener) -> None:
    """Version 2.1 loads without a problem, its deletes are confirmed, and its request with all 16 keys arrives."""
    found = instance.commit(Path(FILE).read_bytes())
    assert found["loaded"] == 120
    assert found["log"][0].startswith("Confirmed data loss: 56 updates")
    instance.grant("x_830655_mm_std.user", "agent")
    row = {"channel_id": "c1", "user_id": "u1", "is_active": "true", "server_url": listener.url, "type": "object"}
    row |= {"record_type": "incident", "subscription_events": "created,state"}
    subscription = instance.insert(SUBSCRIPTIONS, row, "agent")
    instance.insert(AUTH, {"server_url": listener.url, "api_secret": "secret"}, "agent")
    incident = instance.insert("incident", {"short_description": "Printer"}, "agent")
    instance.update("incident", incident["sys_id"], {"state": "2", "priority": "1"}, "agent")
    instance.settle()
    assert [request["path"] for request in listener.requests] == [
        "/plugins/mattermost-plugin-servicenow/api/v1/notification?secret=secret"
    ] * 2
    created, changed = listener.bodies()
    assert set(created) == KEYS
    assert created["sys_id"] == subscription["sys_id"]
    assert created["event_occurred"] == "created"
    assert changed["state"] == "In Progress"
    assert changed["record_type_name"] == "Incident"
    states = instance.send("GET", "/api/x_830655_mm_std/getstates/incident", who="newcomer").json()["result"]
    assert {"label": "On Hold", "value": "3"} in states
    assert instance.logged("2") == []


def test_our_update_set_upgrades_it(instance: Instance, listener: Listener) -> None:
    """Subscriptions are kept, with the new columns empty; a change no longer sends an old request."""
    instance.commit(Path(FILE).read_bytes())
    instance.grant("x_830655_mm_std.user", "agent")
    row = {"channel_id": "c1", "user_id": "u1", "is_active": "true", "server_url": listener.url, "type": "object"}
    row |= {"record_type": "incident", "subscription_events": "created,state"}
    before = instance.insert(SUBSCRIPTIONS, row, "agent")
    instance.insert(AUTH, {"server_url": listener.url, "api_secret": "secret"}, "agent")
    found = instance.commit(content())
    assert found["problems"] == []
    assert not [line for line in found["log"] if line.startswith(("Skipped", "Refused", "Confirmed"))]
    after = instance.send("GET", f"/api/now/table/{SUBSCRIPTIONS}/{before['sys_id']}", who="agent").json()["result"]
    assert before.items() <= after.items()
    assert set(after.values()) - set(before.values()) <= {""}
    instance.insert("incident", {"short_description": "Printer"}, "agent")
    instance.settle()
    assert listener.requests == []
    assert instance.logged("2") == []
