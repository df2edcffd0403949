"""The embedded storage: a folder of table files that only one process uses."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

import structlog
from filelock import FileLock, Timeout

from core.errors import StorageFailed
from core.storage_ports import Stores
from core.times import Clock
from storage.cards import StoredCards
from storage.disk import Disk
from storage.form_results import StoredFormResults
from storage.grants import StoredGrants
from storage.outbox import StoredOutbox
from storage.private import keep_private
from storage.sealing import Sealer
from storage.settings import StoredSettings
from storage.sign_ins import StoredSignIns
from storage.stores import StoredAccounts, StoredInstallations
from storage.threads import StoredParked, StoredThreads

log = structlog.get_logger(__name__)


class InUse(StorageFailed):
    """Another process uses the folder."""

    retryable = False


class _Sealing(Protocol):
    def __call__(self, purpose: str) -> list[bytes]: ...


def open_storage(
    url: str,
    keys: _Sealing,
    *,
    clock: Clock = time.time,
    wait: float = 0.0,
    disk: Disk | None = None,
) -> Stores:
    """
    Open the storage at *url* for this process only, so call it after a fork.

    Args:
        url: ``tinydb:///absolute/folder``; created with mode 0700 if it is missing.
        keys: Sealing keys for a purpose, newest first.
        clock: Unix seconds.
        wait: Seconds to wait until another process releases it, as during a restart.
        disk: Where writes go.

    Raises:
        InUse: Another process still uses the folder.
        StorageFailed: The folder can't be used, or a file in it is damaged.
        ValueError: *url* isn't a supported storage.
    """
    folder = folder_of(url)
    disk = disk or Disk()
    sealers = [Sealer(keys(purpose)) for purpose in ("accounts", "installation", "settings", "outbox", "sign-ins")]
    lock = _locked(folder, disk, wait)
    try:
        accounts = StoredAccounts(folder, disk, sealers[0])
        sign_ins = StoredSignIns(folder, disk, sealers[4], clock)
        installations = StoredInstallations(folder, disk, sealers[1])
        form_results = StoredFormResults(folder, disk, clock)
        settings = StoredSettings(folder, disk, sealers[2])
        grants = StoredGrants(folder, disk)
        outbox = StoredOutbox(folder, disk, sealers[3], clock)
        threads, parked = StoredThreads(folder, disk, clock), StoredParked(folder, disk, clock)
        cards = StoredCards(folder, disk, clock)
        tables = (accounts, sign_ins, installations, settings, grants, outbox, threads, parked, cards)
        files: list[_File] = [*(table.file for table in tables), form_results, outbox.delivered]
        check, close = _watched(folder, lock, files)
    except (StorageFailed, OSError) as error:
        lock.release()
        log.error("storage can't be opened", folder=str(folder), reason=str(error))
        raise error if isinstance(error, StorageFailed) else StorageFailed(str(error)) from error
    return Stores(
        accounts, sign_ins, installations, form_results, settings, grants, outbox, threads, parked, cards, check, close
    )


def folder_of(url: str) -> Path:
    """
    The folder in *url*.

    Raises:
        ValueError: There is none. The text is for the administrator who set it.
    """
    parts = urlsplit(url)
    if parts.scheme in {"postgres", "postgresql"}:
        raise ValueError("STORAGE_URL: PostgreSQL is not supported yet; use tinydb:///absolute/folder")
    folder = unquote(parts.path)
    if parts.scheme != "tinydb" or parts.netloc or parts.query or parts.fragment or not folder.strip("/"):
        raise ValueError("STORAGE_URL must be tinydb:///absolute/folder")
    return Path(folder)


def _locked(folder: Path, disk: Disk, wait: float) -> FileLock:
    try:
        if not folder.is_dir():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            disk.fsync_folder(folder.parent)
        keep_private(folder)
        lock = FileLock(folder / "lock", mode=0o600, thread_local=False)
        lock.acquire(timeout=wait)
    except Timeout as error:
        log.error("storage is in use by another process", folder=str(folder), waited=wait)
        raise InUse(f"{folder} is in use by another process") from error
    except OSError as error:
        log.error("storage can't be used", folder=str(folder), reason=error.strerror)
        raise StorageFailed(f"{folder}: {error.strerror}") from error
    return lock


class _File(Protocol):
    def check(self) -> None: ...

    def close(self) -> None: ...


def _watched(folder: Path, lock: FileLock, files: list[_File]) -> tuple[Callable[[], None], Callable[[], None]]:
    path = folder / "lock"
    ours = path.stat().st_ino

    def check() -> None:
        try:
            # A folder that replaced ours has its own lock file, which we don't hold.
            if path.stat().st_ino != ours or not os.access(folder, os.W_OK):
                raise StorageFailed(f"{folder} was replaced or made read-only")
        except OSError as error:
            raise StorageFailed(f"{folder}: {error.strerror}") from error
        for file in files:
            file.check()

    def close() -> None:
        for file in files:
            file.close()
        lock.release()

    return check, close
