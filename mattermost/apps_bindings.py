"""Writes menus as bindings of the Apps framework (protocol reference §5). Pure."""

from collections.abc import Iterable, Sequence
from typing import Any

from core.menus import Command, Entry, Menus
from mattermost.apps_forms import EXPAND_AS_PERSON, ICON, write_call, write_form

ROOT = "servicenow"
_ROOT_DESCRIPTION = "Incidents and more, without leaving the conversation"


def write_bindings(menus: Menus) -> list[dict[str, Any]]:
    """
    The framework's three top locations, without empty ones.

    Every header entry has an icon, because the web client drops entries without one. Leaves have exactly one of
    ``submit`` and ``form``.
    """
    places = [
        ("/command", _commands(menus.commands)),
        ("/channel_header", [_entry(entry) for entry in menus.channel_header]),
        ("/post_menu", [_entry(entry) for entry in menus.post_menu]),
    ]
    return [{"location": place, "bindings": entries} for place, entries in places if entries]


def _commands(commands: Sequence[Command]) -> list[dict[str, Any]]:
    if not commands:
        return []
    children = _tree(commands, depth=0)
    hint = "[" + " | ".join(child["location"] for child in children) + "]"
    root = {"location": ROOT, "label": ROOT, "icon": ICON, "hint": hint, "description": _ROOT_DESCRIPTION}
    return [root | {"bindings": children}]


def _tree(commands: Iterable[Command], depth: int) -> list[dict[str, Any]]:
    """Commands with the same word at *depth* share a node, in the order of the table."""
    groups: dict[str, list[Command]] = {}
    for command in commands:
        groups.setdefault(command.words[depth], []).append(command)
    return [_node(word, group, depth) for word, group in groups.items()]


def _node(word: str, group: list[Command], depth: int) -> dict[str, Any]:
    node: dict[str, Any] = {"location": word, "label": word, "icon": ICON}
    if len(group) > 1 or len(group[0].words) > depth + 1:
        children = _tree(group, depth + 1)
        hint = "[" + " | ".join(child["location"] for child in children) + "]"
        return node | {"hint": hint, "description": group[0].description, "bindings": children}
    [command] = group
    node |= {"description": command.description}
    if command.hint:
        node["hint"] = command.hint
    if command.form is not None:
        return node | {"form": write_form(command.form, in_command=True)}
    submit = write_call(command.path, command.kind, as_person=True)
    if command.administrators:
        # A new installation makes a new webhook secret, with which we wake ourselves up (design §4).
        submit["expand"] = EXPAND_AS_PERSON | {"app": "all"}
    return node | {"submit": submit}


def _entry(entry: Entry) -> dict[str, Any]:
    call = write_call(entry.path, entry.kind, as_person=True)
    return {"location": entry.word, "label": entry.label, "icon": ICON, "submit": call}
