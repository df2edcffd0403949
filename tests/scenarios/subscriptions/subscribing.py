"""Helpers for the subscription scenarios: an instance with the component, and the forms as people use them."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from core.instance import AUTH_TABLE
from core.subscriptions import TABLE
from sandbox.client import PASSWORD, MattermostClient
from tests.reports import KEY_ID, SECRET
from tests.world import World
from updateset.build import RELEASE, build

Json = dict[str, Any]

ROLE_ID = "39031c0a2fb3011063df52172799b6cb"
HERE: Json = {"channel": "service-desk"}


def install_component(world: World, *people: str) -> None:
    """Load our update set and give *people* its role."""
    install(world, build(RELEASE))
    for name in people:
        give_role(world, name)


def install(world: World, update_set: bytes) -> None:
    """Load an update set."""
    answer = requests.post(f"{world.servicenow.url}/_sandbox/update-sets", data=update_set, timeout=30).json()
    assert answer["committed"], answer


def give_role(world: World, name: str) -> None:
    """Give someone the role that subscribing requires."""
    user = next(row["sys_id"] for row in world.servicenow.rows("sys_user") if row["user_name"] == name)
    world.administer("POST", "/api/now/table/sys_user_has_role", {"user": user, "role": ROLE_ID})


def make_key(world: World) -> None:
    """Give the component a key to sign with."""
    response = requests.post(
        f"{world.servicenow.url}/api/now/table/{AUTH_TABLE}?sysparm_input_display_value=true",
        json={"server_url": world.config.app_url, "key_id": KEY_ID, "signing_secret": SECRET},
        auth=("admin", PASSWORD),
        timeout=30,
    )
    assert response.status_code == 201, response.text
    world.servicenow.clear_requests()


def rows(world: World) -> list[dict[str, str]]:
    """All subscriptions in ServiceNow, oldest first."""
    return world.servicenow.rows(TABLE)


def foreign_row(world: World, who: str = "agent", **columns: str) -> str:
    """A row that someone wrote directly in ServiceNow; returns its sys_id."""
    row = {
        "type": "object",
        "record_type": "incident",
        "subscription_events": "state,priority,commented",
        "server_url": world.config.app_url,
        "is_active": "true",
    }
    return world.servicenow.store.insert(TABLE, row | columns, who)["sys_id"]


def grants(world: World) -> list[Json]:
    """The grants on the service's disk."""
    path = Path(urlsplit(world.config.storage_url).path) / "channel_grants.json"
    tables = json.loads(path.read_text()) if path.exists() else {}
    return [grant for table in tables.values() for grant in table.values()]


def opened(person: MattermostClient, **where: Any) -> Json:
    """The form from the app bar."""
    where = where or HERE
    menu = person.press("/channel_header", "ServiceNow", **where)["form"]
    form: Json = person.submit(menu, {"action": "subscribe"}, **where)["form"]
    return form


def field(form: Json, name: str) -> Json:
    """A field of a form."""
    return next(one for one in form["fields"] if one["name"] == name)


def names(form: Json) -> list[str]:
    """The fields of a form, in order."""
    return [one["name"] for one in form["fields"]]


def option(form: Json, name: str, value: str) -> Json:
    """A choice as the client sends it."""
    return next(dict(one) for one in field(form, name)["options"] if one["value"] == value)


def options(form: Json, name: str, *values: str) -> list[Json]:
    """Several choices as the client sends them."""
    return [option(form, name, value) for value in values]


def buttons(form: Json) -> list[str]:
    """The labels of the submit buttons."""
    return [one["label"] for one in field(form, form["submit_buttons"])["options"]]


def press(person: MattermostClient, form: Json, action: str, values: Json | None = None, **where: Any) -> Json:
    """Press a submit button."""
    return person.submit(form, {**(values or {}), "action": action}, **(where or HERE))


def subscribe(person: MattermostClient, values: Json | None = None, **where: Any) -> Json:
    """Fill in the form and save it; returns the answer. Without *values* it submits the defaults."""
    return press(person, opened(person, **where), "save", values, **where)


def for_record(person: MattermostClient, number: str, **where: Any) -> tuple[Json, Json]:
    """The form switched to one record, with that record chosen: form and values."""
    form = opened(person, **where)
    kind = option(form, "kind", "record")
    form = person.refresh(form, "kind", {"kind": kind}, **(where or HERE))["form"]
    [record] = person.look_up(form, "record", number, **(where or HERE))["data"]["items"]
    return form, {"record": record}


def only(world: World) -> dict[str, str]:
    """The only subscription."""
    [row] = rows(world)
    return row
