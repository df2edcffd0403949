"""The cost of storing a form result next to 10,000 others, compared with replacing a small file."""

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path

from core.accounts import FormResult
from storage.embedded import open_storage
from storage.sealing import derive_keys

STORED = 10_000
TIMES = 300
DAY = 86_400.0


def _result(form_id: str, stored_at: float) -> FormResult:
    text = "Created **INC0010001**: Reset the password of the shared mailbox."
    return FormResult(form_id, "a" * 26, "incident", "1" * 32, "INC0010001", text, stored_at)


def _cpu(step: Callable[[int], object]) -> float:
    """CPU seconds of one step."""
    began = time.process_time()
    for number in range(TIMES):
        step(number)
    return (time.process_time() - began) / TIMES


def _replace(folder: Path, row: FormResult) -> None:
    """Replace a file with one row, and flush file and folder."""
    beside = folder / "one.new"
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.write(descriptor, json.dumps({"form_results": {row.form_id: asdict(row)}}).encode())
    os.fsync(descriptor)
    os.close(descriptor)
    os.replace(beside, folder / "one.json")
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(descriptor)
    os.close(descriptor)


def work(folder: Path) -> list[tuple[str, str, str]]:
    """Rows for the table of results."""
    data, now = folder / "forms", time.time()
    data.mkdir(mode=0o700)
    day = [_result(f"stored-{number}", now - DAY * number / STORED) for number in range(STORED)]
    # In the format of an earlier version, which opening the storage splits into files.
    (data / "form_results.json").write_text(json.dumps({"form_results": {one.form_id: asdict(one) for one in day}}))
    stores = open_storage(f"tinydb://{data}", partial(derive_keys, ("a secret of more than thirty-two letters",)))
    floor = _cpu(lambda number: _replace(folder, _result(f"raw-{number}", now)))
    # A form is stored three times: before the write, after it, and with its answer.
    put = _cpu(lambda number: stores.form_results.put(_result(f"new-{number // 3}", now)))
    stores.close()
    measured = f"{put * 1000:.2f} ms CPU, {put / floor:.1f} times replacing a file with one row ({floor * 1000:.2f} ms)"
    return [(f"store a form's result beside {STORED:,} of the day", measured, "at most 10 times")]
