"""The mutants of `make mutate`: what is changed, what is left alone, and how tests run against them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutation.__main__ import listed
from tests.mutation.mutants import mutants
from tests.mutation.running import ROOT
from tests.mutation.table import MODULES, WITH_CONFTEST


@pytest.mark.parametrize(
    ("source", "changed"),
    [
        ("x = a < b", ["x = a <= b"]),
        ("x = a and b", ["x = ((a) or (b))", "x = ((b))", "x = ((a))"]),
        ("x = not a", ["x = a"]),
        ("if a:\n    pass", ["if not (a):\n    pass"]),
        ("x = [b for b in c if b]", ["x = [b for b in c if True]"]),
        ("x = 300.0", ["x = 301.0"]),
        ("x: int = True", ["x: int = False"]),
        ("x = 'ä'", ["x = 'ä~'"]),
        ("check(a)", ["pass"]),
        ("x = check(a, b=c)", ["x = check(a)"]),
        ("raise Refused('no')", ["pass"]),
        ("def f(a=1):\n    return a", ["def f(a=2):\n    return a", "def f(a=1):\n    return None"]),
    ],
)
def test_each_place_is_changed_in_each_way(source: str, changed: list[str]) -> None:
    """Each mutant has one change, and the rest of the source is unchanged."""
    encoded = source.encode()
    assert [one.apply(encoded).decode() for one in mutants(encoded)] == changed


@pytest.mark.parametrize(
    "source",
    [
        '"""What it is."""',
        "log.warning('x', a=1)",
        "def f() -> 'str': ...",
        "Place = Callable[[str], 'Record']",
        "if TYPE_CHECKING:\n    from a import b",
        "user_message = 'Nothing was saved. Try again.'",
        "x = f'{a}…'",
    ],
)
def test_text_and_types_are_left_alone(source: str) -> None:
    """Docstrings, log lines, annotations, sentences, and whatever changes no behavior."""
    assert mutants(source.encode()) == []


def test_a_mutants_name_survives_moved_lines_and_is_unique() -> None:
    """The list of survivors uses names."""
    source = b"def f():\n    x = 1\n    y = 1\n"
    names = [one.name for one in mutants(source)]
    assert names == ["f: 1 → 2", "f: 1 → 2 #2"]
    assert [one.name for one in mutants(b"\n\n" + source)] == names


def test_the_tables_name_existing_files() -> None:
    """A renamed module or test is renamed there too, and each module with known survivors is in the table."""
    tests = {one for several in MODULES.values() for one in several}
    assert [one for one in {*MODULES, *tests, *WITH_CONFTEST} if not (ROOT / one).exists()] == []
    assert {module for module, _ in listed()} <= set(MODULES)


def test_each_known_survivor_is_a_mutant_of_its_module() -> None:
    """A line contains the mutant's code. So whoever changes this code changes or removes the line."""
    known = set(listed())
    modules = {module for module, _ in known}
    found = {(module, one.name) for module in modules for one in mutants((ROOT / module).read_bytes())}
    assert known - found == set()


COUNTING = """
LIMIT = 3
UNUSED = 7

def count_to(limit):
    number = 0
    while number < limit:
        number = number + 1
    return number
"""
TESTS = """
import pathlib, tempfile
import counting, dependent, shared

def test_counting():
    assert shared.seen == []
    shared.seen.append(dependent.LIMIT)
    assert list(pathlib.Path(tempfile.gettempdir()).iterdir()) == []
    tempfile.mkstemp()
    assert shared.seen == [3]
    assert counting.count_to(3) == 3
"""
NOTED = "open('imported', 'a').write(__name__ + ' ')\n"
RUN = """
from pathlib import Path
from tests.mutation.mutants import mutants
from tests.mutation.running import BaselineFailed, Stage, preload, run

preload()
found = mutants(Path("counting.py").read_bytes())
for test in ("test_counting.py", "test_failing.py"):
    try:
        outcomes = run(Stage("counting.py", [test], False, Path.cwd(), more_seconds=1.0), found, 2)
    except BaselineFailed as error:
        print(error)
    else:
        for mutant, outcome in zip(found, outcomes, strict=True):
            print(mutant.name, outcome, sep=": ")
"""


def test_each_mutant_runs_alone(tmp_path: Path) -> None:
    """
    A mutant leaves nothing in memory or temporary files for the next one, and one that hangs is ended. Only the modules
    that need the changed one are imported again for each mutant.
    """
    files = {
        "counting.py": COUNTING,
        "shared.py": f"{NOTED}seen = []",
        "dependent.py": f"{NOTED}from counting import LIMIT",
        "test_counting.py": TESTS,
        "test_failing.py": "def test_failing():\n    assert False",
    }
    for name, source in files.items():
        (tmp_path / name).write_text(source)
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}:{ROOT}"}
    done = subprocess.run(
        [sys.executable, "-c", RUN], cwd=tmp_path, env=environment, check=True, capture_output=True, text=True
    )
    assert done.stdout.splitlines() == [
        "module: 3 → 4: killed",
        "module: 7 → 8: survived",
        "count_to: 0 → 1: survived",
        "count_to: number < limit → number <= limit: killed",
        "count_to: number + 1 → (number) - (1): too long",
        "count_to: 1 → 2: killed",
        "count_to: number → None: killed",
        "counting.py: its tests fail without any change",
    ]
    imported = (tmp_path / "imported").read_text().split()
    assert imported.count("shared") == 2  # for the first run of the tests and for all mutants together
    assert imported.count("dependent") == 3 + 7  # two runs without a mutant, one blocked import, and each mutant
