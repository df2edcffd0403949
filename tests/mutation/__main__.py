"""
`make mutate`: makes small changes to each module of `table.py`, one at a time, and checks that its tests fail.

mutmut skips decorated functions, properties and module-level code, which holds the limits and patterns. Cosmic Ray
rewrites files in place, starts a process per mutant and knows one test command for all modules. So this is our own
small script. `survivors.txt` lists the mutants that survive, each with the reason why no test has to kill it. Any
other survivor fails, and so does a listed mutant that is killed.
"""

import argparse
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.mutation.mutants import Mutant, mutants
from tests.mutation.running import ROOT, BaselineFailed, Outcome, Stage, preload, run
from tests.mutation.table import MODULES, WITH_CONFTEST

LIST = Path(__file__).parent / "survivors.txt"


@dataclass
class Result:
    """
    The results for the mutants of one or more modules.

    Args:
        too_long: Killed because their tests took too long. They are included in the killed ones.
        unknown: Survivors that aren't listed. ``stale``: names of listed mutants that were killed or don't exist.
    """

    mutants: int = 0
    survived: int = 0
    too_long: int = 0
    unknown: list[Mutant] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """The result as text."""
        killed = f"{self.mutants - self.survived} killed ({self.too_long} by the timeout)"
        return f"{self.mutants} mutants, {killed}, {self.survived - len(self.unknown)} listed"

    @property
    def wrong(self) -> bool:
        """Whether the result needs attention."""
        return bool(self.unknown or self.stale)

    def add(self, other: "Result") -> None:
        """Add another module's counts."""
        self.mutants += other.mutants
        self.survived += other.survived
        self.too_long += other.too_long
        self.unknown += other.unknown
        self.stale += other.stale


def listed() -> dict[tuple[str, str], str]:
    """The reason for each known survivor, by module and name of the mutant."""
    found = {}
    for line in LIST.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            module, name, reason = line.split(" | ")
            found[module, name] = reason
    return found


def stages(module: str) -> list[Stage]:
    """Unit tests run first, because they are fast. The other tests run only for their survivors."""
    unit = [one for one in MODULES[module] if one.startswith("tests/unit/") and one not in WITH_CONFTEST]
    others = [one for one in MODULES[module] if one not in unit]
    return [Stage(module, tests, conftest) for tests, conftest in ((unit, False), (others, True)) if tests]


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="tests.mutation", description=__doc__)
    parser.add_argument("modules", nargs="*", help="paths from table.py (default: all)")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", default="", help="mutants whose name holds this")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # also ends the module's process
    preload()
    known = listed()
    total, failed = Result(), False
    began = time.monotonic()
    for module in arguments.modules or MODULES:
        try:
            result = _module(module, arguments.only, arguments.jobs, known)
        except BaselineFailed as error:
            print(error, flush=True)
            failed = True
            continue
        total.add(result)
    print(f"{total}, {(time.monotonic() - began) / 60:.0f} min")
    return 1 if total.wrong or failed else 0


def _module(module: str, only: str, jobs: int, known: dict[tuple[str, str], str]) -> Result:
    """Run and print one module's mutants."""
    began = time.monotonic()
    left = [one for one in mutants((ROOT / module).read_bytes()) if only in one.name]
    result = Result(len(left))
    for stage in stages(module):
        outcomes = run(stage, left, jobs)
        result.too_long += outcomes.count(Outcome.TOO_LONG)
        left = [one for one, outcome in zip(left, outcomes, strict=True) if outcome == Outcome.SURVIVED]
    result.survived = len(left)
    result.unknown = [one for one in left if (module, one.name) not in known]
    if not only:
        names = {one.name for one in left}
        result.stale = [name for of, name in known if of == module and name not in names]
    print(f"{module}: {result}, {time.monotonic() - began:.0f} s")
    for one in result.unknown:
        print(f"  line {one.line}: {module} | {one.name} | ")
    for name in result.stale:
        print(f"  listed, but does not survive: {name}")
    sys.stdout.flush()
    return result


if __name__ == "__main__":
    sys.exit(main())
