"""A file that is replaced as a whole, and the disk operations that can fail while it is."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path


class Disk:
    """
    The five operations that can fail, in one place, so that tests can make each of them fail.

    All of them raise OSError.
    """

    def open(self, path: Path) -> int:
        """Open a new or emptied file for writing that only we can read (mode 0600)."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)

    def write(self, descriptor: int, data: bytes) -> None:
        """Write all of *data*."""
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]

    def fsync(self, descriptor: int) -> None:
        """Flush a file's content."""
        os.fsync(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """Replace *target* with *source* atomically."""
        os.replace(source, target)

    def fsync_folder(self, folder: Path) -> None:
        """Flush a folder's directory entries."""
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class WholeFile:
    """
    A file that always has either the old or the new content: we write a second file, flush it, and rename it.

    Not thread-safe. Removes the second file if an earlier process left one behind.

    Raises:
        OSError: The file that was left behind can't be removed.
    """

    def __init__(self, path: Path, disk: Disk) -> None:
        self.path = path
        self._beside = path.with_suffix(".new")
        self._disk = disk
        self._beside.unlink(missing_ok=True)

    def read(self) -> bytes | None:
        """The content, or None if there is no file yet. Raises OSError."""
        try:
            return self.path.read_bytes()
        except FileNotFoundError:
            return None

    def replace(self, content: bytes, before: Callable[[], bytes | None]) -> None:
        """
        Replace the content. It is on disk when this returns.

        Args:
            before: Returns the current content, None for no file. Called only if it is needed.

        Raises:
            OSError: The file has its old content again. If that failed too, call `restore` once the disk works.
        """
        self._put(content)
        try:
            self._disk.fsync_folder(self.path.parent)
        except OSError:
            # The new content is visible, but a power failure could undo that, so we report an error. Then a restart
            # must not find the new content.
            with suppress(OSError):
                self.restore(before())
            raise

    def restore(self, content: bytes | None) -> None:
        """Write the old *content* again, None for no file. Raises OSError."""
        if content is None:
            self.path.unlink(missing_ok=True)
        else:
            self._put(content)
        self._disk.fsync_folder(self.path.parent)

    def _put(self, content: bytes) -> None:
        try:
            descriptor = self._disk.open(self._beside)
            try:
                self._disk.write(descriptor, content)
                self._disk.fsync(descriptor)
            finally:
                os.close(descriptor)
            self._disk.rename(self._beside, self.path)
        except OSError:
            with suppress(OSError):  # a partial file would only use up the disk
                self._beside.unlink(missing_ok=True)
            raise
