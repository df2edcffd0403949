"""A snapshot of both doubles, the service's folder and the time that can be restored repeatedly."""

import copy
import shutil
import time
from dataclasses import fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.world import World


class Checkpoint:
    """
    A snapshot of the current state.

    Args:
        world: It must be idle.
        folder: Where the copy of the service's files is stored.
    """

    def __init__(self, world: World, folder: Path) -> None:
        world.settle()
        self._world = world
        self._offset = world.offset
        self._at = time.time()
        self._mattermost = copy.deepcopy(self._tables())
        self._rows = world.servicenow.store.snapshot()
        self._oauth = copy.deepcopy(_parts(world.servicenow.oauth))
        self._version = world.mattermost.state.version
        self._data = Path(urlsplit(world.config.storage_url).path)
        self._kept = folder / "kept"
        world.running.stop()
        shutil.copytree(self._data, self._kept)
        world.start()

    def restore(self) -> None:
        """Restore everything, including the clocks, so that sessions don't expire however often this is done."""
        world = self._world
        world.servicenow.reset()  # first, since it could still send reports
        world.running.stop()
        world.mattermost.reset()
        back = self._at - time.time()
        world.offset = self._offset + back
        world.mattermost.advance(world.offset)
        world.servicenow.advance(world.offset)
        for now, then in zip(self._tables(), copy.deepcopy(self._mattermost), strict=True):
            now.clear()
            now.update(then)
        world.mattermost.state.version = self._version
        world.servicenow.store.load(self._rows)
        for name, value in copy.deepcopy(self._oauth).items():
            setattr(world.servicenow.oauth, name, value)
        shutil.rmtree(self._data)
        shutil.copytree(self._kept, self._data)
        world.start()

    def _tables(self) -> list[dict[Any, Any]]:
        state, registry = self._world.mattermost.state, self._world.mattermost.registry
        tables = [getattr(state, one.name) for one in fields(state)]
        tables += [value for name, value in sorted(vars(registry).items()) if name != "_state"]
        return [one for one in tables if isinstance(one, dict)]


def _parts(owner: object) -> dict[str, Any]:
    return {name: value for name, value in vars(owner).items() if name not in {"_clock", "_lock"}}
