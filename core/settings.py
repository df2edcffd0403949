"""
Which ServiceNow instance is in force: what the environment sets wins, the rest is what administrators
set while the service runs.

Everything that is built for one instance is built anew when it changes and then replaced whole. A call
keeps the parts that it began with, so a token never meets another origin than its own.
"""

import threading
from collections.abc import Callable
from dataclasses import fields
from typing import Generic, TypeVar

from core.instance import SETTING_NAMES, Instance
from core.storage_ports import SavedSettings

Parts = TypeVar("Parts")

_SAVED_AS = "instance"


class LiveInstance(Generic[Parts]):
    """
    The parts that belong to the instance in force.

    Args:
        environment: Set from outside; what it has can't be changed here.
        build: Makes the parts for an instance; runs at the start and at each change.
    """

    def __init__(self, environment: Instance, saved: SavedSettings, build: Callable[[Instance], Parts]) -> None:
        self.environment = environment
        self._saved = saved
        self._build = build
        self._lock = threading.Lock()
        self.current: Parts = build(self._in_force())

    def set(self, instance: Instance) -> None:
        """
        Store *instance* and use it from now on, but for what the environment sets.

        Raises:
            StorageFailed: Not stored, and nothing changed.
        """
        with self._lock:
            kept = {part: getattr(instance, part) for part in SETTING_NAMES if not getattr(self.environment, part)}
            self._saved.put(_SAVED_AS, kept)
            self.current = self._build(self._in_force())

    def _in_force(self) -> Instance:
        saved = self._saved.get(_SAVED_AS)
        return Instance(
            **{
                one.name: getattr(self.environment, one.name) or str(saved.get(one.name, ""))
                for one in fields(Instance)
            }
        )
