"""Connected accounts and the installation, on disk."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import structlog

from core.accounts import Account, Installation, Tokens
from core.records import Identity
from storage.disk import Disk
from storage.files import Row, TableChanges, TableFile
from storage.rows import check_row
from storage.sealing import Sealer, Unreadable

log = structlog.get_logger(__name__)


class StoredAccounts:
    """
    `core.storage_ports.Accounts` in ``accounts.json``, keyed by Mattermost user id.

    Only tokens are encrypted, for the person and the instance. An account whose tokens can't be decrypted, because a
    key was removed from `APP_SECRET` or the row was copied, counts as not connected. Its row is kept until the person
    connects again, in case the key returns.
    """

    def __init__(self, folder: Path, disk: Disk, sealer: Sealer) -> None:
        self.file = TableFile(folder / "accounts.json", disk, _check_account)
        self._sealer = sealer
        # Decrypting takes 100 µs, and clients request bindings at every channel switch.
        self._opened: dict[str, tuple[Row, Account | None]] = {}
        self._linked: dict[str, dict[str, None]] = {}  # person IDs by the sys_id of their user; may be outdated
        for person_id, row in self.file.table().items():
            self._linked.setdefault(row["identity"]["sys_id"], {})[person_id] = None

    def get(self, person_id: str) -> Account | None:
        """Read from memory in less than 20 µs, except for the first time."""
        row = self.file.get(person_id)
        return None if row is None else self._open(person_id, row)

    def put(self, account: Account) -> bool:
        """Any version replaces a row that can't be decrypted."""
        row = asdict(account)
        row["tokens"] = self._sealer.seal(_place(account.person_id, account.instance), row["tokens"])

        def change(table: TableChanges) -> bool:
            stored = table.get(account.person_id)
            if (
                stored is not None
                and stored["version"] >= account.version
                and self._unsealed(account.person_id, stored) is not None
            ):
                return False
            table.put(account.person_id, row)
            return True

        stored = self.file.change(change)
        self._linked.setdefault(account.identity.sys_id, {})[account.person_id] = None
        return stored

    def delete(self, person_id: str) -> None:
        self.file.change(lambda table: table.drop(person_id))
        self._opened.pop(person_id, None)

    def all(self) -> Sequence[Account]:
        """All accounts except those that can't be decrypted."""
        found = (self._open(str(row["person_id"]), row) for row in self.file.rows())
        return [account for account in found if account is not None]

    def person_of(self, user_sys_id: str) -> str:
        for person_id in list(self._linked.get(user_sys_id, ())):
            account = self.get(person_id)
            if account is not None and account.identity.sys_id == user_sys_id:
                return person_id
        return ""

    def _open(self, person_id: str, row: Row) -> Account | None:
        known = self._opened.get(person_id)
        if known is not None and known[0] is row:
            return known[1]
        tokens = self._unsealed(person_id, row)
        account = None
        if tokens is None:
            log.warning("stored tokens can't be opened: was a key taken out of APP_SECRET?", person=person_id)
        else:
            account = Account(**{**row, "tokens": tokens, "identity": Identity(**row["identity"])})
        self._opened[person_id] = row, account
        return account

    def _unsealed(self, person_id: str, row: Row) -> Tokens | None:
        try:
            return Tokens(**self._sealer.open(_place(person_id, row["instance"]), row["tokens"]))
        except Unreadable:
            return None


class StoredInstallations:
    """
    `core.storage_ports.Installations` in ``installation.json``: one row with two encrypted secrets.

    Secrets that can't be decrypted are read as empty. The bot's id is kept, and the next verified call has its token.
    """

    _KEY = "servicenow"
    _SECRETS = ("bot_token", "webhook_secret")

    def __init__(self, folder: Path, disk: Disk, sealer: Sealer) -> None:
        self.file = TableFile(folder / "installation.json", disk, self._check)
        self._sealer = sealer
        self._opened: tuple[Row, Installation] | None = None

    def get(self) -> Installation | None:
        row = self.file.get(self._KEY)
        if row is None:
            return None
        known = self._opened
        if known is not None and known[0] is row:
            return known[1]
        secrets: dict[str, Any] = {}
        try:
            secrets = self._sealer.open("installation", row["sealed"])
        except Unreadable:
            log.warning("the bot's stored token can't be opened: was a key taken out of APP_SECRET?")
        installation = Installation(**{name: value for name, value in row.items() if name != "sealed"}, **secrets)
        self._opened = row, installation
        return installation

    def put(self, installation: Installation) -> None:
        row = asdict(installation)
        row["sealed"] = self._sealer.seal("installation", {name: row.pop(name) for name in self._SECRETS})
        self.file.change(lambda table: table.put(self._KEY, row))

    def _check(self, _key: str, row: Row) -> None:
        check_row(row, Installation, self._SECRETS, "sealed")


def _place(person_id: str, instance: str) -> str:
    return f"account/{person_id}/{instance}"


def _check_account(key: str, row: Row) -> None:
    check_row(row, Account, ("tokens",), "tokens")
    if row["person_id"] != key:
        raise ValueError("person_id is not the row's key")
