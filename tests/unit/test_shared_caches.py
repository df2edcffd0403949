"""Caches shared by threads: 24 threads use each while its entries expire, and nobody sees a partial answer."""

import itertools
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from core.records import Cell, Record
from mattermost.access import Access
from mattermost.parallel import Parallel
from mattermost.paths import Path
from servicenow.records import FoundRecords

THREADS, ROUNDS = 24, 150
PERSON, CHANNEL = "p" * 26, "c" * 26


@pytest.fixture(autouse=True)
def eager_switches() -> Iterator[None]:
    """Threads switch as often as the interpreter allows."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def running_clock(step: float) -> Callable[[], float]:
    """A clock that advances *step* seconds whenever it is read."""
    ticks = itertools.count()
    return lambda: next(ticks) * step


def in_threads(work: Callable[[int], object]) -> None:
    """Run *work* in every thread at the same time; raises the first exception."""
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(work, [number % THREADS for number in range(THREADS * ROUNDS)]))


def test_an_expiring_role_rejects_nobody() -> None:
    """Permissions expire between two reads of the cache; a person with the permission is still accepted."""
    answers: dict[str, Any] = {
        f"/api/v4/channels/{CHANNEL}": {"id": CHANNEL, "delete_at": 0, "team_id": "", "type": "O"},
        f"/api/v4/channels/{CHANNEL}/members/{PERSON}": {"roles": "channel_user"},
        f"/api/v4/users/{PERSON}": {"roles": "system_user"},
    }
    roles = [
        {"name": "channel_user", "permissions": ["create_post"]},
        {"name": "system_user", "permissions": []},
    ]

    def ask(method: str, path: Path, json: Any = None, params: Mapping[str, str] | None = None) -> Any:
        return answers[path.text] if json is None else [role for role in roles if role["name"] in json]

    access = Access(False, Parallel(), running_clock(20.0))
    in_threads(lambda _: access.may_post(access.reads(ask, PERSON), CHANNEL))


def test_found_records_survive_expiry() -> None:
    """Many people's searches fill the cache while its entries expire; reading it raises nothing."""
    found = FoundRecords(running_clock(5.0))
    records = [Record("incident", f"{n:032x}", {"number": Cell(f"INC{n:07}", f"INC{n:07}")}) for n in range(20)]

    def work(number: int) -> None:
        person = f"person {number % 3}"
        found.remember(person, records)
        for record in records:
            assert found.get(person, "incident", record.sys_id) in (None, record)

    in_threads(work)
