"""The effective instance: the environment wins part by part, and a failed write changes nothing."""

import pytest

from core.errors import StorageFailed
from core.instance import Instance
from handlers.live_settings import LiveInstance
from tests.unit.test_keys import FakeSettings

URL = "https://acme.service-now.com"
WHOLE = Instance(url=URL, client_id="id", client_secret="hidden")


def test_saved_settings_apply_at_once_and_after_a_restart() -> None:
    """New clients are built for them; a call in progress keeps its own."""
    memory = FakeSettings()
    live = LiveInstance(Instance(), memory, lambda instance: [instance])
    before = live.current
    live.set(WHOLE)
    assert live.current == [WHOLE]
    assert before == [Instance()]
    assert LiveInstance(Instance(), memory, lambda instance: instance).current == WHOLE
    assert "hidden" not in repr(live.current)


def test_the_environment_wins_part_by_part() -> None:
    """Its values aren't stored, so they are gone once the environment no longer sets them."""
    memory = FakeSettings()
    outside = Instance(client_id="outside")
    live = LiveInstance(outside, memory, lambda instance: instance)
    live.set(WHOLE)
    assert live.current == Instance(url=URL, client_id="outside", client_secret="hidden")
    assert LiveInstance(Instance(), memory, lambda instance: instance).current.missing == ("SERVICENOW_CLIENT_ID",)


def test_a_full_disk_changes_nothing() -> None:
    """The effective settings remain those that a restart would find."""
    memory = FakeSettings()
    live = LiveInstance(Instance(), memory, lambda instance: instance)
    memory.full = True
    with pytest.raises(StorageFailed):
        live.set(WHOLE)
    assert live.current == Instance()
