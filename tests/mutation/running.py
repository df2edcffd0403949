"""
A mutant against its tests, in a process forked for it: the libraries are there already, our modules are not.

The change is made while the module is imported, so no file is ever touched, and a run that is ended leaves nothing.
"""

import contextlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from tests.mutation.mutants import Mutant

ROOT = Path(__file__).parent.parent.parent
_LIBRARIES = (
    "cryptography.fernet", "flask", "gunicorn.app.base", "jwt", "limits", "lxml.etree", "markdown_it", "marshmallow",
    "hypothesis", "pytest", "requests_oauthlib", "structlog", "tinydb", "werkzeug.serving",
    "sandbox.client", "sandbox.mattermost", "sandbox.servicenow",
)  # fmt: skip
SURVIVED, KILLED, TOO_LONG = "survived", "killed", "too long"


@dataclass(frozen=True)
class Case:
    """One mutant, or with None the module as it is."""

    module: str
    mutant: Mutant | None
    tests: Sequence[str]


class _Loader(importlib.machinery.SourceFileLoader):
    """Loads the mutant in the module's place."""

    def __init__(self, name: str, path: str, mutant: Mutant) -> None:
        super().__init__(name, path)
        self._mutant = mutant

    def get_code(self, fullname: str) -> object:  # type: ignore[override]
        path = self.get_filename(fullname)
        return self.source_to_code(self._mutant.apply(self.get_data(path)), path)


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, module: str, mutant: Mutant) -> None:
        self._name = module.removesuffix(".py").replace("/", ".")
        self._path = str(ROOT / module)
        self._mutant = mutant

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._name:
            return None
        return importlib.util.spec_from_file_location(
            fullname, self._path, loader=_Loader(fullname, self._path, self._mutant)
        )


def preload() -> None:
    """Import what every run needs and no mutant changes, before the forks."""
    for name in _LIBRARIES:
        importlib.import_module(name)


def run(case: Case, seconds: float) -> tuple[str, float]:
    """What became of it, and how long that took; *seconds* at most."""
    return run_all([case], seconds, 1)[0]


def run_all(cases: Sequence[Case], seconds: float, jobs: int) -> list[tuple[str, float]]:
    """Several, *jobs* at once, in their order. One thread: it forks."""
    waiting = deque(enumerate(cases))
    running: list[tuple[int, _Running]] = []
    results: dict[int, tuple[str, float]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                number, case = waiting.popleft()
                running.append((number, _Running(case, seconds)))
            time.sleep(0.01)
            for number, one in list(running):
                if (outcome := one.outcome()) is not None:
                    results[number] = outcome, time.monotonic() - one.began
                    running.remove((number, one))
    finally:
        for _, one in running:
            one.end()
    return [results[number] for number in range(len(cases))]


class _Running:
    """The process of one case."""

    def __init__(self, case: Case, seconds: float) -> None:
        self.began = time.monotonic()
        self._until = self.began + seconds
        self._folder = tempfile.mkdtemp(prefix="mutant-")
        self._child = os.fork()
        if not self._child:
            os.setsid()  # what the tests start ends with it
            _child(case, self._folder)

    def outcome(self) -> str | None:
        """None while it runs."""
        done, status = os.waitpid(self._child, os.WNOHANG)
        if done:
            self._clean()
            return KILLED if status else SURVIVED
        if time.monotonic() < self._until:
            return None
        self.end()
        return TOO_LONG

    def end(self) -> None:
        """Whatever it is doing."""
        self._clean()
        os.waitpid(self._child, 0)

    def _clean(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child, signal.SIGKILL)
        shutil.rmtree(self._folder, ignore_errors=True)


def _child(case: Case, folder: str) -> None:
    """Never returns."""
    status = 99
    try:
        import pytest

        null = os.open(os.devnull, os.O_WRONLY)
        if "MUTATION_OUTPUT" not in os.environ:
            os.dup2(null, 1)
            os.dup2(null, 2)
        if case.mutant is not None:
            sys.meta_path.insert(0, _Finder(case.module, case.mutant))
        options = [
            "-x",
            "-q",
            "-p",
            "no:cacheprovider",
            "-W",
            "ignore::pytest.PytestAssertRewriteWarning",
            f"--basetemp={folder}/tests",
            "--rootdir",
            str(ROOT),
        ]
        status = int(pytest.main([*options, *case.tests]))
    finally:
        os._exit(status)
