"""How long a call may still take. Mattermost gives up after 30 s; we answer before (design §11)."""

import time
from collections.abc import Callable


class Deadline:
    """
    A point in time that everything a call does must keep.

    Args:
        seconds: From now.
        monotonic: Where time comes from; a clock that never jumps.
    """

    def __init__(self, seconds: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._at = monotonic() + seconds

    def left(self) -> float:
        """Seconds that remain; never negative."""
        return max(0.0, self._at - self._monotonic())

    def within(self, seconds: float) -> float:
        """The shorter of *seconds* and what remains."""
        return min(seconds, self.left())
