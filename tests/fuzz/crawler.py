"""Does everything that people, dialogs and ServiceNow can do, so that a request of each kind is recorded."""

from collections.abc import Iterator
from typing import Any

import requests

from sandbox.client import PLUGIN, MattermostClient
from sandbox.dialog import OpenDialog
from tests.reports import Component, grant, incident
from tests.scenarios.subscriptions.subscribing import rows
from tests.world import JWT_SECRET, World

Json = dict[str, Any]

_MOST_CALLS = 900
_DEEPEST = 5
_LAST = ("disconnect", "configure", "setup")  # last, since fewer actions are possible afterward
_TEXTS = {"filter": "priority=1^state!=6"}
_SPELLED = {"record": "INC0010001", "number": "INC0010001", "query": "INC0010001", "url": "", "client_secret": "x"}


class Crawler:
    """
    Uses all forms as one person: every choice that changes a form, every button and every lookup.

    Args:
        known: Paths that have been requested often enough.
    """

    def __init__(self, person: MattermostClient, known: dict[str, int]) -> None:
        self._person = person
        self._known = known
        self._left = _MOST_CALLS
        self._where: Json = {"channel_id": person.channel("service-desk")}

    def menus(self, post_id: str) -> None:
        """Use all menus and commands, and the forms they open."""
        entries: list[tuple[str, Json, Json]] = []
        for location in ("/channel_header", "/post_menu", "/command"):
            where = self._where | ({"post_id": post_id} if location == "/post_menu" else {})
            entries += [(label, one, where) for label, one in self._person.entries(location, "service-desk").items()]
        for label, entry, where in sorted(entries, key=lambda one: any(word in one[0] for word in _LAST)):
            self._where = where
            if form := entry.get("form"):
                for record in ("INC0010001", "CHG0030001", "KB0010001"):
                    values = {one["name"]: record for one in form.get("fields") or [] if one["name"] in _SPELLED}
                    answer = self._call(form["submit"], values=values, raw_command=f"/servicenow {label}")
                    self._follow(answer, 0)
                    for one in form.get("fields") or []:
                        self._look_up(form, one, values)
            if submit := entry.get("submit"):
                self._follow(self._call(submit, raw_command=f"/servicenow {label}"), 0)

    def _follow(self, answer: Json, depth: int) -> None:
        form = answer.get("form")
        if not form or depth > _DEEPEST or not form.get("submit"):
            return
        values = dict(_filled(form))
        for one in form.get("fields") or []:
            self._look_up(form, one, values)
        for one in form.get("fields") or []:
            if one.get("refresh") and form.get("source"):
                for option in (one.get("options") or [])[:8]:
                    told = values | {one["name"]: option}
                    again = self._call(form["source"], values=told, selected_field=one["name"], submit=False)
                    if again.get("form"):
                        refreshed = dict(_filled(again["form"])) | {one["name"]: option}
                        self._follow(self._call(again["form"]["submit"], values=refreshed), depth + 1)
        buttons = next((one for one in form.get("fields") or [] if one["name"] == form.get("submit_buttons")), None)
        for option in (buttons or {}).get("options") or [None]:
            told = values | ({str(form["submit_buttons"]): option["value"]} if option else {})
            self._follow(self._call(form["submit"], values=told), depth + 1)

    def _look_up(self, form: Json, one: Json, values: Json) -> None:
        if one.get("type") != "dynamic_select":
            return
        for query in ("INC", "a"):
            more = {"values": values, "selected_field": one["name"], "query": query, "submit": False}
            found = (self._call(one["lookup"], **more).get("data") or {}).get("items") or []
            if found and not values.get(one["name"]):
                values[one["name"]] = found[0]

    def _call(self, call: Json, **more: Any) -> Json:
        path = str(call.get("path"))
        if self._left <= 0 or self._known.get(path, 0) >= 14:
            return {}
        self._left -= 1
        self._known[path] = self._known.get(path, 0) + 1
        return self._person.call(call, **self._where, **more)


