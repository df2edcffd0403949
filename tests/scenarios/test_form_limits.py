"""Every form keeps both hosts' limits: nothing is sent that a client would cut, drop or warn about."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

import handlers.capabilities  # noqa: F401 - registers every form
from core.calls import Kind
from core.menus import ALL
from core.subscriptions import Event
from handlers.registry import calls
from sandbox.client import MattermostClient
from tests.acts import attachment, row
from tests.scenarios.plain.test_plain_cards import card_of, set_version
from tests.scenarios.subscriptions.subscribing import foreign_row, install_component
from tests.world import World

Json = dict[str, Any]
EXPAND = {
    "acting_user": "+summary",
    "acting_user_access_token": "all",
    "channel": "summary",
    "post": "summary",
    "team": "summary",
}
HERE: Json = {"channel": "service-desk"}
FORMS = sorted(route.path for route in calls.routes if route.kind is Kind.FORM)
# Its command answers with a link; it is no form on either host.
NO_FORM = {"account/connect"}


def modals(world: World, admin: MattermostClient) -> Iterator[Json]:
    """Every form of the Apps host; a record's forms by the buttons of its view."""
    post = admin.say("service-desk", "About INC0010001")
    for path in FORMS:
        call = {"path": f"/{path}/form", "expand": EXPAND}
        for values in ({}, {"record": {"label": "INC0010001", "value": "INC0010001"}}):
            answer = admin.call(call, values=values, post_id=post["id"], **HERE)
            if answer["type"] == "form":
                yield answer["form"]
    for state in ("1", "6", "7"):
        world.administer("PATCH", f"/api/now/table/incident/{row(world, 'INC0010001')['sys_id']}", closing(state))
        view = admin.command("view", {"record": "INC0010001"}, **HERE)["form"]
        for action in ALL:
            answer = admin.submit(view, {"action": action.word}, **HERE)
            if answer["type"] == "form":
                yield answer["form"]


def closing(state: str) -> Json:
    """What an incident needs in a state."""
    return {"state": state, "close_code": "Solution provided", "close_notes": "Done"}


def bytes_of(text: Any) -> int:
    """Mattermost counts bytes."""
    return len(str(text or "").encode())


def problems_of_modal(form: Json) -> Iterator[str]:
    """What the Apps plugin or its clients would drop, and what the equal dialog would cause a warning about."""
    if not form.get("title") or bytes_of(form["title"]) > 24:
        yield f"title {form.get('title')!r}"
    if not form.get("submit"):
        yield "no submit call"
    names = [field["name"] for field in form["fields"]]
    labels = [field.get("modal_label") or field.get("label") for field in form["fields"]]
    if len(set(names)) != len(names) or len(set(labels)) != len(labels):
        yield f"names or labels twice: {names}, {labels}"
    for field, label in zip(form["fields"], labels, strict=True):
        if not label or bytes_of(label) > 24:
            yield f"label {label!r}"
        if field["type"] != "markdown" and bytes_of(field.get("description")) > 150:
            yield f"description of {field['name']}"
        if bytes_of(field.get("hint")) > 150:
            yield f"hint of {field['name']}"
        yield from problems_of_choices(field["name"], field["type"] == "static_select", field.get("options"), "label")


def problems_of_dialog(dialog: Json, version: str) -> Iterator[str]:
    """What a server of that version warns about or doesn't know."""
    if not dialog["title"] or bytes_of(dialog["title"]) > 24:
        yield f"title {dialog['title']!r}"
    if bytes_of(dialog.get("submit_label")) > 24:
        yield f"submit label {dialog['submit_label']!r}"
    elements = dialog.get("elements") or []
    names = [element["name"] for element in elements]
    if len(set(names)) != len(names) or any(not name or bytes_of(name) > 300 for name in names):
        yield f"names {names}"
    old = version.startswith("9.")
    for element in elements:
        kind = element["type"]
        known = {"text", "textarea", "select", "bool", "radio"} | (set() if old else {"date", "datetime"})
        if kind not in known or (old and (element.get("multiselect") or element.get("data_source") == "dynamic")):
            yield f"type {kind} of {element['name']}"
        most = {"text": 150, "bool": 150}.get(kind, 3000)
        for key, limit in (("display_name", 24), ("help_text", 150), ("placeholder", most), ("default", most)):
            if bytes_of(element.get(key)) > limit:
                yield f"{key} of {element['name']}: {bytes_of(element[key])} bytes"
        if not element.get("display_name"):
            yield f"{element['name']} has no display_name"
        fixed = kind == "select" and not element.get("data_source")
        yield from problems_of_choices(element["name"], fixed, element.get("options"), "text")
        values = {option["value"] for option in element.get("options") or []}
        given = [one for one in str(element.get("default") or "").split(",") if one]
        if fixed and not set(given) <= values:
            yield f"default of {element['name']} is none of its options"


