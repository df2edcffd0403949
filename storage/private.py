"""File permissions of the storage: only its own user. A restored backup or an old umask can be more open."""

import os
import stat
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def keep_private(folder: Path) -> None:
    """
    Remove other users' access to the folder and its files (modes 0700 and 0600).

    If a mode can't be changed, as on a volume that belongs to another user, log it and use the file anyway.
    """
    taken, left = [], []
    for path in (folder, *folder.rglob("*")):
        try:
            mode = path.lstat().st_mode
            if mode & _OTHERS and not stat.S_ISLNK(mode):
                left.append(path)
                os.chmod(path, stat.S_IMODE(mode) & ~_OTHERS)
                taken.append(left.pop())
        except FileNotFoundError:
            pass  # another process, which still owns the folder, replaces its files
        except OSError:
            pass  # it remains in `left`
    if taken:
        log.warning("storage was open to other users of this machine: access removed", paths=_named(folder, taken))
    if left:
        log.error(
            "storage is open to other users of this machine, and access can't be removed", paths=_named(folder, left)
        )


def _named(folder: Path, paths: list[Path]) -> list[str]:
    names = [str(path.relative_to(folder)) for path in paths]
    return [*names[:10], *([f"and {len(names) - 10} more"] if len(names) > 10 else [])]
