"""Keys, a clock and the type of the opener that the storage suites share."""

from collections.abc import Callable

from core.storage_ports import Stores

OLD, NEW = "an old secret of thirty-two letters", "a new secret of thirty-two letters."
NOW = 1_800_000_000.0
DAY = 24 * 3600.0

Open = Callable[..., Stores]


class Moment:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now
