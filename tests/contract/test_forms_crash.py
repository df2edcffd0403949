"""The service is killed while it handles a submit. Submitting the form again creates no duplicates."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from handlers.idempotency import HOLD_SECONDS
from sandbox.client import MattermostClient
from tests.acts import opened
from tests.contract.lives import Lives
from tests.world import World

Json = dict[str, Any]
NUMBER = "INC0010001"
HERE: Json = {"channel": "service-desk"}


def incident(agent: MattermostClient) -> Json:
    """An incident form."""
    menu = agent.press("/channel_header", "ServiceNow", **HERE)["form"]
    return opened(agent.submit(menu, {"action": "incident"}, **HERE))


def message(agent: MattermostClient) -> Json:
    """The form to add a message with a file."""
    channel_id = agent.channel("service-desk")
    ids = [agent.upload(channel_id, "trace.txt", os.urandom(8))]
    post = agent.post("/api/v4/posts", {"channel_id": channel_id, "message": f"Log {NUMBER}", "file_ids": ids})
    return opened(agent.press("/post_menu", "Add to ServiceNow record", post_id=post["id"], **HERE))


def comment(agent: MattermostClient) -> Json:
    """The comment form."""
    return opened(agent.command("comment", {"record": NUMBER}, **HERE))


FORMS: dict[str, tuple[Callable[[MattermostClient], Json], Json]] = {
    "incident": (incident, {"short_description": "Killed"}),
    "message": (message, {}),
    "comment": (comment, {"comments": "Killed", "action": "add"}),
}
# Form, step after which the process dies, and whether a request was in flight. If so, the form waits for the hold.
DEATHS = [
    ("incident", "attempt stored 1", True),
    ("incident", "inserted 1", False),
    ("incident", "attempt stored 2", False),
    ("incident", "card posted 1", False),
    ("message", "attempt stored 1", True),
    ("message", "entry added 1", False),
    ("message", "attempt stored 2", True),
    ("message", "file attached 1", False),
    ("comment", "attempt stored 1", True),
    ("comment", "entry added 1", False),
]


@pytest.fixture
def lives(world: World, tmp_path: Path) -> Iterator[Lives]:
    """Starts the service in a separate process."""
    lives = Lives(world, tmp_path)
    yield lives
    lives.close()


def made(world: World) -> dict[str, int]:
    """Counts of what was created since the seed."""
    task = next(row for row in world.servicenow.rows("task") if row["number"] == NUMBER)
    journals = [world.servicenow.store.journal(task["sys_id"], one) for one in ("comments", "work_notes")]
    return {
        "records": len(world.servicenow.rows("incident")) - 3,
        "cards": sum("attachments" in post["props"] for post in world.mattermost.posts_in("service-desk")),
        "entries": sum(map(len, journals)),
        "files": len(world.servicenow.rows("sys_attachment")),
    }


WHOLE = {
    "incident": {"records": 1, "cards": 1, "entries": 0, "files": 0},
    "message": {"records": 0, "cards": 0, "entries": 1, "files": 1},
    "comment": {"records": 0, "cards": 0, "entries": 1, "files": 0},
}


@pytest.mark.waits
def test_a_killed_submit_is_continued(world: World, lives: Lives) -> None:
    """After a death, the next submit continues. It repeats a request that was in flight only after the hold."""
    agent = world.connected("agent")
    for form, point, held in DEATHS:
        before = made(world)
        try:
            killed_and_continued(world, lives, agent, form, point, held)
        except AssertionError as error:
            raise AssertionError(f"{form}, {point}: {error}") from error
        added = {name: count - before[name] for name, count in made(world).items()}
        unsure = (form, point) == ("message", "attempt stored 2")
        assert added == (WHOLE[form] | {"files": 0} if unsure else WHOLE[form]), (form, point)


def killed_and_continued(
    world: World, lives: Lives, agent: MattermostClient, form: str, point: str, held: bool
) -> None:
    """Kill one submit, then submit again until it succeeds."""
    open_form, values = FORMS[form]
    opened_form = open_form(agent)
    before = made(world)
    world.running.stop()
    name, _, number = point.rpartition(" ")
    lives.begin(name, int(number))
    wait_for(world)
    with contextlib.suppress(requests.RequestException):
        agent.submit(opened_form, values, **HERE)
    assert lives.ended() == 17
    world.start()
    answer = agent.submit(opened_form, values, **HERE)
    if (form, point) == ("message", "attempt stored 2"):
        assert "ServiceNow did not say whether it took it" in answer["text"]
    elif held:
        assert "may have been saved" in answer["text"], answer
        assert made(world) == before
        world.advance(HOLD_SECONDS + 1)
        answer = agent.submit(opened_form, values, **HERE)
    assert answer["type"] != "error", answer


@pytest.mark.waits
def test_a_late_insert_after_a_kill_creates_one_record(world: World, lives: Lives) -> None:
    """After SIGKILL during an insert that ServiceNow commits late, there is one record."""
    agent = world.connected("agent")
    form = incident(agent)
    world.running.stop()
    child = lives.begin()
    wait_for(world)
    world.servicenow.fault("slow", "/api/now/v2/table/incident", seconds=60, method="POST")
    with contextlib.suppress(requests.RequestException):
        killed = MattermostClient(world.mattermost.url, "agent")
        submit_and_kill(world, killed, form, child)
    assert lives.ended() == -signal.SIGKILL
    world.start()
    answer = agent.submit(form, {"short_description": "Killed"}, **HERE)
    assert "may have been saved" in answer["text"], answer
    world.servicenow.clear_faults()
    while not made(world)["records"]:
        threading.Event().wait(0.01)
    answer = agent.submit(form, {"short_description": "Killed"}, **HERE)
    assert answer["type"] == "ok", answer
    assert made(world) == WHOLE["incident"]


def submit_and_kill(world: World, agent: MattermostClient, form: Json, child: int) -> None:
    """Submit, and kill the service as soon as ServiceNow receives the insert."""
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(agent.submit, form, {"short_description": "Killed"}, **HERE)
        while world.servicenow.armed():
            threading.Event().wait(0.01)
        os.kill(child, signal.SIGKILL)
        answer.result(30)


def wait_for(world: World) -> None:
    """Wait until the service answers."""
    while True:
        with contextlib.suppress(requests.RequestException):
            requests.get(f"{world.config.app_url}/healthz", timeout=5)
            return
        threading.Event().wait(0.01)
