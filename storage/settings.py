"""Settings that administrators change while the service runs, sealed in ``settings.json``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog

from storage.disk import Disk
from storage.files import Row, TableChanges, TableFile
from storage.sealing import Sealer, Unreadable

log = structlog.get_logger(__name__)


class StoredSettings:
    """
    `core.storage_ports.SavedSettings`: one row per object, sealed for its name.

    An object whose key was removed from `APP_SECRET` reads as empty. It is kept until it is set again.
    """

    def __init__(self, folder: Path, disk: Disk, sealer: Sealer) -> None:
        self.file = TableFile(folder / "settings.json", disk, _check)
        self._sealer = sealer
        self._opened: dict[str, tuple[Row, Mapping[str, Any]]] = {}
        self._renew()

    def get(self, name: str) -> Mapping[str, Any]:
        row = self.file.get(name)
        if row is None:
            return {}
        known = self._opened.get(name)
        if known is not None and known[0] is row:
            return known[1]
        content: Mapping[str, Any] = {}
        try:
            content = self._sealer.open(f"settings/{name}", row["sealed"])
        except Unreadable:
            log.warning("stored settings can't be opened: was a key taken out of APP_SECRET?", name=name)
        self._opened[name] = row, content
        return content

    def put(self, name: str, content: Mapping[str, Any]) -> None:
        row = {"sealed": self._sealer.seal(f"settings/{name}", content)}
        self.file.change(lambda table: table.put(name, row))

    def _renew(self) -> None:
        """
        Seal everything with the newest key. Settings can be older than the oldest key in `APP_SECRET`. Writes once, at
        the first start after a rotation.
        """
        renewed = {name: self._sealer.renewed(row["sealed"]) for name, row in self.file.table().items()}

        def change(table: TableChanges) -> None:
            for name, sealed in renewed.items():
                if sealed:
                    table.put(name, {"sealed": sealed})

        if any(renewed.values()):
            self.file.change(change)


def _check(_name: str, row: Row) -> None:
    if set(row) != {"sealed"} or not isinstance(row["sealed"], str):
        raise ValueError("no sealed text")
