"""The fuzzed site: installed and connected, with records, cards, subscriptions and requests of every kind."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from core.notices import WebhookKey
from sandbox.mattermost import MattermostDouble
from sandbox.servicenow import ServiceNowDouble
from tests.fuzz.site import Site
from tests.reports import KEY_ID, SECRET
from tests.world import World
from web.logs import configure_logs


class Trouble(logging.Handler):
    """Tracebacks and unexpected errors in the log of the service, of Flask and of its threads."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __call__(self, _logger: Any, _method: str, event: Any) -> Any:
        if event.get("exc_info") or event.get("event") == "unexpected":
            self.found.append(repr(event))
        raise structlog.DropEvent

    def emit(self, record: logging.LogRecord) -> None:
        """Handle a log record of the standard library."""
        if record.exc_info:
            self.found.append(f"{record.getMessage()}: {record.exc_info[1]!r}")


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One site with its own doubles for all routes. Creating it takes seconds, but restoring it is fast."""
    folder = tmp_path_factory.mktemp("fuzz")
    configure_logs("error", "console")
    with MattermostDouble() as mattermost, ServiceNowDouble() as servicenow:
        world = World.begin(mattermost, servicenow, folder)
        yield Site.begin(world, folder, WebhookKey(key_id=KEY_ID, secret=SECRET, from_environment=True))
        world.end()


@pytest.fixture
def trouble() -> Iterator[Trouble]:
    """The errors during the test."""
    before = structlog.get_config()
    found = Trouble()
    structlog.configure(processors=[found], wrapper_class=structlog.make_filtering_bound_logger(0))
    logging.getLogger().addHandler(found)
    yield found
    logging.getLogger().removeHandler(found)
    structlog.configure(**before)
