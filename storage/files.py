"""
TinyDB on a file that is always whole: the last committed state, whatever fails or dies in between.

Written beside, flushed to disk, renamed over, and the folder flushed too. Changes that wait at once
share one such write (group commit); each caller returns after the flush that holds its change.
"""

import json
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from tinydb import TinyDB
from tinydb.storages import Storage
from tinydb.table import Document, Table

from core.errors import StorageFailed

Tables = dict[str, dict[str, Any]]  # TinyDB's shape: table name -> document id -> document
T = TypeVar("T")


class Damaged(StorageFailed):
    """A file is there and is no table. Nothing starts on it, for starting empty would lose it."""

    tell = "Stored data can't be read. Tell an administrator."
    retryable = False


class Disk:
    """The five things that can fail, in one place, so that tests can let each of them fail."""

    def open(self, path: Path) -> int:
        """A descriptor for writing, of a new or emptied file that only we may read."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)

    def write(self, descriptor: int, data: bytes) -> None:
        """All of *data*."""
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]

    def fsync(self, descriptor: int) -> None:
        """Flush a file's content."""
        os.fsync(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """Put *source* in *target*'s place in one step."""
        os.replace(source, target)

    def fsync_folder(self, folder: Path) -> None:
        """Flush the names in a folder."""
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class _Pending(Storage):
    """
    TinyDB's storage in memory: what is committed, and what is built on top of it and not yet on disk.

    The thread that changes sees the pending state, as copies; everybody else the committed one.
    """

    def __init__(self, committed: Tables) -> None:
        self.committed = committed
        self.pending = committed
        self.version = 0
        self.changer: int | None = None

    def read(self) -> Tables | None:
        if self.changer == threading.get_ident():
            return {
                name: {key: dict(document) for key, document in table.items()} for name, table in self.pending.items()
            }
        return self.committed

    def write(self, data: Tables) -> None:
        self.pending = data
        self.version += 1


class _TextKeys(Table):
    """Documents are found by our own keys, in one dictionary look-up."""

    document_id_class = str  # type: ignore[assignment]


class _Database(TinyDB):
    table_class = _TextKeys


class TableFile:
    """
    One table in one file.

    Args:
        path: The file; its folder exists.
        disk: Where writes go.

    Raises:
        Damaged: The file is there and is no table.
    """

    def __init__(self, path: Path, disk: Disk) -> None:
        self._path = path
        self._disk = disk
        self._storage = _Pending(self._load())
        self._table = _Database(storage=lambda: self._storage).table(path.stem, cache_size=0)
        self._changing = threading.Lock()
        self._writing = threading.Lock()
        self._committed_version = 0
        self._failed: list[tuple[int, int, OSError]] = []  # versions above the first, up to the second
        self.commits = 0

    def get(self, key: str) -> Mapping[str, Any] | None:
        """The committed document of *key*; read only."""
        return (self._storage.committed.get(self._path.stem) or {}).get(key)

    def documents(self) -> list[Mapping[str, Any]]:
        """All committed documents; read only."""
        return list((self._storage.committed.get(self._path.stem) or {}).values())

    def change(self, change: Callable[["Changes"], T]) -> T:
        """
        Run *change* on the newest state and return its result once that state is on disk.

        Raises:
            StorageFailed: The disk did not take it; memory and file hold what they held before.
        """
        with self._changing:
            self._storage.changer = threading.get_ident()
            try:
                result = change(Changes(self._table))
            finally:
                self._storage.changer = None
            version = self._storage.version
        self._commit(version)
        return result

    def _commit(self, version: int) -> None:
        """Return once *version* is on disk, by this call's write or by one that it waited for."""
        with self._writing:
            for above, to, cause in self._failed:
                if above < version <= to:
                    raise StorageFailed(f"{self._path.name}: {cause.strerror}") from cause
            if version <= self._committed_version:
                return
            with self._changing:
                state, newest = self._storage.pending, self._storage.version
            try:
                self._write(state)
            except OSError as error:
                with self._changing:
                    self._failed = [
                        *self._failed[-99:],
                        (self._committed_version, self._storage.version, error),
                    ]
                    self._storage.pending = self._storage.committed
                raise StorageFailed(f"{self._path.name}: {error.strerror}") from error
            self._storage.committed = state
            self._committed_version = newest
            self.commits += 1

    def _write(self, state: Tables) -> None:
        data = json.dumps(state, separators=(",", ":")).encode()
        beside = self._path.with_suffix(".new")
        descriptor = self._disk.open(beside)
        try:
            self._disk.write(descriptor, data)
            self._disk.fsync(descriptor)
        finally:
            os.close(descriptor)
        before = json.dumps(self._storage.committed, separators=(",", ":")).encode()
        self._disk.rename(beside, self._path)
        try:
            self._disk.fsync_folder(self._path.parent)
        except OSError:
            # The new name may not survive a power cut, so the caller is told no: put the old content back.
            self._path.write_bytes(before)
            raise

    def _load(self) -> Tables:
        self._path.with_suffix(".new").unlink(missing_ok=True)
        if not self._path.exists():
            return {}
        try:
            tables = json.loads(self._path.read_bytes())
        except ValueError as error:
            raise Damaged(f"{self._path.name} is no JSON") from error
        if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
            raise Damaged(f"{self._path.name} is no table file")
        return tables


class Changes:
    """What a change may do to the table; it sees what it and those before it did."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def get(self, key: str) -> Mapping[str, Any] | None:
        """The newest document of *key*, committed or not."""
        found = self._table.get(doc_id=key)  # type: ignore[call-overload]
        return found if isinstance(found, Mapping) else None

    def put(self, key: str, document: Mapping[str, Any]) -> None:
        """Replace the document of *key* whole."""
        self.drop(key)
        self._table.insert(Document(document, doc_id=key))  # type: ignore[arg-type]

    def drop(self, key: str) -> None:
        """Remove the document of *key*, if there is one."""
        if self._table.contains(doc_id=key):  # type: ignore[arg-type]
            self._table.remove(doc_ids=[key])  # type: ignore[list-item]

    def drop_where(self, old: Callable[[Mapping[str, Any]], bool]) -> None:
        """Remove every document for which *old* says yes."""
        self._table.remove(cond=old)  # type: ignore[arg-type]
