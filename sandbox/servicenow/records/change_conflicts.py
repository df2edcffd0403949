"""Conflicts between open changes of the same CI, and windows without any."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from sandbox.servicenow.records.store import Row, Store

_RAW = "%Y-%m-%d %H:%M:%S"
_MOST_SLOTS = 5
_SEARCHED_DAYS = 90


class Conflicts:
    """Finds overlapping changes."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def of(self, change: Row) -> list[Row]:
        """The changes that overlap a change."""
        return [other for other in self._others(change) if _overlap(change, other)]

    def check(self, change: Row, user_name: str) -> None:
        """Save on the change whether it has conflicts, and when that was checked."""
        status = "Conflict" if self.of(change) else "No Conflict"
        found = {"conflict_status": status, "conflict_last_run": self._store.now()}
        self._store.update("change_request", change["sys_id"], found, user_name)

    def checked(self, change: Row) -> int:
        """The number of changes that a check compares."""
        return len(self._others(change))

    def slots(self, item: str, seconds: int, begin: str, but: str = "") -> list[tuple[str, str]]:
        """The next windows of that length with no open change planned for the CI, except *but*."""
        busy = sorted(
            (row["start_date"], row["end_date"])
            for row in self._store.rows("change_request")
            if row["cmdb_ci"] == item and row["active"] == "true" and row["sys_id"] != but
            if row["start_date"] and row["end_date"]
        )
        at = max(_time(begin), _time(self._store.now())) if begin else _time(self._store.now())
        end = at + timedelta(_SEARCHED_DAYS)
        found: list[tuple[str, str]] = []
        for first, last in _windows(at, timedelta(seconds=seconds), [(_time(a), _time(b)) for a, b in busy]):
            if last > end or len(found) == _MOST_SLOTS:
                break
            found.append((first.strftime(_RAW), last.strftime(_RAW)))
        return found

    def _others(self, change: Row) -> list[Row]:
        return [
            row
            for row in self._store.rows("change_request")
            if row["sys_id"] != change["sys_id"] and row["cmdb_ci"] == change["cmdb_ci"] and row["active"] == "true"
        ]


def _windows(
    at: datetime, length: timedelta, busy: list[tuple[datetime, datetime]]
) -> Iterator[tuple[datetime, datetime]]:
    while True:
        clash = next((last for first, last in busy if first < at + length and at < last), None)
        if clash is None:
            yield at, at + length
            at += length
        else:
            at = clash


def _time(raw: str) -> datetime:
    return datetime.strptime(raw, _RAW).replace(tzinfo=UTC)


def _overlap(one: Row, other: Row) -> bool:
    dates = (one["start_date"], one["end_date"], other["start_date"], other["end_date"])
    return all(dates) and one["start_date"] <= other["end_date"] and other["start_date"] <= one["end_date"]
