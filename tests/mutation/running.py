"""
Runs tests against mutants, each in a process forked for it.

For each module, one process imports everything that works without the module. Each mutant is a fork of that process,
so it only imports the mutant, what depends on it and its tests. The source is changed during the import. No file is
written, so an interrupted run leaves nothing behind.
"""

import contextlib
import gc
import importlib.abc
import importlib.machinery
import importlib.util
import json
import multiprocessing
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from multiprocessing.connection import Connection
from pathlib import Path
from types import ModuleType

from tests.mutation.mutants import Mutant

ROOT = Path(__file__).parent.parent.parent
PATIENCE = 4.0  # times the duration of the tests with the unchanged module
_BASELINE_SECONDS = 600.0
_MEMORY = 4 << 30  # bytes of address space; a mutant can loop without end
_LIBRARIES = (
    "cryptography.fernet", "flask", "gunicorn.app.base", "jwt", "limits", "lxml.etree", "markdown_it", "marshmallow",
    "hypothesis", "pytest", "_hypothesis_pytestplugin", "requests_oauthlib", "stamina", "structlog", "tinydb",
    "waitress", "werkzeug.serving",
)  # fmt: skip
_OPTIONS = (
    "-x", "-q", "--tb=no", "--no-header", "--no-summary", "--assert=plain",
    "-p", "no:cacheprovider",
    "-p", "_hypothesis_pytestplugin", "--hypothesis-profile", "mutation",
    "-W", "ignore::pytest.PytestAssertRewriteWarning",
)  # fmt: skip
_WITHOUT_CONFTEST = ("--noconftest", "-p", "tests.log_lines")


class Outcome(StrEnum):
    """The result of the tests for a mutant."""

    SURVIVED = "survived"
    KILLED = "killed"
    TOO_LONG = "too long"


class BaselineFailed(Exception):
    """The tests fail with the unchanged module."""


@dataclass(frozen=True)
class Stage:
    """
    Tests of one module that run together.

    Args:
        module: Path from *root*.
        conftest: Whether the tests need fixtures from a ``conftest.py``.
        more_seconds: How much longer than `PATIENCE` allows the tests can take before they count as hanging.
    """

    module: str
    tests: Sequence[str]
    conftest: bool
    root: Path = ROOT
    more_seconds: float = 10.0

    @property
    def name(self) -> str:
        """The module's name in an import."""
        return self.module.removesuffix(".py").replace("/", ".")


class _Loader(importlib.machinery.SourceFileLoader):
    """Loads the mutant instead of the module."""

    def __init__(self, name: str, path: str, mutant: Mutant) -> None:
        super().__init__(name, path)
        self._mutant = mutant

    def get_code(self, fullname: str) -> object:  # type: ignore[override]
        path = self.get_filename(fullname)
        return self.source_to_code(self._mutant.apply(self.get_data(path)), path)


class _NeedsModule(ImportError):
    """An import needs the module that will be changed."""


class _Finder(importlib.abc.MetaPathFinder):
    """Finds *mutant* in place of the module. Without one, the module can't be imported."""

    def __init__(self, stage: Stage, mutant: Mutant | None) -> None:
        self._stage = stage
        self._mutant = mutant

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._stage.name:
            return None
        if self._mutant is None:
            raise _NeedsModule(fullname)
        source = str(self._stage.root / self._stage.module)
        return importlib.util.spec_from_file_location(fullname, source, loader=_Loader(fullname, source, self._mutant))


def preload() -> None:
    """Import the libraries, and make hypothesis use the same examples for each mutant, without shrinking or storing."""
    for name in _LIBRARIES:
        importlib.import_module(name)
    from hypothesis import Phase, settings

    settings.register_profile(
        "mutation", deadline=None, database=None, derandomize=True, phases=(Phase.explicit, Phase.generate)
    )


def run(stage: Stage, mutants: Sequence[Mutant], jobs: int) -> list[Outcome]:
    """
    Run the tests of *stage* against each of *mutants*, *jobs* at a time. Call `preload` first, and start no threads.

    Raises:
        BaselineFailed: The tests fail without any change.
    """
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(sender, stage, mutants, jobs))
    process.start()
    sender.close()
    try:
        outcomes: list[Outcome] | None = receiver.recv()
    except EOFError:
        raise BaselineFailed(f"{stage.module}: the process that forks the mutants ended") from None
    finally:
        process.terminate()
        process.join()
    if outcomes is None:
        raise BaselineFailed(f"{stage.module}: its tests fail without any change")
    return outcomes


