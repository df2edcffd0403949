"""The real process: it starts, is started anew under load, and stops without dropping a call."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from sandbox.client import MattermostClient
from tests.ports import ReservedPort
from tests.world import CLIENT_ID, CLIENT_SECRET, JWT_SECRET, World

ROOT = Path(__file__).parent.parent.parent

pytestmark = pytest.mark.waits


class Process:
    """`cli.py serve` with the settings of a world, on a port and a folder of its own."""

    def __init__(self, world: World, folder: Path, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.environment = {
            "PATH": os.environ["PATH"],
            "APP_URL": self.url,
            "MATTERMOST_URL": world.mattermost.url,
            "APP_SECRET": "s" * 32,
            "MATTERMOST_APP_JWT_SECRET": JWT_SECRET,
            "SERVICENOW_URL": world.servicenow.url,
            "SERVICENOW_HOSTS": world.servicenow.url,
            "SERVICENOW_CLIENT_ID": CLIENT_ID,
            "SERVICENOW_CLIENT_SECRET": CLIENT_SECRET,
            "STORAGE_URL": f"tinydb://{folder}/served",
            "LISTEN": f"127.0.0.1:{port}",
            "LOG_LEVEL": "debug",
            "GRACEFUL_TIMEOUT": "5",
            "RATE_LIMITS": "off",
        }
        self.log = folder / f"log{port}"
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        with self.log.open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "cli.py", "serve"], cwd=ROOT, env=self.environment, stderr=log, start_new_session=True
            )

    def wait_until_ready(self) -> None:
        """Return once it answers; fail when it ends instead."""
        for _ in range(600):
            assert self.process.poll() is None, self.log.read_text()
            try:
                if requests.get(f"{self.url}/readyz", timeout=5).ok:
                    return
            except requests.ConnectionError:
                threading.Event().wait(0.05)  # nothing tells when a socket begins to listen
        raise AssertionError(self.log.read_text())

    def stop(self) -> int:
        """SIGTERM, and the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


@pytest.fixture
def served(empty_world: World, tmp_path: Path) -> Iterator[tuple[World, Process]]:
    """The process, installed in the Mattermost double in place of the threaded service."""
    with ReservedPort() as port:
        process = Process(empty_world, tmp_path, port.number)
        try:
            process.wait_until_ready()
            answer = empty_world.person("admin").install(f"{process.url}/manifest.json", JWT_SECRET)
            assert "despite" not in answer["text"]
            yield empty_world, process
        finally:
            process.stop()


def test_it_starts_anew_under_load_without_a_failed_call(served: tuple[World, Process]) -> None:
    """SIGHUP while people work: calls wait for the new worker, none fails, accounts are still there."""
    world, process = served
    agent = world.person("agent")
    agent.connect()
    stop = threading.Event()
    answers: list[str] = []
    broken: list[str] = []

    def keep_asking() -> None:
        person = MattermostClient(world.mattermost.url, "agent")
        while not stop.is_set():
            answer = person.call({"path": "/account/me/submit", "expand": {"acting_user": "+summary"}})
            (answers if "Amir Agent" in str(answer.get("text")) else broken).append(str(answer))

    threads = [threading.Thread(target=keep_asking) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(2):
        before = len(answers)
        process.process.send_signal(signal.SIGHUP)
        while len(answers) < before + 40 and not broken:
            stop.wait(0.02)
    stop.set()
    for thread in threads:
        thread.join(30)
    assert not broken
    assert len(answers) > 80
    assert process.stop() == 0


def test_a_running_call_is_finished_before_the_process_ends(served: tuple[World, Process]) -> None:
    """SIGTERM during an insert: the insert is answered, the record and its card are there."""
    world, process = served
    agent = world.person("agent")
    agent.connect()
    world.servicenow.clear_requests()
    world.servicenow.fault("slow", "/api/now/v2/table/incident", seconds=2)
    answers = []
    leaf = agent.entries("/command")["servicenow incident create"]["form"]["submit"]

    def create() -> None:
        answers.append(agent.call(leaf, values={"short_description": "At the last moment"}))

    caller = threading.Thread(target=create)
    caller.start()
    while world.servicenow.armed() and caller.is_alive():  # used up: the insert is under way
        threading.Event().wait(0.02)
    assert process.stop() == 0
    caller.join(20)
    assert answers[0]["type"] == "ok", answers
    assert [row["short_description"] for row in world.servicenow.rows("incident")][-1] == "At the last moment"


def test_a_second_process_does_not_start_on_the_same_folder(served: tuple[World, Process], tmp_path: Path) -> None:
    """The storage belongs to one process; the other one ends with a message that says so."""
    world, _ = served
    with ReservedPort() as port:
        other = Process(world, tmp_path, port.number)
        other.process.wait(60)
    assert other.process.returncode != 0
    assert "in use by another process" in other.log.read_text()


def test_the_log_holds_no_token_and_no_record_text(served: tuple[World, Process]) -> None:
    """Everything at debug level: request ids and references, and nothing that a person typed or holds."""
    world, process = served
    agent = world.person("agent")
    agent.connect()
    secret_words = "Payroll of Beth is wrong"
    leaf = agent.entries("/command")["servicenow incident create"]["form"]
    assert agent.call(leaf["submit"], values={"short_description": secret_words})["type"] == "ok"
    agent.call(leaf["submit"], values={"short_description": secret_words, "caller_id": "Nobody Particular"})
    world.servicenow.fault("500_after_commit", "/api/now/v2/table/incident")
    agent.call(leaf["submit"], values={"short_description": secret_words})
    process.stop()
    log = process.log.read_text()
    assert '"request_id"' in log
    assert '"reference"' in log
    tokens = [*world.mattermost.state.sessions, JWT_SECRET, CLIENT_SECRET, "s" * 32]
    tokens += [grant.refresh_token for grant in world.servicenow.oauth.grants()]
    tokens += [grant.access_token for grant in world.servicenow.oauth.grants()]
    for text in (*tokens, secret_words, "Nobody Particular", "agent@example.com"):
        assert text not in log
