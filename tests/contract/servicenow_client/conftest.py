"""The double, and a world around it."""

from collections.abc import Iterator

import pytest
import stamina

from sandbox.servicenow import ServiceNowDouble
from tests.contract.servicenow_client.world import World


@pytest.fixture(scope="package")
def double() -> Iterator[ServiceNowDouble]:
    """One server for all tests; each starts with a new instance."""
    with ServiceNowDouble() as one:
        yield one


@pytest.fixture
def world(double: ServiceNowDouble) -> Iterator[World]:
    """A new instance, and retries without pauses."""
    double.reset()
    with stamina.set_testing(True, attempts=3, cap=True):
        yield World(double)
    double.clear_faults()
