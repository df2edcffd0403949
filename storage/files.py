"""
TinyDB tables in files that always contain the last committed state, even if a write fails or the process dies.

Reads come from memory. Concurrent changes share one write (group commit). Each caller returns after the flush that
contains its change, or gets the error of that write.
"""

import json
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from tinydb import TinyDB
from tinydb.storages import Storage
from tinydb.table import Document, Table

from core.errors import StorageFailed
from storage.disk import Disk, WholeFile

Row = Mapping[str, Any]
Tables = dict[str, dict[str, Any]]  # TinyDB's shape: table name -> document id -> document
T = TypeVar("T")
_EMPTY: dict[str, Any] = {}


class Damaged(StorageFailed):
    """The file exists but isn't a table. We don't start, because starting empty would lose its content."""

    user_message = "Stored data can't be read. Tell an administrator."
    retryable = False


class TableFile:
    """
    One table in one file, for any number of threads of one process.

    Args:
        path: The file; its folder exists. Its stem is the table's name.
        disk: Where writes go.
        check: Raises ValueError for an invalid key or row.

    Raises:
        Damaged: The file exists but isn't such a table.
        StorageFailed: The file can't be read.
    """

    def __init__(self, path: Path, disk: Disk, check: Callable[[str, Row], None]) -> None:
        self._name = path.stem
        self._owner = os.getpid()
        try:
            self._file = WholeFile(path, disk)
            self._committed = _tables(path, self._file.read(), check)
        except OSError as error:
            raise StorageFailed(f"{path}: {error.strerror}") from error
        self._pending = _Pending(self._committed)
        self._table = _Database(storage=lambda: self._pending).table(self._name, cache_size=0)
        self._texts: dict[str, tuple[Row, str]] = {}  # encoded rows; most never change
        self._group = _Group()
        self._changing = threading.Lock()  # held while memory changes; short
        self._writing = threading.Lock()  # held while the disk is busy; taken before the other
        self._failed = False
        self._closed = False

    def get(self, key: str) -> Row | None:
        """The committed row of *key*; read only. The same object until it is changed."""
        return self._committed.get(self._name, {}).get(key)

    def table(self) -> Mapping[str, Row]:
        """All committed rows by key; read only. The same object until something is committed."""
        table: dict[str, Row] = self._committed.get(self._name, _EMPTY)
        return table

    def rows(self) -> list[Row]:
        """All committed rows; read only."""
        return list(self.table().values())

    def change(self, change: Callable[["TableChanges"], T]) -> T:
        """
        Run *change* on the newest state and return its result once that state is on disk.

        If *change* raises, the table is unchanged.

        Raises:
            StorageFailed: The write failed. Memory and file are unchanged.
        """
        with self._changing:
            if self._closed or os.getpid() != self._owner:
                raise StorageFailed(f"{self._name}: not open in this process")
            before = self._pending.tables
            try:
                result = change(TableChanges(self._table))
            except BaseException:
                self._pending.tables = before
                raise
            group = self._group
            group.changed = group.changed or self._pending.tables is not before
        with self._writing:
            # An earlier write may contain it. A change that changed nothing waits as well: it may depend on a row that
            # isn't on disk yet.
            if not group.done and group.changed:
                self._write()
        if group.error is not None:
            raise StorageFailed(f"{self._name}: {group.error}") from group.error
        return result

    def check(self) -> None:
        """
        Check that writes work as far as we know. After a failed write, write the committed state again.

        Raises:
            StorageFailed: Writes fail.
        """
        with self._writing:
            if self._failed and not self._closed:
                try:
                    self._file.restore(self._content())
                except OSError as error:
                    raise StorageFailed(f"{self._name}: {error}") from error
                self._failed = False

    def close(self) -> None:
        """Finish the changes in progress and reject later ones."""
        with self._writing:
            with self._changing:
                self._closed = True
            if self._group.changed:
                self._write()
            elif self._failed:
                with suppress(OSError):
                    self._file.restore(self._content())

    def _write(self) -> None:
        """Write everything that is pending and set the group's result. Call it under ``_writing``."""
        with self._changing:
            group, self._group = self._group, _Group()
            tables = self._pending.tables
        try:
            self._file.replace(self._encoded(tables), self._content)
        except BaseException as error:
            with self._changing:
                # Later changes build on the failed ones, so they fail too.
                follower, self._group = self._group, _Group()
                self._pending.tables = self._committed
            group.error = follower.error = error
            follower.done = self._failed = True
            if not isinstance(error, OSError):
                raise
        else:
            self._committed = tables
            self._failed = False
        finally:
            group.done = True

    def _content(self) -> bytes | None:
        """What the file should contain; None if it shouldn't exist."""
        return self._encoded(self._committed) if self._committed else None

    def _encoded(self, tables: Tables) -> bytes:
        """The file's content. Encodes only rows that changed since the last time. Call it under ``_writing``."""
        texts: dict[str, tuple[Row, str]] = {}
        for key, row in tables.get(self._name, {}).items():
            known = self._texts.get(key)
            if known is None or known[0] is not row:
                known = row, f"{_json(key)}:{_json(row)}"
            texts[key] = known
        self._texts = texts
        return f"{{{_json(self._name)}:{{{','.join(text for _, text in texts.values())}}}}}".encode()


