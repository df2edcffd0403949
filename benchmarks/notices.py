"""
Notifications: throughput compared with a raw loop of the same reads and posts, latency, and the cost of many
subscriptions and of a long queue. The doubles run in separate processes.
"""

import json
import os
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import requests

from benchmarks.floor import percentile
from config import Config
from core.notices import WebhookKey
from core.subscriptions import Grant
from core.tables import table_of
from core.times import Deadline
from handlers.records.cards import build_card
from sandbox.client import PASSWORD, PLUGIN, MattermostClient
from storage.embedded import open_storage
from storage.sealing import derive_keys
from tests.ports import ReservedPort
from tests.reports import KEY_ID, SECRET, matching, signed
from tests.world import CLIENT_ID, CLIENT_SECRET, JWT_SECRET, Running
from web.logs import configure_logs

Json = dict[str, Any]
Row = tuple[str, str, str]

ROOT = Path(__file__).parent.parent
_COUNT = 400
_SENDERS = 8
_BATCH = 50
_FIELDS = "sys_id,sys_mod_count,number,short_description,priority,state,assigned_to,assignment_group"


@contextmanager
def double(name: str) -> Iterator[str]:
    """Run a double in a separate process. Yields its URL."""
    command = [sys.executable, "-m", f"sandbox.{name}", "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


@dataclass
class Spent:
    """Wall-clock seconds, and CPU seconds of this process."""

    seconds: float = 0.0
    work: float = 0.0


@contextmanager
def spending() -> Iterator[Spent]:
    """Measure what the body spends."""
    spent, began, worked = Spent(), time.perf_counter(), time.process_time()
    yield spent
    spent.seconds, spent.work = time.perf_counter() - began, time.process_time() - worked


class Site:
    """The service with both doubles: installed, `agent` connected, the bot in a channel, and some incidents."""

    def __init__(self, mattermost: str, servicenow: str, folder: Path) -> None:
        self.port = ReservedPort()
        self.offset = 0.0
        self.servicenow = servicenow
        self.mattermost = mattermost
        self.config = Config(
            app_url=f"http://127.0.0.1:{self.port.number}",
            mattermost_url=mattermost,
            app_secrets=("a secret of more than thirty-two characters",),
            mattermost_app_jwt_secret=JWT_SECRET,
            servicenow_url=servicenow,
            servicenow_client_id=CLIENT_ID,
            servicenow_client_secret=CLIENT_SECRET,
            servicenow_hosts=(servicenow,),
            storage_url=f"tinydb://{folder}/notices",
            webhook_keys=(WebhookKey(key_id=KEY_ID, secret=SECRET, from_environment=True),),
            rate_limits=False,
        )
        self.running = Running.start(self.config, self.now, self.port.number)
        self._set_up()
        self.sys_ids = [self._incident(number) for number in range(_COUNT)]

    def now(self) -> float:
        """The service's clock."""
        return time.time() + self.offset

    def _set_up(self) -> None:
        complete = f"{self.mattermost}{PLUGIN}/apps/servicenow/oauth2/remote/complete"
        client = {"name": "Mattermost", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
        self._administer("oauth_entity", client | {"redirect_url": complete})
        admin = MattermostClient(self.mattermost, "admin")
        admin.install(f"{self.config.app_url}/manifest.json", JWT_SECRET)
        self.agent = MattermostClient(self.mattermost, "agent")
        self.agent.connect()
        bot = str(admin.get("/api/v4/users/username/servicenow")["id"])
        admin.post(f"/api/v4/teams/{admin.team_id}/members", {"team_id": admin.team_id, "user_id": bot})
        self.channel = admin.channel("service-desk")
        admin.post(f"/api/v4/channels/{self.channel}/members", {"user_id": bot})
        self.bot_token = str(admin.post(f"/api/v4/users/{bot}/tokens", {"description": "raw loop"})["token"])

    def _administer(self, table: str, row: Json) -> Json:
        url = f"{self.servicenow}/api/now/table/{table}"
        answer: Json = requests.post(url, json=row, auth=("admin", PASSWORD), timeout=30).json()["result"]
        return answer

    def _incident(self, number: int) -> str:
        return str(self._administer("incident", {"short_description": f"Notice {number}"})["sys_id"])

    def subscribed(self, grants: int) -> list[Grant]:
        """Restart with this many subscriptions of `agent`. The first one is for all incidents."""
        self.running.stop()
        stores = open_storage(self.config.storage_url, partial(derive_keys, self.config.app_secrets), clock=self.now)
        for old in stores.grants.all():
            stores.grants.delete(old.sys_id)
        made = [
            Grant(
                sys_id=secrets.token_hex(16),
                owner_id=self.agent.id,
                channel_id=self.channel,
                table="incident",
                record_id="" if not number else secrets.token_hex(16),
                events="state",
            )
            for number in range(grants)
        ]
        with ThreadPoolExecutor(32) as pool:  # many writers share a write
            list(pool.map(stores.grants.put, made))
        stores.close()
        self.running = Running.start(self.config, self.now, self.port.number)
        return made

    def report(self, grant: Grant, sys_id: str) -> Json:
        """A change of state."""
        cell = {"value": "2", "display_value": "In Progress"}
        return {
            "event_id": secrets.token_hex(16),
            "occurred_at": "2026-11-24T13:00:00Z",
            "component": "3.0.0",
            "server_url": self.config.app_url,
            "record": {"table": "incident", "sys_id": sys_id, "number": "INC1", "state": cell, "sys_mod_count": 1},
            "events": ["state"],
            "changes": [{"field": "state", "label": "State", "old": "New", "new": "In Progress"}],
            "comments": [],
            "actor": {"sys_id": "", "user_name": "agent2", "name": "Aiko Agent"},
            "subscriptions": [matching(grant)],
            "test": "",
        }

    def attachment(self) -> Json:
        """A record's card as the service draws it in the channel."""
        services = self.running.service.services
        parts = services.live.current
        servicenow = parts.servicenow_for(self.agent.id, Deadline(20.0))
        [record] = servicenow.read_records("incident", self.sys_ids[:1], table_of("incident").card_columns).values()
        return build_card(record, self.channel, parts.instance, parts.links, services.buttons)

    def send(self, session: requests.Session, report: Json) -> None:
        """Sign and send one."""
        body = json.dumps(report).encode()
        url = f"{self.config.app_url}/webhooks/servicenow"
        answer = session.post(url, data=body, headers=signed(body, self.now()), timeout=60)
        assert answer.status_code == 202, answer.text

    def send_all(self, grant: Grant, count: int = _COUNT) -> float:
        """Send one of each record with several senders; seconds."""
        reports = [self.report(grant, self.sys_ids[number % _COUNT]) for number in range(count)]
        sessions = threading.local()

        def one(report: Json) -> None:
            if not hasattr(sessions, "session"):
                sessions.session = requests.Session()
            self.send(sessions.session, report)

        began = time.perf_counter()
        with ThreadPoolExecutor(_SENDERS) as pool:
            list(pool.map(one, reports))
        return time.perf_counter() - began

    def deliver(self) -> Spent:
        """Let what is stored become due, and wait until all of it is posted."""
        self.offset += 31.0
        with spending() as spent:
            self.running.service.settle()
        assert self.running.service.services.deliveries.health().waiting == 0
        return spent

    def posted(self, since: int) -> list[Json]:
        """The channel's posts of notices since then."""
        found = self.agent.get(f"/api/v4/channels/{self.channel}/posts", since=str(since))
        return [found["posts"][one] for one in found["order"] if "servicenow_batch" in found["posts"][one]["props"]]


def raw_loop(site: Site, token: str, folder: Path) -> Spent:
    """Only the same reads, posts of the same size, and one flushed file per batch."""
    session = requests.Session()
    attachment = site.attachment()
    with spending() as spent:
        _raw_batches(site, token, folder, session, attachment)
    return spent


def _raw_batches(site: Site, token: str, folder: Path, session: requests.Session, attachment: Json) -> None:
    for start in range(0, _COUNT, _BATCH):
        batch = site.sys_ids[start : start + _BATCH]
        query = {"sysparm_query": f"sys_idIN{','.join(batch)}", "sysparm_fields": _FIELDS}
        url = f"{site.servicenow}/api/now/v2/table/incident"
        more = {"sysparm_display_value": "all", "sysparm_limit": "100", "sysparm_no_count": "true"}
        found = session.get(url, params=query | more, headers={"Authorization": f"Bearer {token}"}, timeout=30).json()
        assert len(found["result"]) == len(batch)
        for row in found["result"]:
            post = {
                "channel_id": site.channel,
                "message": f"**State changed** by Aiko Agent\nState: New → In Progress {row['number']['value']}",
                "props": {"attachments": [attachment], "servicenow": {"sys_id": row["sys_id"]["value"]}},
                "pending_post_id": f"raw:{secrets.token_hex(13)}",
            }
            bearer = {"Authorization": f"Bearer {site.bot_token}"}
            answer = session.post(f"{site.mattermost}/api/v4/posts", json=post, headers=bearer, timeout=30)
            assert answer.status_code == 201, answer.text
        with (folder / "raw").open("wb") as file:
            file.write(b"x" * 1000)
            file.flush()
            os.fsync(file.fileno())


def latencies(site: Site, grant: Grant) -> list[float]:
    """Seconds from sending a report to its post, for one record after another."""
    since = int(time.time() * 1000)
    sent: dict[str, float] = {}
    session = requests.Session()
    for number in range(30):
        report = site.report(grant, site.sys_ids[number])
        report["changes"][0]["new"] = f"number {number} of all"
        sent[f"number {number} of"] = time.time()
        site.send(session, report)
        time.sleep(0.2)
    ends = time.monotonic() + 20
    while len(posts := site.posted(since)) < len(sent) and time.monotonic() < ends:
        time.sleep(0.1)
    return [post["create_at"] / 1000 - at for words, at in sent.items() for post in posts if words in post["message"]]


def work(folder: Path) -> list[Row]:
    """Everything, for the table of results."""
    with double("mattermost") as mattermost, double("servicenow") as servicenow:
        site = Site(mattermost, servicenow, folder)
        try:
            return list(_measure(site, folder))
        finally:
            site.running.stop()
            site.port.close()


def _measure(site: Site, folder: Path) -> Iterator[Row]:
    grants = site.subscribed(10)
    token = _token(site)
    site.send_all(grants[0])
    site.running.service.settle()  # warm: sessions, rights, connections
    # All records have just been posted, so what is sent from here on is collected until `deliver`.

    # In turns, the best of each: the machine's other work disturbs both alike.
    rounds = [(raw_loop(site, token, folder), site.send_all(grants[0]), site.deliver()) for _ in range(4)]
    raw = min(one.seconds for one, _, _ in rounds)
    taken = min(seconds for _, seconds, _ in rounds)
    delivered = min(one.seconds for _, _, one in rounds)
    work = min(one.work for _, _, one in rounds) / min(one.work for one, _, _ in rounds)
    ours, bare = _COUNT / delivered, _COUNT / raw
    yield ("notices: posted a second, durably / raw loop", f"{ours / bare:.2f} ({ours:.0f} / {bare:.0f})", "≥ 0.9")
    yield ("notices: our process's CPU for a post / raw loop's", f"{work:.2f}", "–")
    yield ("notices: taken in a second, durably, 8 senders", f"{_COUNT / taken:.0f}", "–")
    site.offset += 31.0
    times = latencies(site, grants[0])
    text = f"{percentile(times, 0.95):.2f} s"
    yield ("notices: event to post, p95", text, "≤ 0.3 s")
    many = site.subscribed(5000)
    again = [site.send_all(many[0]) + site.deliver().seconds for _ in range(2)]
    ratio = min(again) / (taken + delivered)
    yield ("notices: time of one with 5,000 subscriptions / with 10", f"{ratio:.2f}", "–")
    count = 5000
    long = site.send_all(many[0], count)
    site.send_all(many[0], 1)
    full = site.send_all(many[0])
    yield ("notices: taken in a second up to 5,000 that wait", f"{count / long:.0f}", "–")
    yield ("notices: taken in a second while 5,000 wait", f"{_COUNT / full:.0f}", "–")
    drained = _drained(site)
    yield ("notices: posted a second from a queue of 5,400", f"{(count + _COUNT) / drained:.0f} (merged)", "–")


def _drained(site: Site) -> float:
    began = time.perf_counter()
    while site.running.service.services.deliveries.health().waiting:
        site.offset += 31.0
        site.running.service.settle()
    return time.perf_counter() - began


def _token(site: Site) -> str:
    """The agent's access token at ServiceNow, as the service holds it."""
    account = site.running.service.services.stores.accounts.get(site.agent.id)
    assert account is not None
    return account.tokens.access_token


def alone(show: Callable[[str], object] = print) -> None:
    """Only these, on a folder of their own."""
    configure_logs("error", "json")
    with tempfile.TemporaryDirectory() as folder:
        for what, measured, target in work(Path(folder)):
            show(f"{what}: {measured} (target {target})")


if __name__ == "__main__":
    alone()
