"""The embedded storage's folder: its lock, its modes, its contents, and what it rejects."""

import json
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from core.accounts import Account, FormResult, Installation, Tokens
from core.errors import StorageFailed
from core.records import Identity
from core.storage_ports import Stores
from storage.disk import Disk
from storage.embedded import InUse, open_storage
from storage.files import Damaged
from storage.sealing import derive_keys

ROOT = Path(__file__).parent.parent.parent
KEYS = partial(derive_keys, ("a secret of thirty-two characters",))
NOW = 1_800_000_000.0

# Opens the storage, says so, and closes it when its input ends.
HOLDER = """
import sys
from functools import partial
from storage.sealing import derive_keys
from storage.embedded import open_storage
stores = open_storage(sys.argv[1], partial(derive_keys, ("a secret of thirty-two characters",)))
print("open", flush=True)
sys.stdin.read()
stores.close()
"""


def account(person_id: str = "ann", instance: str = "https://acme.service-now.com") -> Account:
    """A linked account with tokens that are easy to find in a file."""
    return Account(
        person_id=person_id,
        instance=instance,
        tokens=Tokens("plain-access-token", "plain-refresh-token", NOW, NOW),
        identity=Identity("1" * 32, "abel.tuter"),
        connected_at=NOW,
    )


def url(folder: Path) -> str:
    """Its storage address; the folder doesn't exist yet."""
    return f"tinydb://{folder}/data"


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    """An open storage with one row in every table."""
    opened = open_storage(url(tmp_path), KEYS, clock=lambda: NOW)
    opened.accounts.put(account())
    opened.installations.put(
        Installation(bot_user_id="bot", installed_by="a", bot_token="plain-bot-token", webhook_secret="plain-secret")
    )
    opened.form_results.put(FormResult("form", "ann", "incident", "1" * 32, "INC1", "Created", NOW))
    yield opened
    opened.close()


RESULTS = f"form_results/{int(NOW // 900)}"


def edit(folder: Path, table: str, row: dict[str, Any]) -> None:
    """Merge *row* into every row of a table's file, as a careless or malicious edit would."""
    path = folder / "data" / f"{table}.json"
    tables = json.loads(path.read_text())
    for one in tables[path.stem].values():
        one.update(row)
    path.write_text(json.dumps(tables))


@pytest.mark.usefixtures("stores")
def test_only_the_owner_can_read_the_files(tmp_path: Path) -> None:
    """Mode 0700 for the folder and 0600 for everything in it, including the lock."""
    folder = tmp_path / "data"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    modes = {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in folder.iterdir()}
    assert modes.pop("form_results") == "0o700"
    assert modes == dict.fromkeys(["accounts.json", "installation.json", "lock"], "0o600")
    assert stat.S_IMODE((folder / f"{RESULTS}.json").stat().st_mode) == 0o600


@pytest.mark.usefixtures("stores")
def test_the_files_contain_no_secret(tmp_path: Path) -> None:
    """Tokens and secrets are sealed; who is connected to what is readable."""
    content = {path.name: path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file()}
    assert not [name for name, data in content.items() if b"plain-" in data]
    assert b"abel.tuter" in content["accounts.json"]


def test_a_row_moved_to_another_person_doesnt_open(stores: Stores, tmp_path: Path) -> None:
    """Sealed tokens are bound to their owner: the copy is nobody's account."""
    stores.close()
    path = tmp_path / "data" / "accounts.json"
    tables = json.loads(path.read_text())
    tables["accounts"]["bob"] = tables["accounts"]["ann"] | {"person_id": "bob"}
    path.write_text(json.dumps(tables))
    again = open_storage(url(tmp_path), KEYS)
    assert again.accounts.get("bob") is None
    assert again.accounts.all() == [account()]
    again.close()


def test_tokens_dont_open_for_another_instance(stores: Stores, tmp_path: Path) -> None:
    """Editing the address doesn't send the tokens there."""
    stores.close()
    edit(tmp_path, "accounts", {"instance": "https://evil.example"})
    again = open_storage(url(tmp_path), KEYS)
    assert again.accounts.get("ann") is None
    again.close()


@pytest.mark.parametrize(
    ("table", "row", "words"),
    [
        ("accounts", {"version": "7"}, "version is of another type"),
        ("accounts", {"suspended": 1}, "suspended is of another type"),
        ("accounts", {"tokens": {}}, "tokens is no text"),
        ("accounts", {"identity": "ann"}, "identity is no object"),
        ("accounts", {"identity": {"sys_id": 1}}, "sys_id is of another type"),
        ("accounts", {"person_id": "bob"}, "person_id is not the row's key"),
        ("accounts", {"from_the_future": 1}, "unknown column from_the_future"),
        ("installation", {"sealed": None}, "sealed is no text"),
        (RESULTS, {"stored_at": "today"}, "stored_at is of another type"),
    ],
)
def test_invalid_rows_prevent_the_start(
    stores: Stores, tmp_path: Path, table: str, row: dict[str, Any], words: str
) -> None:
    """A damaged row is found and named at the start, not during a call; the lock is released."""
    stores.close()
    path = tmp_path / "data" / f"{table}.json"
    good = path.read_bytes()
    edit(tmp_path, table, row)
    with pytest.raises(Damaged, match=words):
        open_storage(url(tmp_path), KEYS)
    path.write_bytes(good)
    open_storage(url(tmp_path), KEYS).close()


