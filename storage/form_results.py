"""Results of submitted forms, in ``form_results/``, with a file for every 15 minutes."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

from core.accounts import FormResult
from core.errors import StillWorking
from core.times import Clock
from storage.disk import Disk
from storage.files import Row, TableFile, make_folder
from storage.rows import check_row

RESULT_LIFE = 24 * 3600.0  # seconds
_PERIOD = 900  # seconds of one file


class StoredFormResults:
    """
    `core.storage_ports.FormResults`. A claim lasts as long as the process.

    A write rewrites only the file of its period, so its cost doesn't grow during the day. Earlier versions
    kept all results in ``form_results.json``.
    """

    def __init__(self, folder: Path, disk: Disk, clock: Clock) -> None:
        self._folder = folder / "form_results"
        self._disk = disk
        self._clock = clock
        self._lock = threading.Lock()
        self._claimed: set[str] = set()
        self._files = {
            int(path.stem): self._open(path) for path in self._folder.glob("*.json") if path.stem.isdecimal()
        }
        self._periods = {form_id: period for period, file in sorted(self._files.items()) for form_id in file.table()}
        self._migrate(folder / "form_results.json")

    @contextmanager
    def claim(self, form_id: str) -> Iterator[None]:
        """Hold *form_id* while it is submitted. Raises StillWorking."""
        with self._lock:
            if form_id in self._claimed:
                raise StillWorking(f"form {form_id}")
            self._claimed.add(form_id)
        try:
            yield
        finally:
            with self._lock:
                self._claimed.discard(form_id)

    def get(self, form_id: str) -> FormResult | None:
        """From memory."""
        file = self._file_of(form_id)
        row = file.get(form_id) if file is not None else None
        return None if row is None or self._is_expired(row["stored_at"]) else FormResult(**row)

    def put(self, result: FormResult) -> None:
        """Store it. Raises StorageFailed."""
        period = _period(result.stored_at)
        before = self._file_of(result.form_id)
        file = self._begin(period)
        file.change(lambda table: table.put(result.form_id, asdict(result)))
        self._periods[result.form_id] = period
        if before is not None and before is not file:
            before.change(lambda table: table.drop(result.form_id))

    def forget(self, form_id: str) -> None:
        """Remove it. Raises StorageFailed."""
        file = self._file_of(form_id)
        if file is not None:
            file.change(lambda table: table.drop(form_id))
            self._periods.pop(form_id, None)

    def check(self) -> None:
        """See `TableFile.check`."""
        for file in list(self._files.values()):
            file.check()

    def close(self) -> None:
        """See `TableFile.close`."""
        with self._lock:
            for file in self._files.values():
                file.close()

    def _file_of(self, form_id: str) -> TableFile | None:
        return self._files.get(self._periods.get(form_id, -1))

    def _begin(self, period: int) -> TableFile:
        """The file of a period. A new one is a reason to drop expired files."""
        with self._lock:
            file = self._files.get(period)
            if file is None:
                make_folder(self._folder, self._disk)
                self._drop_expired()
                file = self._files[period] = self._open(self._folder / f"{period}.json")
            return file

    def _drop_expired(self) -> None:
        for period in [one for one in self._files if self._is_expired((one + 1) * _PERIOD)]:
            with suppress(OSError):  # retried with the next new file
                (self._folder / f"{period}.json").unlink(missing_ok=True)
                for form_id in self._files.pop(period).table():
                    if self._periods.get(form_id) == period:
                        del self._periods[form_id]

    def _migrate(self, path: Path) -> None:
        """Move what an earlier version stored. A crash in between leaves the old file, so it is moved again."""
        if not path.exists():
            return
        periods: dict[int, dict[str, Row]] = {}
        for form_id, row in self._open(path).table().items():
            if not self._is_expired(row["stored_at"]):
                periods.setdefault(_period(row["stored_at"]), {})[form_id] = row
        for period, rows in periods.items():
            self._begin(period).change(lambda table, rows=rows: table.put_all(rows))  # type: ignore[misc]
            self._periods |= dict.fromkeys(rows, period)
        path.unlink()
        self._disk.fsync_folder(path.parent)

    def _open(self, path: Path) -> TableFile:
        return TableFile(path, self._disk, lambda _key, row: check_row(row, FormResult))

    def _is_expired(self, stored_at: float) -> bool:
        return bool(stored_at + RESULT_LIFE < self._clock())


def _period(stored_at: float) -> int:
    return max(0, int(stored_at // _PERIOD))
