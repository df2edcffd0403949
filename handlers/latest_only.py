"""
Type-ahead that does not pile up.

Clients ask at every key, without a delay (recorded F1). Per person and field one look-up runs, and
of those that wait only the newest asks ServiceNow; overtaken ones answer empty.
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
    """Overtaking, per person and field."""

    def __init__(self) -> None:
        self._fields: dict[tuple[str, str], _Field] = {}
        self._lock = threading.Lock()

    def run(self, person_id: str, name: str, query: str, find: Callable[[str], Sequence[Option]]) -> tuple[Option, ...]:
        """Ask *find* for *query* unless it is too short or overtaken; at most 20 options."""
        words = " ".join(query.split())
        if len(words) < LEAST_CHARACTERS:
            self._overtake(person_id, name)
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
        """How many look-ups of a field came in since it was last idle."""
        with self._lock:
            current = self._fields.get((person_id, name))
            return current.newest if current else 0

    def _overtake(self, person_id: str, name: str) -> None:
        with self._lock:
            if current := self._fields.get((person_id, name)):
                current.newest += 1
