"""Run the service repeatedly in processes that die; `tests/contract/crashing.py` is the process."""

import pickle
import subprocess
import sys
from pathlib import Path

from tests.world import World

ROOT = Path(__file__).parent.parent.parent


class Lives:
    """Starts the service repeatedly."""

    def __init__(self, world: World, folder: Path) -> None:
        self._world = world
        path = folder / "config.pickle"
        path.write_bytes(pickle.dumps(world.config))
        command = [sys.executable, "-m", "tests.contract.crashing", str(path), str(world.reserved.number)]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self._address = f"{world.config.app_url}/healthz"

    def begin(self, point: str = "-", number: int = 0) -> int:
        """Start a life; returns its process ID."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{point} {number} {self._world.offset}\n")
        return int(self.process.stdout.readline())

    def ended(self) -> int:
        """Wait for its end; returns its exit code."""
        assert self.process.stdout is not None
        return int(self.process.stdout.readline())

    def close(self) -> None:
        """Start no more lives."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(20)
        self.process.stdout.close()
