"""The ports that need a disk: one suite for every storage."""

import json
import os
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from core.accounts import Account, FormResult, Installation, Tokens
from core.errors import StillWorking, StorageFailed
from core.records import Identity
from storage.disk import Disk
from storage.sealing import Unreadable, derive_keys
from storage.tinydb import InUse, Stores, open_storage

SECRETS = ("a secret of thirty-two characters",)
NOW = 1_800_000_000.0

Open = Callable[..., Stores]


def account(person_id: str = "ann", version: int = 1, access_token: str = "access-1") -> Account:
    """An account as `connect` stores it."""
    return Account(
        person_id=person_id,
        instance="https://acme.service-now.com",
        tokens=Tokens(access_token, "refresh-1", NOW + 1800, NOW),
        identity=Identity("1" * 32, "abel.tuter", "Abel Tuter", "abel@example.com", "Europe/Berlin", "de"),
        connected_at=NOW,
        version=version,
    )


@pytest.fixture
def open_(tmp_path: Path) -> Iterator[Open]:
    """Opens the same storage again and again, as a restarted process does."""
    opened: list[Stores] = []

    def again(disk: Disk | None = None, secrets: tuple[str, ...] = SECRETS, now: float = NOW) -> Stores:
        while opened:
            opened.pop().close()
        stores = open_storage(f"tinydb://{tmp_path}/data", partial(derive_keys, secrets), clock=lambda: now, disk=disk)
        opened.append(stores)
        return stores

    yield again
    while opened:
        opened.pop().close()


def test_an_account_survives_a_restart(open_: Open) -> None:
    """Everything comes back as it was stored."""
    assert open_().accounts.put(account())
    assert open_().accounts.get("ann") == account()
    assert open_().accounts.all() == [account()]


def test_an_older_write_loses(open_: Open) -> None:
    """A write states the version it builds on; a newer stored one wins."""
    accounts = open_().accounts
    assert accounts.put(account(version=2, access_token="new"))
    assert not accounts.put(account(version=2, access_token="other"))
    assert not accounts.put(account(version=1, access_token="old"))
    stored = accounts.get("ann")
    assert stored is not None
    assert stored.tokens.access_token == "new"


def test_a_deleted_account_is_gone(open_: Open) -> None:
    """Deleting twice is no error."""
    accounts = open_().accounts
    accounts.put(account())
    accounts.delete("ann")
    accounts.delete("ann")
    assert accounts.get("ann") is None
    assert open_().accounts.get("ann") is None


def test_the_installation_is_kept(open_: Open) -> None:
    """Pinned bot and sealed secrets come back."""
    installation = Installation(
        bot_user_id="bot", installed_by="admin", bot_token="t" * 26, bot_token_seen_at=NOW, webhook_secret="w"
    )
    stores = open_()
    assert stores.installations.get() is None
    stores.installations.put(installation)
    assert stores.installations.get() == installation
    assert open_().installations.get() == installation


def test_a_form_result_lives_a_day(open_: Open) -> None:
    """Results are found for 24 hours, and dropped afterwards."""
    result = FormResult("form", "ann", "incident", "1" * 32, "INC0010001", "Created", NOW)
    open_().form_results.put(result)
    assert open_(now=NOW + 86_399).form_results.get("form") == result
    later = open_(now=NOW + 86_401)
    assert later.form_results.get("form") is None
    later.form_results.put(replace(result, form_id="other", stored_at=NOW + 86_401))
    assert open_(now=NOW).form_results.get("form") is None


def test_a_forgotten_form_may_start_anew(open_: Open) -> None:
    """`forget` removes the attempt."""
    results = open_().form_results
    results.put(FormResult("form", "ann", "incident", "", "", "", NOW))
    results.forget("form")
    assert results.get("form") is None


def test_one_submit_per_form_at_a_time(open_: Open) -> None:
    """A second claim is refused while the first holds, and given afterwards."""
    results = open_().form_results
    with results.claim("form"), pytest.raises(StillWorking), results.claim("form"):
        pass
    with results.claim("form"):
        pass


def test_nothing_secret_stands_in_the_files(open_: Open, tmp_path: Path) -> None:
    """Tokens and secrets are sealed; files and folder are for their owner alone."""
    stores = open_()
    stores.accounts.put(account(access_token="plain-token-text"))
    stores.installations.put(Installation(bot_user_id="b", installed_by="a", webhook_secret="plain-secret-text"))
    for path in (tmp_path / "data").iterdir():
        assert b"plain-" not in path.read_bytes()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


