"""
How many functions of the product run for one form, press, dialog, report, and notice.

    .venv/bin/python -m benchmarks.calls

Unlike times, the counts are the same on every machine, so they show when a path has become longer. Calls inside the
doubles, Flask, and other libraries don't count, and neither do comprehensions.
"""

import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from core.notices import WebhookKey
from sandbox.mattermost import MattermostDouble
from sandbox.servicenow import ServiceNowDouble
from tests.acts import opened
from tests.reports import KEY_ID, SECRET, Component, grant, incident, invite_bot, stored
from tests.world import World
from web.logs import configure_logs

Json = dict[str, Any]

ROOT = Path(__file__).parent.parent
OTHERS = ("sandbox", "tests", "benchmarks", ".venv")
HERE: Json = {"channel": "service-desk"}
TIMES = 3  # the first time fills caches; the least counts


class Calls:
    """Counts calls by module, apart for requests and for the thread that delivers notices."""

    def __init__(self) -> None:
        self._modules: dict[CodeType, str] = {}
        self._lock = threading.Lock()
        self.requests: Counter[str] = Counter()
        self.notices: Counter[str] = Counter()

    def start(self) -> None:
        """Count in all threads that start from now on."""
        threading.setprofile(self._profile)

    def clear(self) -> None:
        """Begin again at zero."""
        with self._lock:
            self.requests.clear()
            self.notices.clear()

    def _profile(self, frame: FrameType, event: str, _argument: object) -> None:
        if event != "call":
            return
        code = frame.f_code
        module = self._modules.get(code)
        if module is None:
            module = self._modules[code] = _module(code)
        if not module:
            return
        name = threading.current_thread().name
        with self._lock:
            if name.startswith("notices"):
                self.notices[module] += 1
            elif not name.startswith("adoption"):
                self.requests[module] += 1


def _module(code: CodeType) -> str:
    """The product's module that has *code*, or ""."""
    path = Path(code.co_filename)
    if code.co_name in {"<listcomp>", "<dictcomp>", "<setcomp>", "<genexpr>"} or not path.is_relative_to(ROOT):
        return ""
    path = path.relative_to(ROOT)
    return "" if path.parts[0] in OTHERS else path.as_posix()


def least(calls: Calls, world: World, act: Callable[[], object], counter: str = "requests") -> Counter[str]:
    """The calls of the cheapest of several runs of *act*."""
    found: list[Counter[str]] = []
    for _ in range(TIMES):
        world.settle()
        calls.clear()
        act()
        world.settle()
        found.append(Counter(getattr(calls, counter)))
    return min(found, key=Counter.total)


def measure(calls: Calls, world: World) -> dict[str, Counter[str]]:
    """The calls of each path, by module."""
    agent = world.connected("agent")
    invite_bot(world, "service-desk", "town-square")
    world.restart(webhook_keys=(WebhookKey(key_id=KEY_ID, secret=SECRET, from_environment=True),))
    [wanted] = stored(world, grant(world))
    component = Component(world)
    command = agent.entries("/command", "service-desk")["servicenow incident create"]["form"]["submit"]
    measured: dict[str, Counter[str]] = {}

    def open_form() -> Json:
        return opened(agent.call(command, values={}, raw_command="/servicenow incident create", **HERE))

    measured["open the incident form"] = least(calls, world, open_form)
    forms = [open_form() for _ in range(TIMES)]
    create = [{"short_description": f"Counted {number}"} for number in range(TIMES)]
    measured["create the incident"] = least(calls, world, lambda: agent.submit(forms.pop(), create[len(forms)], **HERE))
    card = [post for post in world.mattermost.posts_in("service-desk") if post["props"].get("attachments")][-1]
    measured["press Add comment"] = least(calls, world, lambda: agent.press_action(card["id"], "comment"))
    dialogs = [agent.press_action(card["id"], "comment").dialog for _ in range(TIMES)]

    def comment() -> None:
        dialog = dialogs.pop()
        assert dialog is not None
        agent.submit_dialog(dialog, {"comments": f"Comment {len(dialogs)}"}, channel_id=agent.channel("service-desk"))

    measured["submit its dialog"] = least(calls, world, comment)

    rows = [incident(world, number) for number in range(2 * TIMES)]
    measured["receive a report"] = least(calls, world, lambda: component.changed(rows.pop(), [wanted]))
    idle = least(calls, world, lambda: None, "notices")  # settling runs rounds of its own
    delivered = least(calls, world, lambda: component.changed(rows.pop(), [wanted]), "notices")
    measured["deliver its notice"] = delivered - idle
    return measured


def main() -> None:
    """Print a table, and with ``--modules`` the calls of each module."""
    configure_logs("error", "json")
    calls = Calls()
    calls.start()
    with MattermostDouble() as mattermost, ServiceNowDouble() as servicenow, tempfile.TemporaryDirectory() as folder:
        world = World.begin(mattermost, servicenow, Path(folder))
        world.install()
        measured = measure(calls, world)
        world.end()
    print("| path | calls inside the product |\n| --- | --- |")
    for name, counted in measured.items():
        print(f"| {name} | {counted.total()} |")
    if "--modules" in sys.argv:
        for name, counted in measured.items():
            print(f"\n{name}")
            for module, count in counted.most_common():
                print(f"{count:6} {module}")


if __name__ == "__main__":
    main()
