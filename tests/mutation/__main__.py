"""
`make mutate`: each module of `table.py` is changed a little, many times over, and its tests have to fail each time.

mutmut leaves out decorated functions, properties and what stands at a module's level, which is where limits and
patterns are; Cosmic Ray rewrites the files in place, begins a process for each mutant and knows one command for all
modules. So this is small and our own. What survives is listed in ``survivors.txt`` with the reason why that is right;
anything else that survives, and anything listed that no longer does, fails.
"""

import argparse
import sys
import time
from pathlib import Path

from tests.mutation.mutants import mutants
from tests.mutation.running import ROOT, SURVIVED, Case, preload, run, run_all
from tests.mutation.table import MODULES

LIST = Path(__file__).parent / "survivors.txt"
PATIENCE = 4.0  # times what the unchanged module takes, and ten seconds


def listed() -> dict[tuple[str, str], str]:
    """The reason of each survivor that is known, by module and name of the mutant."""
    found = {}
    for line in LIST.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            module, name, reason = line.split(" | ")
            found[module, name] = reason
    return found


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="tests.mutation", description=__doc__)
    parser.add_argument("modules", nargs="*", help="paths from table.py (default: all)")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", default="", help="mutants whose name holds this")
    arguments = parser.parse_args()
    preload()
    known = listed()
    wrong = 0
    for module in arguments.modules or MODULES:
        wrong += _module(module, arguments.only, arguments.jobs, known)
    return 1 if wrong else 0


def _module(module: str, only: str, jobs: int, known: dict[tuple[str, str], str]) -> int:
    """How many mutants of a module are not as they should be."""
    tests = MODULES[module]
    outcome, took = run(Case(module, None, tests), 600)
    if outcome != SURVIVED:
        print(f"{module}: its tests fail without any change", flush=True)
        return 1
    found = [one for one in mutants((ROOT / module).read_bytes()) if only in one.name]
    began = time.monotonic()
    results = run_all([Case(module, one, tests) for one in found], took * jobs * PATIENCE + 10, jobs)
    survived = [one for one, (outcome, _) in zip(found, results, strict=True) if outcome == SURVIVED]
    unknown = [one for one in survived if (module, one.name) not in known]
    spent = time.monotonic() - began
    print(f"{module}: {len(found)} mutants, {len(survived)} survived, {len(unknown)} of them unknown, {spent:.0f} s")
    for one in unknown:
        print(f"  line {one.line}: {module} | {one.name} | ")
    names = {one.name for one in survived}
    stale = [] if only else [name for of, name in known if of == module and name not in names]
    for name in stale:
        print(f"  listed, but does not survive: {name}")
    sys.stdout.flush()
    return len(unknown) + len(stale)


if __name__ == "__main__":
    sys.exit(main())
