"""Table files: whole after every failure, shared flushes, and never empty instead of damaged."""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.errors import StorageFailed
from storage.disk import Disk
from storage.files import Damaged, Row, TableChanges, TableFile

STEPS = ["open", "write", "fsync", "rename", "fsync_folder"]


class Failing(Disk):
    """A disk that fails at the steps in ``broken``, a write after half of the data."""

    def __init__(self) -> None:
        self.broken: set[str] = set()
        self.calls: list[str] = []

    def _step(self, name: str) -> None:
        self.calls.append(name)
        if name in self.broken:
            raise OSError(28, "No space left on device")

    def open(self, path: Path) -> int:
        """As the disk, or not."""
        self._step("open")
        return super().open(path)

    def write(self, descriptor: int, data: bytes) -> None:
        """As the disk, or half of it."""
        if "write" in self.broken:
            os.write(descriptor, data[: len(data) // 2])
        self._step("write")
        super().write(descriptor, data)

    def fsync(self, descriptor: int) -> None:
        """As the disk, or not."""
        self._step("fsync")
        super().fsync(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """As the disk, or not."""
        self._step("rename")
        super().rename(source, target)

    def fsync_folder(self, folder: Path) -> None:
        """As the disk, or not."""
        self._step("fsync_folder")
        super().fsync_folder(folder)


def anything(_key: str, _row: Row) -> None:
    """Every row is right."""


def table(folder: Path, disk: Disk | None = None, check: Callable[[str, Row], None] = anything) -> TableFile:
    """The table ``things`` of *folder*."""
    return TableFile(folder / "things.json", disk or Disk(), check)


def put(file: TableFile, key: str, value: Any) -> None:
    """Store one row."""
    file.change(lambda changes: changes.put(key, {"value": value}))


def on_disk(folder: Path) -> dict[str, Any]:
    """What a process that starts now would find: key to value."""
    file = table(folder)
    return {str(row["value"]): file.get(str(row["value"])) for row in file.rows()}


def test_steps_of_a_commit_come_in_the_safe_order(tmp_path: Path) -> None:
    """Data is flushed before it gets its name, and the name before the caller hears of it."""
    disk = Failing()
    put(table(tmp_path, disk), "a", "a")
    assert disk.calls == STEPS


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("step", STEPS)
def test_a_failed_write_changes_nothing(tmp_path: Path, step: str, before: bool) -> None:
    """Whichever step fails, with or without an earlier commit: told, and memory and disk as before."""
    disk = Failing()
    file = table(tmp_path, disk)
    if before:
        put(file, "a", "a")
    disk.broken = {step}
    with pytest.raises(StorageFailed, match="No space left"):
        put(file, "b", "b")
    with pytest.raises(StorageFailed, match="No space left"):
        put(file, "a", "changed")
    kept = {"a": {"value": "a"}} if before else {}
    assert file.get("b") is None
    assert file.get("a") == kept.get("a")
    assert [path.name for path in tmp_path.iterdir()] == (["things.json"] if before else [])
    assert on_disk(tmp_path) == kept
    disk.broken = set()
    put(file, "c", "c")
    assert on_disk(tmp_path) == {**kept, "c": {"value": "c"}}


def test_a_disk_that_fails_in_the_rescue_is_put_right_by_the_check(tmp_path: Path) -> None:
    """New content may stay visible when nothing works any more; the next check that can, takes it back."""

    class Broken(Failing):
        def fsync_folder(self, folder: Path) -> None:
            self.broken |= {"open"} if "fsync_folder" in self.broken else set()
            super().fsync_folder(folder)

    disk = Broken()
    file = table(tmp_path, disk)
    put(file, "a", "a")
    disk.broken = {"fsync_folder"}
    with pytest.raises(StorageFailed):
        put(file, "b", "b")
    assert file.get("b") is None
    with pytest.raises(StorageFailed):
        file.check()
    disk.broken = set()
    file.check()
    assert on_disk(tmp_path) == {"a": {"value": "a"}}


@pytest.mark.parametrize("commit", [True, False])
def test_closing_puts_the_last_committed_state_back(tmp_path: Path, commit: bool) -> None:
    """As `check` does, for a process that stops right after the failure; before any commit: no file."""
    disk = Failing()
    file = table(tmp_path, disk)
    if commit:
        put(file, "a", "a")
    disk.broken = {"fsync_folder"}
    with pytest.raises(StorageFailed):
        put(file, "b", "b")
    (tmp_path / "things.json").write_text('{"things":{"b":{"value":"b"}}}')
    disk.broken = set()
    file.close()
    assert on_disk(tmp_path) == ({"a": {"value": "a"}} if commit else {})


def test_changes_that_wait_share_one_flush(tmp_path: Path) -> None:
    """32 threads change while the first flush is under way: one further flush takes all the rest."""
    everybody = threading.Event()
    changed: list[int] = []

    class Slow(Failing):
        def fsync(self, descriptor: int) -> None:
            assert everybody.wait(20)
            super().fsync(descriptor)

    disk = Slow()
    file = table(tmp_path, disk)

    def work(number: int) -> None:
        def change(changes: TableChanges) -> None:
            changes.put(f"n{number}", {"value": f"n{number}"})
            changed.append(number)
            if len(changed) == 32:
                everybody.set()

        file.change(change)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert set(on_disk(tmp_path)) == {f"n{number}" for number in range(32)}
    assert disk.calls.count("fsync") == 2


def test_a_failed_group_fails_for_all_of_it_and_for_what_was_built_on_it(tmp_path: Path) -> None:
    """Everybody whose change was in the failed write, or came on top meanwhile, is told; nothing stays."""
    everybody = threading.Event()
    changed: list[int] = []
    failed: list[int] = []

    class FailsOnce(Failing):
        def fsync(self, descriptor: int) -> None:
            assert everybody.wait(20)
            super().fsync(descriptor)

    disk = FailsOnce()
    disk.broken = {"fsync"}
    file = table(tmp_path, disk)

    def work(number: int) -> None:
        def change(changes: TableChanges) -> bool:
            seen = changes.get("first") is not None
            changes.put("first", {"value": "first"})
            changed.append(number)
            if len(changed) == 8:
                everybody.set()
            return seen

        try:
            file.change(change)
        except StorageFailed:
            failed.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(failed) == list(range(8))
    assert disk.calls.count("fsync") == 1
    assert file.rows() == []
    assert on_disk(tmp_path) == {}


def test_a_decision_on_a_row_that_never_got_to_disk_is_no_answer(tmp_path: Path) -> None:
    """Who changes nothing because of a row under way learns when that row's write fails."""
    looked = threading.Event()
    outcomes: list[str] = []

    class Waits(Failing):
        def fsync(self, descriptor: int) -> None:
            reader.start()
            assert looked.wait(20)
            super().fsync(descriptor)

    disk = Waits()
    disk.broken = {"fsync"}
    file = table(tmp_path, disk)

    def look(changes: TableChanges) -> bool:
        found = changes.get("a") is not None
        looked.set()
        return found

    def read() -> None:
        try:
            outcomes.append(f"found {file.change(look)}")
        except StorageFailed:
            outcomes.append("failed")

    reader = threading.Thread(target=read)
    with pytest.raises(StorageFailed):
        put(file, "a", "a")
    reader.join(20)
    assert outcomes == ["failed"]


@pytest.mark.parametrize("value", [object(), float("nan"), {1, 2}])
def test_what_json_cannot_hold_fails_its_own_change_alone(tmp_path: Path, value: Any) -> None:
    """The change raises and leaves nothing, not even what it did before; the next one works."""
    file = table(tmp_path)

    def change(changes: TableChanges) -> None:
        changes.put("before", {"value": "before"})
        changes.put("bad", {"value": value})

    with pytest.raises((TypeError, ValueError)):
        file.change(change)
    put(file, "good", "good")
    assert on_disk(tmp_path) == {"good": {"value": "good"}}


def test_text_of_all_kinds_comes_back(tmp_path: Path) -> None:
    """Quotes, other scripts, control characters and lone surrogates, as keys and as values."""
    file = table(tmp_path)
    for text in ('"', "\\", "é漢😀", "\x00\n\u2028", "\ud800"):
        put(file, text, text)
    assert on_disk(tmp_path) == {text: {"value": text} for text in ('"', "\\", "é漢😀", "\x00\n\u2028", "\ud800")}


def test_a_change_that_changes_nothing_writes_nothing(tmp_path: Path) -> None:
    """Dropping what is not there costs no flush."""
    disk = Failing()
    file = table(tmp_path, disk)
    file.change(lambda changes: changes.drop("nobody"))
    assert disk.calls == []


def test_a_closed_table_takes_no_changes(tmp_path: Path) -> None:
    """The next process owns the file then; reads still work from memory."""
    file = table(tmp_path)
    put(file, "a", "a")
    file.close()
    with pytest.raises(StorageFailed, match="not open"):
        put(file, "b", "b")
    assert file.get("a") == {"value": "a"}


def test_another_process_than_the_one_that_opened_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a fork two processes would overwrite each other from their own memory."""
    file = table(tmp_path)
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with pytest.raises(StorageFailed, match="not open in this process"):
        put(file, "a", "a")


def test_a_half_written_file_beside_is_removed(tmp_path: Path) -> None:
    """What a killed process left beside is no content."""
    put(table(tmp_path), "a", "a")
    (tmp_path / "things.new").write_text('{"things":{"b":{"val')
    assert on_disk(tmp_path) == {"a": {"value": "a"}}
    assert [path.name for path in tmp_path.iterdir()] == ["things.json"]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"{}", b'{"others":{}}', b'{"things":[]}', b'{"things":{"a":1}}', b"\xff\xfe", b"[" * 100_000],
)
def test_a_damaged_file_never_starts_empty(tmp_path: Path, content: bytes) -> None:
    """What can't be read stops the start, and stays for somebody to look at."""
    path = tmp_path / "things.json"
    path.write_bytes(content)
    with pytest.raises(Damaged, match=r"things\.json"):
        table(tmp_path)
    assert path.read_bytes() == content


def test_a_row_that_can_not_be_right_stops_the_start(tmp_path: Path) -> None:
    """The check's words and the row's key are in the log's sentence."""

    def refuse(_key: str, _row: Row) -> None:
        raise ValueError("version is missing")

    put(table(tmp_path), "a", "a")
    with pytest.raises(Damaged, match="'a': version is missing"):
        table(tmp_path, check=refuse)


def test_a_file_that_may_not_be_read_is_no_empty_one(tmp_path: Path) -> None:
    """Anything but "no such file" is an error."""
    (tmp_path / "things.json").mkdir()
    with pytest.raises(StorageFailed, match="directory"):
        table(tmp_path)
