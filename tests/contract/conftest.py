"""A ServiceNow double for this folder's modules; each test starts with a new instance."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from core.storage_ports import Stores
from sandbox.servicenow import ServiceNowDouble
from storage.embedded import open_storage
from storage.sealing import derive_keys
from tests.contract.storing import OLD, Moment, Open


@pytest.fixture(scope="module")
def started() -> Iterator[ServiceNowDouble]:
    """One double for the module."""
    with ServiceNowDouble() as double:
        yield double


@pytest.fixture
def double(started: ServiceNowDouble) -> ServiceNowDouble:
    """The double as after its start."""
    started.reset()
    return started


@pytest.fixture
def moment() -> Moment:
    """The storage's clock."""
    return Moment()


@pytest.fixture(params=["tinydb"])
def open_(request: pytest.FixtureRequest, tmp_path: Path, moment: Moment) -> Iterator[Open]:
    """Opens the same storage repeatedly, as a restarted process does."""
    urls = {"tinydb": f"tinydb://{tmp_path}/data"}
    opened: list[Stores] = []

    def again(*secrets: str) -> Stores:
        while opened:
            opened.pop().close()
        opened.append(open_storage(urls[request.param], partial(derive_keys, secrets or (OLD,)), clock=moment))
        return opened[-1]

    yield again
    while opened:
        opened.pop().close()
