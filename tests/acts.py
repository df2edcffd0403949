"""Helpers for scenarios about records: forms by name, values of fields, rows by number, cards."""

from typing import Any

from sandbox.client import MattermostClient
from tests.world import World

Json = dict[str, Any]


def field(form: Json, name: str) -> Json:
    """A field of a form."""
    found: Json = next(one for one in form["fields"] if one["name"] == name)
    return found


def names(form: Json) -> list[str]:
    """The fields of a form, in order."""
    return [one["name"] for one in form["fields"]]


def default(form: Json, name: str) -> Any:
    """The value that a field holds."""
    found = field(form, name).get("value")
    return found["value"] if isinstance(found, dict) else found


def choice(form: Json, name: str, label: str) -> Json:
    """A choice of a static select, by its label."""
    found: Json = next(one for one in field(form, name)["options"] if one["label"] == label)
    return found


def labels(form: Json, name: str) -> list[str]:
    """The choices of a static select."""
    return [one["label"] for one in field(form, name)["options"]]


def view(person: MattermostClient, number: str, channel: str = "service-desk") -> Json:
    """The view of a record."""
    answer = person.command("view", {"record": number}, channel=channel)
    assert answer["type"] == "form", answer
    form: Json = answer["form"]
    return form


def act(person: MattermostClient, number: str, action: str, channel: str = "service-desk") -> Json:
    """Press a button of a record's view; returns the answer."""
    return person.submit(view(person, number, channel), {"action": action}, channel=channel)


def opened(answer: Json) -> Json:
    """The form of an answer."""
    assert answer["type"] == "form", answer
    form: Json = answer["form"]
    return form


def row(world: World, number: str, table: str = "task") -> dict[str, str]:
    """A row in ServiceNow."""
    return next(one for one in world.servicenow.rows(table) if one["number"] == number)


def change(world: World, table: str, sys_id: str, **columns: str) -> None:
    """Someone else changes a row."""
    world.administer("PATCH", f"/api/now/table/{table}/{sys_id}", columns)


def attachment(post: Json) -> Json:
    """The card of a post."""
    [found] = post["props"]["attachments"]
    return dict(found)


def facts(post: Json) -> dict[str, str]:
    """The card's fields."""
    return {one["title"]: one["value"] for one in attachment(post)["fields"]}


def written(world: World) -> list[Json]:
    """Write requests that ServiceNow received."""
    return [entry for entry in world.servicenow.requests() if entry["method"] in {"POST", "PATCH", "PUT", "DELETE"}]
