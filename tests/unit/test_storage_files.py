"""Table files: complete after every failure, with shared flushes, and never empty instead of damaged."""

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
    """A disk that fails at the steps in ``broken``; a write fails after half of the data."""

    def __init__(self) -> None:
        self.broken: set[str] = set()
        self.calls: list[str] = []

    def _step(self, name: str) -> None:
        self.calls.append(name)
        if name in self.broken:
            raise OSError(28, "No space left on device")

    def open(self, path: Path) -> int:
        """Open, or fail."""
        self._step("open")
        return super().open(path)

    def write(self, descriptor: int, data: bytes) -> None:
        """Write everything, or half of it."""
        if "write" in self.broken:
            os.write(descriptor, data[: len(data) // 2])
        self._step("write")
        super().write(descriptor, data)

    def fsync(self, descriptor: int) -> None:
        """Flush, or fail."""
        self._step("fsync")
        super().fsync(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """Rename, or fail."""
        self._step("rename")
        super().rename(source, target)

    def fsync_folder(self, folder: Path) -> None:
        """Flush, or fail."""
        self._step("fsync_folder")
        super().fsync_folder(folder)


def anything(_key: str, _row: Row) -> None:
    """Accept every row."""


def table(folder: Path, disk: Disk | None = None, check: Callable[[str, Row], None] = anything) -> TableFile:
    """The table ``things`` of *folder*."""
    return TableFile(folder / "things.json", disk or Disk(), check)


def put(file: TableFile, key: str, value: Any) -> None:
    """Store one row."""
    file.change(lambda changes: changes.put(key, {"value": value}))


def on_disk(folder: Path) -> dict[str, Any]:
    """What a process that starts now would find, by key."""
    file = table(folder)
    return {str(row["value"]): file.get(str(row["value"])) for row in file.rows()}


def test_a_commits_steps_are_in_a_safe_order(tmp_path: Path) -> None:
    """Data is flushed before it is renamed, and renamed before the caller returns."""
    disk = Failing()
    put(table(tmp_path, disk), "a", "a")
    assert disk.calls == STEPS


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("step", STEPS)
def test_a_failed_write_changes_nothing(tmp_path: Path, step: str, before: bool) -> None:
    """Whichever step fails, with or without an earlier commit: it raises, and memory and disk are unchanged."""
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


def test_a_failed_rollback_is_completed_by_the_check(tmp_path: Path) -> None:
    """New content may remain visible while nothing works; the next successful check reverts it."""

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
def test_closing_restores_the_last_committed_state(tmp_path: Path, commit: bool) -> None:
    """Like `check`, for a process that stops right after the failure; before any commit there is no file."""
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


def test_waiting_changes_share_one_flush(tmp_path: Path) -> None:
    """32 threads change rows during the first flush: one more flush covers them all."""
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


def test_a_failed_group_fails_for_all_its_changes_and_those_built_on_it(tmp_path: Path) -> None:
    """Every change in the failed write, or made on top of it in the meantime, raises; nothing remains."""
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


def test_a_decision_based_on_an_unflushed_row_fails_with_it(tmp_path: Path) -> None:
    """A caller that changes nothing because of an unflushed row learns when that row's write fails."""
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
def test_a_value_that_json_cant_hold_fails_only_its_own_change(tmp_path: Path, value: Any) -> None:
    """The change raises and leaves nothing, not even its earlier steps; the next one works."""
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


def test_a_change_without_an_effect_writes_nothing(tmp_path: Path) -> None:
    """Deleting a missing row costs no flush."""
    disk = Failing()
    file = table(tmp_path, disk)
    file.change(lambda changes: changes.drop("nobody"))
    assert disk.calls == []


def test_a_closed_table_accepts_no_changes(tmp_path: Path) -> None:
    """The next process owns the file then; reads still work from memory."""
    file = table(tmp_path)
    put(file, "a", "a")
    file.close()
    with pytest.raises(StorageFailed, match="not open"):
        put(file, "b", "b")
    assert file.get("a") == {"value": "a"}


def test_only_the_process_that_opened_it_can_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a fork two processes would overwrite each other from their own memory."""
    file = table(tmp_path)
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with pytest.raises(StorageFailed, match="not open in this process"):
        put(file, "a", "a")


def test_a_partial_temporary_file_is_removed(tmp_path: Path) -> None:
    """A killed process left it; it isn't content."""
    put(table(tmp_path), "a", "a")
    (tmp_path / "things.new").write_text('{"things":{"b":{"val')
    assert on_disk(tmp_path) == {"a": {"value": "a"}}
    assert [path.name for path in tmp_path.iterdir()] == ["things.json"]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"{}", b'{"others":{}}', b'{"things":[]}', b'{"things":{"a":1}}', b"\xff\xfe", b"[" * 100_000],
)
def test_a_damaged_file_never_starts_empty(tmp_path: Path, content: bytes) -> None:
    """A file that can't be read prevents the start and is kept for inspection."""
    path = tmp_path / "things.json"
    path.write_bytes(content)
    with pytest.raises(Damaged, match=r"things\.json"):
        table(tmp_path)
    assert path.read_bytes() == content


def test_an_invalid_row_prevents_the_start(tmp_path: Path) -> None:
    """The check's message and the row's key are in the log."""

    def refuse(_key: str, _row: Row) -> None:
        raise ValueError("version is missing")

    put(table(tmp_path), "a", "a")
    with pytest.raises(Damaged, match="'a': version is missing"):
        table(tmp_path, check=refuse)


def test_a_file_without_read_permission_isnt_treated_as_missing(tmp_path: Path) -> None:
    """Anything but "no such file" is an error."""
    (tmp_path / "things.json").mkdir()
    with pytest.raises(StorageFailed, match="directory"):
        table(tmp_path)
