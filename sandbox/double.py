"""The base class of both doubles: a server with a clock, faults, a request log and a reset."""

import argparse
import contextlib
import json
import signal
import ssl
import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from flask import Flask

from sandbox.common import Clock, Faults, RequestLog, SandboxServer, install_controls, is_control
from sandbox.rounds import Rounds
from sandbox.tls import make_context

Json = dict[str, Any]


class BadSeed(Exception):
    """The seed file can't be used. The text says why."""


class Double(ABC):
    """
    A running double.

    Args:
        app: The application. The double adds its routes to it.
        port: 0 picks a free one.
        kinds: The supported faults with their descriptions.
        tls: Serves HTTPS with this context.
    """

    def __init__(self, app: Flask, port: int, kinds: Mapping[str, str], tls: ssl.SSLContext | None = None) -> None:
        app.json.sort_keys = False  # type: ignore[attr-defined]
        self._app = app
        self._clock = Clock()
        self._faults = Faults(kinds)
        self._log = RequestLog()
        self._rounds = Rounds()
        self._server = SandboxServer(app, port, tls)
        self.url = self._server.url
        install_controls(app, self._clock, self._faults, self._log, self._rounds, self._fresh, self._overview)

    @abstractmethod
    def _fresh(self) -> None:
        """Restore the initial state."""

    @abstractmethod
    def _about(self) -> Json:
        """The double's own part of the overview, such as its accounts."""

    def _overview(self) -> Json:
        """The response to `GET /_sandbox`: everything that someone who has just started this double needs."""
        rules = sorted(self._app.url_map.iter_rules(), key=lambda rule: rule.rule)
        routes: dict[str, set[str]] = {}
        for rule in rules:
            routes.setdefault(rule.rule, set()).update((rule.methods or set()) - {"HEAD", "OPTIONS"})
        lines = {path: f"{' '.join(sorted(methods))} {path}" for path, methods in routes.items()}
        now = datetime.fromtimestamp(self._clock.now(), UTC)
        return {
            "url": self.url,
            **self._about(),
            "clock": {
                "now": now.isoformat(timespec="seconds"),
                "seconds_ahead": self._clock.ahead,
                "advance": 'POST /_sandbox/clock {"advance": 3600}',
            },
            "faults": self._faults.kinds,
            "armed_faults": len(self._faults),
            "arm_a_fault": 'POST /_sandbox/faults {"kind": "429", "path": "/api/", "times": 2, "seconds": 5}',
            "reset": "POST /_sandbox/reset",
            "controls": [line for path, line in lines.items() if is_control(path)],
            "routes": [line for path, line in lines.items() if not is_control(path)],
        }

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> Self:
        """Start serving in the background."""
        self._server.start()
        return self

    def stop(self) -> None:
        """Stop serving, and end the waits of slow responses."""
        self._faults.clear()
        self._rounds.end()
        self._server.stop()

    def requests(self) -> list[dict[str, Any]]:
        """Return the request log, oldest first."""
        return self._log.entries()

    def clear_requests(self) -> None:
        """Empty the request log."""
        self._log.clear()

    def hold_rounds(self, *sizes: int, seconds: float = 5.0) -> None:
        """Hold the next requests without cookies until *sizes* of them have arrived, one round after the other."""
        self._rounds.begin(sizes, seconds)

    def rounds(self) -> list[list[str]]:
        """Stop holding requests, and return those of each round since `hold_rounds`."""
        return self._rounds.end()

    def fault(self, kind: str, path: str = "", times: int = 1, seconds: float | None = None, method: str = "") -> None:
        """Arm a fault. Raises ValueError for an unknown kind."""
        self._faults.add(kind, path, times, seconds, method)

    def armed(self) -> int:
        """The number of faults that are still armed."""
        return len(self._faults)

    def clear_faults(self) -> None:
        """Disarm all faults."""
        self._faults.clear()

    def advance(self, seconds: float) -> None:
        """Move the clock forward."""
        self._clock.advance(seconds)

    def reset(self) -> None:
        """Restore the initial state."""
        self._faults.clear()
        self._clock.reset()
        self._fresh()
        self._log.clear()
        self._rounds.end()


def run_alone(make: Callable[[int], Double], port: int) -> None:
    """Run one double until SIGINT or SIGTERM. Prints its address first."""
    signals = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)  # before the threads start, which inherit the mask
    with make(port) as double:
        print(double.url, flush=True)
        signal.sigwait(signals)


Make = Callable[[int, Json | None, ssl.SSLContext | None], Double]


def main(make: Make, name: str, default_port: int) -> None:
    """
    The command line of ``python -m sandbox.NAME``.

    Args:
        make: Creates the double from a port, the content of the seed file, and a TLS context.
    """
    parser = argparse.ArgumentParser(prog=f"sandbox.{name}", description=f"The {name} double alone.")
    parser.add_argument("--port", type=int, default=default_port, help=f"0 takes a free one (default: {default_port})")
    parser.add_argument("--seed", type=Path, metavar="FILE.json", help="more data to start with; docs/sandbox.md")
    parser.add_argument("--tls", action="store_true", help="serve HTTPS with a certificate made now")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        try:
            seed = _read(options.seed) if options.seed else None
            context = None
            if options.tls:
                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix=f"{name}-double-"))
                context, certificate = make_context(Path(folder))
                print(f"Certificate: {certificate}", file=sys.stderr, flush=True)
            run_alone(lambda port: make(port, seed, context), options.port)
        except BadSeed as problem:
            sys.exit(f"{options.seed}: {problem}")
        except OSError as problem:
            sys.exit(f"The double can't start: {problem}")


def _read(path: Path) -> Json:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise BadSeed(str(problem)) from problem
    if not isinstance(found, dict):
        raise BadSeed("the file must hold a JSON object")
    return found
