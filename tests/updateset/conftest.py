"""An instance with the component for each test; the double behind it is one for the module."""

from collections.abc import Iterator

import pytest

from sandbox.servicenow import ServiceNowDouble
from tests.updateset.instance import Instance, Receiver, receiving


@pytest.fixture(scope="module")
def double() -> Iterator[ServiceNowDouble]:
    """A double of its own."""
    with ServiceNowDouble() as double:
        yield double


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """The receiver of reports."""
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def instance(double: ServiceNowDouble, receiver: Receiver) -> Instance:
    """The component is installed and has a key; there are no subscriptions."""
    return Instance.begin(double, receiver)
