"""Requests to Mattermost per action, and in how many rounds. Those of a round are sent at the same time."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from sandbox.client import MattermostClient
from tests.acts import act, choice, opened, view
from tests.scenarios.subscriptions import subscribing
from tests.world import World

Json = dict[str, Any]
Row = tuple[str, str, str]

HERE: Json = {"channel": "service-desk"}
_SECONDS = 0.2  # of each answer, so that concurrent requests overlap


def rounds_of(entries: Sequence[Json]) -> int:
    """The longest chain of requests that were each sent after the previous answer."""
    count, ended = 0, 0.0
    for began, end in sorted(
        ((one["began"], one["began"] + one["seconds"]) for one in entries), key=lambda one: one[1]
    ):
        if began >= ended:
            count, ended = count + 1, end
    return count


def work(world: World, agent: MattermostClient) -> list[Row]:
    """The bot is already in the channel, and the permissions of roles are cached."""
    rows: list[Row] = []

    def count(name: str, target: str, doing: Callable[[], Json]) -> None:
        world.settle()
        world.mattermost.fault("slow", "/api/v4", times=1000, seconds=_SECONDS)
        world.mattermost.clear_requests()
        answer = doing()
        assert answer.get("type", "ok") in {"ok", "form"}, answer
        world.mattermost.clear_faults()
        sent = [one for one in world.mattermost.requests() if not one["cookies"]]
        assert sent, f"{name}: nothing was sent"
        measured = f"{len(sent)} in {rounds_of(sent)} rounds"
        rows.append((f"requests to Mattermost: {name}", measured, f"≤ {target} rounds" if target else "–"))

    warm = agent.submit(opened(agent.command("incident create", **HERE)), {"short_description": "Warm"}, **HERE)
    number = re.findall(r"INC\d+", warm["text"])[0]  # nobody has worked on it, so each action changes something
    form = opened(agent.command("incident create", **HERE))
    count("create an incident", "2", lambda: agent.submit(form, {"short_description": "Counted"}, **HERE))
    share = opened(agent.command("share", {"record": "INC0010001"}, **HERE))
    count("share a record", "2", lambda: agent.submit(share, {}, **HERE))
    box = opened(act(agent, number, "comment"))
    count("add a comment", "3", lambda: agent.submit(box, {"comments": "Hello", "action": "add"}, **HERE))
    states = opened(act(agent, number, "state"))
    progress = {"state": choice(states, "state", "In Progress")}
    count("save the state", "3", lambda: agent.submit(states, progress, **HERE))
    seen = view(agent, number)
    count("assign to me", "3", lambda: agent.submit(seen, {"action": "mine"}, **HERE))
    card = [post for post in world.mattermost.posts_in("service-desk") if post["props"].get("attachments")][-1]
    agent.press_action(card["id"], "comment")
    pressed = agent.press_action(card["id"], "comment")
    assert pressed.dialog is not None
    dialog = pressed.dialog
    count("add a comment in a dialog", "3", lambda: agent.submit_dialog(dialog, {"comments": "Hello"}))
    subscribing.install_component(world, "agent")
    subscription = subscribing.opened(agent)
    count("subscribe the channel", "", lambda: subscribing.press(agent, subscription, "save"))
    return rows