class TableChanges:
    """The operations of a change on the table. It sees the effects of itself and of earlier changes."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def get(self, key: str) -> Row | None:
        """The newest row of *key*, committed or not; read only."""
        found = self._table.get(doc_id=key)  # type: ignore[call-overload]
        return found if isinstance(found, Mapping) else None

    def rows(self) -> list[Row]:
        """All newest rows, committed or not; read only."""
        return list(self._table.all())

    def put(self, key: str, row: Row) -> None:
        """Replace the whole row of *key*. Raises TypeError or ValueError if it isn't JSON."""
        _json(row)  # fails only this change here, but all changes later
        self.drop(key)
        self._table.insert(Document(row, doc_id=key))  # type: ignore[arg-type]

    def drop(self, key: str) -> None:
        """Remove the row of *key*, if there is one."""
        if self._table.contains(doc_id=key):  # type: ignore[arg-type]
            self._table.remove(doc_ids=[key])  # type: ignore[list-item]

    def put_all(self, rows: Mapping[str, Row]) -> None:
        """As `put` for each, at the cost of one: every change of a table copies its index."""
        for row in rows.values():
            _json(row)
        self.drop_all(rows)
        self._table.insert_multiple(Document(row, doc_id=key) for key, row in rows.items())  # type: ignore[arg-type]

    def drop_all(self, keys: Iterable[str]) -> None:
        """As `drop` for each, at the cost of one."""
        if present := [key for key in keys if self._table.contains(doc_id=key)]:  # type: ignore[arg-type]
            self._table.remove(doc_ids=present)  # type: ignore[arg-type]

    def drop_where(self, old: Callable[[Row], bool]) -> None:
        """Remove every row for which *old* returns true."""
        self._table.remove(cond=old)  # type: ignore[arg-type]


class _Group:
    """Changes that are written together: all of them or none."""

    def __init__(self) -> None:
        self.changed = False
        self.done = False
        self.error: BaseException | None = None


class _Pending(Storage):
    """
    TinyDB's storage in memory: the committed state plus changes that aren't on disk yet.

    TinyDB puts a new table into the dictionary that it read, and `TableChanges` never modifies a row in place. So a
    shallow copy leaves the committed state untouched.
    """

    def __init__(self, tables: Tables) -> None:
        self.tables = tables

    def read(self) -> Tables:
        """A copy that TinyDB can put tables into."""
        return dict(self.tables)

    def write(self, data: Tables) -> None:
        """The new pending state."""
        self.tables = data


class _TextKeys(Table):
    """Rows are found by our own keys, in one dictionary look-up."""

    document_id_class = str  # type: ignore[assignment]


class _Database(TinyDB):
    table_class = _TextKeys


def make_folder(folder: Path, disk: Disk) -> None:
    """Create the folder with mode 0700 if it is missing. Raises StorageFailed."""
    try:
        if not folder.is_dir():
            folder.mkdir(mode=0o700)
            disk.fsync_folder(folder.parent)
    except OSError as error:
        raise StorageFailed(f"{folder}: {error.strerror}") from error


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _tables(path: Path, content: bytes | None, check: Callable[[str, Row], None]) -> Tables:
    if content is None:
        return {}
    try:
        tables = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Damaged(f"{path} is no JSON: {error}") from error
    if not isinstance(tables, dict) or set(tables) != {path.stem} or not isinstance(tables[path.stem], dict):
        raise Damaged(f"{path} is no file of the table {path.stem}")
    for key, row in tables[path.stem].items():
        if not isinstance(row, dict):
            raise Damaged(f"{path}: {key!r} is no row")
        try:
            check(key, row)
        except ValueError as error:
            raise Damaged(f"{path}: {key!r}: {error}") from error
    return tables
