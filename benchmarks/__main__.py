"""
Runs the benchmarks and prints a table. ``make benchmark`` also writes it to benchmarks/RESULTS.md.

The doubles run in separate processes, so that their CPU time isn't counted.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import jwt
import psutil
import requests
from werkzeug.test import Client

from benchmarks import flood, form_results, notices, records, rounds
from benchmarks.floor import (
    bare_bindings,
    bare_submit,
    cpu_per_call,
    in_background,
    percentile,
    rate,
    serve_bare,
    served_rate,
)
from benchmarks.results import keep
from sandbox.client import MattermostClient
from sandbox.mattermost import MattermostDouble
from sandbox.servicenow import ServiceNowDouble
from tests.ports import ReservedPort
from tests.serving import environment
from tests.world import JWT_SECRET, World
from web.logs import configure_logs

Json = dict[str, Any]
ROOT = Path(__file__).parent.parent

Row = tuple[str, str, str]  # what, measured, target

NOTES = """

Bindings miss their target, with a server and without one. More than half of what they cost above a
bare route is PyJWT's check of the framework's signature and marshmallow's schema; the rest is reading the body and
Flask's hooks. The answer itself is kept as bytes.

The create misses its target because its floor stores nothing: a form's attempt, its record, its answer, and the
card's place are flushed to disk one after the other, so that a crash at any point can't create a second record.

Notices stay below the raw loop's rate because claiming and acknowledging a batch flush three files, where the loop
flushes one.
"""


def main() -> None:
    """Run everything."""
    configure_logs("error", "json")
    rows: list[Row] = []
    with MattermostDouble() as mattermost, ServiceNowDouble() as servicenow, tempfile.TemporaryDirectory() as folder:
        world = World.begin(mattermost, servicenow, Path(folder))
        world.install()
        agent = world.connected("agent")
        rows += round_trips(world, agent)
        rows += bindings(world, agent)
        rows += submit(world, agent)
        rows += records.trips(world, agent)
        rows += rounds.work(world, agent)
        rows += records.work(world, agent, headers(agent), context(world, agent))
        rows += records.cards()
        rows += silence(world, agent)
        world.end()
        rows += process(mattermost, servicenow, Path(folder))
        rows += notices.work(Path(folder))
        rows += form_results.work(Path(folder))
    table = ["| what | measured | target |", "| --- | --- | --- |", *(f"| {' | '.join(row)} |" for row in rows)]
    when = time.strftime("%Y-%m-%d")
    text = f"# Results of {when}\n\n{os.cpu_count()} cores, Python {sys.version.split()[0]}.\n\n" + "\n".join(table)
    text += NOTES
    keep(text)
    print(text)


def form_of(person: MattermostClient) -> Json:
    """An open incident form."""
    menu = person.press("/channel_header", "ServiceNow")["form"]
    form: Json = person.submit(menu, {"action": "incident"})["form"]
    return form


def round_trips(world: World, agent: MattermostClient) -> list[Row]:
    """Requests to ServiceNow per action, with a valid token and cached choices."""
    form = form_of(agent)
    counted: dict[str, int] = {}

    def count(name: str) -> None:
        counted[name] = len(world.asked())
        world.servicenow.clear_requests()

    world.servicenow.clear_requests()
    form = form_of(agent)
    count("open the incident form")
    agent.look_up(form, "assignment_group", "ne")
    count("look a group up")
    agent.refresh(form, "category", {"category": {"label": "Network", "value": "network"}})
    count("change the category")
    agent.submit(form, {"short_description": "Counted"})
    count("create an incident")
    targets = {"open the incident form": "0", "create an incident": "1"}
    return [
        (f"round trips to ServiceNow: {name}", str(number), targets.get(name, "–")) for name, number in counted.items()
    ]


def headers(agent: MattermostClient) -> Json:
    """Headers with a token of the Apps framework."""
    claims = {"exp": int(time.time()) + 900, "acting_user_id": agent.id}
    return {"Mattermost-App-Authorization": f"Bearer {jwt.encode(claims, JWT_SECRET, algorithm='HS256')}"}


def context(world: World, agent: MattermostClient) -> Json:
    """The expanded context of a call."""
    app = world.mattermost.registry.apps["servicenow"]
    return {
        "acting_user": world.mattermost.state.users[agent.id],
        "acting_user_access_token": world.mattermost.registry.token(app, agent.id),
        "bot_user_id": app.bot_user_id,
        "bot_access_token": world.mattermost.registry.token(app, app.bot_user_id),
        "channel": world.mattermost.state.channels[agent.channel("town-square")],
        "team": world.mattermost.state.teams[agent.team_id],
    }


def bindings(world: World, agent: MattermostClient) -> list[Row]:
    """Bindings per second, compared with a bare route that returns the same JSON. Both without sockets."""
    ours = Client(world.running.service.app)
    body = {"path": "/bindings", "expand": {}, "context": context(world, agent)}
    proof = headers(agent)
    answer = ours.post("/bindings", json=body, headers=proof)
    floor = bare_bindings(answer.data)
    own = rate(lambda: ours.post("/bindings", json=body, headers=proof))
    bare = rate(lambda: floor.post("/bindings", json=body, headers=proof))
    text = f"{own / bare:.2f} ({own:,.0f} / {bare:,.0f} a second)"
    return [("bindings: our rate / bare Flask's, without a server", text, "≥ 0.7")]


def submit(world: World, agent: MattermostClient) -> list[Row]:
    """CPU time of creating an incident, compared with bare Flask and requests that make the same calls."""
    ours = Client(world.running.service.app)
    proof, about = headers(agent), context(world, agent)
    account = world.servicenow.oauth.grants()[-1]
    floor = bare_submit(
        world.mattermost.url,
        world.servicenow.url,
        about["bot_access_token"],
        about["acting_user_access_token"],
        account.access_token,
    )

    def own(number: int) -> None:
        body = {"path": "/", "context": about, "values": {"short_description": f"own {number}"}}
        answer = ours.post("/incident/create/submit", json=body, headers=proof).json
        assert answer is not None
        assert answer["type"] == "ok", answer

    def bare(number: int) -> None:
        channel = about["channel"]["id"]
        body = {"channel": channel, "person": agent.id, "title": f"bare {number}", "id": str(number)}
        assert floor.post("/create", json=body).status_code == 200

    own(0)
    bare(0)
    ratio = cpu_per_call(own, 60) / (least := cpu_per_call(bare, 60))
    return [("CPU of one create / bare Flask and requests", f"{ratio:.2f} (of {least * 1000:.1f} ms)", "≤ 1.5")]


def silence(world: World, agent: MattermostClient) -> list[Row]:
    """Latency of bindings while fifty lookups wait for a ServiceNow that doesn't answer."""
    form = form_of(agent)
    for _ in range(200):
        world.servicenow.fault("slow", "/api/now", seconds=60)
    people = [world.person(name) for name in ("agent", "requester", "approver", "agent2", "admin")]
    for person in people[1:]:
        person.connect()
    threads = [
        in_background(lambda p=person, n=number: p.look_up(form, "caller_id", f"word{n}"))  # type: ignore[misc]
        for number in range(10)
        for person in people
    ]
    times = []
    channel = agent.channel("town-square")
    for _ in range(100):
        began = time.perf_counter()
        agent.get(
            "/plugins/com.mattermost.apps/api/v1/bindings",
            channel_id=channel,
            team_id=agent.team_id,
            user_agent="webapp",
        )
        times.append(time.perf_counter() - began)
    world.servicenow.clear_faults()
    for thread in threads:
        thread.join(30)
    spent = percentile(times, 0.95) * 1000
    return [("bindings while ServiceNow is silent, p95 (through the plugin's double)", f"{spent:.0f} ms", "≤ 100 ms")]


