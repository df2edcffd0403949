"""Baselines: bare Flask and requests, without checks and storage."""

import http.client
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import requests
from flask import Flask, Response, request
from werkzeug.test import Client

Json = dict[str, Any]


def rate(act: Callable[[], object], seconds: float = 1.5) -> float:
    """How often per second *act* runs in this thread. The best of three rounds."""
    best = 0.0
    for _ in range(3):
        began, count = time.perf_counter(), 0
        while (spent := time.perf_counter() - began) < seconds / 3:
            act()
            count += 1
        best = max(best, count / spent)
    return best


def bare_bindings(body: bytes) -> Client:
    """A Flask route that returns the same JSON without any check."""
    app = Flask("floor")

    @app.post("/bindings")
    def bindings() -> Response:
        return Response(body, mimetype="application/json")

    return Client(app)


def served_rate(url: str, body: bytes, headers: Json, seconds: float = 1.5) -> float:
    """Requests per second over one connection. The best of three rounds."""
    host = urlsplit(url).netloc
    connection = http.client.HTTPConnection(host, timeout=10)
    every = headers | {"Content-Type": "application/json"}

    def once() -> None:
        connection.request("POST", "/bindings", body, every)
        assert connection.getresponse().read()

    try:
        return rate(once, seconds)
    finally:
        connection.close()


def serve_bare(answer: bytes, port: int) -> subprocess.Popen[bytes]:
    """The bare route behind the same server with the same settings, in a separate process."""
    code = f"""
from flask import Flask, Response
from web.server import GunicornServer
app = Flask("floor")
@app.post("/bindings")
def bindings():
    return Response({answer!r}, mimetype="application/json")
GunicornServer(lambda: (app, lambda: None), listen="127.0.0.1:{port}", threads=32, graceful_timeout=5).run()
"""
    return subprocess.Popen([sys.executable, "-c", code], start_new_session=True)


def bare_submit(mattermost: str, servicenow: str, bot_token: str, person_token: str, bearer: str) -> Client:
    """
    A Flask route that makes the calls of creating an incident: channel member, record, card. Without any checks.
    """
    app = Flask("floor")
    session = requests.Session()

    @app.post("/create")
    def create() -> Json:
        given = request.get_json()
        channel, person = given["channel"], given["person"]
        mine = {"Authorization": f"Bearer {person_token}"}
        session.get(f"{mattermost}/api/v4/channels/{channel}/members/{person}", headers=mine, timeout=10)
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
    """CPU seconds of this thread per call, without waiting for sockets. The best of three rounds."""
    least = float("inf")
    for round_ in range(3):
        began = time.thread_time()
        for number in range(calls):
            act(round_ * calls + number)
        least = min(least, (time.thread_time() - began) / calls)
    return least


def percentile(values: list[float], share: float) -> float:
    """The value that a *share* of the values doesn't exceed."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def in_background(act: Callable[[], object]) -> threading.Thread:
    """Run *act* in another thread."""
    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    return thread
