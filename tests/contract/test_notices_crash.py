"""The service dies at every step of hundreds of notifications. None is lost or posted twice."""

import os
import queue
import random
import re
import signal
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
import requests

from core.subscriptions import Grant
from tests.contract.crashing import POINTS
from tests.contract.lives import Lives
from tests.reports import Component, grant, stored
from tests.world import World

NOTICES = 480
KILLS = 20
AT_EACH_POINT = 3
SENDERS = 6


class Sender:
    """ServiceNow's outbox. It resends each report unchanged until the service accepts it."""

    def __init__(self, component: Component, one: Grant, sys_ids: list[str]) -> None:
        self._component = component
        self._reports: queue.SimpleQueue[dict[str, object]] = queue.SimpleQueue()
        for number, sys_id in enumerate(sys_ids):
            record = {"sys_id": sys_id, "number": f"INC{number}", "short_description": "x"}
            change = {"field": "state", "label": "State", "old": "New", "new": f"notice{number}"}
            self._reports.put(component.report(record, [one], changes=[change]))
        self.left = len(sys_ids)
        self._may = threading.Semaphore(0)
        self._lock = threading.Lock()
        self._pause = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(SENDERS)]
        for thread in self._threads:
            thread.start()

    def release(self, reports: int) -> None:
        """Allow this many more reports to be sent."""
        self._may.release(reports)

    def join(self) -> None:
        """Wait until all are accepted."""
        for thread in self._threads:
            thread.join(60)

    def _run(self) -> None:
        while True:
            self._may.acquire()
            try:
                report = self._reports.get_nowait()
            except queue.Empty:
                return
            while not self._taken(report):
                self._pause.wait(0.02)
            with self._lock:
                self.left -= 1

    def _taken(self, report: dict[str, object]) -> bool:
        try:
            return self._component.send(report).status_code in {200, 202}
        except requests.RequestException:
            return False


@pytest.mark.waits
def test_no_notification_is_lost_or_posted_twice(
    world: World, component: Component, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The service dies three times after each step and is killed 20 more times. All 480 notices are posted once."""
    chance = random.Random(5)
    [one] = stored(world, grant(world))
    store = world.servicenow.store
    sys_ids = [
        store.insert("incident", {"short_description": f"Crash {number}"}, "agent")["sys_id"]
        for number in range(NOTICES)
    ]
    world.running.stop()
    began = time.monotonic()
    lives, sender = Lives(world, tmp_path), Sender(component, one, sys_ids)
    ends: Counter[str] = Counter()
    plan = [*(point for point in POINTS for _ in range(AT_EACH_POINT)), *["kill"] * KILLS]
    chance.shuffle(plan)
    try:
        for how in plan:
            sender.release(NOTICES // len(plan))
            if how == "kill":
                child = lives.begin()
                threading.Event().wait(chance.uniform(0.2, 0.7))
                os.kill(child, signal.SIGKILL)
                assert lives.ended() == -signal.SIGKILL
            else:
                lives.begin(how, chance.randint(1, 10) if how in {"stored", "posted"} else chance.randint(1, 2))
                assert lives.ended() == 17
            ends[how] += 1
        child = lives.begin()
        sender.release(NOTICES)
        sender.join()
        assert sender.left == 0
        _until_posted(world)
        os.kill(child, signal.SIGKILL)
        lives.ended()
    finally:
        sender.release(NOTICES)
        lives.close()
        world.start()
    world.settle()
    told = Counter(number for post in world.mattermost.posts_in("service-desk") for number in _numbers(post["message"]))
    lost = NOTICES - len(told)
    second = sum(told.values()) - len(told)
    with capsys.disabled():
        print(
            f"\n{NOTICES} notices, {sum(ends.values())} deaths ({dict(sorted(ends.items()))}) in "
            f"{time.monotonic() - began:.0f} s: {lost} lost, {second} second posts"
        )
    assert (lost, second) == (0, 0)
    assert world.running.service.services.deliveries.health().waiting == 0


def _numbers(message: str) -> list[str]:
    return re.findall(r"notice(\d+)", message)


def _until_posted(world: World) -> None:
    """Wait until the channel has as many notices as were sent, for at most a minute."""
    ends = time.monotonic() + 60
    while time.monotonic() < ends:
        found = sum(len(_numbers(post["message"])) for post in world.mattermost.posts_in("service-desk"))
        if found >= NOTICES:
            return
        threading.Event().wait(0.2)