def problems_of_choices(name: str, fixed: bool, options: Any, label: str) -> Iterator[str]:
    """A select without options is dropped, and so is the second of two equal options."""
    if fixed and not options:
        yield f"{name} has no options"
    for key in (label, "value"):
        texts = [option[key] for option in options or []]
        if len(set(texts)) != len(texts) or not all(text.strip() for text in texts):
            yield f"{key} of {name}: {texts}"


def test_every_modal_is_within_the_limits(world: World) -> None:
    """Each registered form opens in the Apps host, alone or for a record, and exceeds no limit."""
    install_component(world, "admin")
    admin = world.connected("admin")
    seen: set[str] = set()
    problems: list[str] = []
    for form in modals(world, admin):
        path = form["submit"]["path"].strip("/").rpartition("/")[0]
        seen.add(path)
        problems += [f"{path}: {problem}" for problem in problems_of_modal(form)]
    assert not problems
    assert seen == set(FORMS) - NO_FORM


@pytest.mark.parametrize("version", ["9.11.0", "11.6.0"])
def test_every_dialog_is_within_the_limits(world: World, version: str) -> None:
    """Each form that a card's buttons open, in each state of its record, exceeds no limit of that server's dialogs."""
    set_version(world, version)
    install_component(world, "agent")
    agent = world.connected("agent")
    post, number = card_of(world, agent)
    seen: set[str] = set()
    problems: list[str] = []
    for state in ("1", "2", "6", "7"):
        world.administer("PATCH", f"/api/now/table/incident/{row(world, number)['sys_id']}", closing(state))
        agent.press_action(post["id"], "More…", "refresh")
        card = agent.get(f"/api/v4/posts/{post['id']}")
        for action in attachment(card)["actions"]:
            choices = [option["value"] for option in action.get("options") or []]
            for choice in choices or [""]:
                if choice in {"watch", "refresh"} or action["name"] == "Assign to me":
                    continue
                pressed = agent.press_action(post["id"], action["name"], choice)
                assert pressed.dialog is not None, (action["name"], choice, pressed.texts)
                seen.add(str(pressed.dialog.form["callback_id"]))
                found = problems_of_dialog(pressed.dialog.form, version)
                problems += [f"{pressed.dialog.form['callback_id']}: {problem}" for problem in found]
    assert not problems
    assert seen == {action.path for action in ALL if action.kind is Kind.FORM}


def test_a_full_page_of_the_longest_subscriptions_fits(world: World) -> None:
    """Fifty rows with the longest names, titles and reasons stay below what Mattermost reads."""
    install_component(world, "agent")
    agent = world.connected("agent")
    incident = row(world, "INC0010001")["sys_id"]
    title = "\N{SLIGHTLY SMILING FACE}" * 160
    world.administer("PATCH", f"/api/now/table/incident/{incident}", {"short_description": title})
    columns = {
        "channel_id": agent.channel("service-desk"),
        "user_id": agent.id,
        "type": "record",
        "record_id": incident,
        "subscription_events": ",".join(Event),
        "filter_query": "priority=1",
        "status": "broken",
        "status_reason": "\N{FIRE}" * 255,
        "name": "\N{TICKET}\N{FIRE}" * 50,
    }
    for _ in range(50):
        foreign_row(world, **columns)
    values = {"owner": {"label": "me", "value": "me"}}
    form = agent.command("subscriptions list", values, **HERE)["form"]
    picks = next(field["options"] for field in form["fields"] if field["name"] == "pick")
    assert len(picks) == 50
    assert "\N{FIRE}" in form["header"]
    assert "\N{SLIGHTLY SMILING FACE}" in form["header"]
    assert not list(problems_of_modal(form))
    assert 150_000 < len(json.dumps(form)) < 300_000


def test_a_persons_long_text_is_never_cut(world: World) -> None:
    """
    Mattermost warns about a default above 3,000 bytes but shows it completely (recorded), so a long text is sent
    completely: cutting it would lose what someone wrote.
    """
    set_version(world, "11.6.0")
    agent = world.connected("agent")
    post, number = card_of(world, agent)
    notes = "word " * 780
    columns = closing("6") | {"close_notes": notes}
    world.administer("PATCH", f"/api/now/table/incident/{row(world, number)['sys_id']}", columns)
    agent.press_action(post["id"], "More…", "refresh")
    dialog = agent.press_action(post["id"], "More…", "state").dialog
    assert dialog is not None
    texts = [element.get("default", "") for element in dialog.form["elements"] if element["type"] == "textarea"]
    assert notes.strip() in {text.strip() for text in texts}, dialog.form["elements"]
