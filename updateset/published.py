"""What the published version 2.1 says about each of its records: identity and history, no content."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Published:
    """
    One record of version 2.1.

    Args:
        created_on, updated_on: UTC, ``YYYY-MM-DD HH:MM:SS``.
        history: ``guid:hash`` pairs, newest first, comma separated.
    """

    sys_id: str
    created_on: str
    updated_on: str
    mod_count: int
    history: str

    @property
    def guid(self) -> str:
        """Of the version that 2.1 shipped."""
        return self.history.partition(":")[0]

    @property
    def payload_hash(self) -> str:
        """Of the version that 2.1 shipped."""
        return self.history.partition(",")[0].partition(":")[2]


@cache
def published() -> dict[str, Published]:
    """By update name, the 64 live records. ``published.tsv`` holds a line for each."""
    records = {}
    for line in Path(__file__).with_name("published.tsv").read_text(encoding="ascii").splitlines():
        name, sys_id, created_on, updated_on, mod_count, history = line.split("\t")
        records[name] = Published(sys_id, created_on, updated_on, int(mod_count), history)
    return records
