"""The real process starts, reloads under load, and stops without dropping a call."""

import json
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
from tests.serving import ROOT, Process
from tests.world import CLIENT_SECRET, JWT_SECRET, World

pytestmark = pytest.mark.waits


@pytest.fixture
def served(empty_world: World, tmp_path: Path) -> Iterator[tuple[World, Process]]:
    """The process, installed in the Mattermost double instead of the threaded service."""
    with ReservedPort() as port:
        process = Process(empty_world, tmp_path, port.number)
        try:
            process.wait_until_ready()
            answer = empty_world.person("admin").install(f"{process.url}/manifest.json", JWT_SECRET)
            assert "despite" not in answer["text"]
            yield empty_world, process
        finally:
            process.stop()


def test_it_reloads_under_load_without_a_failed_call(served: tuple[World, Process]) -> None:
    """SIGHUP while people work: calls wait for the new worker, none fails, and accounts are kept."""
    world, process = served
    agent = world.person("agent")
    agent.connect()
    stop = threading.Event()
    answers: list[str] = []
    broken: list[str] = []

    def poll() -> None:
        person = MattermostClient(world.mattermost.url, "agent")
        while not stop.is_set():
            answer = person.call({"path": "/account/me/submit", "expand": {"acting_user": "+summary"}})
            (answers if "Amir Agent" in str(answer.get("text")) else broken).append(str(answer))

    threads = [threading.Thread(target=poll) for _ in range(4)]
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
    """SIGTERM during an insert: the insert is answered, and the record and its card exist."""
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
    while world.servicenow.armed() and caller.is_alive():  # used up: the insert is in progress
        threading.Event().wait(0.02)
    assert process.stop() == 0
    caller.join(20)
    assert answers[0]["type"] == "ok", answers
    assert [row["short_description"] for row in world.servicenow.rows("incident")][-1] == "At the last moment"


def test_a_second_process_doesnt_start_on_the_same_folder(served: tuple[World, Process], tmp_path: Path) -> None:
    """The storage belongs to one process; the other ends with a message that says so."""
    world, _ = served
    with ReservedPort() as port:
        other = Process(world, tmp_path, port.number)
        other.process.wait(60)
    assert other.process.returncode != 0
    assert "in use by another process" in other.log.read_text()


def test_every_line_is_json_with_its_loggers_name(served: tuple[World, Process], tmp_path: Path) -> None:
    """Ours, gunicorn's about a killed worker, and those of a process that can't start."""
    world, process = served
    os.kill(process.worker(), signal.SIGKILL)
    process.wait_until_ready()
    with ReservedPort() as port:
        other = Process(world, tmp_path, port.number)
        assert other.process.wait(60) != 0
    process.stop()
    events = {}
    for line in (process.log.read_text() + other.log.read_text()).splitlines():
        entry = json.loads(line)
        assert {"event", "level", "timestamp"} <= entry.keys(), line
        events[entry["event"]] = entry["logger"]
    assert events["serving"] == "web.server"
    assert events["can't start: the storage can't be used"] == "cli"
    assert [logger for event, logger in events.items() if "SIGKILL" in event] == ["gunicorn.error"]


LIBRARIES = """
import logging, threading, warnings
from web.logs import configure_logs, log_everything
configure_logs("debug", "json")
log_everything()
logging.getLogger("urllib3.connectionpool").warning("Failed to parse headers (url=%s)", "http://x/y?sysparm_query=words")
logging.getLogger("urllib3.connectionpool").info("what it sends")
warnings.warn("old")
thread = threading.Thread(target=lambda: 1 / 0)
thread.start()
thread.join()
raise KeyError("the end")
"""


def test_libraries_log_json_too() -> None:
    """Warnings and what ended a thread or the process; no queries, and nothing below a warning."""
    ended = subprocess.run([sys.executable, "-c", LIBRARIES], cwd=ROOT, capture_output=True, text=True, check=False)
    lines = [json.loads(line) for line in ended.stderr.splitlines()]
    assert [line["logger"] for line in lines] == ["urllib3.connectionpool", "py.warnings", "web.logs", "web.logs"]
    assert lines[0]["event"] == "Failed to parse headers (url=http://x/y?…)"
    assert "ZeroDivisionError" in lines[2]["exception"]
    assert "the end" in lines[3]["exception"]
    assert ended.stdout == ""


def test_the_log_has_no_token_and_no_record_text(served: tuple[World, Process]) -> None:
    """
    Even at debug level it has request IDs and reference codes, and nothing that a person typed or a record contains.
    """
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


def test_a_flood_of_unverified_calls_is_counted(served: tuple[World, Process]) -> None:
    """Ten lines of each kind, then their number; verified people find the reference code of every rejection."""
    world, process = served
    agent = world.person("agent")
    before = process.log.read_text().count("refused")
    with requests.Session() as session:
        for path in ("/me/submit", "/bindings", "/plain/press", "/plain/dialog"):
            for _ in range(50):
                assert session.post(f"{process.url}{path}", data="{", timeout=10).ok
        for _ in range(50):
            assert session.get(f"{process.url}/update-set?token=x", timeout=10).status_code == 403
    reference = agent.call({"path": "/no/such/submit", "expand": {"acting_user": "+summary"}})["text"]
    process.stop()
    lines = [json.loads(line) for line in process.log.read_text().splitlines()]
    refused = [line for line in lines if "refused" in line["event"]]
    assert len(refused) < before + 25
    # Without a framework token nothing is read; a press is read first, because its proofs are in the body.
    assert refused[-1]["more"] == {"NotVerified": 140, "InvalidInput": 90}
    assert [line["reference"] in reference for line in refused if line["event"] == "refused"][-1:] == [True]


def test_stored_files_become_private(served: tuple[World, Process]) -> None:
    """
    A folder of mode 0755 with files of 0644, as after restoring a backup, becomes private again, and the log says so.
    """
    _, process = served
    process.stop()
    folder = Path(process.environment["STORAGE_URL"].removeprefix("tinydb://"))
    paths = [folder, *folder.rglob("*")]
    assert len(paths) >= 3
    for path in paths:
        path.chmod(0o755 if path.is_dir() else 0o644)
    process.process = process.start()
    process.wait_until_ready()
    assert {oct(path.stat().st_mode & 0o777) for path in folder.rglob("*") if path.is_file()} == {"0o600"}
    assert {oct(path.stat().st_mode & 0o777) for path in [folder, *folder.rglob("*")] if path.is_dir()} == {"0o700"}
    assert "access removed" in process.log.read_text()
