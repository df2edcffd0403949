"""Reports as the component sends them, signed with the standard library, and the stored data that they need."""

import base64
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

import requests

from core.outbox import THREAD_LIFE, Thread
from core.subscriptions import Grant, digest_filter
from storage.embedded import open_storage
from storage.sealing import derive_keys
from tests.world import World

Json = dict[str, Any]

KEY_ID = "test-1"
SECRET = "a secret of the component, thirty-two letters"


def signed(body: bytes, at: float, key_id: str = KEY_ID, secret: str = SECRET) -> dict[str, str]:
    """The headers of a signed report."""
    stamp = str(int(at))
    mac = hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256).digest()
    return {
        "Content-Type": "application/json",
        "X-ServiceNow-Timestamp": stamp,
        "X-ServiceNow-Key": key_id,
        "X-ServiceNow-Signature": "v1=" + base64.b64encode(mac).decode(),
    }


@dataclass
class Component:
    """The component in ServiceNow, as the service sees it."""

    world: World

    @property
    def address(self) -> str:
        """Where reports go."""
        return f"{self.world.config.app_url}/webhooks/servicenow"

    def send(self, report: Json, **more: Any) -> requests.Response:
        """Sign and send."""
        body = json.dumps(report).encode()
        return requests.post(self.address, data=body, headers=signed(body, self.world.now(), **more), timeout=20)

    def report(self, record: Json, grants: list[Grant], **more: Any) -> Json:
        """A change of state of *record* (a row of the double), matching subscriptions as they were granted."""
        report = {
            "event_id": secrets.token_hex(16),
            "occurred_at": datetime.fromtimestamp(self.world.now(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": "3.0.0",
            "server_url": self.world.config.app_url,
            "record": {
                "table": "incident",
                "sys_id": record["sys_id"],
                "number": record["number"],
                "short_description": record["short_description"],
                "class_label": "Incident",
                "state": {"value": "2", "display_value": "In Progress"},
                "priority": {"value": "3", "display_value": "3 - Moderate"},
                "assigned_to": {"value": "", "display_value": ""},
                "assignment_group": {"value": "", "display_value": ""},
                "sys_mod_count": 1,
            },
            "events": ["state"],
            "changes": [{"field": "state", "label": "State", "old": "New", "new": "In Progress"}],
            "comments": [],
            "actor": {"sys_id": "0" * 32, "user_name": "agent2", "name": "Aiko Agent"},
            "subscriptions": [matching(grant) for grant in grants],
            "test": "",
        }
        return report | more

    def changed(self, record: Json, grants: list[Grant], **more: Any) -> requests.Response:
        """Report a change, which must be accepted."""
        response = self.send(self.report(record, grants, **more))
        assert response.status_code == 202, response.text
        return response


def matching(grant: Grant, **more: Any) -> Json:
    """The subscription's row in a report."""
    return {
        "sys_id": grant.sys_id,
        "channel_id": grant.channel_id,
        "user_id": grant.owner_id,
        "record_type": grant.table,
        "record_id": grant.record_id,
        "filter_digest": digest_filter(grant.filter_query),
        "events": grant.events.split(","),
        "options": [one for one in grant.options.split(",") if one],
        "created_by": "agent",
        "updated_by": "agent",
        "updated_on": "2026-11-24 12:00:00",
    } | more


def grant(world: World, channel: str = "service-desk", owner: str = "agent", **more: Any) -> Grant:
    """A grant for all incidents, not stored yet."""
    person = world.person(owner)
    given: Json = {
        "sys_id": secrets.token_hex(16),
        "owner_id": person.id,
        "channel_id": person.channel(channel),
        "table": "incident",
        "events": "created,state,priority,commented,work_notes,reopened",
        "name": "All incidents",
        "granted_at": world.now(),
        "created_by": owner,
    }
    return Grant(**given | more)


def stored(world: World, *grants: Grant) -> list[Grant]:
    """Store grants as an earlier process would, and start the service."""
    world.running.stop()
    stores = open_storage(world.config.storage_url, partial(derive_keys, world.config.app_secrets), clock=world.now)
    for one in grants:
        stores.grants.put(one)
    stores.close()
    world.start()
    return list(grants)


def kept(world: World, sys_id: str) -> Grant:
    """A grant on disk."""
    name = world.config.storage_url.removeprefix("tinydb://")
    with open(f"{name}/channel_grants.json", encoding="utf-8") as file:
        return Grant(**json.load(file)["channel_grants"][sys_id])


def invite_bot(world: World, *channels: str) -> str:
    """Invite the bot to the team and channels; returns its ID."""
    admin = world.person("admin")
    bot = str(world.mattermost.registry.apps["servicenow"].bot_user_id)
    admin.post(f"/api/v4/teams/{admin.team_id}/members", {"team_id": admin.team_id, "user_id": bot})
    for channel in channels:
        admin.post(f"/api/v4/channels/{admin.channel(channel)}/members", {"user_id": bot})
    return bot


def incident(world: World, number: int = 0) -> Json:
    """One of the double's incidents."""
    return dict(world.servicenow.rows("incident")[number])


def notices(world: World, channel: str = "service-desk") -> list[Json]:
    """What the bot posted in a channel, oldest first."""
    bot = world.mattermost.registry.apps["servicenow"].bot_user_id
    return [post for post in world.mattermost.posts_in(channel) if post["user_id"] == bot and not post["type"]]


def told(world: World, username: str) -> list[str]:
    """Direct messages about notices to a person, oldest first, without the one sent after connecting."""
    posts = world.mattermost.direct_posts(username)
    return [post["message"] for post in posts if not post["message"].startswith("####")]


def posted_just_now(world: World, *records: Json, channel: str = "service-desk") -> None:
    """
    Let the channel have had a notice of each record a moment ago, so that those of the next 20 seconds are collected.

    Its thread ended thirty days after its card, so the next notice has a card again.
    """
    now = world.now()
    threads = [
        Thread(
            channel_id=world.person("admin").channel(channel),
            table="incident",
            record_id=record["sys_id"],
            root_id="r" * 26,
            root_at=now - THREAD_LIFE - 1,
            last_at=now,
        )
        for record in records
    ]
    world.running.service.services.stores.threads.put(threads)


def pass_time(world: World, seconds: float) -> None:
    """Let time pass and run what is due then."""
    world.advance(seconds)
    world.settle()
