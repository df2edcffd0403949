"""Grants: the subscriptions that people set up through us, in ``channel_grants.json``."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from core.subscriptions import Grant
from storage.disk import Disk
from storage.files import Row, TableFile
from storage.rows import check_row


class StoredGrants:
    """`core.storage_ports.ChannelGrants`, keyed by the subscription's sys_id. Nothing in a grant is secret."""

    def __init__(self, folder: Path, disk: Disk) -> None:
        self.file = TableFile(folder / "channel_grants.json", disk, _check)

    def get(self, sys_id: str) -> Grant | None:
        row = self.file.get(sys_id)
        return None if row is None else Grant(**row)

    def put(self, grant: Grant) -> None:
        self.file.change(lambda table: table.put(grant.sys_id, asdict(grant)))

    def delete(self, sys_id: str) -> None:
        self.file.change(lambda table: table.drop(sys_id))

    def all(self) -> Sequence[Grant]:
        return [Grant(**row) for row in self.file.rows()]


def _check(key: str, row: Row) -> None:
    check_row(row, Grant)
    if row["sys_id"] != key:
        raise ValueError("sys_id is not the row's key")
