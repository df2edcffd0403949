"""A file whose content is replaced whole, and the few operations on a disk that can fail meanwhile."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path


class Disk:
    """
    The five things that can fail, in one place, so that tests can let each of them fail.

    All of them raise OSError.
    """

    def open(self, path: Path) -> int:
        """A descriptor for writing, of a new or emptied file that only we may read (mode 0600)."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)

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


class WholeFile:
    """
    A file that holds one content or the next, never a part: written beside, flushed, renamed over.

    Not for several threads at once. A file beside that an earlier process left behind is removed.

    Raises:
        OSError: What was left behind can't be removed.
    """

    def __init__(self, path: Path, disk: Disk) -> None:
        self.path = path
        self._beside = path.with_suffix(".new")
        self._disk = disk
        self._beside.unlink(missing_ok=True)

    def read(self) -> bytes | None:
        """The content, or None where there is no file yet. Raises OSError."""
        try:
            return self.path.read_bytes()
        except FileNotFoundError:
            return None

    def replace(self, content: bytes, before: Callable[[], bytes | None]) -> None:
        """
        Put *content* in; it is on disk when this returns.

        Args:
            before: Makes the content that is in now, None for no file; asked only where it is needed.

        Raises:
            OSError: The old content is in again. Where the disk took not even that, `restore` has to
                be called once it does.
        """
        self._put(content)
        try:
            self._disk.fsync_folder(self.path.parent)
        except OSError:
            # The new content is visible, but a power cut may undo that, so the caller is told no, and
            # no it has to be: a restart must not bring back what was reported as failed.
            with suppress(OSError):
                self.restore(before())
            raise

    def restore(self, content: bytes | None) -> None:
        """Put *content* in again, None for no file. Raises OSError."""
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
            with suppress(OSError):  # a half-written file would only fill the disk further
                self._beside.unlink(missing_ok=True)
            raise
