"""The outbox on disk: rows and batches in ``outbox.json``, delivered event ids by hour in ``delivered/``."""

import threading
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

import structlog

from core.outbox import REMEMBERED, Batch, Claim, Content, Queued
from core.times import Clock
from storage.disk import Disk
from storage.files import Row, TableChanges, TableFile, make_folder
from storage.rows import check_row
from storage.sealing import Sealer, Unreadable

log = structlog.get_logger(__name__)

_HOUR = 3600


class StoredOutbox:
    """
    `core.storage_ports.Outbox` for one process.

    Each write writes the whole queue. Delivered ids are stored separately by the hour, so a week of them costs nothing.
    """

    def __init__(self, folder: Path, disk: Disk, sealer: Sealer, clock: Clock) -> None:
        self.file = TableFile(folder / "outbox.json", disk, _check)
        self.delivered = DeliveredEvents(folder / "delivered", disk, clock)
        self._sealer = sealer
        self._lock = threading.Lock()
        self._known = _Snapshot({}, {}, [])
        queued = self.waiting()
        self._next = max((row.number for row in queued), default=0) + 1
        self._events = Counter(row.event_id for row in queued)

    def add(self, event_id: str, rows: Sequence[tuple[Queued, Content]]) -> bool:
        if self.known(event_id):
            return False
        if not rows:
            self.delivered.add([event_id])
            return True
        sealed = [(row, self._sealer.seal(_place(row.key), content)) for row, content in rows]

        def change(table: TableChanges) -> bool:
            # Check again: another request may have added it meanwhile, and it may even be posted.
            if event_id in self.delivered or any(table.get(_row(row.key)) is not None for row, _ in sealed):
                return False
            first, self._next = self._next, self._next + len(sealed)
            table.put_all(
                {
                    _row(row.key): asdict(replace(row, number=number)) | {"sealed": text}
                    for number, (row, text) in enumerate(sealed, first)
                }
            )
            return True

        added = self.file.change(change)
        if added:
            with self._lock:
                self._events[event_id] += len(sealed)
        return added

    def known(self, event_id: str) -> bool:
        return self._events[event_id] > 0 or event_id in self.delivered

    def waiting(self) -> Sequence[Queued]:
        return self._snapshot().by_number

    def batches(self) -> Sequence[Batch]:
        return self._snapshot().batches

    def _snapshot(self) -> "_Snapshot":
        """The committed state, read once after each change."""
        known, table = self._known, self.file.table()
        if known.table is not table:
            known = self._known = known.next(table)
        return known

    def _of_batches(self, batch_ids: Collection[str]) -> list[Queued]:
        found = [queued for queued in self._snapshot().queued.values() if queued.batch_id in batch_ids]
        return sorted(found, key=_number)

    def claim(self, claims: Sequence[Claim]) -> Sequence[Batch]:

        def change(table: TableChanges) -> list[Batch]:
            claimed = []
            for claim in claims:
                rows = [table.get(_row(key)) for key in claim.keys]
                if any(row is None or row["batch_id"] or row.get("held_for") for row in rows):
                    continue
                held = {_row(row["key"]): {**row, "batch_id": claim.batch.batch_id} for row in rows if row is not None}
                table.put_all(held | {_batch(claim.batch.batch_id): asdict(claim.batch)})
                claimed.append(claim.batch)
            return claimed

        return self.file.change(change)

    def contents(self, batch_ids: Collection[str]) -> Mapping[str, Sequence[tuple[Queued, Content | None]]]:
        found: dict[str, list[tuple[Queued, Content | None]]] = {batch_id: [] for batch_id in batch_ids}
        for queued in self._of_batches(found):
            row = self.file.get(_row(queued.key))
            if row is not None:
                found[queued.batch_id].append((queued, self._content(row)))
        return found

    def opened(self, keys: Collection[str]) -> Mapping[str, Content | None]:
        rows = {key: self.file.get(_row(key)) for key in keys}
        return {key: self._content(row) for key, row in rows.items() if row is not None}

    def _content(self, row: Row) -> Content | None:
        try:
            content: Content = self._sealer.open(_place(row["key"]), row["sealed"])
        except Unreadable:
            log.error("a stored notice can't be opened: was a key taken out of APP_SECRET?", row=row["key"])
            return None
        return content

    def release(self, keys: Collection[str], dropped: Collection[str]) -> None:
        """A crash between the two writes leaves rows that are held and checked again."""
        queued = self._snapshot().queued
        gone = [row for key in dropped if (row := queued.get(_row(key))) is not None and row.held_for]
        if gone:
            self.delivered.add([row.event_id for row in gone])

        def change(table: TableChanges) -> None:
            rows = [row for key in keys if (row := table.get(_row(key))) is not None and not row["batch_id"]]
            table.put_all({_row(row["key"]): {**row, "held_for": ""} for row in rows})
            table.drop_all(_row(row.key) for row in gone)

        self.file.change(change)
        self._forget(gone)

    def retry_later(self, batches: Sequence[Batch]) -> None:
        rows = {_batch(batch.batch_id): asdict(batch) for batch in batches}
        self.file.change(lambda table: table.put_all(rows))

    def ack(self, batch_ids: Sequence[str]) -> None:
        """A crash between the two writes leaves rows that are known to be delivered."""
        rows = self._of_batches(set(batch_ids))
        self.delivered.add([queued.event_id for queued in rows])
        keys = [*(_row(queued.key) for queued in rows), *(_batch(one) for one in batch_ids)]
        self.file.change(lambda table: table.drop_all(keys))
        self._forget(rows)

    def _forget(self, rows: Sequence[Queued]) -> None:
        """Stop counting rows that no longer wait."""
        with self._lock:
            self._events.subtract(queued.event_id for queued in rows)
            for queued in rows:
                if self._events[queued.event_id] <= 0:
                    del self._events[queued.event_id]


