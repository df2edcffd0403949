"""A writing process is killed, again and again: what it was told to be stored is stored."""

import json
import random
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from storage.sealing import derive_keys
from storage.tinydb import open_storage

ROOT = Path(__file__).parent.parent.parent

# Writes one form result after the other and says which are stored, each on a line of its own.
WRITER = """
import sys
from functools import partial
from core.accounts import FormResult
from storage.sealing import derive_keys
from storage.tinydb import open_storage
first = int(sys.argv[2])
stores = open_storage(sys.argv[1], partial(derive_keys, ("s" * 32,)), clock=lambda: 1000.0)
for number in range(first, first + 100_000):
    stores.form_results.put(FormResult(f"form{number}", "ann", "incident", "", "", "x" * 500, 1000.0))
    print(number, flush=True)
"""


@pytest.mark.parametrize("seed", [1, 2])
def test_a_killed_writer_loses_nothing_that_it_reported(tmp_path: Path, seed: int) -> None:
    """Ten kills each: every reported result is there, at most the one in flight beyond, and no damage."""
    chance = random.Random(seed)
    url = f"tinydb://{tmp_path}/data"
    first = 0
    for _ in range(10):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, url, str(first)], stdout=subprocess.PIPE, cwd=ROOT, text=True
        ) as writer:
            assert writer.stdout is not None
            for _ in range(chance.randint(1, 40)):
                assert writer.stdout.readline()
            writer.kill()
            reported = [int(line) for line in writer.stdout.read().splitlines() if line.isdigit()]
        stores = open_storage(url, partial(derive_keys, ("s" * 32,)), clock=lambda: 1000.0)
        stored = json.loads((tmp_path / "data" / "form_results.json").read_text())["form_results"]
        stores.close()
        numbers = sorted(int(name.removeprefix("form")) for name in stored)
        last = max(reported, default=numbers[-1])
        assert numbers == list(range(numbers[-1] + 1))
        assert last <= numbers[-1] <= last + 1 or not reported
        first = numbers[-1] + 1
