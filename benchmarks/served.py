"""Runs ``cli.py serve`` in a separate process, and reloads, restarts or kills it."""

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO

import psutil
import requests

from tests.ports import ReservedPort
from tests.serving import environment

ROOT = Path(__file__).parent.parent
KEY_ID, SECRET = "load-1", "k" * 40


class Served:
    """A process and its worker. Port and folder stay the same after a restart."""

    def __init__(self, folder: Path, mattermost: str, servicenow: str) -> None:
        self._port = ReservedPort()
        self.url = f"http://127.0.0.1:{self._port.number}"
        self.log = folder / "log"
        own = {"WEBHOOK_SECRETS": f"{KEY_ID}:{SECRET}", "LOG_LEVEL": "warning"}
        self._environment = environment(self._port.number, folder, mattermost, servicenow, **own)
        self.down = False  # from a signal that ends it to its next answer
        self.ends = 0  # how often it was ended
        self._log: IO[bytes] = self.log.open("wb")
        self._process = self._started()

    def _started(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "cli.py", "serve"],
            cwd=ROOT,
            env=self._environment,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )
        for _ in range(1200):
            if process.poll() is not None:
                break
            try:
                requests.get(f"{self.url}/healthz", timeout=5).raise_for_status()
                return process
            except requests.RequestException:
                threading.Event().wait(0.05)  # there is no event for this
        process.kill()
        raise RuntimeError(f"the service does not start:\n{self.log.read_text()}")

    @property
    def worker(self) -> psutil.Process:
        """The worker process."""
        return psutil.Process(self._process.pid).children()[-1]

    def queued(self) -> int:
        """The number of rows in the outbox on disk."""
        path = Path(self._environment["STORAGE_URL"].removeprefix("tinydb://")) / "outbox.json"
        tables = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        return sum("key" in row for table in tables.values() for row in table.values())

    def reload(self) -> None:
        """Send SIGHUP."""
        self._process.send_signal(signal.SIGHUP)

    def restart(self) -> None:
        """Send SIGTERM and start again."""
        self.down, self.ends = True, self.ends + 1
        self.stop()
        self._process = self._started()
        self.down = False

    def kill(self) -> None:
        """Send SIGKILL, to the worker too, and start again."""
        self.down, self.ends = True, self.ends + 1
        workers = psutil.Process(self._process.pid).children()
        self._process.kill()
        for worker in workers:
            worker.kill()
        self._process.wait()
        psutil.wait_procs(workers, 10)
        self._process = self._started()
        self.down = False

    def stop(self) -> None:
        """Send SIGTERM."""
        self._process.terminate()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise

    def close(self) -> None:
        """Stop the process and release its port."""
        if self._process.poll() is None:
            self.stop()
        self._log.close()
        self._port.close()
