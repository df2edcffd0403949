"""One ServiceNow double for the package; each test begins with a fresh instance."""

from collections.abc import Iterator

import pytest

from sandbox.servicenow import ServiceNowDouble


@pytest.fixture(scope="package")
def started() -> Iterator[ServiceNowDouble]:
    """The server."""
    with ServiceNowDouble() as double:
        yield double


@pytest.fixture
def double(started: ServiceNowDouble) -> ServiceNowDouble:
    """As after the start."""
    started.reset()
    return started
