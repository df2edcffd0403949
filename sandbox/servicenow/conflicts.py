"""Conflict checks of changes: another open change of the same item in the same window."""

import uuid

from sandbox.servicenow.store import Row, Store


class Conflicts:
    """Checks that run as jobs: begun, and done when somebody asks for them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._jobs: dict[str, str] = {}
        self._done: set[str] = set()

    def begin(self, change: Row) -> tuple[str, str, int]:
        """The job's id, its change, and state 1 (Waiting)."""
        job = uuid.uuid4().hex
        self._jobs[job] = change["sys_id"]
        return job, change["sys_id"], 1

    def finish(self, job: str, user_name: str) -> str | None:
        """Do the check, once; the change's sys_id, or None for an unknown job or a change that is gone."""
        change = self._store.find("change_request", self._jobs.get(job, ""))
        if change is None:
            return None
        if job not in self._done:
            self._done.add(job)
            status = "Conflict" if any(_overlap(change, other) for other in self._others(change)) else "No Conflict"
            found = {"conflict_status": status, "conflict_last_run": self._store.now()}
            self._store.update("change_request", change["sys_id"], found, user_name)
        return change["sys_id"]

    def _others(self, change: Row) -> list[Row]:
        return [
            row
            for row in self._store.rows("change_request")
            if row["sys_id"] != change["sys_id"] and row["cmdb_ci"] == change["cmdb_ci"] and row["active"] == "true"
        ]


def _overlap(one: Row, other: Row) -> bool:
    dates = (one["start_date"], one["end_date"], other["start_date"], other["end_date"])
    return all(dates) and one["start_date"] <= other["end_date"] and other["start_date"] <= one["end_date"]