def _filled(form: Json) -> Iterator[tuple[str, Any]]:
    for one in form.get("fields") or []:
        value = one.get("value")
        if value is None:
            kind, options = one["type"], one.get("options") or []
            value = options[0] if kind == "static_select" and options else None
            value = False if kind == "bool" else _TEXTS.get(one["name"], "Filled in") if kind == "text" else value
        yield one["name"], value


def press_everything(world: World, person: MattermostClient, post_ids: list[str]) -> None:
    """Press every button of the cards. In each dialog, use its lookups, refresh and submit it."""
    for post_id in post_ids:
        for action, option in _actions(person, post_id):
            if (action, option) in _actions(person, post_id):  # a press changes the available actions
                dialog = person.press_action(post_id, action, option).dialog
                if dialog is not None:
                    _use(person, dialog)


def _actions(person: MattermostClient, post_id: str) -> list[tuple[str, str]]:
    attachments = person.get(f"/api/v4/posts/{post_id}")["props"].get("attachments", [])
    return [
        (action["id"], option)
        for attachment in attachments
        for action in attachment.get("actions") or []
        for option in [one["value"] for one in action.get("options") or []] or [""]
    ]


def _use(person: MattermostClient, dialog: OpenDialog) -> None:
    values: Json = {}
    desk = person.channel("service-desk")
    for element in dialog.form.get("elements") or []:
        if element["name"] not in dialog.names:
            continue  # a refresh removed it
        if element.get("data_source") == "dynamic":
            found = person.look_up_dialog(dialog, element["name"], "a", values, channel_id=desk)
            values |= {element["name"]: found[0]["value"]} if found else {}
        elif element.get("type") in {"text", "textarea"} and not element.get("default"):
            values[element["name"]] = "Filled in"
        if element.get("refresh") and element.get("options"):
            values[element["name"]] = element["options"][-1]["value"]
            dialog = person.refresh_dialog(dialog, element["name"], values, channel_id=desk)
            values = {name: value for name, value in values.items() if name in dialog.names}
    person.submit_dialog(dialog, values, channel_id=desk)


def reports(world: World, old_secret: str) -> None:
    """Send ServiceNow's reports in both formats, and the service's own wake-up request."""
    [row] = rows(world)[:1]
    one = grant(world, sys_id=row["sys_id"], name="All incidents")
    record = incident(world)
    component = Component(world)
    for more in ({}, {"test": "a" * 26}, {"events": ["commented"], "comments": []}):
        component.send(component.report(record, [one], **more))
    hint = {
        "sys_id": one.sys_id, "record_id": record["sys_id"], "number": record["number"],
        "short_description": record["short_description"], "state": "New", "priority": "1", "assigned_to": "",
        "assignment_group": "", "record_type_name": "Incident", "server_url": world.config.app_url,
        "record_type": one.table, "subscription_events": "state", "type": "object", "mm_channel_id": one.channel_id,
        "mm_user_id": one.owner_id, "event_occurred": "state",
    }  # fmt: skip
    path = "/plugins/mattermost-plugin-servicenow/api/v1/notification"
    requests.post(world.config.app_url + path, params={"secret": old_secret}, json=hint, timeout=20)
    for name in ("ping", "no/such/submit"):
        requests.post(f"{world.config.app_url}/{name}", json={}, timeout=20)
    for name in ("healthz", "readyz", "manifest.json", "static/icon.png"):
        requests.get(f"{world.config.app_url}/{name}", timeout=20)


def wake_up(world: World) -> None:
    """Post to the app's webhook, which Mattermost forwards."""
    app = world.mattermost.registry.apps["servicenow"]
    path = f"{PLUGIN}/apps/servicenow/webhook/wake"
    url = world.mattermost.url + path
    requests.post(url, params={"secret": app.webhook_secret}, json={"from": "here"}, timeout=20)


def end(world: World) -> None:
    """Disable, enable, uninstall and reinstall the app."""
    admin = world.person("admin")
    for name in ("disable", "enable", "uninstall"):
        call = {"path": f"/{name}", "expand": {"acting_user": "+summary", "locale": "all"}}
        admin.call(call, app_id="apps", values={"app": "servicenow", "force": True})
    admin.install(f"{world.config.app_url}/manifest.json", JWT_SECRET)
