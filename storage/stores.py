"""The ports that need a disk, on table files: accounts, the installation, results of forms."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict

from core.accounts import Account, FormResult, Installation, Tokens
from core.errors import StillWorking
from core.ports import Clock
from core.records import Identity
from storage.files import Changes, TableFile
from storage.sealing import Sealer

RESULT_LIFE = 24 * 3600.0  # seconds


class StoredAccounts:
    """`core.ports.Accounts`. Tokens are sealed under the person's id; the rest is readable."""

    def __init__(self, file: TableFile, sealer: Sealer) -> None:
        self._file = file
        self._sealer = sealer
        # What is stored, opened once: bindings read it at every channel switch.
        self._opened: dict[str, tuple[str, Account]] = {}

    def get(self, person_id: str) -> Account | None:
        document = self._file.get(person_id)
        if document is None:
            return None
        known = self._opened.get(person_id)
        sealed = document["tokens"]
        if known is not None and known[0] == sealed and known[1].version == document["version"]:
            return known[1]
        tokens = Tokens(**self._sealer.open(f"account/{person_id}", sealed))
        rest = {name: value for name, value in document.items() if name not in {"tokens", "identity"}}
        account = Account(**rest, tokens=tokens, identity=Identity(**document["identity"]))
        self._opened[person_id] = (sealed, account)
        return account

    def put(self, account: Account) -> bool:
        document = asdict(account)
        document["tokens"] = self._sealer.seal(f"account/{account.person_id}", document["tokens"])

        def change(table: Changes) -> bool:
            stored = table.get(account.person_id)
            if stored is not None and stored["version"] >= account.version:
                return False
            table.put(account.person_id, document)
            return True

        return self._file.change(change)

    def delete(self, person_id: str) -> None:
        self._file.change(lambda table: table.drop(person_id))
        self._opened.pop(person_id, None)

    def all(self) -> Sequence[Account]:
        people = [str(document["person_id"]) for document in self._file.documents()]
        return [account for person in people if (account := self.get(person)) is not None]


class StoredInstallations:
    """`core.ports.Installations`: one document."""

    _KEY = "servicenow"

    def __init__(self, file: TableFile, sealer: Sealer) -> None:
        self._file = file
        self._sealer = sealer
        self._opened: tuple[object, Installation] | None = None

    def get(self) -> Installation | None:
        document = self._file.get(self._KEY)
        if document is None:
            return None
        known = self._opened
        if known is not None and known[0] is document:
            return known[1]
        secrets = self._sealer.open("installation", document["sealed"])
        rest = {name: value for name, value in document.items() if name != "sealed"}
        installation = Installation(**rest, **secrets)
        self._opened = (document, installation)
        return installation

    def put(self, installation: Installation) -> None:
        document = asdict(installation)
        secrets = {name: document.pop(name) for name in ("bot_token", "webhook_secret")}
        document["sealed"] = self._sealer.seal("installation", secrets)
        self._file.change(lambda table: table.put(self._KEY, document))


class StoredFormResults:
    """`core.ports.FormResults`. Claims live in the process: one process owns the files."""

    def __init__(self, file: TableFile, clock: Clock) -> None:
        self._file = file
        self._clock = clock
        self._claimed: set[str] = set()
        self._lock = threading.Lock()

    @contextmanager
    def claim(self, form_id: str) -> Iterator[None]:
        with self._lock:
            if form_id in self._claimed:
                raise StillWorking("the form is being submitted")
            self._claimed.add(form_id)
        try:
            yield
        finally:
            with self._lock:
                self._claimed.discard(form_id)

    def get(self, form_id: str) -> FormResult | None:
        document = self._file.get(form_id)
        if document is None or document["stored_at"] + RESULT_LIFE < self._clock():
            return None
        return FormResult(**document)

    def put(self, result: FormResult) -> None:
        oldest = self._clock() - RESULT_LIFE

        def change(table: Changes) -> None:
            table.drop_where(lambda document: document["stored_at"] < oldest)
            table.put(result.form_id, asdict(result))

        self._file.change(change)

    def forget(self, form_id: str) -> None:
        self._file.change(lambda table: table.drop(form_id))
