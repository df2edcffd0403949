"""Which posts show a record's card, by channel and record, in ``cards.json``."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from core.times import Clock
from storage.disk import Disk
from storage.files import TableChanges, TableFile
from storage.rows import check_row

LIFE = 30 * 24 * 3600.0  # seconds since the newest card
MOST = 3  # of one record in one channel
SWEEP_EVERY = 600.0


@dataclass(frozen=True)
class _Places:
    """``post_ids`` are separated by spaces, newest first."""

    channel_id: str
    record_id: str
    post_ids: str
    last_at: float


class StoredCards:
    """`core.storage_ports.PostedCards`."""

    def __init__(self, folder: Path, disk: Disk, clock: Clock) -> None:
        self.file = TableFile(folder / "cards.json", disk, lambda _key, row: check_row(row, _Places))
        self._clock = clock
        self._sweep_at = 0.0

    def of(self, channel_id: str, record_id: str) -> Sequence[str]:
        row = self.file.get(f"{channel_id}/{record_id}")
        return [] if row is None or row["last_at"] + LIFE < self._clock() else str(row["post_ids"]).split()

    def add(self, channel_id: str, record_id: str, post_id: str) -> None:
        """Drops expired rows, at most every ten minutes."""
        now = self._clock()
        key = f"{channel_id}/{record_id}"

        def change(table: TableChanges) -> None:
            if now >= self._sweep_at:
                table.drop_where(lambda row: row["last_at"] + LIFE < now)
                self._sweep_at = now + SWEEP_EVERY
            known = table.get(key)
            post_ids = [post_id, *(str(known["post_ids"]).split() if known else [])][:MOST]
            table.put(key, asdict(_Places(channel_id, record_id, " ".join(dict.fromkeys(post_ids)), now)))

        self.file.change(change)
