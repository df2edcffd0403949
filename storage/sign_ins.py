"""Sign-ins at ServiceNow that are in progress, in ``sign_ins.json``."""

import hashlib
from dataclasses import asdict
from pathlib import Path

from core.accounts import SignIn
from core.times import Clock
from storage.disk import Disk
from storage.files import Row, TableChanges, TableFile
from storage.rows import check_row
from storage.sealing import Sealer, Unreadable

LIFE = 15 * 60.0  # seconds, as the framework's own state
MOST = 5  # of one person at once; another one drops the oldest


class StoredSignIns:
    """
    `core.storage_ports.SignIns`, keyed by a hash of person and state. State and verifier are sealed.

    Starting a sign-in drops expired ones.
    """

    _SECRETS = ("state", "verifier")

    def __init__(self, folder: Path, disk: Disk, sealer: Sealer, clock: Clock) -> None:
        self.file = TableFile(folder / "sign_ins.json", disk, self._check)
        self._sealer = sealer
        self._clock = clock

    def start(self, sign_in: SignIn) -> None:
        key = _key(sign_in.person_id, sign_in.state)
        row = asdict(sign_in)
        row["sealed"] = self._sealer.seal(f"sign-in/{key}", {name: row.pop(name) for name in self._SECRETS})

        def change(table: TableChanges) -> None:
            table.drop_where(self._expired)
            started = sorted(one["started_at"] for one in table.rows() if one["person_id"] == sign_in.person_id)
            if len(started) >= MOST:
                oldest = started[-MOST]
                table.drop_where(
                    lambda one: bool(one["person_id"] == sign_in.person_id and one["started_at"] <= oldest)
                )
            table.put(key, row)

        self.file.change(change)

    def take(self, person_id: str, state: str) -> SignIn | None:
        key = _key(person_id, state)

        def change(table: TableChanges) -> Row | None:
            row = table.get(key)
            table.drop(key)
            return row

        row = self.file.change(change)
        if row is None or self._expired(row):
            return None
        try:
            secrets = self._sealer.open(f"sign-in/{key}", row["sealed"])
        except Unreadable:
            return None
        return SignIn(**{name: value for name, value in row.items() if name != "sealed"}, **secrets)

    def _expired(self, row: Row) -> bool:
        return bool(row["started_at"] + LIFE < self._clock())

    def _check(self, _key: str, row: Row) -> None:
        check_row(row, SignIn, self._SECRETS, "sealed")


def _key(person_id: str, state: str) -> str:
    return hashlib.sha256(f"{person_id}\n{state}".encode()).hexdigest()