def served_bindings(mattermost: MattermostDouble, agent: MattermostClient, port: int) -> Row:
    """The ratio of bindings behind the real server, over one connection each."""
    about = {"acting_user": mattermost.state.users[agent.id]}
    body = json.dumps({"path": "/bindings", "expand": {}, "context": about}).encode()
    proof = headers(agent)
    own_url = f"http://127.0.0.1:{port}"
    answer = requests.post(f"{own_url}/bindings", data=body, headers=proof, timeout=10).content
    with ReservedPort() as bare_port, serve_bare(answer, bare_port.number) as floor:
        bare_url = f"http://127.0.0.1:{bare_port.number}"
        until_it_answers(bare_url)
        own, bare = served_rate(own_url, body, proof), served_rate(bare_url, body, proof)
        floor.terminate()
    text = f"{own / bare:.2f} ({own:,.0f} / {bare:,.0f} a second)"
    return ("bindings: our rate / bare Flask's, behind the same server", text, "≥ 0.7")


def until_it_answers(url: str) -> None:
    """Wait until the server answers."""
    while True:
        try:
            requests.get(f"{url}/healthz", timeout=5)
            return
        except requests.ConnectionError:
            time.sleep(0.01)


def process(mattermost: MattermostDouble, servicenow: ServiceNowDouble, folder: Path) -> list[Row]:
    """The real process: time to start and stop, and its worker's memory after some work."""
    with ReservedPort() as port:
        return _process(mattermost, servicenow, folder, port.number)


def _process(mattermost: MattermostDouble, servicenow: ServiceNowDouble, folder: Path, port: int) -> list[Row]:
    own = environment(port, folder, mattermost.url, servicenow.url, LOG_LEVEL="error")
    began = time.perf_counter()
    command = [sys.executable, "cli.py", "serve"]
    with subprocess.Popen(command, cwd=ROOT, env=own, start_new_session=True) as service:
        until_it_answers(f"http://127.0.0.1:{port}")
        started = time.perf_counter() - began
        admin = MattermostClient(mattermost.url, "admin")
        admin.install(f"http://127.0.0.1:{port}/manifest.json", JWT_SECRET)
        agent = MattermostClient(mattermost.url, "agent")
        agent.connect()
        leaf = agent.entries("/command")["servicenow incident create"]["form"]["submit"]
        served = served_bindings(mattermost, agent, port)
        for number in range(200):
            agent.call(leaf, values={"short_description": f"Work {number}"})
        app = mattermost.registry.apps["servicenow"]
        bot_token = mattermost.registry.token(app, app.bot_user_id)
        about = {"acting_user": mattermost.state.users[agent.id], "bot_access_token": bot_token}
        flooded = flood.work(f"http://127.0.0.1:{port}", headers(agent), about)
        workers = psutil.Process(service.pid).children()
        memory = max(worker.memory_info().rss for worker in workers) / 1024 / 1024
        ended_at = time.perf_counter()
        service.terminate()
        service.wait(60)
        ended = time.perf_counter() - ended_at
    return [
        served,
        *flooded,
        ("start to the first answer", f"{started:.2f} s", "≤ 1.5 s"),
        ("SIGTERM to the end, nothing in flight", f"{ended:.2f} s", "≤ 0.5 s"),
        ("memory of a worker after 200 creates", f"{memory:.0f} MB", "≤ 120 MB"),
    ]


if __name__ == "__main__":
    main()
