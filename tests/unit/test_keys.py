"""Webhook keys: at most two, retired when replaced, never while ServiceNow may still sign with them."""

from collections.abc import Mapping
from typing import Any

import pytest

from core.errors import StorageFailed
from core.notices import WebhookKey
from handlers.live_settings import KeyRing, KeysFromEnvironment

DAY = 86_400.0


class FakeSettings:
    """`SavedSettings` without a disk; it counts writes and fails on request."""

    def __init__(self) -> None:
        self.rows: dict[str, Mapping[str, Any]] = {}
        self.writes = 0
        self.full = False

    def get(self, name: str) -> Mapping[str, Any]:
        """Return what was put."""
        return self.rows.get(name, {})

    def put(self, name: str, content: Mapping[str, Any]) -> None:
        """Keep it, or fail."""
        if self.full:
            raise StorageFailed("no space")
        self.writes += 1
        self.rows[name] = content


class ManualClock:
    """A clock that is set by hand."""

    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def memory() -> FakeSettings:
    """An empty store."""
    return FakeSettings()


@pytest.fixture
def time() -> ManualClock:
    """The test's own clock."""
    return ManualClock()


def ids(ring: KeyRing) -> list[str]:
    """Accepted key IDs, newest first."""
    return [key.key_id for key in ring.accepted()]


def test_a_new_key_is_accepted_beside_the_current_one(memory: FakeSettings, time: ManualClock) -> None:
    """Both are, even after a restart; the secret has 64 hex digits and is in no repr."""
    ring = KeyRing((), memory, time)
    assert ring.newest is None
    first = ring.make("")
    second = ring.make(first.key_id)
    assert ids(ring) == [second.key_id, first.key_id] == ids(KeyRing((), memory, time))
    assert len(bytes.fromhex(second.secret)) == 32
    assert second.secret not in repr(second)


def test_a_third_key_replaces_the_one_that_servicenow_doesnt_use(memory: FakeSettings, time: ManualClock) -> None:
    """Whichever of the two that is."""
    ring = KeyRing((), memory, time)
    first = ring.make("")
    ring.make(first.key_id)  # was never written to ServiceNow
    third = ring.make(first.key_id)
    assert ids(ring) == [third.key_id, first.key_id]


@pytest.mark.parametrize("new_used", [False, True])
def test_the_old_key_expires_a_day_after_its_last_use_if_the_new_one_is_used(
    memory: FakeSettings, time: ManualClock, new_used: bool
) -> None:
    """Without a sign that ServiceNow has the new key, the old one is kept."""
    ring = KeyRing((), memory, time)
    old = ring.make("")
    new = ring.make(old.key_id)
    ring.used(old.key_id)
    time.now += DAY
    if new_used:
        ring.used(new.key_id)
    assert ids(ring) == [new.key_id, old.key_id]
    time.now += 1
    assert ids(ring) == ([new.key_id] if new_used else [new.key_id, old.key_id])


def test_uses_survive_a_restart_and_cost_a_write_per_ten_minutes(memory: FakeSettings, time: ManualClock) -> None:
    """A thousand requests within ten minutes are one write; a full disk rejects none of them."""
    ring = KeyRing((), memory, time)
    key = ring.make("")
    before = memory.writes
    for _ in range(1000):
        ring.used(key.key_id)
    assert memory.writes == before + 1
    assert KeyRing((), memory, time).accepted()[0].used_at == time.now
    time.now += 700
    memory.full = True
    ring.used(key.key_id)
    assert ring.accepted()[0].used_at == time.now


def test_a_full_disk_leaves_the_keys_unchanged(memory: FakeSettings, time: ManualClock) -> None:
    """The new key isn't accepted either, because a restart would lose it."""
    ring = KeyRing((), memory, time)
    first = ring.make("")
    memory.full = True
    with pytest.raises(StorageFailed):
        ring.make(first.key_id)
    assert ids(ring) == [first.key_id]


def test_keys_of_the_environment_win_and_are_changed_there(memory: FakeSettings, time: ManualClock) -> None:
    """Ours are accepted beside them, but none is created."""
    ours = KeyRing((), memory, time).make("")
    outside = WebhookKey(key_id="outside", secret="s" * 32, from_environment=True)
    ring = KeyRing((outside,), memory, time)
    assert ids(ring) == ["outside", ours.key_id]
    assert ring.newest == outside
    with pytest.raises(KeysFromEnvironment, match="WEBHOOK_SECRETS"):
        ring.make("")
