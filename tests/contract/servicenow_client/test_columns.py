"""Columns and choices in the person's language."""

import threading

import pytest

from core.base import BASE_COLUMNS
from servicenow.choices import SECONDS
from servicenow.client import ServiceNowClient
from tests.contract.servicenow_client.world import World


def test_columns_come_in_the_persons_language_and_stay_for_a_while(world: World) -> None:
    """One question for all who speak it; after 15 minutes it is asked anew."""
    assert _labels(world.client("agent2"), "urgency") == ["1 - Hoch", "2 - Mittel", "3 - Niedrig"]
    assert _labels(world.client("agent"), "urgency") == ["1 - High", "2 - Medium", "3 - Low"]
    world.client("newcomer")
    world.double.clear_requests()
    assert world.client("newcomer").columns("incident")["short_description"].max_length == 160
    assert world.client("newcomer").cached_columns("incident")["category"].choices
    assert world.double.requests() == []
    world.advance(SECONDS + 1)
    world.client("newcomer").columns("incident")
    assert len(world.asked("GET", "/api/now/ui/meta/incident")) == 1


def test_every_choice_is_offered_where_nobody_tells_what_depends_on_what(world: World) -> None:
    """Ordinary people may not read `sys_choice`; that is asked once, not for every form."""
    subcategory = world.client().columns("incident")["subcategory"]
    assert len(subcategory.choices) > 5
    assert {choice.dependent_value for choice in subcategory.choices} == {""}
    world.client().columns("incident")
    assert len(world.asked("GET", "/api/now/v2/table/sys_choice")) == 1


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
    assert world.client("agent").columns("incident") == BASE_COLUMNS["incident"]


@pytest.mark.parametrize("kind", ["hibernating", "html_login", "500", "202"])
def test_a_form_opens_while_servicenow_is_ill(world: World, kind: str) -> None:
    """The base system's levels stand in, for a minute; then the real ones are asked for."""
    client = world.client()
    world.double.fault(kind, "/api/now/ui/meta")
    for _ in range(2):
        assert client.columns("incident") == BASE_COLUMNS["incident"]
    assert len(world.double.requests()) == 1
    world.advance(61)
    assert "category" in world.client().columns("incident")


def test_many_forms_at_once_ask_once(world: World) -> None:
    """Columns are single-flight per table and language."""
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
    assert len(world.asked("GET", "/api/now/ui/meta/incident")) == 1


def _labels(client: ServiceNowClient, column: str) -> list[str]:
    return [choice.label for choice in client.columns("incident")[column].choices]
