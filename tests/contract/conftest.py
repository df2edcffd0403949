"""A ServiceNow double for the modules of this folder; each test begins with a fresh instance."""

from collections.abc import Iterator

import pytest

from sandbox.servicenow import ServiceNowDouble


@pytest.fixture(scope="module")
def started() -> Iterator[ServiceNowDouble]:
    """One double for the module."""
    with ServiceNowDouble() as double:
        yield double


@pytest.fixture
def double(started: ServiceNowDouble) -> ServiceNowDouble:
    """As after the start."""
    started.reset()
    return started
