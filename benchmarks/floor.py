"""The floor: bare Flask with raw requests, doing the same calls with none of the care."""

import threading
import time
from collections.abc import Callable
from typing import Any

import requests
from flask import Flask, Response, request
from werkzeug.test import Client

Json = dict[str, Any]


def rate(act: Callable[[], object], seconds: float = 1.5) -> float:
    """How often a second *act* runs in this thread; the best of three."""
    best = 0.0
    for _ in range(3):
        began, count = time.perf_counter(), 0
        while (spent := time.perf_counter() - began) < seconds / 3:
            act()
            count += 1
        best = max(best, count / spent)
    return best


def bare_bindings(body: bytes) -> Client:
    """A Flask route that answers the same JSON and looks at nothing."""
    app = Flask("floor")

    @app.post("/bindings")
    def bindings() -> Response:
        return Response(body, mimetype="application/json")

    return Client(app)


def bare_submit(mattermost: str, servicenow: str, bot_token: str, person_token: str, bearer: str) -> Client:
    """
    A Flask route that makes the calls of one create: the channel, the member, the person, the team
    member, the record, the card. One session, no checks, no storage.
    """
    app = Flask("floor")
    session = requests.Session()

    @app.post("/create")
    def create() -> Json:
        given = request.get_json()
        channel, person, team = given["channel"], given["person"], given["team"]
        mine = {"Authorization": f"Bearer {person_token}"}
        for path in (
            f"channels/{channel}",
            f"channels/{channel}/members/{person}",
            f"users/{person}",
            f"teams/{team}/members/{person}",
        ):
            session.get(f"{mattermost}/api/v4/{path}", headers=mine, timeout=10)
        record = session.post(
            f"{servicenow}/api/now/v2/table/incident",
            params={"sysparm_display_value": "all", "sysparm_exclude_reference_link": "true"},
            json={"short_description": given["title"], "correlation_id": given["id"]},
            headers={"Authorization": f"Bearer {bearer}"},
            timeout=10,
        ).json()["result"]
        number = record["number"]["value"]
        card = {"channel_id": channel, "message": "", "props": {"attachments": [{"title": number}]}}
        bot = {"Authorization": f"Bearer {bot_token}"}
        session.post(f"{mattermost}/api/v4/posts", json=card, headers=bot, timeout=10)
        return {"type": "ok", "text": number}

    return Client(app)


def cpu_per_call(act: Callable[[int], object], calls: int) -> float:
    """CPU seconds of this thread per call; the least of three rounds. What waits in sockets costs nothing."""
    least = float("inf")
    for round_ in range(3):
        began = time.thread_time()
        for number in range(calls):
            act(round_ * calls + number)
        least = min(least, (time.thread_time() - began) / calls)
    return least


def percentile(values: list[float], share: float) -> float:
    """The value that *share* of them do not exceed."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def in_background(act: Callable[[], object]) -> threading.Thread:
    """Run *act* beside what is measured."""
    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    return thread
