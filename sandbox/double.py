"""What a double is, whichever it is: a server with a clock, faults, a request log and a reset."""

import argparse
import signal
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, Self

from flask import Flask

from sandbox.common import Clock, Faults, RequestLog, SandboxServer, install_switches


class Double(ABC):
    """
    Args:
        app: The application; the double adds its routes to it.
        port: 0 takes a free one.
        kinds: The faults it knows.
    """

    def __init__(self, app: Flask, port: int, kinds: Iterable[str]) -> None:
        app.json.sort_keys = False  # type: ignore[attr-defined]
        self._clock = Clock()
        self._faults = Faults(kinds)
        self._log = RequestLog()
        self._server = SandboxServer(app, port)
        self.url = self._server.url
        install_switches(app, self._clock, self._faults, self._log, self._fresh)

    @abstractmethod
    def _fresh(self) -> None:
        """Make the state that of the start again."""

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> Self:
        """Serve in the background."""
        self._server.start()
        return self

    def stop(self) -> None:
        """Stop; what waits in a slow answer is let go."""
        self._faults.clear()
        self._server.stop()

    def requests(self) -> list[dict[str, Any]]:
        """The request log, oldest first."""
        return self._log.entries()

    def clear_requests(self) -> None:
        """Empty the request log."""
        self._log.clear()

    def fault(self, kind: str, path: str = "", times: int = 1, seconds: float | None = None, method: str = "") -> None:
        """Arm a fault. Raises ValueError for an unknown kind."""
        self._faults.add(kind, path, times, seconds, method)

    def armed(self) -> int:
        """How many faults still wait to be used."""
        return len(self._faults)

    def clear_faults(self) -> None:
        """Disarm all."""
        self._faults.clear()

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._clock.advance(seconds)

    def reset(self) -> None:
        """As after the start."""
        self._faults.clear()
        self._clock.reset()
        self._fresh()
        self._log.clear()


def run_alone(make: Callable[[int], Double], port: int) -> None:
    """Run one double until SIGINT or SIGTERM; its address is printed first."""
    signals = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)  # before the threads start, which inherit it
    with make(port) as double:
        print(double.url, flush=True)
        signal.sigwait(signals)


def main(make: Callable[[int], Double], name: str, default_port: int) -> None:
    """The command line of ``python -m sandbox.NAME``."""
    parser = argparse.ArgumentParser(prog=f"sandbox.{name}", description=f"The {name} double alone.")
    parser.add_argument("--port", type=int, default=default_port, help=f"0 takes a free one (default: {default_port})")
    run_alone(make, parser.parse_args().port)
