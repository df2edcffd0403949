"""Identity and history of each record in the published version 2.1."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Published:
    """
    One record of version 2.1.

    Args:
        created_on, updated_on: UTC, ``YYYY-MM-DD HH:MM:SS``.
        history: ``guid:hash`` pairs, newest first, separated by commas.
    """

    sys_id: str
    created_on: str
    updated_on: str
    mod_count: int
    history: str

    @property
    def guid(self) -> str:
        """The guid in version 2.1."""
        return self.history.partition(":")[0]

    @property
    def payload_hash(self) -> str:
        """The checksum in version 2.1."""
        return self.history.partition(",")[0].partition(":")[2]


@cache
def published() -> dict[str, Published]:
    """The 64 records by update name, from ``published.tsv``."""
    records = {}
    for line in Path(__file__).with_name("published.tsv").read_text(encoding="ascii").splitlines():
        name, sys_id, created_on, updated_on, mod_count, history = line.split("\t")
        records[name] = Published(sys_id, created_on, updated_on, int(mod_count), history)
    return records