def test_form_results_of_an_older_version_are_moved(tmp_path: Path) -> None:
    """What one file contained is found, even after a crash in between; that file and expired results are deleted."""
    stored = [FormResult(f"f{number}", "ann", "", "", "", "Done", NOW - number * 3600) for number in range(30)]
    rows = {one.form_id: asdict(one) for one in stored}
    old = tmp_path / "data" / "form_results.json"
    for crashed in (False, True):
        old.parent.mkdir(mode=0o700, exist_ok=True)
        old.write_text(json.dumps({"form_results": rows}))
        opened = open_storage(url(tmp_path), KEYS, clock=lambda: NOW)
        assert [opened.form_results.get(one.form_id) for one in stored[:25]] == stored[:25]
        assert not any(opened.form_results.get(one.form_id) for one in stored[25:])
        assert not old.exists(), crashed
        opened.close()


def test_a_form_result_is_written_without_those_of_other_times(tmp_path: Path) -> None:
    """A write changes one file, for the quarter of an hour in which its form was first sent."""
    moment = NOW
    opened = open_storage(url(tmp_path), KEYS, clock=lambda: moment)
    for number in range(3):
        opened.form_results.put(FormResult(f"f{number}", "ann", "", "", "", "", NOW + number * 900))
    folder = tmp_path / "data" / "form_results"
    before = {path.name: path.stat().st_ino for path in folder.iterdir()}
    assert len(before) == 3
    opened.form_results.put(FormResult("f1", "ann", "", "", "", "Done", NOW + 900))
    opened.form_results.forget("f0")
    changed = [path.name for path in folder.iterdir() if path.stat().st_ino != before[path.name]]
    assert sorted(changed) == [f"{int(NOW // 900) + number}.json" for number in (0, 1)]
    moment = NOW + 86_400 + 1801
    opened.form_results.put(FormResult("f4", "ann", "", "", "", "", moment))
    assert len(list(folder.iterdir())) == 2
    opened.close()


def test_rows_of_an_older_version_are_read(stores: Stores, tmp_path: Path) -> None:
    """A column with a default can be missing; integers are accepted as times."""
    stores.close()
    path = tmp_path / "data" / "accounts.json"
    tables = json.loads(path.read_text())
    del tables["accounts"]["ann"]["ending_told_at"]
    tables["accounts"]["ann"]["connected_at"] = int(NOW)
    path.write_text(json.dumps(tables))
    again = open_storage(url(tmp_path), KEYS)
    assert again.accounts.get("ann") == account()
    again.close()


def test_a_second_process_waits_for_the_lock(tmp_path: Path) -> None:
    """Without waiting it is rejected at once; otherwise it gets the folder when the first process ends."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, url(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(InUse, match="in use by another process") as caught:
            open_storage(url(tmp_path), KEYS)
        assert str(tmp_path) in str(caught.value)
        assert str(tmp_path) not in caught.value.user_message
        with pytest.raises(InUse):
            open_storage(url(tmp_path), KEYS, wait=0.1)
        holder.stdin.close()
        open_storage(url(tmp_path), KEYS, wait=30).close()


def test_a_closed_storage_accepts_no_writes(stores: Stores, tmp_path: Path) -> None:
    """A late thread of the old process can't overwrite the new one's files."""
    stores.close()
    again = open_storage(url(tmp_path), KEYS)
    with pytest.raises(StorageFailed):
        stores.accounts.put(account("bob"))
    again.close()
    assert "bob" not in (tmp_path / "data" / "accounts.json").read_text()


def test_the_check_notices_a_full_disk_and_its_end(tmp_path: Path) -> None:
    """After a failed write it tries again itself, so a service without writes becomes ready again."""

    class Full(Disk):
        full = False

        def write(self, descriptor: int, data: bytes) -> None:
            if self.full:
                raise OSError(28, "No space left on device")
            super().write(descriptor, data)

    disk = Full()
    stores = open_storage(url(tmp_path), KEYS, disk=disk)
    stores.accounts.put(account())
    disk.full = True
    stores.check()
    with pytest.raises(StorageFailed):
        stores.accounts.put(account("bob"))
    with pytest.raises(StorageFailed, match="No space left"):
        stores.check()
    disk.full = False
    stores.check()
    stores.close()


@pytest.mark.parametrize("put_back", [True, False])
def test_the_check_notices_a_missing_or_replaced_folder(stores: Stores, tmp_path: Path, put_back: bool) -> None:
    """An unmounted volume, or a second one in its place, whose lock we don't hold."""
    (tmp_path / "data").rename(tmp_path / "moved")
    if put_back:
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "lock").touch()
    with pytest.raises(StorageFailed):
        stores.check()


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("postgresql://db/app", "PostgreSQL is not supported yet"),
        ("postgres://db/app", "PostgreSQL is not supported yet"),
        ("tinydb://relative/folder", "tinydb:///absolute/folder"),
        ("tinydb:///", "tinydb:///absolute/folder"),
        ("tinydb:///data?mode=x", "tinydb:///absolute/folder"),
        ("/var/lib/data", "tinydb:///absolute/folder"),
        ("", "tinydb:///absolute/folder"),
    ],
)
def test_other_addresses_are_rejected_with_a_message(address: str, words: str) -> None:
    """The message names the setting and what it should be."""
    with pytest.raises(ValueError, match=rf"STORAGE_URL.*{words}"):
        open_storage(address, KEYS)


def test_spaces_in_the_folder_are_percent_encoded(tmp_path: Path) -> None:
    """As in every address."""
    open_storage(f"tinydb://{tmp_path}/my%20data", KEYS).close()
    assert (tmp_path / "my data" / "lock").exists()


def test_a_folder_that_cant_be_created_is_rejected_with_a_message(tmp_path: Path) -> None:
    """A file is where the folder should be."""
    (tmp_path / "data").write_text("")
    with pytest.raises(StorageFailed, match=r"exists|[Nn]ot a directory"):
        open_storage(url(tmp_path), KEYS)
