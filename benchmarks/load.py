"""
``make load``: twenty threads act as five people while the service is reloaded, restarted and killed in turn.

Everything that was confirmed must exist once, and every change in ServiceNow must be posted once.
"""

import argparse
import os
import secrets
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import requests

from benchmarks.floor import percentile
from benchmarks.notices import double
from benchmarks.results import keep, table
from benchmarks.served import KEY_ID, SECRET, Served
from core.instance import AUTH_TABLE
from sandbox.client import PASSWORD, PLUGIN, MattermostClient
from tests.world import CLIENT_ID, CLIENT_SECRET, JWT_SECRET
from updateset.build import RELEASE, build
from updateset.shapes import DELIVERIES

Json = dict[str, Any]

PEOPLE = ("admin", "agent", "agent2", "requester", "approver")
COMMENTERS = ("admin", "agent", "agent2")
THREADS = 20
ROLE = "x_830655_mm_std.user"
WAIT = (
    150.0  # seconds that reports may take in the end: ServiceNow repeats after 5 s, 30 s and 1 min, posts are collected
)
_EVERY = 0.25  # seconds between two changes in ServiceNow


@dataclass
class Tallied:
    """Counts what happened. Threads hold the lock while they change it."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    calls: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    said: Counter[str] = field(default_factory=Counter)  # with a failure
    seconds: list[float] = field(default_factory=list)
    records: set[str] = field(default_factory=set)  # titles that the service confirmed
    comments: set[str] = field(default_factory=set)
    changes: set[str] = field(default_factory=set)  # texts saved in ServiceNow, which must be posted
    disturbances: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Outcome:
    """The counts, compared with both doubles."""

    tallied: Tallied
    lost: list[str]
    duplicated: list[str]
    posted: Counter[str]
    waiting: tuple[int, int]  # rows left in the service's outbox and in ServiceNow's

    @property
    def once(self) -> int:
        """Notices that were posted exactly once."""
        return sum(self.posted[words] == 1 for words in self.tallied.changes)

    def rows(self) -> list[tuple[str, ...]]:
        """For the table."""
        told = self.tallied
        again = sum(self.posted[words] > 1 for words in told.changes)
        where = ", ".join(f"{name} {count}" for name, count in sorted(told.failures.items())) or "none"
        turns = ", ".join(f"{name} {count} times" for name, count in told.disturbances.items())
        return [
            ("what", "measured"),
            ("disturbances", turns),
            ("calls", str(told.calls)),
            ("failures, after which signal", where),
            ("time of a call, p95", f"{percentile(told.seconds, 0.95) * 1000:.0f} ms"),
            ("records and comments confirmed", f"{len(told.records)} and {len(told.comments)}"),
            ("of these lost", str(len(self.lost))),
            ("of these duplicated", str(len(self.duplicated))),
            ("notices posted once", f"{self.once} of {len(told.changes)} ({again} more than once)"),
            ("reports that still wait, here and in ServiceNow", f"{self.waiting[0]} and {self.waiting[1]}"),
        ]


class Load:
    """
    Both doubles, the service, five connected people, and a channel that is subscribed to all incidents.

    Args:
        apart: Change each record in ServiceNow only once, and comment on others, because a record's second notice is
            delayed by twenty seconds.
    """

    def __init__(self, mattermost: str, servicenow: str, served: Served, apart: bool = False) -> None:
        self.mattermost, self.servicenow, self.served = mattermost, servicenow, served
        self.tallied = Tallied()
        self.disturbance = "before"
        self._end = threading.Event()
        self._since = int(time.time() * 1000)
        self._set_up()
        self.pool = self._incidents()
        self.apart = self._incidents() if apart else []

    def run(self, seconds: float, disturbances: list[tuple[str, Callable[[], None]]], least: int = 0) -> Outcome:
        """
        Run for *seconds*, with the disturbances spread evenly.

        Args:
            least: Run until at least this many records, comments and changes are saved. Then skip the minute that
                ServiceNow waits before it retries a report. 0 does neither.
        """
        threads = [
            threading.Thread(target=self._person, args=(PEOPLE[number % len(PEOPLE)],)) for number in range(THREADS)
        ]
        threads.append(threading.Thread(target=self._change))
        for thread in threads:
            thread.start()
        began = time.monotonic()
        try:
            for number, (name, disturb) in enumerate(disturbances):
                self._end.wait(began + seconds * (number + 0.5) / len(disturbances) - time.monotonic())
                self.disturbance = name
                self.tallied.disturbances[name] += 1
                disturb()
            self._end.wait(began + seconds - time.monotonic())
            while not self._enough(least) and time.monotonic() < began + WAIT:
                self._end.wait(0.05)
        finally:
            self._end.set()
            for thread in threads:
                thread.join(60)
        if least:
            requests.post(f"{self.servicenow}/_sandbox/clock", json={"advance": 61}, timeout=30).raise_for_status()
        return self._compare()

    def _set_up(self) -> None:
        redirect = f"{self.mattermost}{PLUGIN}/apps/servicenow/oauth2/remote/complete"
        client = {
            "name": "Mattermost",
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "redirect_url": redirect,
        }
        self._insert("oauth_entity", client)
        admin = MattermostClient(self.mattermost, "admin")
        assert admin.install(f"{self.served.url}/manifest.json", JWT_SECRET)["type"] == "ok"
        update_set = requests.post(f"{self.servicenow}/_sandbox/update-sets", data=build(RELEASE), timeout=60)
        assert update_set.json()["committed"], update_set.text
        key = {"server_url": self.served.url, "key_id": KEY_ID, "signing_secret": SECRET}
        self._insert(f"{AUTH_TABLE}?sysparm_input_display_value=true", key)
        [role] = self._rows("sys_user_role", f"name={ROLE}")
        [agent] = self._rows("sys_user", "user_name=agent")
        self._insert("sys_user_has_role", {"user": agent["sys_id"], "role": role["sys_id"]})
        for name in PEOPLE:
            assert "Completed connecting" in MattermostClient(self.mattermost, name).connect().text
        self._subscribe()
        menus = MattermostClient(self.mattermost, "agent").entries("/command")
        self.create = menus["servicenow incident create"]["form"]["submit"]

    def _incidents(self) -> list[Json]:
        return [
            self._insert("incident", {"short_description": f"Changed in ServiceNow {number}"}) for number in range(20)
        ]

    def _enough(self, least: int) -> bool:
        told = self.tallied
        return min(map(len, (told.records, told.comments, told.changes))) >= least

    def _subscribe(self) -> None:
        agent, here = MattermostClient(self.mattermost, "agent"), "service-desk"
        menu = agent.press("/channel_header", "ServiceNow", channel=here)["form"]
        form = agent.submit(menu, {"action": "subscribe"}, channel=here)["form"]
        [events] = [one for one in form["fields"] if one["name"] == "events"]
        chosen = [one for one in events["options"] if one["value"] == "commented"]
        answer = agent.submit(form, {"events": chosen, "action": "save"}, channel=here)
        assert answer["type"] == "ok", answer

    def _person(self, username: str) -> None:
        person = MattermostClient(self.mattermost, username)
        turn = 0
        while not self._end.is_set():
            turn += 1
            words = f"load {secrets.token_hex(8)}"
            if turn % 3 == 1:
                if self._counted(partial(person.call, self.create, values={"short_description": words})):
                    self._note(self.tallied.records, words)
            elif turn % 3 == 2 and username in COMMENTERS:
                number = self.pool[turn % len(self.pool)]["number"]
                if self._counted(partial(person.command, "comment", {"record": number, "comments": words})):
                    self._note(self.tallied.comments, words)
            else:
                self._counted(partial(person.command, "me"))

    def _note(self, among: set[str], words: str) -> None:
        with self.tallied.lock:
            among.add(words)

    def _counted(self, act: Callable[[], Json]) -> bool:
        began, during = time.perf_counter(), self.disturbance
        down, ends, said, refused = self.served.down, self.served.ends, "", False
        try:
            answer = act()
            if not (good := answer.get("type") == "ok"):
                said = str(answer.get("text"))
                refused = not said.startswith("upstream call failed")  # by the service, in words for the person
        except (requests.RequestException, KeyError, AssertionError) as error:  # no answer, no menus
            good, said = False, repr(error)
        with self.tallied.lock:
            self.tallied.calls += 1
            self.tallied.seconds.append(time.perf_counter() - began)
            if not good:
                down = down or self.served.ends > ends
                where = f"{self.disturbance}, while it was down" if down else during
                self.tallied.failures["refused" if refused else where] += 1
                self.tallied.said[said] += 1
        if not good:
            self._end.wait(0.5)
        return good

    def _change(self) -> None:
        """A person works in ServiceNow."""
        number = 0
        while not self._end.wait(_EVERY) and not (self.apart and number == len(self.apart)):
            pool = self.apart or self.pool
            row, words = pool[number % len(pool)], f"change {secrets.token_hex(8)}"
            url = f"{self.servicenow}/api/now/table/incident/{row['sys_id']}"
            requests.patch(url, json={"comments": words}, auth=("admin", PASSWORD), timeout=30).raise_for_status()
            self._note(self.tallied.changes, words)
            number += 1

    def _compare(self) -> Outcome:
        titles = Counter(row["short_description"] for row in self._rows("incident", "short_descriptionSTARTSWITHload "))
        entries = Counter(row["value"] for row in self._rows("sys_journal_field", "valueSTARTSWITHload "))
        told = self.tallied
        found = {words: titles[words] for words in told.records} | {words: entries[words] for words in told.comments}
        every = titles + entries
        posted, waiting = self._posted(), self._waiting()
        ends = time.monotonic() + WAIT
        while (any(not posted[words] for words in told.changes) or any(waiting)) and time.monotonic() < ends:
            time.sleep(0.5)
            posted, waiting = self._posted(), self._waiting()
        return Outcome(
            tallied=told,
            lost=[words for words, count in found.items() if not count],
            duplicated=[words for words, count in every.items() if count > 1],
            posted=posted,
            waiting=waiting,
        )

    def _waiting(self) -> tuple[int, int]:
        return self.served.queued(), len(self._rows(DELIVERIES, "state!=delivered"))

    def _posted(self) -> Counter[str]:
        """How often the text of each change is in the channel's posts."""
        person = MattermostClient(self.mattermost, "agent")
        path = f"/api/v4/channels/{person.channel('service-desk')}/posts"
        posts: list[str] = []
        for page in range(100):
            found = person.get(path, page=str(page), per_page="200")
            posts += [found["posts"][one]["message"] for one in found["order"]]
            if len(found["order"]) < 200:
                break
        text = "\n".join(posts)
        return Counter({words: text.count(words) for words in self.tallied.changes})

    def _insert(self, table_: str, row: Json) -> Json:
        url = f"{self.servicenow}/api/now/table/{table_}"
        answer = requests.post(url, json=row, auth=("admin", PASSWORD), timeout=30)
        answer.raise_for_status()
        result: Json = answer.json()["result"]
        return result

    def _rows(self, name: str, query: str) -> list[Json]:
        answer = requests.get(
            f"{self.servicenow}/api/now/table/{name}",
            params={"sysparm_query": query, "sysparm_limit": "10000"},
            auth=("admin", PASSWORD),
            timeout=60,
        )
        answer.raise_for_status()
        rows: list[Json] = answer.json()["result"]
        return rows


