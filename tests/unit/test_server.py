"""How the server process ends."""

import gc
from collections.abc import Iterator

import pytest
from flask import Flask

from web.server import GunicornServer


@pytest.fixture
def unfrozen() -> Iterator[None]:
    """Enable garbage collection in this process again."""
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("unfrozen")
def test_no_process_collects_garbage_on_exit() -> None:
    """The worker closes the service first; then worker and master keep the interpreter from visiting every object."""
    ended: list[str] = []
    server = GunicornServer(
        lambda: (Flask(__name__), lambda: ended.append("closed")), listen="127.0.0.1:0", threads=1, graceful_timeout=1
    )
    server.load()
    gc.unfreeze()
    server.cfg.worker_exit(None, None)
    assert gc.get_freeze_count() > 0
    gc.unfreeze()
    server.cfg.on_exit(None)
    assert gc.get_freeze_count() > 0
    assert ended == ["closed"]
