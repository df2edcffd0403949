"""The real process, for tests that need one."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import requests

from tests.world import CLIENT_ID, CLIENT_SECRET, JWT_SECRET, World

ROOT = Path(__file__).parent.parent


def environment(port: int, folder: Path, mattermost: str, servicenow: str, **settings: str) -> dict[str, str]:
    """The settings of a service between both doubles, without the rest of this process's environment."""
    return {
        "PATH": os.environ["PATH"],
        "APP_URL": f"http://127.0.0.1:{port}",
        "MATTERMOST_URL": mattermost,
        "APP_SECRET": "s" * 32,
        "MATTERMOST_APP_JWT_SECRET": JWT_SECRET,
        "SERVICENOW_URL": servicenow,
        "SERVICENOW_HOSTS": servicenow,
        "SERVICENOW_CLIENT_ID": CLIENT_ID,
        "SERVICENOW_CLIENT_SECRET": CLIENT_SECRET,
        "STORAGE_URL": f"tinydb://{folder}/served",
        "LISTEN": f"127.0.0.1:{port}",
        "RATE_LIMITS": "off",
    } | settings


class Process:
    """`cli.py serve` with a world's settings, on its own port and folder."""

    def __init__(self, world: World, folder: Path, port: int, **settings: str) -> None:
        self.url = f"http://127.0.0.1:{port}"
        own = {"LOG_LEVEL": "debug", "GRACEFUL_TIMEOUT": "5"} | settings
        self.environment = environment(port, folder, world.mattermost.url, world.servicenow.url, **own)
        self.log = folder / f"log{port}"
        self.process = self.start()

    def start(self) -> subprocess.Popen[bytes]:
        """A new process on the same folder and port."""
        with self.log.open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "cli.py", "serve"],
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def worker(self) -> int:
        """The worker's process ID."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text(encoding="ascii")
        (worker,) = children.split()
        return int(worker)

    def wait_until_ready(self) -> None:
        """Return once it answers; fail if it ends."""
        for _ in range(600):
            assert self.process.poll() is None, self.log.read_text()
            try:
                if requests.get(f"{self.url}/healthz", timeout=5).ok:
                    return
            except requests.ConnectionError:
                threading.Event().wait(0.05)  # nothing tells when a socket begins to listen
        raise AssertionError(self.log.read_text())

    def stop(self) -> int:
        """Send SIGTERM; returns the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)
