"""
Drop outdated lookups.

Clients send a lookup for every key that is pressed, without a delay (recorded F1). One lookup runs per person and
field. Of those that wait, only the newest asks ServiceNow. The others get an empty answer.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from core.fields import Option

LEAST_CHARACTERS = 2  # one letter matches half the company


@dataclass
class _Field:
    running: threading.Lock = field(default_factory=threading.Lock)
    newest: int = 0
    waiting: int = 0


class LatestOnly:
    """Runs one lookup at a time for each person and field, and skips all waiting ones but the newest."""

    def __init__(self) -> None:
        self._fields: dict[tuple[str, str], _Field] = {}
        self._lock = threading.Lock()

    def run(self, person_id: str, name: str, query: str, find: Callable[[str], Sequence[Option]]) -> tuple[Option, ...]:
        """Ask *find* for *query*, unless it is too short or a newer query is waiting."""
        words = " ".join(query.split())
        if len(words) < LEAST_CHARACTERS:
            self._skip_waiting(person_id, name)
            return ()
        with self._lock:
            current = self._fields.setdefault((person_id, name), _Field())
            current.newest += 1
            current.waiting += 1
            mine = current.newest
        try:
            with current.running:
                if mine != current.newest:
                    return ()
                return tuple(find(words))
        finally:
            with self._lock:
                current.waiting -= 1
                if not current.waiting:
                    self._fields.pop((person_id, name), None)

    def newest(self, person_id: str, name: str) -> int:
        """How many lookups of a field arrived since it was last idle."""
        with self._lock:
            current = self._fields.get((person_id, name))
            return current.newest if current else 0

    def _skip_waiting(self, person_id: str, name: str) -> None:
        with self._lock:
            if current := self._fields.get((person_id, name)):
                current.newest += 1