def test_a_row_moved_to_another_person_does_not_open(open_: Open, tmp_path: Path) -> None:
    """Sealed tokens are bound to their owner."""
    open_().accounts.put(account())
    open_()  # closes the first
    path = tmp_path / "data" / "accounts.json"
    tables = json.loads(path.read_text())
    tables["accounts"]["bob"] = tables["accounts"]["ann"] | {"person_id": "bob"}
    path.write_text(json.dumps(tables))
    with pytest.raises(Unreadable):
        open_().accounts.get("bob")


def test_a_rotated_secret_reads_what_the_old_one_sealed(open_: Open) -> None:
    """The newest key seals, the old one still opens; without it nothing does."""
    open_().accounts.put(account())
    assert open_(secrets=("a new secret of many characters", *SECRETS)).accounts.get("ann") == account()
    with pytest.raises(Unreadable):
        open_(secrets=("a new secret of many characters",)).accounts.get("ann")


def test_a_second_process_is_kept_out(open_: Open, tmp_path: Path) -> None:
    """The folder belongs to one process until it lets go."""
    stores = open_()
    with pytest.raises(InUse, match="another process"):
        open_storage(f"tinydb://{tmp_path}/data", partial(derive_keys, SECRETS))
    stores.close()
    open_storage(f"tinydb://{tmp_path}/data", partial(derive_keys, SECRETS)).close()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"accounts": 1}'])
def test_a_damaged_file_never_starts_empty(open_: Open, tmp_path: Path, content: str) -> None:
    """What can't be read stops the start, and stays for somebody to look at."""
    open_().accounts.put(account())
    open_().close()
    path = tmp_path / "data" / "accounts.json"
    path.write_text(content)
    with pytest.raises(StorageFailed):
        open_()
    assert path.read_text() == content


class Failing(Disk):
    """A disk that fails at one step."""

    def __init__(self, step: str) -> None:
        self.step = step
        self.armed = False

    def _maybe(self, step: str) -> None:
        if self.armed and step == self.step:
            raise OSError(28, "No space left on device")

    def open(self, path: Path) -> int:
        self._maybe("open")
        return super().open(path)

    def write(self, descriptor: int, data: bytes) -> None:
        if self.armed and self.step == "write":
            os.write(descriptor, data[: len(data) // 2])
        self._maybe("write")
        super().write(descriptor, data)

    def fsync(self, descriptor: int) -> None:
        self._maybe("fsync")
        super().fsync(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        self._maybe("rename")
        super().rename(source, target)

    def fsync_folder(self, folder: Path) -> None:
        self._maybe("fsync_folder")
        super().fsync_folder(folder)


@pytest.mark.parametrize("step", ["open", "write", "fsync", "rename", "fsync_folder"])
def test_a_failed_write_changes_nothing(open_: Open, step: str) -> None:
    """Whichever step fails: the caller is told, memory and disk hold the last committed state."""
    disk = Failing(step)
    accounts = open_(disk=disk).accounts
    accounts.put(account())
    disk.armed = True
    with pytest.raises(StorageFailed):
        accounts.put(account(version=2, access_token="lost"))
    assert accounts.get("ann") == account()
    disk.armed = False
    assert accounts.put(account("bob"))
    assert accounts.get("ann") == account()
    again = open_().accounts
    assert again.get("ann") == account()
    assert again.get("bob") == account("bob")


def test_many_writers_lose_nothing_and_share_flushes(open_: Open) -> None:
    """32 threads write at once: every account is there, with fewer flushes than writes."""

    class Slow(Disk):
        flushes = 0

        def fsync(self, descriptor: int) -> None:
            type(self).flushes += 1
            started.wait(10)  # until all writers are under way
            super().fsync(descriptor)

    started = threading.Event()
    waiting = threading.Barrier(32)
    accounts = open_(disk=Slow()).accounts

    def write(number: int) -> None:
        waiting.wait(10)
        if number == 31:
            started.set()
        accounts.put(account(f"person{number}"))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert {one.person_id for one in open_().accounts.all()} == {f"person{number}" for number in range(32)}
    assert Slow.flushes < 32


def test_failed_and_good_writes_mix(open_: Open) -> None:
    """A thread whose write failed is told so even when a later one succeeds; nothing half remains."""
    disk = Failing("fsync")
    accounts = open_(disk=disk).accounts
    outcomes: dict[str, bool] = {}

    def write(number: int) -> None:
        disk.armed = number % 3 == 0
        with suppress(StorageFailed):
            outcomes[f"p{number}"] = accounts.put(account(f"p{number}"))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert {one.person_id for one in open_().accounts.all()} == set(outcomes)
