"""Threads of records in channels, and parked subscriptions: ``threads.json``, ``parked.json``."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from core.outbox import THREAD_LIFE, Parked, Thread
from core.times import Clock
from storage.disk import Disk
from storage.files import Row, TableChanges, TableFile
from storage.rows import check_row

MOST_PARKED = 1000  # anyone with the role can create rows; we keep the newest
SWEEP_EVERY = 600.0  # seconds; expired rows are never used, so it matters little when they go


class StoredThreads:
    """`core.storage_ports.Threads`, keyed by channel and record."""

    def __init__(self, folder: Path, disk: Disk, clock: Clock) -> None:
        self.file = TableFile(folder / "threads.json", disk, lambda _key, row: check_row(row, Thread))
        self._clock = clock
        self._sweep_at = 0.0

    def get(self, channel_id: str, record_id: str) -> Thread | None:
        row = self.file.get(f"{channel_id}/{record_id}")
        return None if row is None else Thread(**row)

    def put(self, threads: Sequence[Thread]) -> None:
        """Drops expired rows, at most every ten minutes."""
        now = self._clock()

        def change(table: TableChanges) -> None:
            if now >= self._sweep_at:
                table.drop_where(lambda row: row["root_at"] + THREAD_LIFE < now and row["last_at"] + SWEEP_EVERY < now)
                self._sweep_at = now + SWEEP_EVERY
            table.put_all({f"{one.channel_id}/{one.record_id}": asdict(one) for one in threads})

        self.file.change(change)


class StoredParked:
    """`core.storage_ports.ParkedSubscriptions`, keyed by sys_id."""

    def __init__(self, folder: Path, disk: Disk, clock: Clock) -> None:
        self.file = TableFile(folder / "parked.json", disk, lambda _key, row: check_row(row, Parked))
        self._clock = clock

    def get(self, sys_id: str) -> Parked | None:
        row = self.file.get(sys_id)
        return None if row is None or self._old(row) else Parked(**row)

    def put(self, parked: Sequence[Parked]) -> None:

        def change(table: TableChanges) -> None:
            table.drop_where(self._old)
            table.put_all({one.sys_id: asdict(one) for one in parked})
            if len(kept := table.rows()) > MOST_PARKED:
                kept.sort(key=lambda row: float(row["seen_at"]))
                table.drop_all(str(row["sys_id"]) for row in kept[:-MOST_PARKED])

        self.file.change(change)

    def delete(self, sys_id: str) -> None:
        if self.file.get(sys_id) is not None:
            self.file.change(lambda table: table.drop(sys_id))

    def all(self) -> Sequence[Parked]:
        return [Parked(**row) for row in self.file.rows() if not self._old(row)]

    def _old(self, row: Row) -> bool:
        return bool(row["seen_at"] + THREAD_LIFE < self._clock())
