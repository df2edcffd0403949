"""Columns and choices in the person's language."""

import threading

import pytest

from core.tables import table_of
from servicenow.client import ServiceNowClient
from servicenow.columns import SECONDS
from tests.contract.servicenow_client.world import World


def test_columns_come_in_the_persons_language_and_stay_for_a_while(world: World) -> None:
    """One question for each person, whom ServiceNow may tell more or less; after 15 minutes it is asked again."""
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


def test_subcategories_of_the_base_system_stand_under_their_categories(world: World) -> None:
    """Ordinary people may not read `sys_choice`; that is asked once, not for every form."""
    subcategory = world.client().columns("incident")["subcategory"]
    network = {choice.value for choice in subcategory.choices if choice.dependent_value == "network"}
    assert network == {"dhcp", "dns", "vpn", "wireless"}
    assert {c.dependent_value for c in subcategory.choices if c.value == "email"} == {"inquiry", "software"}
    world.client().columns("incident")
    assert len(world.asked("GET", "/api/now/v2/table/sys_choice")) == 1


def test_an_instance_with_subcategories_of_its_own_is_not_second_guessed(world: World) -> None:
    """Nobody tells where they belong, and the others may have been moved: every one is offered everywhere."""
    own = {"name": "incident", "element": "subcategory", "value": "drone", "label": "Drone", "language": "en"}
    world.double.store.insert("sys_choice", own | {"dependent_value": "hardware", "sequence": "9"}, "system")
    choices = world.client().columns("incident")["subcategory"].choices
    assert "drone" in {choice.value for choice in choices}
    assert {choice.dependent_value for choice in choices} == {""}


@pytest.mark.parametrize("first", ["admin", "agent"])
def test_nobody_decides_for_others_what_they_see(world: World, first: str) -> None:
    """Whoever asks first, the administrator knows the parents of every choice, and others only what they are told."""
    own = {"name": "incident", "element": "subcategory", "value": "drone", "label": "Drone", "language": "en"}
    world.double.store.insert("sys_choice", own | {"dependent_value": "hardware", "sequence": "9"}, "system")
    seen = {
        name: {c.dependent_value for c in world.client(name).columns("incident")["subcategory"].choices}
        for name in (first, "agent" if first == "admin" else "admin")
    }
    assert seen["agent"] == {""}
    assert "hardware" in seen["admin"]
    assert "" not in seen["admin"]


def test_dependent_choices_know_what_they_depend_on(world: World) -> None:
    """Where `sys_choice` may be read, a value may even belong to two categories."""
    choices = world.client("admin").columns("incident")["subcategory"].choices
    assert {c.dependent_value for c in choices if c.value == "email"} == {"inquiry", "software"}


def test_a_closed_ui_meta_is_made_up_for(world: World) -> None:
    """`sys_choice` stands in where it may be read, else the base system's levels: a form opens in any case."""
    world.double.fault("meta_refused", "/api/now/ui/meta", times=2)
    told = world.client("admin").columns("incident")
    assert {"impact", "urgency", "category", "subcategory"} <= set(told)
    assert told["category"].choices
    world.advance(SECONDS + 1)
    assert world.client("agent").columns("incident") == table_of("incident").base_columns


@pytest.mark.parametrize("kind", ["hibernating", "html_login", "500", "202"])
def test_a_form_opens_while_servicenow_is_ill(world: World, kind: str) -> None:
    """The base system's levels stand in, for a minute; then the real ones are asked for."""
    client = world.client()
    world.double.fault(kind, "/api/now/ui/meta")
    for _ in range(2):
        assert client.columns("incident") == table_of("incident").base_columns
    assert len(world.double.requests()) == 1
    world.advance(61)
    assert "category" in world.client().columns("incident")


def test_many_forms_at_once_ask_once(world: World) -> None:
    """Columns are single-flight for each person, table and language."""
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
