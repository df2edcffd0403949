"""Columns and choices in the person's language."""

import threading

import pytest

from core.tables import table_of
from servicenow.client import ServiceNowClient
from servicenow.columns import SECONDS
from tests.contract.servicenow_client.world import World


def test_columns_are_in_the_persons_language_and_cached(world: World) -> None:
    """One request per person, because ServiceNow can return different columns; after 15 minutes they are read again."""
    assert _labels(world.client("agent2"), "urgency") == ["1 - Hoch", "2 - Mittel", "3 - Niedrig"]
    assert _labels(world.client("agent"), "urgency") == ["1 - High", "2 - Medium", "3 - Low"]
    world.client("newcomer").columns("incident")
    world.double.clear_requests()
    assert world.client("newcomer").columns("incident")["short_description"].max_length == 160
    assert world.client("newcomer").cached_columns("incident")["category"].choices
    assert world.double.requests() == []
    world.advance(SECONDS + 1)
    world.client("newcomer").columns("incident")
    assert len(world.asked("GET", "/api/now/ui/meta/incident")) == 1


def test_base_system_subcategories_are_below_their_categories(world: World) -> None:
    """Ordinary people can't read `sys_choice`; that is checked once, not for every form."""
    subcategory = world.client().columns("incident")["subcategory"]
    network = {choice.value for choice in subcategory.choices if choice.dependent_value == "network"}
    assert network == {"dhcp", "dns", "vpn", "wireless"}
    assert {c.dependent_value for c in subcategory.choices if c.value == "email"} == {"inquiry", "software"}
    world.client().columns("incident")
    assert len(world.asked("GET", "/api/now/v2/table/sys_choice")) == 1


def test_custom_subcategories_are_offered_everywhere(world: World) -> None:
    """The client can't find out where they belong, and others may have been moved."""
    own = {"name": "incident", "element": "subcategory", "value": "drone", "label": "Drone", "language": "en"}
    world.double.store.insert("sys_choice", own | {"dependent_value": "hardware", "sequence": "9"}, "system")
    choices = world.client().columns("incident")["subcategory"].choices
    assert "drone" in {choice.value for choice in choices}
    assert {choice.dependent_value for choice in choices} == {""}


@pytest.mark.parametrize("first", ["admin", "agent"])
def test_visible_choices_differ_per_person(world: World, first: str) -> None:
    """
    Whoever asks first, the administrator sees the parents of every choice, and others only what they are allowed to.
    """
    own = {"name": "incident", "element": "subcategory", "value": "drone", "label": "Drone", "language": "en"}
    world.double.store.insert("sys_choice", own | {"dependent_value": "hardware", "sequence": "9"}, "system")
    seen = {
        name: {c.dependent_value for c in world.client(name).columns("incident")["subcategory"].choices}
        for name in (first, "agent" if first == "admin" else "admin")
    }
    assert seen["agent"] == {""}
    assert "hardware" in seen["admin"]
    assert "" not in seen["admin"]


def test_dependent_choices_know_their_parents(world: World) -> None:
    """If `sys_choice` can be read, a value can even belong to two categories."""
    choices = world.client("admin").columns("incident")["subcategory"].choices
    assert {c.dependent_value for c in choices if c.value == "email"} == {"inquiry", "software"}


def test_fallbacks_replace_a_closed_ui_meta(world: World) -> None:
    """`sys_choice` is used if it can be read, otherwise the base system's values: a form always opens."""
    world.double.fault("meta_refused", "/api/now/ui/meta", times=2)
    told = world.client("admin").columns("incident")
    assert {"impact", "urgency", "category", "subcategory"} <= set(told)
    assert told["category"].choices
    world.advance(SECONDS + 1)
    assert world.client("agent").columns("incident") == table_of("incident").base_columns


@pytest.mark.parametrize("kind", ["hibernating", "html_login", "500", "202"])
def test_a_form_opens_while_servicenow_fails(world: World, kind: str) -> None:
    """The base system's values are used for a minute; then the real ones are read."""
    client = world.client()
    world.double.fault(kind, "/api/now/ui/meta")
    for _ in range(2):
        assert client.columns("incident") == table_of("incident").base_columns
    assert len(world.double.requests()) == 1
    world.advance(61)
    assert "category" in world.client().columns("incident")


def test_many_forms_at_once_send_one_request(world: World) -> None:
    """Columns are single-flight per person, table and language."""
    world.client()
    world.connect("newcomer")
    threads = [
        threading.Thread(target=lambda n=name: world.client(n).columns("incident"))
        for name in ("agent", "newcomer") * 4
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(world.asked("GET", "/api/now/ui/meta/incident")) == 2


def _labels(client: ServiceNowClient, column: str) -> list[str]:
    return [choice.label for choice in client.columns("incident")[column].choices]
