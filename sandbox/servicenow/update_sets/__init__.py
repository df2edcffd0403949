"""Loads, previews and commits update sets, as Retrieved Update Sets does (update-set reference §1, §5)."""

from dataclasses import dataclass, field

from sandbox.servicenow.records.store import Row, Store
from sandbox.servicenow.update_sets.commit import Commit
from sandbox.servicenow.update_sets.loading import BadFile, load
from sandbox.servicenow.update_sets.payload import DELETE, BadPayload, read
from sandbox.servicenow.update_sets.preview import Preview

__all__ = ["BadFile", "Outcome", "Unresolved", "UpdateSets"]


class Unresolved(Exception):
    """The set can't be committed: its problems need a decision, or it wasn't previewed."""


@dataclass
class Outcome:
    """The result of an import."""

    set_id: str
    loaded: int
    problems: list[Row] = field(default_factory=list)
    committed: bool = False
    log: list[str] = field(default_factory=list)


class UpdateSets:
    """The three steps of an import."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def import_whole(self, xml: bytes, commit: bool) -> Outcome:
        """
        Load and preview, and commit if there are no problems. Confirms data loss.

        Raises:
            BadFile: It isn't an update set.
            Unsupported: It has business rules of a kind that the double doesn't run.
        """
        set_id = self.load(xml)
        found = self._store.find("sys_remote_update_set", set_id) or {}
        outcome = Outcome(set_id, int(found["inserted"]), self.preview(set_id))
        if commit and not outcome.problems:
            outcome.log = self.commit(set_id)
            outcome.committed = True
        return outcome

    def load(self, xml: bytes) -> str:
        """Load a file, and return the set's sys_id. Raises BadFile."""
        return load(self._store, xml)

    def preview(self, set_id: str) -> list[Row]:
        """Preview a set, and return its problems."""
        return Preview(self._store, set_id).run()

    def problems(self, set_id: str) -> list[Row]:
        """The problems of the last preview."""
        rows = self._store.rows("sys_update_preview_problem")
        return [row for row in rows if row["remote_update_set"] == set_id]

    def decide(self, problem_id: str, status: str) -> None:
        """Accept the remote update (``ignored``) or skip it (``skipped``). Raises KeyError."""
        row = self._store.find("sys_update_preview_problem", problem_id)
        if row is None:
            raise KeyError(problem_id)
        self._store.put("sys_update_preview_problem", row | {"status": status})

    def log(self, set_id: str) -> list[str]:
        """The commit log in order."""
        found = self._store.find("sys_remote_update_set", set_id)
        local = found["update_set"] if found else ""
        return [
            row["message"] for row in self._store.rows("sys_update_set_log") if local and row["update_set"] == local
        ]

    def deletes(self, set_id: str) -> list[str]:
        """What a commit would delete, by display name."""
        skipped = {row["remote_update"] for row in self.problems(set_id) if row["status"] == "skipped"}
        mine = (row for row in self._store.rows("sys_update_xml") if row["remote_update_set"] == set_id)
        rows = [row for row in mine if row["sys_id"] not in skipped]
        return [row["target_name"] or row["name"] for row in rows if _action(row) == DELETE]

    def commit(self, set_id: str) -> list[str]:
        """
        Commit a previewed set, and return the log.

        Raises:
            Unresolved: A problem needs a decision.
            Unsupported: See `import_whole`.
        """
        found = self._store.find("sys_remote_update_set", set_id)
        if found is None or found["state"] != "previewed":
            raise Unresolved("The update set has not been previewed.")
        if any(not problem["status"] for problem in self.problems(set_id)):
            raise Unresolved("The preview has problems that are not resolved.")
        return Commit(self._store, set_id).run()


def _action(update: Row) -> str:
    try:
        return read(update["payload"], update["name"]).action
    except BadPayload:
        return ""
