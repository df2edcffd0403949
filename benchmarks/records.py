"""Actions on records: round trips and CPU time of each, and the number of cards rendered per second."""

from collections.abc import Callable
from typing import Any

from werkzeug.test import Client

from benchmarks.floor import cpu_per_call, rate
from core.records import Cell, Record
from core.tables import table_of
from mattermost.cards import record_card
from sandbox.client import MattermostClient
from tests.acts import act, choice, opened, view
from tests.world import World

Json = dict[str, Any]
Row = tuple[str, str, str]

NUMBER = "INC0010001"
_CALLS = 40


def trips(world: World, agent: MattermostClient) -> list[Row]:
    """Requests to ServiceNow per action, with a valid token and cached choices."""
    agent.submit(opened(agent.command("comment", {"record": NUMBER})), {"comments": "Warm", "action": "add"})
    opened(agent.command("state", {"record": NUMBER}))
    rows: list[Row] = []

    def count(name: str, target: str, doing: Callable[[], Json]) -> Json:
        world.servicenow.clear_requests()
        answer = doing()
        rows.append((f"round trips to ServiceNow: {name}", str(len(world.asked())), target))
        return answer

    form = opened(agent.command("share", {}, channel="town-square"))
    found = agent.look_up(form, "record", NUMBER)["data"]["items"][0]
    form = opened(agent.refresh(form, "record", {"record": found}))
    count("share a record", "1", lambda: agent.submit(form, {"record": found}))
    count("view a record", "1", lambda: agent.command("view", {"record": NUMBER}))
    seen = view(agent, NUMBER)
    box = opened(count("open the comments", "1", lambda: agent.submit(seen, {"action": "comment"})))
    count("add a comment and read the last", "2", lambda: agent.submit(box, {"comments": "x", "action": "add"}))
    seen = view(agent, NUMBER)
    states = opened(count("open the state", "1", lambda: agent.submit(seen, {"action": "state"})))
    progress = {"state": choice(states, "state", "In Progress")}
    count("save the state", "2", lambda: agent.submit(states, progress))
    seen = view(agent, NUMBER)
    count("assign to me", "–", lambda: agent.submit(seen, {"action": "mine"}))
    change = opened(agent.command("change create", {}))
    count("create a change", "–", lambda: agent.submit(change, {"short_description": "Router"}))
    return rows


def work(world: World, agent: MattermostClient, proof: Json, about: Json) -> list[Row]:
    """CPU time of our own thread per call, without waiting for servers."""
    ours = Client(world.running.service.app)

    def sender(form: Json, values: Callable[[int], Json]) -> Callable[[int], object]:
        call = form["submit"]

        def send(number: int) -> None:
            body = {"path": call["path"], "state": call.get("state"), "context": about, "values": values(number)}
            answer = ours.post(f"{call['path']}", json=body, headers=proof).json
            assert answer is not None
            assert answer["type"] in {"ok", "form"}, answer

        return send

    actions = {
        "view a record": sender({"submit": {"path": "/record/view/submit"}}, lambda _: {"record": NUMBER}),
        "add a comment": sender(
            {"submit": {"path": "/record/comment/submit"}}, lambda n: {"record": NUMBER, "comments": f"Entry {n}"}
        ),
        "set a state": sender(
            {"submit": {"path": "/record/state/submit"}},
            lambda n: {"record": "INC0010002", "state": ("In Progress", "New")[n % 2]},
        ),
        "assign": sender(
            {"submit": {"path": "/record/assign/submit"}},
            lambda n: {"record": "INC0010002", "assigned_to": ("me", "@agent2")[n % 2]},
        ),
        "open the comments": sender(act(agent, NUMBER, "comment")["form"], lambda _: {"action": "older"}),
    }
    return [(f"CPU: {name}", f"{cpu_per_call(action, _CALLS) * 1000:.1f} ms", "–") for name, action in actions.items()]


def cards() -> list[Row]:
    """Cards of changes, which have the most fields, with text that must be escaped."""
    cells = {
        column: Cell("3", "A *text* with [signs] and @names " * 3) for column in table_of("change_request").card_columns
    }
    record = Record("change_request", "0" * 32, cells)
    drawn = rate(lambda: record_card(record, "https://example.service-now.com/x", "example.service-now.com"))
    return [("cards drawn a second", f"{drawn:,.0f}", "–")]
