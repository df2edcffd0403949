"""The embedded storage: a folder of table files that one process owns."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

import structlog
from filelock import FileLock, Timeout

from core.errors import StorageFailed
from core.ports import Accounts, Clock, FormResults, Installations
from storage.files import Disk, TableFile
from storage.sealing import Sealer
from storage.stores import StoredAccounts, StoredFormResults, StoredInstallations

log = structlog.get_logger(__name__)


class InUse(StorageFailed):
    """Another process owns the folder."""

    retryable = False


class _Sealing(Protocol):
    def __call__(self, purpose: str) -> list[bytes]: ...


@dataclass(frozen=True)
class Stores:
    """The ports, and how to give the storage back."""

    accounts: Accounts
    installations: Installations
    form_results: FormResults
    check: Callable[[], None]
    close: Callable[[], None]


def open_storage(
    url: str,
    keys: _Sealing,
    *,
    clock: Clock = time.time,
    wait: float = 0.0,
    disk: Disk | None = None,
) -> Stores:
    """
    Open the storage that *url* names, for this process alone.

    Args:
        url: ``tinydb:///absolute/folder``; made with mode 0700 where it is missing.
        keys: Sealing keys for a purpose, newest first.
        wait: Seconds to wait for another process to let go, as during a restart.

    Raises:
        InUse: Another process still owns the folder.
        StorageFailed: The folder can't be used, or a file in it is damaged.
        ValueError: *url* names no storage that there is.
    """
    parts = urlsplit(url)
    if parts.scheme != "tinydb" or parts.netloc or not parts.path.startswith("/"):
        raise ValueError("STORAGE_URL must be tinydb:///absolute/folder")
    folder = Path(unquote(parts.path))
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = FileLock(folder / "lock", mode=0o600, thread_local=False)
        lock.acquire(timeout=wait)
    except Timeout as error:
        log.error("storage is in use by another process", folder=str(folder))
        raise InUse(f"{folder} is in use by another process") from error
    except OSError as error:
        raise StorageFailed(f"{folder}: {error.strerror}") from error
    disk = disk or Disk()

    def file(name: str) -> TableFile:
        return TableFile(folder / f"{name}.json", disk)

    def check() -> None:
        if not folder.is_dir():
            raise StorageFailed(f"{folder} is gone")

    try:
        return Stores(
            accounts=StoredAccounts(file("accounts"), Sealer(keys("accounts"))),
            installations=StoredInstallations(file("installation"), Sealer(keys("installation"))),
            form_results=StoredFormResults(file("form_results"), clock),
            check=check,
            close=lock.release,
        )
    except StorageFailed:
        lock.release()
        raise