def load(seconds: float, disturbances: list[str], least: int = 0) -> Outcome:
    """
    A whole run, including the doubles. All processes have ended when it returns.

    Args:
        least: As in `Load.run`, for a short run.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        double("mattermost") as mattermost,
        double("servicenow") as servicenow,
    ):
        served = Served(Path(folder), mattermost, servicenow)
        try:
            ways = {"SIGHUP": served.reload, "SIGTERM and start": served.restart, "kill -9 and start": served.kill}
            site = Load(mattermost, servicenow, served, apart=bool(least))
            return site.run(seconds, [(name, ways[name]) for name in disturbances], least)
        finally:
            served.close()


def main() -> int:
    """Exit with 0 if nothing was lost or duplicated."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--keep", action="store_true", help="write the table into benchmarks/RESULTS.md")
    options = parser.parse_args()
    outcome = load(options.seconds, ["SIGHUP", "SIGTERM and start", "kill -9 and start"] * 2)
    text = table(outcome.rows())
    print(text)
    for said, count in outcome.tallied.said.most_common(10):
        print(f"{count} times: {said[:300]}")
    if options.keep:
        head = (
            f"{time.strftime('%Y-%m-%d')}, {THREADS} threads as {len(PEOPLE)} people for {options.seconds:.0f} s, "
            f"on {os.cpu_count()} cores (load average {os.getloadavg()[0]:.0f})."
        )
        keep(f"{head}\n\n{text}", "Under load")
    return 0 if not outcome.lost and not outcome.duplicated and outcome.once == len(outcome.tallied.changes) else 1


if __name__ == "__main__":
    sys.exit(main())