def _work(sender: Connection, stage: Stage, mutants: Sequence[Mutant], jobs: int) -> None:
    """In the process of the module: send the outcomes, or None if the baseline failed."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # `_run_all` then ends its processes
    os.chdir(stage.root)
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        loaded = Path(folder) / "loaded"
        [cold] = _run_all(stage, [None], _BASELINE_SECONDS, 1, loaded)
        if cold == Outcome.SURVIVED:
            _import_all(stage, json.loads(loaded.read_text()))
    if cold != Outcome.SURVIVED:
        sender.send(None)
        return
    gc.freeze()
    began = time.monotonic()
    if _run_all(stage, [None], _BASELINE_SECONDS, 1) != [Outcome.SURVIVED]:
        sender.send(None)
        return
    seconds = (time.monotonic() - began) * jobs * PATIENCE + stage.more_seconds
    sender.send(_run_all(stage, mutants, seconds, jobs))


def _import_all(stage: Stage, names: Sequence[str]) -> None:
    """Import each module of *names* that doesn't need the one that will be changed."""
    finder = _Finder(stage, None)
    sys.meta_path.insert(0, finder)
    for name in names:
        with contextlib.suppress(_NeedsModule):
            importlib.import_module(name)
    sys.meta_path.remove(finder)


def _run_all(
    stage: Stage, mutants: Sequence[Mutant | None], seconds: float, jobs: int, loaded: Path | None = None
) -> list[Outcome]:
    """Outcomes in the order of the mutants. None means the unchanged module."""
    waiting = deque(enumerate(mutants))
    running: list[tuple[int, _Running]] = []
    outcomes: dict[int, Outcome] = {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                number, mutant = waiting.popleft()
                running.append((number, _Running(stage, mutant, seconds, loaded)))
            time.sleep(0.01)
            for number, one in list(running):
                if (outcome := one.outcome()) is not None:
                    outcomes[number] = outcome
                    running.remove((number, one))
    finally:
        for _, one in running:
            one.end()
    return [outcomes[number] for number in range(len(mutants))]


class _Running:
    """The process of one mutant."""

    def __init__(self, stage: Stage, mutant: Mutant | None, seconds: float, loaded: Path | None) -> None:
        self._until = time.monotonic() + seconds
        self._folder = tempfile.mkdtemp(prefix="mutant-")
        self._child = os.fork()
        if not self._child:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.setsid()  # processes that the tests start are killed together with this one
            _child(stage, mutant, self._folder, loaded)

    def outcome(self) -> Outcome | None:
        """None while it runs."""
        done, status = os.waitpid(self._child, os.WNOHANG)
        if done:
            self._kill()
            self._clean()
            return Outcome.KILLED if status else Outcome.SURVIVED
        if time.monotonic() < self._until:
            return None
        self.end()
        return Outcome.TOO_LONG

    def end(self) -> None:
        """Kill it."""
        self._kill()
        os.waitpid(self._child, 0)
        self._clean()

    def _kill(self) -> None:
        """Kill it and the processes that the tests started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child, signal.SIGKILL)

    def _clean(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


def _child(stage: Stage, mutant: Mutant | None, folder: str, loaded: Path | None) -> None:
    """Run the tests and exit with pytest's status. Never returns."""
    status = 99
    try:
        import pytest

        if "MUTATION_OUTPUT" not in os.environ:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1)
            os.dup2(null, 2)
        os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        os.environ["TMPDIR"] = tempfile.tempdir = folder
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        if mutant is not None:
            sys.meta_path.insert(0, _Finder(stage, mutant))
        options = [*_OPTIONS, "--rootdir", str(stage.root), f"--basetemp={folder}/tests"]
        if not stage.conftest:
            options += _WITHOUT_CONFTEST
        status = int(pytest.main([*options, *stage.tests]))
        if loaded is not None:
            loaded.write_text(json.dumps(_loaded(stage.root)))
    finally:
        os._exit(status)


def _loaded(root: Path) -> list[str]:
    """The names of our modules that the tests imported, except test files, which pytest imports itself."""
    names = []
    for name, module in sys.modules.items():
        path = Path(getattr(module, "__file__", None) or "/")
        ours = path.is_relative_to(root) and not path.relative_to(root).parts[0].startswith(".")
        if ours and not path.name.startswith(("test_", "conftest")) and name != "__main__":
            names.append(name)
    return names
