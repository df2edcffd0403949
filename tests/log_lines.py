"""A fixture that needs no world, so that unit tests can use it without the conftest's doubles."""

from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture
def every_log_line() -> Iterator[None]:
    """Log every level, so that a test can check all log lines."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(0))
    yield
    structlog.configure(**before)
