"""A writing process is killed repeatedly. Every commit that it reported is stored."""

import random
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from storage.embedded import open_storage
from storage.sealing import derive_keys

ROOT = Path(__file__).parent.parent.parent
KILLS = 10  # for each of two seeds

# Four threads each increment the version of their own account, and report every commit on a separate line,
# in a single write.
WRITER = """
import os, sys, threading
from functools import partial
from core.accounts import Account, Tokens
from core.records import Identity
from storage.sealing import derive_keys
from storage.embedded import open_storage
accounts = open_storage(sys.argv[1], partial(derive_keys, ("s" * 32,)), clock=lambda: 1000.0).accounts
def count(person, version):
    while True:
        assert accounts.put(Account(person_id=person, instance="https://acme.service-now.com",
            tokens=Tokens(f"access {version}", "refresh", 0.0, 0.0), identity=Identity(name="x" * 4000),
            connected_at=0.0, version=version))
        os.write(1, f"{person} {version}\\n".encode())
        version += 1
for argument in sys.argv[2:]:
    person, _, version = argument.partition("=")
    threading.Thread(target=count, args=(person, int(version))).start()
"""


@pytest.mark.waits
@pytest.mark.parametrize("seed", [1, 2])
def test_a_killed_writer_loses_no_reported_commit(tmp_path: Path, seed: int) -> None:
    """After each kill, the store has every reported commit, at most one more, and no partial row."""
    chance = random.Random(seed)
    url = f"tinydb://{tmp_path}/data"
    stored = dict.fromkeys(["ann", "bob", "cid", "dan"], 0)
    for _ in range(KILLS):
        reported = dict(stored)
        arguments = [f"{person}={version + 1}" for person, version in stored.items()]
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, url, *arguments], stdout=subprocess.PIPE, cwd=ROOT
        ) as writer:
            assert writer.stdout is not None
            lines = [writer.stdout.readline() for _ in range(chance.randint(1, 60))]
            writer.kill()
            lines += writer.stdout.readlines()
        for line in lines:
            person, number = line.decode().split()
            reported[person] = int(number)
        stores = open_storage(url, partial(derive_keys, ("s" * 32,)), clock=lambda: 1000.0)
        for person, version in reported.items():
            account = stores.accounts.get(person)
            stored[person] = account.version if account else 0
            assert version <= stored[person] <= version + 1
            assert account is None or account.tokens.access_token == f"access {account.version}"
        stores.close()
    assert min(stored.values()) > 0