@dataclass(frozen=True)
class _Snapshot:
    """One committed state of the file: rows by the table's keys, and batches."""

    table: Mapping[str, Row]
    queued: Mapping[str, Queued]
    batches: Sequence[Batch]

    @cached_property
    def by_number(self) -> Sequence[Queued]:
        return sorted(self.queued.values(), key=_number)

    def next(self, table: Mapping[str, Row]) -> "_Snapshot":
        """The snapshot of a newer state. Reuses rows that didn't change."""
        queued: dict[str, Queued] = {}
        batches: list[Batch] = []
        for key, row in table.items():
            if "key" not in row:
                batches.append(Batch(**row))
            elif self.table.get(key) is row:
                queued[key] = self.queued[key]
            else:
                queued[key] = _queued(row)
        return _Snapshot(table, queued, batches)


class DeliveredEvents:
    """
    Event ids of the last seven days: all in memory, and on disk in one file per hour.

    Only the current hour's file is written, so a write doesn't cost more as the week goes on.
    """

    def __init__(self, folder: Path, disk: Disk, clock: Clock) -> None:
        self._folder = folder
        self._disk = disk
        self._clock = clock
        self._lock = threading.Lock()
        self._hours: dict[int, set[str]] = {}
        for path in sorted(folder.glob("hour-*.json")):
            hour = path.stem.removeprefix("hour-")
            if hour.isdecimal():
                self._hours[int(hour)] = set(self._open(int(hour)).table())
        self._hour, self._file = self._begin(self._now())

    def __contains__(self, event_id: str) -> bool:
        oldest = (self._clock() - REMEMBERED) / _HOUR - 1
        return any(event_id in ids for hour, ids in list(self._hours.items()) if hour > oldest)

    def add(self, event_ids: Sequence[str]) -> None:
        """Remember these ids. Raises StorageFailed."""
        with self._lock:
            hour = self._now()
            if hour != self._hour:
                self._file.close()
                self._hour, self._file = self._begin(hour)
                self._forget(hour)
            make_folder(self._folder, self._disk)
            file, ids = self._file, self._hours[hour]
        file.change(lambda table: table.put_all({event_id: {} for event_id in event_ids}))
        ids.update(event_ids)

    def check(self) -> None:
        """See `TableFile.check`."""
        self._file.check()

    def close(self) -> None:
        """See `TableFile.close`."""
        with self._lock:
            self._file.close()

    def _now(self) -> int:
        return int(self._clock() // _HOUR)

    def _begin(self, hour: int) -> tuple[int, TableFile]:
        file = self._open(hour)
        self._hours[hour] = set(file.table())
        return hour, file

    def _open(self, hour: int) -> TableFile:
        return TableFile(self._folder / f"hour-{hour}.json", self._disk, _check_delivered)

    def _forget(self, hour: int) -> None:
        for old in [one for one in self._hours if one < hour - REMEMBERED / _HOUR - 1]:
            with suppress(OSError):  # we try again in an hour
                (self._folder / f"hour-{old}.json").unlink(missing_ok=True)
                del self._hours[old]


def _queued(row: Row) -> Queued:
    return Queued(**{name: value for name, value in row.items() if name != "sealed"})


def _number(queued: Queued) -> int:
    return queued.number


def _row(key: str) -> str:
    return f"row/{key}"


def _batch(batch_id: str) -> str:
    return f"batch/{batch_id}"


def _place(key: str) -> str:
    return f"notice/{key}"


def _check(key: str, row: Row) -> None:
    if key.startswith("row/"):
        check_row(row, Queued, (), "sealed")
        if _row(row["key"]) != key:
            raise ValueError("key is not the row's key")
    elif key.startswith("batch/"):
        check_row(row, Batch)
        if _batch(row["batch_id"]) != key:
            raise ValueError("batch_id is not the row's key")
    else:
        raise ValueError("neither a row nor a batch")


def _check_delivered(_key: str, row: Row) -> None:
    if row:
        raise ValueError("holds more than its key")
